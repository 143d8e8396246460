"""Builds the TSi and TSr that a child is requested with, and narrows them (RFC 7296 2.9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from esp.packet.selectors import Selector

Side = Sequence[Selector]  # of a child: ours, or the peer's
MOST_COMPARED = 1 << 18  # pairs of selectors, to answer one request


@dataclass(frozen=True, slots=True)
class Pair:
    """One local and one remote selector: a pair of a child's, or a single packet's."""

    local: Selector
    remote: Selector

    def contains(self, other: Pair) -> bool:
        return self.local.contains(other.local) and self.remote.contains(other.remote)

    @property
    def width(self) -> tuple[int, int]:
        """Sizes of the remote and the local range, compared in this order, as in `esp.packet.policy`."""
        return self.remote.last - self.remote.first, self.local.last - self.local.first

    def __str__(self) -> str:
        return f"{self.local} === {self.remote}"


@dataclass(frozen=True, slots=True)
class Selectors:
    """The selectors of a child: it carries a packet that matches one selector of each side."""

    local: tuple[Selector, ...]
    remote: tuple[Selector, ...]

    @classmethod
    def of(cls, pair: Pair) -> Selectors:
        return cls((pair.local,), (pair.remote,))

    def pairs(self) -> Iterator[Pair]:
        """All pairs of a local and a remote selector of the same IP version."""
        return (Pair(a, b) for a in self.local for b in self.remote if a.version == b.version)

    # Pairs are all combinations of two sides of the same IP version, so that each side is asked by itself: a
    # peer's 255 and 255 selectors have 65,025 pairs.

    def carries(self, pair: Pair) -> bool:
        """Whether one pair of these contains all of `pair`."""
        if pair.local.version != pair.remote.version:
            return False
        return _contained(pair.local, self.local) and _contained(pair.remote, self.remote)

    def carries_all(self, other: Selectors) -> bool:
        """Whether `carries` holds for every pair of `other`."""
        local, remote = _paired(other.local, other.remote)
        return all(_contained(one, self.local) for one in local) and all(
            _contained(one, self.remote) for one in remote
        )

    def overlaps(self, other: Selectors) -> bool:
        """Whether both permit something on either side."""
        return any(_touched(one, self.local) for one in other.local) and any(
            _touched(one, self.remote) for one in other.remote
        )

    def touches(self, pair: Pair) -> bool:
        """Whether any part of `pair` is permitted."""
        if pair.local.version != pair.remote.version:
            return False
        return _touched(pair.local, self.local) and _touched(pair.remote, self.remote)


@dataclass(frozen=True, slots=True)
class TsRequest:
    """The part of a child's configured traffic that one CHILD_SA is requested for.

    `packet`: the packet that triggered the request; its selectors are offered first unless `alone`.
    `within`: selectors offered instead of the configured ones, as other children carry the rest.
    """

    packet: Pair | None = None
    within: Selectors | None = None
    alone: bool = False

    def offer(self, configured: Selectors) -> Selectors:
        """The selectors to offer in TSi and TSr, the packet's own first in each (RFC 7296 2.9)."""
        base = self.within or configured
        if self.packet is None or self.alone:
            return base
        return Selectors(_first(self.packet.local, base.local), _first(self.packet.remote, base.remote))

    def narrower(self, configured: Selectors) -> TsRequest | None:
        """What to request after SINGLE_PAIR_REQUIRED; None if there is nothing narrower (RFC 7296 2.9).

        First the configured pair that contains the packet, then the packet's addresses.
        """
        offered, packet = self.offer(configured), self.packet
        if len(offered.local) > 1 or len(offered.remote) > 1:
            base = self.within or configured
            pair = next(base.pairs(), None) if packet is None else pair_of(base, packet)
        elif packet is not None:
            (local,), (remote,) = offered.local, offered.remote
            hosts = Pair(
                replace(local, first=packet.local.first, last=packet.local.last),
                replace(remote, first=packet.remote.first, last=packet.remote.last),
            )
            pair = None if hosts == Pair(local, remote) else hosts
        else:
            pair = None
        return None if pair is None else TsRequest(packet, Selectors.of(pair), alone=True)

    def met_by(self, agreed: Selectors) -> bool:
        """Whether a child with the `agreed` selectors satisfies this request."""
        if self.packet is not None:
            return agreed.carries(self.packet)
        return self.within is None or agreed.carries_all(self.within)


EVERYTHING = TsRequest()


def _paired(local: Side, remote: Side) -> tuple[Side, Side]:
    """Those of either side that have one of their IP version on the other."""
    versions = {one.version for one in local} & {one.version for one in remote}
    return [one for one in local if one.version in versions], [
        one for one in remote if one.version in versions
    ]


def _narrower(side: Side) -> Side:
    return [one for one in side if not one.all_addresses]


def _contained(selector: Selector, side: Side) -> bool:
    return selector in side or any(one.contains(selector) for one in side)


def _touched(selector: Selector, side: Side) -> bool:
    return any(one.intersection(selector) is not None for one in side)


def _common(ours: Side, theirs: Side) -> tuple[Selector, ...]:
    both = (mine.intersection(one) for mine in ours for one in theirs)
    return tuple(dict.fromkeys(one for one in both if one is not None))


def _first(own: Selector, others: tuple[Selector, ...]) -> tuple[Selector, ...]:
    return own, *(other for other in others if other != own)


def additional_ts_possible(agreed: Selectors, asked: Selectors, others: Sequence[Selectors]) -> bool:
    """Whether another child could carry what was asked for and not agreed, as one of `others` (our configured
    children) permits it (RFC 7296 2.9).

    Beyond MOST_COMPARED comparisons the answer is that it could: the peer then finds out by asking.
    """
    rest = Selectors(
        tuple(one for one in asked.local if not _contained(one, agreed.local)),
        tuple(one for one in asked.remote if not _contained(one, agreed.remote)),
    )
    if not (rest.local or rest.remote):
        return False
    compared = 0
    for other in others:
        compared += len(other.local) * len(asked.local) * len(agreed.local)
        compared += len(other.remote) * len(asked.remote) * len(agreed.remote)
        if compared > MOST_COMPARED:
            return True
        common = Selectors(_common(other.local, asked.local), _common(other.remote, asked.remote))
        if not agreed.carries_all(common):
            return True
    return False


def is_partial(configured: Selectors, agreed: Selectors, *, more: bool) -> bool:
    """Whether more children of this configuration are to be requested for traffic that this one lacks.

    `more`: the peer said so, or made us request a part. Otherwise a configured pair must be missing
    entirely: a peer that narrows 0.0.0.0/0 does so because it wants nothing else.
    """
    if more:
        return not agreed.carries_all(configured)
    local, remote = _paired(_narrower(configured.local), _narrower(configured.remote))
    return any(not _touched(one, agreed.local) for one in local) or any(
        not _touched(one, agreed.remote) for one in remote
    )


def pair_of(configured: Selectors, packet: Pair) -> Pair | None:
    """The configured pair that contains a packet, None if none does."""
    return next((pair for pair in configured.pairs() if pair.contains(packet)), None)
