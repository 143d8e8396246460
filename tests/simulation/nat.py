"""A NAT before a site: one mapping an inner endpoint, whoever the peer is (RFC 4787 4.1, 4.3, 5)."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.sa.api.path import Address, Endpoint

IDLE = 25.0  # seconds after which a mapping is forgotten; only what goes out renews it


@dataclass(slots=True)
class _Mapping:
    outer: Endpoint
    used: float  # when something went out last


class Nat:
    """The mappings of a NAT that has the outer address `address`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._port = 40000  # none is given twice
        self._mappings: dict[Endpoint, _Mapping] = {}  # by inner endpoint

    def outward(self, inner: Endpoint, now: float) -> Endpoint:
        """As whom the world sees a packet that leaves from `inner`."""
        mapping = self._mappings.get(inner)
        if mapping is None or now - mapping.used > IDLE:
            self._port += 1
            mapping = self._mappings[inner] = _Mapping(Endpoint(self._address, self._port), now)
        mapping.used = now
        return mapping.outer

    def inward(self, outer: Endpoint, now: float) -> Endpoint | None:
        """Where a packet to `outer` goes; None: nowhere."""
        for inner, mapping in self._mappings.items():
            if mapping.outer == outer and now - mapping.used <= IDLE:
                return inner
        return None

    def rebind(self, address: Address) -> None:
        """It forgets all mappings, as at a restart, and may have another address."""
        self._address = address
        self._mappings.clear()
