"""Which key exchange methods are chosen together: no additional one twice (RFC 9370 2.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

NONE = 0  # the transform ID that says "no key exchange here"; it may be chosen any number of times


def choose(first: Sequence[int], additional: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
    """One method of each list, by preference: the first lists decide, and in each its first methods.

    `first`: the transform IDs that may be the first key exchange, `additional`: those of each additional one.
    All chosen methods differ, and without a first key exchange there is no additional one. None if that
    can't be.
    """
    for method in first:
        if method != NONE:
            rest = _distinct(additional, {method})
        else:
            rest = (NONE,) * len(additional) if all(NONE in one for one in additional) else None
        if rest is not None:
            return (method, *rest)
    return None


def _distinct(lists: Sequence[Sequence[int]], taken: set[int]) -> tuple[int, ...] | None:
    if not lists:
        return ()
    for method in lists[0]:
        if method == NONE or method not in taken:
            used = taken | ({method} - {NONE})
            if _is_possible(lists[1:], used):
                rest = _distinct(lists[1:], used)
                return None if rest is None else (method, *rest)
    return None


def _is_possible(lists: Sequence[Sequence[int]], taken: set[int]) -> bool:
    """Whether every list that lacks NONE can have a method of its own: a matching, by augmenting paths."""
    owner: dict[int, int] = {}  # of a method: the list that has it
    return all(NONE in one or _place(n, lists, taken, owner, set()) for n, one in enumerate(lists))


def _place(
    n: int, lists: Sequence[Sequence[int]], taken: set[int], owner: dict[int, int], seen: set[int]
) -> bool:
    """Give a list a method of its own, if need be by another one for the list that has it."""
    for method in lists[n]:
        if method in taken or method in seen:
            continue
        seen.add(method)
        if method not in owner or _place(owner[method], lists, taken, owner, seen):
            owner[method] = n
            return True
    return False
