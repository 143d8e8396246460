"""What a case came to, as a value that is written to a file and read again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from ikepy.dissect.ladder import Ladder
from ikepy.dissect.render.as_text import Detail, render
from ikepy.probe.report.onlooker import MAX_FIELDS, Onlooker
from ikepy.probe.runner import Result
from ikepy.probe.target import Target
from ikepy.probe.verdict import Judgement, Verdict


@dataclass(frozen=True, slots=True)
class Record:
    """A case, its verdict, the judgements, and its messages as text."""

    id: str
    title: str
    rfc: str
    level: str
    role: str
    group: str
    verdict: str
    reason: str
    seconds: float
    judgements: tuple[Judgement, ...] = ()
    ladder: str = ""
    note: str = ""

    @property
    def failed(self) -> bool:
        return self.verdict == Verdict.FAIL.value

    def as_json(self, messages: object = None) -> str:
        """The text of its file; `messages`: those of the ladder, field by field."""
        return json.dumps({**asdict(self), "messages": messages})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `as_json` wrote. ValueError if it is something else."""
        try:
            found = json.loads(text)
            judgements = tuple(Judgement(**one) for one in found.pop("judgements"))
            found.pop("messages", None)
            return cls(**found, judgements=judgements)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no result of a case: {error}") from None


def ladder_of(result: Result, target: Target) -> Ladder:
    """A result's messages, opened."""
    return Onlooker(target, result.sas).ladder(result.trace.datagrams)


def record_of(result: Result, ladder: Ladder) -> Record:
    """A result as a record."""
    case, shown = result.case, render(ladder, Detail.ARROWS)
    if result.trace.left_out or sum(one.fields for one in ladder) >= MAX_FIELDS:
        shown += "The ladder is cut here: the peer has sent more than is kept.\n"
    return Record(
        case.id,
        case.title,
        case.rfc,
        case.level,
        case.role,
        case.group,
        result.verdict.value,
        result.reason,
        round(result.seconds, 3),
        tuple(result.trace.judgements),
        shown,
        case.note,
    )
