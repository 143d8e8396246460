"""What a conformance case comes to: a verdict, and the judgements that lead to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """The outcome of a case."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"
    INCONCLUSIVE = "inconclusive"


class CaseEnd(Exception):  # noqa: N818  it ends a case, which is no error
    """Ends a case with a verdict. `reason`: one sentence for the report."""

    verdict = Verdict.INCONCLUSIVE

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Failed(CaseEnd):
    """The peer does not do what the RFC says."""

    verdict = Verdict.FAIL


class NotApplicable(CaseEnd):
    """The peer lacks an optional feature, or the set-up lacks what the case needs."""

    verdict = Verdict.NOT_APPLICABLE


class Inconclusive(CaseEnd):
    """What was to be judged could not be seen."""

    verdict = Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Judgement:
    """One thing that was expected, what came, and whether that is as it should be."""

    expected: str
    came: str
    passed: bool
