"""Of a command with several targets: one outcome, when the last one has told its own."""

from __future__ import annotations

import pytest

from ikepy.sa.api.effects import Outcome
from ikepy.sa.state.target_ticket import MOST_TOLD, TargetTicket


def test_the_outcome_follows_the_last_target() -> None:
    first, second = TargetTicket.each(7, ["IKE_SA #1", "IKE_SA #2"])
    assert (first, second) == (7, 7)
    assert first.outcome(True, "deleted") == []
    assert first.outcome(False, "twice") == [], "a target tells once"
    (told,) = second.outcome(True, "deleted, too")
    assert isinstance(told, Outcome)
    assert (told.ticket, told.ok) == (7, True)
    assert told.text == "IKE_SA #1: deleted; IKE_SA #2: deleted, too"
    assert [(one.target, one.ok) for one in told.targets] == [("IKE_SA #1", True), ("IKE_SA #2", True)]
    assert second.outcome(True, "again") == []


def test_one_that_failed_makes_a_failure_of_it() -> None:
    first, second = TargetTicket.each(1, ["IKE_SA #1", "IKE_SA #2"])
    second.outcome(True, "rekeyed")
    (told,) = first.outcome(False, "no answer")
    assert isinstance(told, Outcome)
    assert (told.ok, told.text) == (False, "1 of 2 failed: IKE_SA #1: no answer")


@pytest.mark.parametrize("ok", [True, False])
def test_the_text_is_bounded_and_the_values_are_not(ok: bool) -> None:
    number = MOST_TOLD + 5
    tickets = TargetTicket.each(1, [f"IKE_SA #{index}" for index in range(number)])
    effects = [effect for ticket in tickets for effect in ticket.outcome(ok, "x")]
    (told,) = effects
    assert isinstance(told, Outcome)
    assert told.text.endswith("; and 5 more")
    assert len(told.targets) == number
