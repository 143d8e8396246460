"""Limits the CPU time spent on unauthenticated peers, and shares it fairly among sources.

Usage decays: the total within seconds, that of each source more slowly. A source may have used as much as is
still free (dynamic thresholds; Choudhury and Hahne, 1998): shares shrink as demand grows, and something is
always left for a newcomer. The rule applies to prefixes, to the addresses within a prefix and to the ports of
an address, so a peer that shares a network or a NAT with an attacker goes first. A new address may exceed its
prefix's share: with many prefixes under attack it would otherwise fare no better than the attackers in its
own. The cost of a peer that then authenticates is refunded.

If all networks are equally new, nothing tells a peer from an attacker, and each request is served with the
probability budget / (rate x cost). Random drops keep that independent of timing (as in RED; Floyd and
Jacobson, 1993). The rule also applies to key exchange groups: requests for a group that nobody floods us with
are served at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ikepy.crypto.kex import registry
from ikepy.sa.admission.decay import Fading
from ikepy.sa.api.log_source import prefix_of
from ikepy.sa.api.path import Address, Endpoint

OVERHEAD = 0.001  # seconds for an IKE_SA_INIT and its follow-up, without the key exchange
MEMORY = 2.0  # seconds' worth of budget that may be spent at once
SOURCE_MEMORY = 8.0  # seconds for which a source's usage is remembered
ASKED = 1e-6  # seconds charged for a rejected request: its source is no newcomer any more
NEWCOMERS = 4  # a new address is served while its prefix's usage is below so many times what is free
# What requests of one cost (that is, one group) may have used, as a multiple of what is free: from a new
# prefix, from a new address, from others. New prefixes are dropped at random in the upper half; even they
# leave a little to other groups.
KINDS = (16, 6, 4)
_ALL = "all"


def cost_of(group: int) -> float:
    """Predicted CPU seconds of an IKE_SA_INIT with a KE payload of this group; 0 if it has none."""
    return OVERHEAD + registry.seconds(group)


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge of `cost` seconds to `remote`, made at `at`."""

    budget: CpuBudget
    remote: Endpoint
    cost: float
    at: float

    def refund(self, now: float) -> None:
        """The peer has proven itself, or the work was not done."""
        self.budget.refund(self, now)


class CpuBudget:
    """Budget of `share` of one CPU (0.25: 250 ms a second) in the long run; 0: no limit. Times in seconds.

    `chance` gives numbers from 0 to 1; `network` maps an address to what it is aggregated under; a source may
    have used `most` times what is free.
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
        self.resize(share)
        self._network = network
        self._total = Fading(MEMORY)
        self._kinds = Fading(MEMORY)  # by cost: one entry per group
        self._levels = (Fading(SOURCE_MEMORY), Fading(SOURCE_MEMORY), Fading(SOURCE_MEMORY))

    def resize(self, share: float) -> None:
        """Another share from now on; what has been used counts on."""
        self._capacity = share * MEMORY

    def affords(self, remote: Endpoint, cost: float, now: float) -> bool:
        """Whether a request from `remote` that costs `cost` may be served at `now`."""
        if not self._capacity:
            return True
        room = self._capacity - self._total.at(_ALL, now)
        prefix, *within = (
            level.at(key, now) for level, key in zip(self._levels, self._keys(remote), strict=True)
        )
        order = 2 if any(within) else 1 if prefix else 0
        # Each class leaves room for one more such request to the classes before it.
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
        """Charge a request that is served."""
        self._total.add(_ALL, cost, now)
        self._kinds.add(cost, cost, now)
        self._add(remote, cost, now)
        return Charge(self, remote, cost, now)

    def ask(self, remote: Endpoint, now: float) -> None:
        """Charge a token cost for a rejected request, so that new sources go first from now on."""
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
