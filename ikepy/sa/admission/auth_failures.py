"""Failed authentications: whoever keeps guessing is heard ever more seldom.

What fails is remembered by source and by what it said it was. Nobody is kept out by what others do elsewhere,
and an identity that the configuration names is heard from a place where others were guessed, though only its
success is answered: so it makes no difference to those who guess.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto

from ikepy.config.identity import Identity
from ikepy.sa.api.log_source import Prefix, prefix_of
from ikepy.sa.api.path import Address, Endpoint

# An address with an identity or anybody's, and its prefix; each with how many failures are free.
Keys = tuple[tuple[tuple[Address, Identity | None], int], tuple[Prefix, int]]
KEPT = 4096  # of each table: of more, those go that were touched longest ago
FIRST, LONGEST = 1.0, 32.0  # seconds between attempts that are heard: doubled from one to the other
RECOVERY = 60.0  # seconds in which one failure is forgotten: a misconfigured peer's tries are always answered
# Failures without a consequence: of an identity from an address or prefix, of any identity, of a port.
FREE_IDENTITY, FREE_IDENTITY_PREFIX, FREE_ADDRESS, FREE_PREFIX, FREE_PORT = 5, 12, 12, 48, 12
PROVEN = 3600.0  # seconds that a success is remembered
PLACES = 16384  # addresses of peers: of more, those go whose IKE_SAs are gone for longest
LATELY = 86400.0  # seconds for which a peer's address is known, after its last IKE_SA


class Hearing(Enum):
    """What an attempt is worth."""

    FULL = auto()
    SUCCESS = auto()  # only success is answered
    NONE = auto()  # not even looked at


@dataclass(slots=True)
class _Entry:
    count: float
    at: float  # of the last failure that counted

    def next(self, free: int) -> float:
        """When the next attempt is heard."""
        doublings = round(self.count) - free
        return self.at if doublings < 0 else self.at + min(FIRST * 2 ** min(doublings, 16), LONGEST)


class AuthFailures:
    """All of a daemon's. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._failed: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._proven: OrderedDict[Hashable, float] = OrderedDict()
        self._stood: OrderedDict[Address, float] = OrderedDict()  # an IKE_SA with a peer there; when, last

    def hearing(self, address: Address, identity: Identity, now: float, *, named: bool) -> Hearing:
        """How an attempt from `address` to be `identity` is to be met; `named`: by the configuration."""
        known = self._recent((address, identity.folded), now)
        if named and self._bars(_of_identity(address, identity), now, known):
            return Hearing.NONE
        if not self._bars(_of_place(address), now, known):
            return Hearing.FULL
        return Hearing.SUCCESS if named or known else Hearing.NONE

    def _bars(self, keys: Keys, now: float, known: bool) -> bool:
        """Whether what failed at an address, or in its prefix, is held against it.

        The prefix's failures are not held against an address that has none of its own; an IPv6 host takes
        a new address for every attempt, so there they are.
        """
        (own, own_free), (prefix, prefix_free) = keys
        if self._waits(own, own_free, now):
            return True
        clean = known or (prefix.version == 4 and own not in self._failed)
        return not clean and self._waits((prefix, own[1]), prefix_free, now)

    def silenced(self, remote: Endpoint, now: float) -> bool:
        """Whether a new IKE_SA_INIT of this port comes too soon after its failures."""
        return self._waits(remote, FREE_PORT, now) and not self._recent(remote, now)

    def known(self, address: Address, now: float) -> bool:
        """Whether a peer that has proven itself is or was there lately."""
        return now - self._stood.get(address, float("-inf")) < LATELY

    def stands(self, address: Address, now: float) -> None:
        """An authenticated IKE_SA has its peer there."""
        self._stood[address] = now
        self._stood.move_to_end(address)
        if len(self._stood) > PLACES:
            self._stood.popitem(last=False)

    def failed(self, remote: Endpoint, identity: Identity, now: float, *, named: bool) -> float:
        """An attempt has failed; gives the seconds for which its like is not heard from there."""
        waits = [self._count(remote, FREE_PORT, now)]
        # Of identities that nobody configured there are too many: they share their place's entries.
        for keys in [_of_place(remote.address), *([_of_identity(remote.address, identity)] if named else [])]:
            (own, own_free), (prefix, prefix_free) = keys
            waits += [self._count(own, own_free, now), self._count((prefix, own[1]), prefix_free, now)]
        return max(waits)

    def proven(self, remote: Endpoint, identity: Identity, now: float) -> None:
        """A peer has proven itself: what was held against it is void, and it is known from now on."""
        self._failed.pop((remote.address, identity.folded), None)
        self._failed.pop(remote, None)
        self.stands(remote.address, now)
        for proof in (remote, (remote.address, identity.folded)):
            self._proven[proof] = now
            self._proven.move_to_end(proof)
        while len(self._proven) > KEPT:
            self._proven.popitem(last=False)

    def _recent(self, key: Hashable, now: float) -> bool:
        return now - self._proven.get(key, float("-inf")) < PROVEN

    def _waits(self, key: Hashable, free: int, now: float) -> bool:
        entry = self._failed.get(key)
        return entry is not None and now < entry.next(free)

    def _count(self, key: Hashable, free: int, now: float) -> float:
        entry = self._failed.get(key)
        if entry is None:
            entry = self._failed[key] = _Entry(0, now)
        # While nobody of its like is heard, what fails quietly does not make the wait longer.
        if now >= entry.next(free):
            entry.count = max(0.0, entry.count - (now - entry.at) / RECOVERY) + 1
            entry.at = now
        self._failed.move_to_end(key)
        if len(self._failed) > KEPT:
            self._failed.popitem(last=False)
        return max(0.0, entry.next(free) - now)


def _of_identity(address: Address, identity: Identity) -> Keys:
    return ((address, identity.folded), FREE_IDENTITY), (prefix_of(address), FREE_IDENTITY_PREFIX)


def _of_place(address: Address) -> Keys:
    return ((address, None), FREE_ADDRESS), (prefix_of(address), FREE_PREFIX)
