"""Throttles failing authentications: the more of them fail, the more rarely an attempt is processed.

Failures are counted by source address and by claimed identity, so nobody is locked out by failures elsewhere.
A configured identity is still tried from an address where other identities were guessed, but only a success
is answered: a guesser learns nothing from the silence.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto

from ikepy.config.identity import Identity
from ikepy.sa.api.log_source import Prefix, prefix_of
from ikepy.sa.api.path import Address, Endpoint

# (address, identity; None: any), and the address's prefix; each with the number of free failures.
Keys = tuple[tuple[tuple[Address, Identity | None], int], tuple[Prefix, int]]
KEPT = 4096  # entries of each table; the least recently used are evicted
FIRST, LONGEST = 1.0, 32.0  # seconds between attempts that are processed: doubled each time
RECOVERY = 60.0  # seconds until one failure is forgotten: a misconfigured peer's slow retries are answered
# Failures without consequence: of one identity from an address or prefix, of any identity, from a port.
FREE_IDENTITY, FREE_IDENTITY_PREFIX, FREE_ADDRESS, FREE_PREFIX, FREE_PORT = 5, 12, 12, 48, 12
PROVEN = 3600.0  # seconds for which a success is remembered
PLACES = 16384  # addresses of peers; those whose IKE_SAs ended longest ago are evicted
LATELY = 86400.0  # seconds for which a peer's address is remembered after its last IKE_SA


class Hearing(Enum):
    """How an authentication attempt is treated."""

    FULL = auto()
    SUCCESS = auto()  # checked, but only a success is answered
    NONE = auto()  # not checked at all


@dataclass(slots=True)
class _Entry:
    count: float
    at: float  # of the last failure that counted

    def next(self, free: int) -> float:
        """When the next attempt will be processed."""
        doublings = round(self.count) - free
        return self.at if doublings < 0 else self.at + min(FIRST * 2 ** min(doublings, 16), LONGEST)


class AuthFailures:
    """The failed authentications at one daemon. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._failed: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._proven: OrderedDict[Hashable, float] = OrderedDict()
        self._stood: OrderedDict[Address, float] = OrderedDict()  # when a peer's IKE_SA was last seen there

    def hearing(self, address: Address, identity: Identity, now: float, *, named: bool) -> Hearing:
        """How to treat an attempt from `address` as `identity`; `named`: the configuration names it."""
        known = self._recent((address, identity.folded), now)
        if named and self._bars(_of_identity(address, identity), now, known):
            return Hearing.NONE
        if not self._bars(_of_place(address), now, known):
            return Hearing.FULL
        return Hearing.SUCCESS if named or known else Hearing.NONE

    def _bars(self, keys: Keys, now: float, known: bool) -> bool:
        """Whether failures of an address, or in its prefix, block it now.

        Failures in the prefix don't block an IPv4 address without failures of its own. They block IPv6
        addresses, as an IPv6 host can take a new address for every attempt.
        """
        (own, own_free), (prefix, prefix_free) = keys
        if self._waits(own, own_free, now):
            return True
        clean = known or (prefix.version == 4 and own not in self._failed)
        return not clean and self._waits((prefix, own[1]), prefix_free, now)

    def silenced(self, remote: Endpoint, now: float) -> bool:
        """Whether a new IKE_SA_INIT from this address and port comes too soon after failures."""
        return self._waits(remote, FREE_PORT, now) and not self._recent(remote, now)

    def known(self, address: Address, now: float) -> bool:
        """Whether an authenticated peer is, or recently was, at this address."""
        return now - self._stood.get(address, float("-inf")) < LATELY

    def stands(self, address: Address, now: float) -> None:
        """Record that the peer of an authenticated IKE_SA is at this address."""
        self._stood[address] = now
        self._stood.move_to_end(address)
        if len(self._stood) > PLACES:
            self._stood.popitem(last=False)

    def failed(self, remote: Endpoint, identity: Identity, now: float, *, named: bool) -> float:
        """Count a failed attempt; return the seconds for which further attempts like it are ignored."""
        waits = [self._count(remote, FREE_PORT, now)]
        # Unconfigured identities are unlimited in number: they share the entries of their address.
        for keys in [_of_place(remote.address), *([_of_identity(remote.address, identity)] if named else [])]:
            (own, own_free), (prefix, prefix_free) = keys
            waits += [self._count(own, own_free, now), self._count((prefix, own[1]), prefix_free, now)]
        return max(waits)

    def proven(self, remote: Endpoint, identity: Identity, now: float) -> None:
        """Record that a peer has authenticated: clear its failures and remember it."""
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
        # A failure during the wait, which is not answered, does not prolong it.
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
