"""Virtual addresses that peers have been given, as values (RFC 7296 3.15.1)."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.config.identity import Identity
from ikepy.sa.api.path import Address


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that belongs to a peer; `online`: in use; else it is kept for when that one returns."""

    pool: str
    address: Address
    identity: Identity
    online: bool = False


@dataclass(frozen=True, slots=True)
class PoolState:
    """A configured pool. `size`: how many addresses it has; `leases`: the oldest first."""

    name: str
    base: Address
    size: int
    leases: tuple[Lease, ...]

    @property
    def online(self) -> int:
        return sum(one.online for one in self.leases)

    @property
    def offline(self) -> int:
        return len(self.leases) - self.online
