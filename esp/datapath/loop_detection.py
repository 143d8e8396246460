"""Loop detection: recognizes our own ESP that routes lead back into one of our devices.

Sealed again, such a packet would come back longer each time, for ever, and no payload would get through.
Routes are the user's and change at any moment: a routing look-up before each send costs too much and comes
too late, SO_BINDTODEVICE would forbid a second uplink, and a firewall mark with rules of our own would have
to know the user's tables and rules. But a looping packet has to come out of a device that is read here, and
its source address is ours: so it is dropped here, whatever the routes. Packets from other sources cost
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from esp.packet.headers import Flow

Address = IPv4Address | IPv6Address

UDP = 17
_ESP = 50


class LocalEndpoints:
    """The endpoints from which this host's ESP leaves."""

    __slots__ = ("_ports", "_sources")

    def __init__(self) -> None:
        self._sources: frozenset[bytes] = frozenset()
        self._ports: dict[tuple[int, int], set[int]] = {}  # by IP version and address

    def set(self, endpoints: Iterable[tuple[Address, int]]) -> None:
        """Replace all: address, and port (0 without UDP). Wildcard addresses are left out."""
        self._ports = {}
        for address, port in endpoints:
            if not address.is_unspecified:
                self._ports.setdefault((address.version, int(address)), set()).add(port)
        sizes = {4: 4, 6: 16}
        self._sources = frozenset(number.to_bytes(sizes[version], "big") for version, number in self._ports)

    def may_have_sent(self, key: bytes) -> bool:
        """Whether packets of these addresses (`esp.packet.headers.address_key`) may be our own ESP: then
        `sent` decides."""
        return key[: len(key) // 2] in self._sources

    def sent(self, flow: Flow) -> bool:
        """Whether the packet is our own ESP, with or without UDP, or IKE from the port that ESP leaves from.

        A later fragment of UDP is not recognized; it is, once it was sealed.
        """
        ports = self._ports.get((flow.version, flow.source))
        if ports is None:
            return False
        return flow.protocol == _ESP or (flow.protocol == UDP and flow.source_port in ports)
