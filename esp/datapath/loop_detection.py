"""What we have sent ourselves, and the routes lead back into a device of ours: it would go in circles.

Sealed again it would come back longer each time, for ever, and no payload packet would get through. Routes
are the user's and change at any moment: a look at the routing table before each send costs too much and comes
too late, SO_BINDTODEVICE would forbid a second uplink, and a mark with rules of its own would have to know
the user's tables and rules. But each such packet has to come out of a device that is read here, and tells by
its source that it is ours: so it ends here, whatever the routes, for the price of nothing where the source is
another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from esp.packet.headers import Flow

Address = IPv4Address | IPv6Address

UDP = 17
_ESP = 50


class LocalEndpoints:
    """The endpoints that this host's ESP leaves from."""

    __slots__ = ("_ports", "_sources")

    def __init__(self) -> None:
        self._sources: frozenset[bytes] = frozenset()
        self._ports: dict[tuple[int, int], set[int]] = {}  # by IP version and address

    def set(self, endpoints: Iterable[tuple[Address, int]]) -> None:
        """These are all: address, and port (0 without UDP). What is bound to no address is left out."""
        self._ports = {}
        for address, port in endpoints:
            if not address.is_unspecified:
                self._ports.setdefault((address.version, int(address)), set()).add(port)
        sizes = {4: 4, 6: 16}
        self._sources = frozenset(number.to_bytes(sizes[version], "big") for version, number in self._ports)

    def may_have_sent(self, key: bytes) -> bool:
        """Whether packets of these addresses (`esp.packet.headers.address_key`) have to be looked at one by
        one."""
        return key[: len(key) // 2] in self._sources

    def sent(self, flow: Flow) -> bool:
        """Whether it is ESP, with or without UDP, or IKE from the port that ESP leaves from.

        A fragment of UDP without ports is not told from others: sealed once, it is told then.
        """
        ports = self._ports.get((flow.version, flow.source))
        if ports is None:
            return False
        return flow.protocol == _ESP or (flow.protocol == UDP and flow.source_port in ports)
