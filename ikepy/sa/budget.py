"""CPU time for strangers: how much a second, and how those who want it share it.

What was spent fades away: in all within seconds, by source more slowly. A source may have spent as much as
is still free (dynamic thresholds; Choudhury and Hahne, 1998), so that the more there is asked for, the less
each gets, and there always is something left for one that has had nothing yet. The rule holds for prefixes,
for the addresses within a prefix and for the ports of an address: whoever shares a network or a NAT with an
attacker comes before it. An address that has had nothing yet may add to a prefix beyond its share: where many
prefixes are under attack it would be no better off than the attackers in its own. What a peer cost that then
proves itself is given back.
"""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.crypto import kex

from .decay import Fading
from .path import Endpoint
from .source import prefix_of

OVERHEAD = 0.001  # seconds of an IKE_SA_INIT and what follows it, without the key exchange
MEMORY = 2.0  # seconds: as long a time's budget may be spent at once
SOURCE_MEMORY = 8.0  # seconds that a source's use is remembered
ASKED = 1e-6  # seconds charged for a request that is not served: its source is no newcomer any more
NEWCOMERS = 4  # times what a prefix may have spent, for an address that has had nothing
KNOWN = 3  # times the budget, for addresses that are configured or have proven themselves lately
_ALL = "all"


def cost_of(group: int) -> float:
    """Predicted CPU seconds of an IKE_SA_INIT with a KE payload of this group; 0 if it has none."""
    return OVERHEAD + kex.SECONDS.get(group, 0.0)


@dataclass(frozen=True, slots=True)
class Charge:
    """What was charged to whom, and when."""

    remote: Endpoint
    cost: float
    at: float


class Budget:
    """`share` of one CPU (0.25: 250 ms a second) in the long run; 0: no limit. Times in seconds."""

    def __init__(self, share: float) -> None:
        self._capacity = share * MEMORY
        self._total = Fading(MEMORY)
        self._levels = (Fading(SOURCE_MEMORY), Fading(SOURCE_MEMORY), Fading(SOURCE_MEMORY))

    def affords(self, remote: Endpoint, cost: float, now: float, *, known: bool = False) -> bool:
        """Whether a request from `remote` that costs `cost` may be served at `now`."""
        if not self._capacity:
            return True
        room = self._capacity - self._total.at(_ALL, now)
        if known:
            return room + (KNOWN - 1) * self._capacity > 0
        prefix, *within = (level.at(key, now) for level, key in zip(self._levels, _keys(remote), strict=True))
        # Whoever comes later in this order leaves room for one more like it to those who come before.
        if not any(within):
            return room > 0 and (not prefix or (cost < room and prefix + cost <= NEWCOMERS * room))
        for used in (prefix, *within):
            if room <= 0 or (used and used + 2 * cost > room):
                return False
            room -= used
        return True

    def charge(self, remote: Endpoint, cost: float, now: float) -> Charge:
        """It is served."""
        self._total.add(_ALL, cost, now)
        self._add(remote, cost, now)
        return Charge(remote, cost, now)

    def ask(self, remote: Endpoint, now: float) -> None:
        """It asked, and was not served: others come first from now on."""
        self._add(remote, ASKED, now)

    def refund(self, charge: Charge, now: float) -> None:
        """The peer has proven itself, or the work was not done."""
        self._total.add(_ALL, -self._total.faded(charge.cost, charge.at, now), now)
        self._add(charge.remote, -self._levels[0].faded(charge.cost, charge.at, now), now)

    def _add(self, remote: Endpoint, cost: float, now: float) -> None:
        for level, key in zip(self._levels, _keys(remote), strict=True):
            level.add(key, cost, now)


def _keys(remote: Endpoint) -> tuple[object, object, object]:
    return prefix_of(remote.address), remote.address, remote
