"""Matches inner packets against the selectors of one SA, in both directions (RFC 4301 5.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from esp.packet.headers import Buffer, Flow, address_key, flow_of
from esp.packet.row_layouts import Octets, all_equal
from esp.packet.selectors import Selector

CACHE_LIMIT = 1024  # cached answers; the cache is cleared when it is full

# How narrow a match is: addresses of the remote and the local selector, and their ports. Smaller is narrower.
Width = tuple[int, int, int, int]


class Policy:
    """Which inner packets an SA may carry: those that a local and a remote selector match."""

    __slots__ = ("_any_in", "_cache", "addresses_only", "ts_local", "ts_remote")

    def __init__(self, ts_local: Sequence[Selector], ts_remote: Sequence[Selector]) -> None:
        self.ts_local = tuple(ts_local)
        self.ts_remote = tuple(ts_remote)
        self.addresses_only = all(
            each.protocol == 0 and each.all_ports for each in self.ts_local + self.ts_remote
        )
        self._any_in = {version for version in (4, 6) if _any(version, ts_local) and _any(version, ts_remote)}
        self._cache: dict[bytes, bool] = {}

    def permits_inbound(self, packet: Buffer) -> bool:
        """Whether a packet (whole, by `ip_length`) may come out of this SA."""
        if packet[0] >> 4 in self._any_in:
            return True
        if not self.addresses_only:
            return self._permits(flow_of(packet))
        key = address_key(packet)
        permitted = self._cache.get(key)
        if permitted is None:
            permitted = self._permits(flow_of(packet))
            if len(self._cache) >= CACHE_LIMIT:
                self._cache.clear()
            self._cache[key] = permitted
        return permitted

    def permits_addresses(self, version: int, key: bytes) -> bool:
        """Whether the cache says that a packet of these addresses (`address_key`) may come out of this SA;
        False also if `permits_inbound` has to decide."""
        return version in self._any_in or self._cache.get(key, False)

    def permits_rows(self, packets: Octets) -> bool:
        """Whether these packets of one IP version (whole, a row each) are permitted, because the first one is
        and all have its addresses; False also if addresses do not decide."""
        first = memoryview(packets[0])
        if first[0] >> 4 in self._any_in:
            return True
        addresses = packets[:, 12:20] if first[0] >> 4 == 4 else packets[:, 8:40]
        if not self.addresses_only or not all_equal(addresses):
            return False
        return self.permits_inbound(first)

    def _permits(self, inbound: Flow) -> bool:
        version, source, destination, protocol, source_port, destination_port = inbound
        return any(each.matches(version, source, protocol, source_port) for each in self.ts_remote) and any(
            each.matches(version, destination, protocol, destination_port) for each in self.ts_local
        )

    def match_outbound(self, flow: Flow) -> Width | None:
        """How narrowly an outbound packet matches; None if it does not."""
        version, source, destination, protocol, source_port, destination_port = flow
        local = [each for each in self.ts_local if each.matches(version, source, protocol, source_port)]
        remote = [
            each for each in self.ts_remote if each.matches(version, destination, protocol, destination_port)
        ]
        if not local or not remote:
            return None
        # The narrowest of each side are the narrowest pair.
        return _width(min(local, key=_extent), min(remote, key=_extent))


def _any(version: int, selectors: Sequence[Selector]) -> bool:
    return any(
        each.version == version and each.all_addresses and each.protocol == 0 and each.all_ports
        for each in selectors
    )


def _extent(selector: Selector) -> tuple[int, int]:
    return selector.last - selector.first, _ports(selector)


def _width(local: Selector, remote: Selector) -> Width:
    return remote.last - remote.first, local.last - local.first, _ports(remote), _ports(local)


def _ports(selector: Selector) -> int:
    """The width of a port range: a protocol with all ports is wider than one port, and narrower than any
    protocol."""
    ports = max(0, selector.last_port - selector.first_port)
    return ports if selector.protocol else ports + 65536
