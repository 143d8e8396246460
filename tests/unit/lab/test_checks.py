"""What the lab's checks have in common."""

from __future__ import annotations

from pathlib import Path

from ikepy.lab.bed import Lab
from ikepy.lab.checks import Result, attempt, seconds_until, timed
from ikepy.lab.netns import LabError
from ikepy.lab.state import Options


def not_there() -> bool:
    raise LabError("it is not there yet")


def test_each_condition_has_its_own_time() -> None:
    looks = iter((False, False, True))
    at_once, later, never, absent = seconds_until(
        [lambda: True, lambda: next(looks), lambda: False, not_there], patience=0.3
    )
    assert at_once is not None
    assert later is not None
    assert at_once < later
    assert never is absent is None


def test_a_wait_is_as_expected_if_it_was_short_enough() -> None:
    assert timed("it is gone", 1.0, within=2.0) == Result(True, "it is gone", "after 1.00 s")
    assert not timed("it is gone", 3.0, within=2.0).ok
    assert timed("it is gone", None, within=2.0) == Result(False, "it is gone", "no")


def test_a_check_that_can_not_go_on_is_one_that_failed(tmp_path: Path) -> None:
    def check(_: Lab) -> list[Result]:
        raise LabError("no daemon")

    lab = Lab(Options(), "none-", tmp_path)
    assert attempt("HTTP", lab, check) == [Result(False, "HTTP", "no daemon")]
