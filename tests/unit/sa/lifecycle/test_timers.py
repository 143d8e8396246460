"""ikepy.sa.lifecycle.timers: which of many IKE_SAs is due next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ikepy.sa.api.ends import End
from ikepy.sa.lifecycle.timers import Timers
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.sa.state.phase import Phase

from ..state.test_registry import added, shared


def due_at(table: Registry, at: float | None) -> IkeSa:
    sa = added(table, "one", Phase.CONNECTING)
    sa.connecting.give_up_at = at
    return sa


def test_the_first_one_is_due_and_then_the_next() -> None:
    table = shared()
    timers = Timers(table)
    late, soon, never = (due_at(table, at) for at in (20.0, 10.0, None))
    for sa in (late, soon, never):
        timers.note(sa)
    assert timers.deadline == 10.0
    assert timers.pop(9.9) is None
    assert timers.pop(30.0) is soon
    assert timers.pop(30.0) is late
    assert timers.pop(30.0) is None
    assert timers.deadline is None


def test_one_that_was_ticked_is_due_again_when_it_is_noted() -> None:
    table = shared()
    timers, sa = Timers(table), due_at(table, 10.0)
    timers.note(sa)
    assert timers.pop(10.0) is sa
    sa.connecting.give_up_at = 30.0
    timers.note(sa)
    assert timers.deadline == 30.0


def test_an_earlier_deadline_is_taken_when_it_is_noted() -> None:
    table = shared()
    timers, sa = Timers(table), due_at(table, 10.0)
    timers.note(sa)
    sa.connecting.give_up_at = 5.0
    timers.note(sa)
    assert timers.deadline == 5.0
    assert timers.pop(5.0) is sa
    assert timers.pop(10.0) is None, "the old entry is of no use"


def test_a_later_deadline_is_noticed_in_time() -> None:
    table = shared()
    timers, sa = Timers(table), due_at(table, 10.0)
    timers.note(sa)
    sa.connecting.give_up_at = 20.0
    timers.note(sa)
    assert timers.deadline == 20.0
    assert timers.pop(15.0) is None
    sa.connecting.give_up_at = None
    assert timers.deadline is None


def test_one_that_is_gone_is_never_due() -> None:
    table = shared()
    timers, gone, dead = Timers(table), due_at(table, 10.0), due_at(table, 10.0)
    for sa in (gone, dead):
        timers.note(sa)
    table.remove(gone)
    assert timers.pop(10.0) is dead
    timers.note(dead)
    dead.kill(End.TIMEOUT, "gone")
    assert timers.deadline is None


times = st.integers(0, 20).map(float)


@given(st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), times)), max_size=40))
def test_the_deadline_is_the_first_of_all(changes: list[tuple[int, float | None]]) -> None:
    table = shared()
    timers = Timers(table)
    sas = [due_at(table, None) for _ in range(5)]
    for number, at in changes:
        sas[number].connecting.give_up_at = at
        timers.note(sas[number])
        expected = min((sa.gives_up_at for sa in sas if sa.gives_up_at is not None), default=None)
        assert timers.deadline == expected
