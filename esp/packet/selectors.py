"""Traffic selectors: which inner packets an SA may carry (RFC 4301 4.4.1.1, RFC 7296 2.9 and 3.13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, summarize_address_range
from itertools import islice

BITS = {4: 32, 6: 128}
MOST = 255  # selectors of one side (RFC 7296 3.13)
NEAR_FRAGMENT = -1  # instead of a port: a later fragment so near that it could overlap the first one's ports
PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """A range of addresses, one protocol (0: any) and a range of ports. All bounds are inclusive.

    OPAQUE ports (RFC 4301 4.4.1.1) are first_port 65535, last_port 0.
    """

    version: int  # 4 or 6
    first: int  # addresses as integers
    last: int
    protocol: int = 0
    first_port: int = 0
    last_port: int = 65535

    @classmethod
    def of(
        cls,
        network: IPv4Network | IPv6Network | str,
        protocol: int = 0,
        first_port: int = 0,
        last_port: int = 65535,
    ) -> Selector:
        """The selector of a network, given as such or as text like "10.1.0.0/16"."""
        if isinstance(network, str):
            network = IPv6Network(network) if ":" in network else IPv4Network(network)
        return cls(
            network.version,
            int(network.network_address),
            int(network.broadcast_address),
            protocol,
            first_port,
            last_port,
        )

    @property
    def all_addresses(self) -> bool:
        """Whether it is 0.0.0.0/0 or ::/0."""
        return self.first == 0 and self.last == (1 << BITS[self.version]) - 1

    @property
    def all_ports(self) -> bool:
        return self.first_port == 0 and self.last_port == 65535

    @property
    def host_bits(self) -> int | None:
        """How many bits of an address tell hosts apart, if the addresses are one network; else None."""
        size = self.last - self.first + 1
        if size < 1 or size & (size - 1) or self.first % size:
            return None
        return size.bit_length() - 1

    def networks(self) -> list[IPv4Network | IPv6Network]:
        """The networks that make up the address range, for routes."""
        bits = self.host_bits
        if bits is not None:
            network = IPv4Network if self.version == 4 else IPv6Network
            return [network((self.first, BITS[self.version] - bits))]
        if self.version == 4:
            return list(summarize_address_range(IPv4Address(self.first), IPv4Address(self.last)))
        return list(summarize_address_range(IPv6Address(self.first), IPv6Address(self.last)))

    def contains(self, other: Selector) -> bool:
        """Whether it permits all that `other` does: their intersection is `other`."""
        return (
            self.version == other.version
            and self.first <= other.first <= other.last <= self.last
            and self.protocol in (0, other.protocol)
            and (
                self.first_port <= other.first_port <= other.last_port <= self.last_port
                or (other.first_port > other.last_port and (self.all_ports or self.ports == other.ports))
            )
        )

    @property
    def ports(self) -> tuple[int, int]:
        return self.first_port, self.last_port

    @property
    def opaque_ports(self) -> bool:
        """Whether it is for packets whose ports cannot be seen (RFC 4301 4.4.1.1)."""
        return self.first_port == 65535 and self.last_port == 0

    def matches(self, version: int, address: int, protocol: int | None, port: int | None) -> bool:
        """Whether a packet's address, protocol and port on this side fall into the selector.

        None stands for what cannot be seen, in a fragment that is not the first one: only a selector that
        does not restrict it matches. NEAR_FRAGMENT: nor one with OPAQUE ports (RFC 4301 7.2).
        """
        return (
            version == self.version
            and self.first <= address <= self.last
            and (self.protocol == 0 or protocol == self.protocol)
            and self._permits_port(port)
        )

    def _permits_port(self, port: int | None) -> bool:
        if port is None or port == NEAR_FRAGMENT:
            return self.all_ports or (port is None and self.opaque_ports)
        return self.first_port <= port <= self.last_port

    def intersection(self, other: Selector) -> Selector | None:
        """What both permit, None if that is nothing."""
        if self.version != other.version:
            return None
        if self.protocol and other.protocol and self.protocol != other.protocol:
            return None
        first, last = max(self.first, other.first), min(self.last, other.last)
        if first > last:
            return None
        ports = self._common_ports(other)
        if ports is None:
            return None
        return Selector(self.version, first, last, self.protocol or other.protocol, *ports)

    def _common_ports(self, other: Selector) -> tuple[int, int] | None:
        mine, theirs = self.ports, other.ports
        if mine == theirs or other.all_ports:
            return mine
        if self.all_ports:
            return theirs
        first, last = max(mine[0], theirs[0]), min(mine[1], theirs[1])
        return (first, last) if first <= last else None

    def __str__(self) -> str:
        address = IPv4Address if self.version == 4 else IPv6Address
        bits = self.host_bits
        if bits is None:
            text = f"{address(self.first)}..{address(self.last)}"
        else:
            text = f"{address(self.first)}/{BITS[self.version] - bits}"
        if self.protocol == 0 and self.all_ports:
            return text
        name = PROTOCOL_NAMES.get(self.protocol, str(self.protocol)) if self.protocol else ""
        return f"{text}[{name}{self._port_text()}]"

    def _port_text(self) -> str:
        if self.all_ports:
            return ""
        if self.first_port > self.last_port:
            return "/opaque"
        if self.first_port == self.last_port:
            return f"/{self.first_port}"
        return f"/{self.first_port}-{self.last_port}"


def narrow(ours: Sequence[Selector], theirs: Sequence[Selector]) -> tuple[Selector, ...]:
    """The largest subset of `theirs` that `ours` permits (RFC 7296 2.9), without contained entries, of the
    first MOST that differ: what is compared grows with their square."""
    common = (both for mine in ours for other in theirs if (both := mine.intersection(other)) is not None)
    return without_contained(islice(dict.fromkeys(common), MOST))


def without_contained(selectors: Iterable[Selector]) -> tuple[Selector, ...]:
    """`selectors` in order, less those that another one contains."""
    every = dict.fromkeys(selectors)
    kept: dict[Selector, None] = {}
    for one in sorted(every, key=_width, reverse=True):  # what contains another comes before it
        if not any(other.contains(one) for other in kept):
            kept[one] = None
    return tuple(one for one in every if one in kept)


def _width(one: Selector) -> tuple[int, int, bool]:
    return one.last - one.first, one.last_port - one.first_port, one.protocol == 0
