"""Which traffic a child is asked for: all that is configured, a packet's first, one pair (RFC 7296 2.9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from esp.packet.selectors import Selector


@dataclass(frozen=True, slots=True)
class Pair:
    """One selector a side: of a child, or as narrow as a packet."""

    local: Selector
    remote: Selector

    def contains(self, other: Pair) -> bool:
        return self.local.contains(other.local) and self.remote.contains(other.remote)

    @property
    def width(self) -> tuple[int, int]:
        """How narrow it is: smaller is narrower. The remote side counts first, as in `esp.packet.policy`."""
        return self.remote.last - self.remote.first, self.local.last - self.local.first

    @property
    def is_wildcard(self) -> bool:
        """Whether one side is 0.0.0.0/0 or ::/0."""
        return self.local.all_addresses or self.remote.all_addresses

    def __str__(self) -> str:
        return f"{self.local} === {self.remote}"


@dataclass(frozen=True, slots=True)
class Selectors:
    """Both sides of a child: it carries what a selector of each side permits."""

    local: tuple[Selector, ...]
    remote: tuple[Selector, ...]

    @classmethod
    def of(cls, pair: Pair) -> Selectors:
        return cls((pair.local,), (pair.remote,))

    def pairs(self) -> Iterator[Pair]:
        """One of each side, of the same IP version."""
        return (Pair(a, b) for a in self.local for b in self.remote if a.version == b.version)

    def carries(self, pair: Pair) -> bool:
        """Whether all of `pair` is permitted by one pair of these."""
        return any(own.contains(pair) for own in self.pairs())

    def touches(self, pair: Pair) -> bool:
        """Whether anything of `pair` is permitted."""
        return any(
            own.local.intersection(pair.local) and own.remote.intersection(pair.remote)
            for own in self.pairs()
        )


@dataclass(frozen=True, slots=True)
class TsRequest:
    """What of a child's configured traffic one CHILD_SA is asked for.

    `packet`: the one that needs it, offered first unless `alone`. `within`: offered instead of what is
    configured; a child that does not carry the packet is of no use then, for there are others.
    """

    packet: Pair | None = None
    within: Selectors | None = None
    alone: bool = False

    def offer(self, configured: Selectors) -> Selectors:
        """TSi and TSr: the packet's own selectors stand first in each (RFC 7296 2.9)."""
        base = self.within or configured
        if self.packet is None or self.alone:
            return base
        return Selectors(_first(self.packet.local, base.local), _first(self.packet.remote, base.remote))

    def narrower(self, configured: Selectors) -> TsRequest | None:
        """What to ask for after SINGLE_PAIR_REQUIRED; None if there is nothing narrower.

        At first the configured pair that holds the packet, then the packet's addresses.
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
        """Whether a child with these selectors is the one that is wanted."""
        if self.packet is not None:
            return agreed.carries(self.packet)
        return self.within is None or all(agreed.carries(pair) for pair in self.within.pairs())


EVERYTHING = TsRequest()


def _first(own: Selector, others: tuple[Selector, ...]) -> tuple[Selector, ...]:
    return own, *(other for other in others if other != own)


def is_partial(configured: Selectors, agreed: Selectors, *, more: bool) -> bool:
    """Whether further children with the same configuration are to be asked for, for what this one lacks.

    `more`: the peer says so, or has made us ask for a part. Else a configured pair has to be missing as a
    whole: a peer that narrows 0.0.0.0/0 does so because it wants nothing else.
    """
    missing = [pair for pair in configured.pairs() if not agreed.carries(pair)]
    if more:
        return bool(missing)
    return any(not pair.is_wildcard and not agreed.touches(pair) for pair in missing)


def pair_of(configured: Selectors, packet: Pair) -> Pair | None:
    """The configured pair that permits a packet, None if none does."""
    return next((pair for pair in configured.pairs() if pair.contains(packet)), None)
