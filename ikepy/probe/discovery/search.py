"""Finds out which members of a set are acceptable by questions of the kind "is one of these?".

A responder takes an offer if it takes one transform of each type in it. So whole sets are refused at once,
and an accepted set is halved until its members are known: few of many cost about log2(many) questions each
(bisection).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ikepy.wire.proposal import Transform

_STILL_HALVED = 4  # transforms that are unclear together, and stay so
Question = Callable[[tuple[Transform, ...]], Awaitable[bool | None]]  # None: the answer did not say


@dataclass
class Sorted:
    """What became of each transform that was asked for. `unclear`: no answer, or one that says neither."""

    accepted: list[Transform] = field(default_factory=list)
    refused: list[Transform] = field(default_factory=list)
    unclear: list[Transform] = field(default_factory=list)

    def sort(self, transforms: Sequence[Transform], verdict: bool | None) -> None:
        {True: self.accepted, False: self.refused, None: self.unclear}[verdict].extend(transforms)

    def unknown(self, candidates: Iterable[Transform]) -> list[Transform]:
        """Which of these are neither accepted nor refused: unclear, or not asked for."""
        known = {*self.accepted, *self.refused}
        return [one for one in candidates if one not in known]


async def bisect(
    transforms: Sequence[Transform], ask: Question, found: Sorted, *, one_is: bool = False
) -> None:
    """Sort `transforms` into `found`. `one_is`: it is known already that one of them is acceptable.

    Where one half of such a set has none, the other half has one: that need not be asked. A large set about
    which the answer says nothing is halved, too: one odd transform may have been too much for the responder.
    """
    if not transforms:
        return
    verdict = True if one_is else await ask(tuple(transforms))
    if verdict is False or len(transforms) <= (1 if verdict else _STILL_HALVED):
        found.sort(transforms, verdict)
        return
    middle = len(transforms) // 2
    first, second = transforms[:middle], transforms[middle:]
    before = len(found.accepted) + len(found.unclear)
    await bisect(first, ask, found)
    none_in_first = len(found.accepted) + len(found.unclear) == before
    await bisect(second, ask, found, one_is=verdict is True and none_in_first)
