"""ikepy.sa.state.desired_children: those that are still to be requested, and when."""

from __future__ import annotations

from math import inf

from ikepy.config.model import Child
from ikepy.sa.state.desired_children import DesiredChildren
from ikepy.sa.state.wanted_child import WantedChild

ONE, TWO, THREE = (WantedChild(Child(name=name)) for name in ("one", "two", "three"))


def test_children_are_due_from_their_time_on() -> None:
    desired = DesiredChildren()
    desired.due += [(10.0, ONE), (5.0, TWO), (-inf, THREE)]
    assert (desired.open, desired.deadlines) == (True, [10.0, 5.0, -inf])
    assert desired.take_due(4.9) == [THREE]
    assert desired.take_due(5.0) == [TWO]
    assert desired.take_due(5.0) == []
    assert desired.take_due(inf) == [ONE]
    assert not desired.open


def test_one_that_waits_for_the_ike_sa_has_no_time() -> None:
    desired = DesiredChildren()
    desired.waiting.append(ONE)
    assert (desired.open, desired.deadlines, desired.take_due(inf)) == (True, [], [])


def test_a_successor_goes_on_with_them() -> None:
    old, new = DesiredChildren(), DesiredChildren()
    old.purpose, old.due, new.due = ["one"], [(10.0, ONE)], [(5.0, TWO)]
    old.hand_over(new)
    assert (old.due, new.due, new.purpose) == ([], [(5.0, TWO), (10.0, ONE)], ["one"])
