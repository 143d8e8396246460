"""What leaving out a key of another format means, by its weight."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.config.sources.draft import Draft, Lost, Origin

NO = frozenset({"no", "false", "0", "disabled"})
YES = frozenset({"yes", "true", "1", "enabled"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What a key that is not carried over means, and what to do. `harmless`: values that change nothing.

    `is_grave`: without it security or reachability would be other than configured.
    """

    text: str
    harmless: frozenset[str] = frozenset()
    is_grave: bool = False

    def apply(self, draft: Draft, value: str | None, origin: Origin) -> None:
        """Note in the draft that the key with this value is left out."""
        if value is None or value.lower() in self.harmless:
            return
        into = draft.refused if self.is_grave else draft.remarks
        into.append(Lost(origin.key, origin.place, self.text))


def cosmetic(text: str, *harmless: str | frozenset[str]) -> Rule:
    """A key that only makes a remark."""
    return Rule(text, _words(harmless))


def grave(text: str, *harmless: str | frozenset[str]) -> Rule:
    """A key that is refused."""
    return Rule(text, _words(harmless), is_grave=True)


def _words(harmless: tuple[str | frozenset[str], ...]) -> frozenset[str]:
    return frozenset(word for one in harmless for word in ({one} if isinstance(one, str) else one))
