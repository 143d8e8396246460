"""How many more CHILD_SAs a worker can hold, as the IKE machine needs to know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

KEPT_FOR_REKEYS = 8  # one place in this many is reserved for rekeyed children


@dataclass(frozen=True, slots=True)
class Capacity:
    """Free and total places for children at the worker of a connection's device.

    `closed`: why the worker could carry no traffic at present; empty if it can.
    """

    free: int
    places: int
    closed: str = ""

    @property
    def for_new(self) -> bool:
        """Whether an additional child fits."""
        return self.free > self.places // KEPT_FOR_REKEYS

    @property
    def for_rekey(self) -> bool:
        """Whether a child fits that replaces another."""
        return self.free > 0


CapacityOf = Callable[[str], Capacity]  # by the connection's name


def boundless(connection: str) -> Capacity:
    """Capacity without a limit, where there is no worker."""
    return Capacity(1, 1)
