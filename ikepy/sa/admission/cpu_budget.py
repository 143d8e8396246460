"""CPU time for strangers: how much a second, and how those who want it share it.

What was spent fades away: in all within seconds, by source more slowly. A source may have spent as much as
is still free (dynamic thresholds; Choudhury and Hahne, 1998), so that the more there is asked for, the less
each gets, and there always is something left for one that has had nothing yet. The rule holds for prefixes,
for the addresses within a prefix and for the ports of an address: whoever shares a network or a NAT with an
attacker comes before it. An address that has had nothing yet may add to a prefix beyond its share: where many
prefixes are under attack it would be no better off than the attackers in its own. What a peer cost that then
proves itself is given back.

Where all networks are as new as each other nothing tells a peer from an attacker, and each request is served
with the probability budget / (rate x cost), in whichever order. Chance sees to it that it is not less for one
that comes at the wrong moment (as in RED; Floyd and Jacobson, 1993). And the rule holds for key exchange
groups as well: those who ask for one that nobody floods us with are served at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ikepy.crypto import kex
from ikepy.sa.admission.decay import Fading
from ikepy.sa.api.log_source import prefix_of
from ikepy.sa.api.path import Address, Endpoint

OVERHEAD = 0.001  # seconds of an IKE_SA_INIT and what follows it, without the key exchange
MEMORY = 2.0  # seconds: as long a time's budget may be spent at once
SOURCE_MEMORY = 8.0  # seconds that a source's use is remembered
ASKED = 1e-6  # seconds charged for a request that is not served: its source is no newcomer any more
NEWCOMERS = 4  # times what a prefix may have spent, for an address that has had nothing
# What requests of one cost (so, of one group) may have spent, in times of what is free: of prefixes that had
# nothing yet, of addresses that had nothing, of others. For the first ones chance takes up to half of it;
# even they leave a little to other groups.
KINDS = (16, 6, 4)
_ALL = "all"


def cost_of(group: int) -> float:
    """Predicted CPU seconds of an IKE_SA_INIT with a KE payload of this group; 0 if it has none."""
    return OVERHEAD + kex.SECONDS.get(group, 0.0)


@dataclass(frozen=True, slots=True)
class Charge:
    """What was charged to whom, when, and to which budget."""

    budget: CpuBudget
    remote: Endpoint
    cost: float
    at: float

    def refund(self, now: float) -> None:
        """The peer has proven itself, or the work was not done."""
        self.budget.refund(self, now)


class CpuBudget:
    """`share` of one CPU (0.25: 250 ms a second) in the long run; 0: no limit. Times in seconds.

    `chance` gives numbers from 0 to 1; `network` what addresses are summed up under; a source may have had
    `most` times what is free.
    """

    def __init__(
        self,
        share: float,
        chance: Callable[[], float],
        network: Callable[[Address], Hashable] = prefix_of,
        most: float = 1,
    ) -> None:
        self._chance = chance
        self._most = most
        self._capacity = share * MEMORY
        self._network = network
        self._total = Fading(MEMORY)
        self._kinds = Fading(MEMORY)  # by cost: there are as many as groups
        self._levels = (Fading(SOURCE_MEMORY), Fading(SOURCE_MEMORY), Fading(SOURCE_MEMORY))

    def affords(self, remote: Endpoint, cost: float, now: float) -> bool:
        """Whether a request from `remote` that costs `cost` may be served at `now`."""
        if not self._capacity:
            return True
        room = self._capacity - self._total.at(_ALL, now)
        prefix, *within = (
            level.at(key, now) for level, key in zip(self._levels, self._keys(remote), strict=True)
        )
        order = 2 if any(within) else 1 if prefix else 0
        # Whoever comes later in this order leaves room for one more like it to those who come before.
        spent = self._kinds.at(cost, now)
        if room <= 0 or spent > KINDS[order] * room:
            return False
        if order == 0:
            most = KINDS[0] * room
            return spent <= most / 2 or spent <= most * (1 - self._chance() / 2)
        if order == 1:
            return cost < room and prefix + cost <= NEWCOMERS * room
        for used in (prefix, *within):
            if room <= 0 or (used and used + 2 * cost > self._most * room):
                return False
            room -= used / self._most
        return True

    def charge(self, remote: Endpoint, cost: float, now: float) -> Charge:
        """It is served."""
        self._total.add(_ALL, cost, now)
        self._kinds.add(cost, cost, now)
        self._add(remote, cost, now)
        return Charge(self, remote, cost, now)

    def ask(self, remote: Endpoint, now: float) -> None:
        """It asked, and was not served: others come first from now on."""
        self._add(remote, ASKED, now)

    def refund(self, charge: Charge, now: float) -> None:
        """The peer has proven itself, or the work was not done."""
        recent = self._total.faded(charge.cost, charge.at, now)
        self._total.add(_ALL, -recent, now)
        self._kinds.add(charge.cost, -recent, now)
        self._add(charge.remote, -self._levels[0].faded(charge.cost, charge.at, now), now)

    def _add(self, remote: Endpoint, cost: float, now: float) -> None:
        for level, key in zip(self._levels, self._keys(remote), strict=True):
            level.add(key, cost, now)

    def _keys(self, remote: Endpoint) -> tuple[Hashable, Hashable, Hashable]:
        return self._network(remote.address), remote.address, remote
