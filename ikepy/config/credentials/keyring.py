"""Finds the pre-shared key of two identities as charon does, by an index instead of a linear search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from ikepy.config.identity import Identity
from ikepy.crypto.secret import Secret


class Entry(Protocol):
    """A secret and the identities it belongs to; None among them, or an empty list, means any identity."""

    @property
    def ids(self) -> tuple[Identity | None, ...]: ...
    @property
    def secret(self) -> Secret: ...
    def match(self, identity: Identity | None) -> int:
        """0: no match, 1: any identity, 2: by wildcard, 3: exact."""


Numbered = dict[int, Entry]  # by position in the file: of two equally good matches the first wins


class Keyring:
    """All secrets, indexed by exact identity. Those with wildcards or any identity are searched linearly."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_name: dict[Identity, Numbered] = {}
        self._wild: Numbered = {}
        seen: set[frozenset[Identity | None]] = set()
        for number, entry in enumerate(entries):
            names = {own.folded for own in entry.ids if own and not own.is_pattern}
            for name in names:
                self._by_name.setdefault(name, {})[number] = entry
            same = frozenset(own and own.folded for own in entry.ids)
            if (len(names) < len(entry.ids) or not entry.ids) and same not in seen:
                self._wild[number] = entry
            seen.add(same)

    def find(self, local: Identity | None, remote: Identity | None) -> Secret | None:
        """The best match: how well it fits the peer counts first, then how well it fits us."""
        theirs, ours = self._named(remote), self._named(local)
        candidates = _first(_of_both(theirs, ours))
        if not candidates:
            candidates = _first(theirs.items()) | dict(_of_both(theirs, self._wild))
        if not candidates:
            candidates = self._wild | _first(ours.items())
        best: tuple[tuple[int, int], Entry] | None = None
        for _, entry in sorted(candidates.items(), key=lambda item: item[0]):
            rank = entry.match(remote), entry.match(local)
            if rank != (0, 0) and (best is None or rank > best[0]):
                best = rank, entry
        return None if best is None else best[1].secret

    def _named(self, identity: Identity | None) -> Numbered:
        return {} if identity is None else self._by_name.get(identity.folded, {})


def _first(entries: Iterable[tuple[int, Entry]]) -> Numbered:
    return dict(islice(entries, 1))


def _of_both(one: Numbered, other: Numbered) -> Iterator[tuple[int, Entry]]:
    few, many = sorted((one, other), key=len)
    return ((number, entry) for number, entry in few.items() if number in many)
