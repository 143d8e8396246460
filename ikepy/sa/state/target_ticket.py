"""One command that has several targets: its outcome follows when all of them have told theirs."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.api.effects import Effect, Outcome, TargetOutcome

MOST_TOLD = 10  # targets whose outcomes stand in the text; all are values


class _Gathering:
    """What the targets have told so far."""

    def __init__(self, ticket: int, names: Sequence[str]) -> None:
        self._ticket = ticket
        self._waiting = set(range(len(names)))
        self._told: list[TargetOutcome] = []

    def tell(self, index: int, outcome: TargetOutcome) -> list[Effect]:
        if index not in self._waiting:
            return []
        self._waiting.remove(index)
        self._told.append(outcome)
        if self._waiting:
            return []
        failed = [one for one in self._told if not one.ok]
        shown = (failed or self._told)[:MOST_TOLD]
        text = "; ".join(f"{one.target}: {one.text}" for one in shown)
        more = len(failed or self._told) - len(shown)
        beginning = f"{len(failed)} of {len(self._told)} failed: " if failed else ""
        ending = f"; and {more} more" if more else ""
        return [Outcome(self._ticket, not failed, f"{beginning}{text}{ending}", tuple(self._told))]


class TargetTicket(int):
    """A command's ticket as one of its targets has it."""

    _index: int
    _name: str
    _gathering: _Gathering

    @classmethod
    def each(cls, ticket: int, names: Sequence[str]) -> list[TargetTicket]:
        """One for each of a command's targets, by their names."""
        gathering = _Gathering(ticket, names)
        made = []
        for index, name in enumerate(names):
            one = cls(ticket)
            one._index, one._name, one._gathering = index, name, gathering
            made.append(one)
        return made

    def outcome(self, ok: bool, text: str) -> list[Effect]:
        """Note what came of it at this target, once: the command's outcome if it is the last one."""
        return self._gathering.tell(self._index, TargetOutcome(self._name, ok, text))
