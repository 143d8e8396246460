"""What IKE_SA_INIT from strangers may cost: cookies, limits, repeated requests (RFC 7296 2.1 and 2.6)."""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto

from ikepy.config.model import Daemon

from .ike_sa import IkeSa
from .path import Address, Endpoint
from .phase import Phase


class Verdict(Enum):
    """What to do with a new IKE_SA_INIT."""

    SERVE = auto()
    COOKIE = auto()  # only if it shows that it can receive at its address
    DROP = auto()


class HalfOpen:
    """The IKE_SAs that peers began and have not authenticated yet."""

    def __init__(self, limits: Daemon) -> None:
        self._cookie_threshold = limits.cookie_threshold
        self._cookie_threshold_ip = limits.cookie_threshold_ip
        self._block_threshold = limits.block_threshold
        self._by_request: dict[tuple[bytes, Endpoint], IkeSa] = {}
        self._spis: Counter[bytes] = Counter()  # the initiators' of `_by_request`
        self._open: dict[int, Address] = {}  # ike_id -> the peer's address
        self._per_address: Counter[Address] = Counter()

    def known(self, spi_i: bytes, remote: Endpoint) -> IkeSa | None:
        """The IKE_SA that this peer's IKE_SA_INIT made."""
        return self._by_request.get((spi_i, remote))

    def may_know(self, spi_i: bytes) -> bool:
        """Whether some peer's IKE_SA_INIT with this SPI made an IKE_SA."""
        return spi_i in self._spis

    def verdict(self, address: Address) -> Verdict:
        """By how many are open: in all, and from this address. A threshold of 0 switches its check off."""
        from_there = self._per_address[address]
        if self._block_threshold and from_there >= self._block_threshold:
            return Verdict.DROP
        if self._cookie_threshold and len(self._open) >= self._cookie_threshold:
            return Verdict.COOKIE
        if self._cookie_threshold_ip and from_there >= self._cookie_threshold_ip:
            return Verdict.COOKIE
        return Verdict.SERVE

    def add(self, sa: IkeSa) -> None:
        self._by_request[sa.spi_i, sa.path.remote] = sa
        self._spis[sa.spi_i] += 1
        self._open[sa.ike_id] = sa.path.remote.address
        self._per_address[sa.path.remote.address] += 1
        sa.init_remote = sa.path.remote

    def update(self, sa: IkeSa) -> None:
        """An IKE_SA changed its phase: it counts no longer once it is authenticated or dead."""
        address = self._open.get(sa.ike_id)
        if address is not None and sa.phase is not Phase.CONNECTING:
            del self._open[sa.ike_id]
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]
        if sa.phase is not Phase.DEAD or sa.init_remote is None:
            return
        if self._by_request.pop((sa.spi_i, sa.init_remote), None) is not None:
            self._spis[sa.spi_i] -= 1
            if not self._spis[sa.spi_i]:
                del self._spis[sa.spi_i]
