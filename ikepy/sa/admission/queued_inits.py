"""Tracks admitted IKE_SA_INIT requests that wait in the queue: they are charged and count as half-open.

A burst is read faster than it is processed. If requests counted only once processed, all would be admitted.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from ikepy.sa.admission.cpu_budget import Charge
from ikepy.sa.api.path import Address, Endpoint

MOST = 1024  # at once
PATIENCE = 2.0  # seconds after which a request is taken as lost: the queue was full, or it was malformed


class QueuedInits:
    """The waiting requests by initiator SPI and source endpoint, oldest first."""

    def __init__(self) -> None:
        self._charges: OrderedDict[tuple[bytes, Endpoint], Charge] = OrderedDict()
        self._per_address: Counter[Address] = Counter()

    def __len__(self) -> int:
        return len(self._charges)

    def __contains__(self, request: tuple[bytes, Endpoint]) -> bool:
        return request in self._charges

    def from_address(self, address: Address) -> int:
        """How many requests from this address wait."""
        return self._per_address[address]

    def add(self, spi_i: bytes, charge: Charge) -> None:
        """Add a waiting request; if there are too many, forget the oldest."""
        self._charges[spi_i, charge.remote] = charge
        self._per_address[charge.remote.address] += 1
        if len(self._charges) > MOST:
            self._forget_oldest()

    def take(self, spi_i: bytes, remote: Endpoint) -> Charge | None:
        """Remove a request that is now processed and return its charge; None if it is not waiting."""
        charge = self._charges.pop((spi_i, remote), None)
        if charge is not None:
            self._uncount(charge)
        return charge

    def expire(self, now: float) -> None:
        """Forget the requests that were lost on the way."""
        while self._charges and next(iter(self._charges.values())).at <= now - PATIENCE:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, charge = self._charges.popitem(last=False)
        self._uncount(charge)

    def _uncount(self, charge: Charge) -> None:
        address = charge.remote.address
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
