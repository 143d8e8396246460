"""IKE_SA_INIT requests that were let in and wait to be worked on: they are paid for, and count as half-open.

A burst is read faster than it is worked on. What counted only once it is worked on would let all of it in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from ikepy.sa.admission.cpu_budget import Charge
from ikepy.sa.api.path import Address, Endpoint

MOST = 1024  # at once
PATIENCE = 2.0  # seconds after which one was lost on its way, in a full queue or as it made no sense


class QueuedInits:
    """By the initiator's SPI and whence it came, oldest first."""

    def __init__(self) -> None:
        self._charges: OrderedDict[tuple[bytes, Endpoint], Charge] = OrderedDict()
        self._per_address: Counter[Address] = Counter()

    def __len__(self) -> int:
        return len(self._charges)

    def __contains__(self, request: tuple[bytes, Endpoint]) -> bool:
        return request in self._charges

    def from_address(self, address: Address) -> int:
        """How many wait that came from there."""
        return self._per_address[address]

    def add(self, spi_i: bytes, charge: Charge) -> None:
        """It waits; if too many do, the oldest is forgotten."""
        self._charges[spi_i, charge.remote] = charge
        self._per_address[charge.remote.address] += 1
        if len(self._charges) > MOST:
            self._forget_oldest()

    def take(self, spi_i: bytes, remote: Endpoint) -> Charge | None:
        """What was paid for it, now that it is worked on; None if it does not wait."""
        charge = self._charges.pop((spi_i, remote), None)
        if charge is not None:
            self._uncount(charge)
        return charge

    def expire(self, now: float) -> None:
        """Forget those that will not be worked on any more."""
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
