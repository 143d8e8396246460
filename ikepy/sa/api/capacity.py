"""The places that a worker has for children, as far as the IKE machine has to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

KEPT_FOR_REKEYS = 8  # one place in so many is for children that replace others


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of the worker that a connection's device belongs to: places that are free, and all of them.

    `closed`: why nothing that is installed would be carried for the time being.
    """

    free: int
    places: int
    closed: str = ""

    @property
    def for_new(self) -> bool:
        """Whether a further child may come."""
        return self.free > self.places // KEPT_FOR_REKEYS

    @property
    def for_rekey(self) -> bool:
        """Whether one may come that replaces another."""
        return self.free > 0


CapacityOf = Callable[[str], Capacity]  # by the connection's name


def boundless(connection: str) -> Capacity:
    """Where there is no worker."""
    return Capacity(1, 1)
