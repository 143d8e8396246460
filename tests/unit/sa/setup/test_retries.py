"""ikepy.sa.setup.retries: demands that wait for their next try, one for each child."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.toml_source import parse
from ikepy.sa.setup.demand import Demand
from ikepy.sa.setup.retries import Retries

CONFIG = parse(
    "".join(
        f'[connections.{name}]\nremote_addrs = ["192.0.2.2"]\n'
        f"[connections.{name}.children.net]\n[connections.{name}.children.dmz]\n"
        for name in ("one", "two")
    )
    + '[secrets.ike]\nsecret = "s3cr3t"\n'
)
NAMES = [("one", "net"), ("one", "dmz"), ("two", "net"), ("two", "dmz")]


def demand(connection: str, *children: str, ticket: int = 0) -> Demand:
    return Demand(CONFIG.connections[connection], children, (ticket,) if ticket else ())


def due(retries: Retries, now: float) -> list[tuple[str, str]]:
    """All that are due, in turn."""
    found: list[tuple[str, str]] = []
    while (one := retries.pop(now)) is not None:
        found += ((one.connection.name, child) for child in one.children)
    return found


def test_children_are_tried_when_they_are_due_one_by_one() -> None:
    retries = Retries()
    assert (bool(retries), retries.deadline, retries.pop(100.0)) == (False, None, None)
    retries.put(demand("one", "net", "dmz", ticket=3), 10.0)
    retries.put(demand("two", "net"), 5.0)
    assert (bool(retries), retries.deadline, retries.pop(4.9)) == (True, 5.0, None)
    assert due(retries, 5.0) == [("two", "net")]
    assert retries.deadline == 10.0
    first = retries.pop(10.0)
    assert first is not None
    assert first.tickets == (), "nobody waits for a later try"
    assert len(due(retries, 10.0)) == 1
    assert not retries


def test_another_schedule_replaces_the_one_before_earlier_or_later() -> None:
    retries = Retries()
    for at in (10.0, 20.0, 5.0, 15.0):
        retries.put(demand("one", "net"), at)
    assert retries.deadline == 15.0
    assert due(retries, 14.9) == []
    assert due(retries, 100.0) == [("one", "net")]


def test_what_is_discarded_or_taken_back_is_not_tried() -> None:
    retries = Retries()
    retries.put(demand("one", "net", "dmz"), 1.0)
    retries.put(demand("two", "net"), 2.0)
    retries.discard(("one", "net"))
    retries.discard(("two", "dmz"))
    assert [one.children for one in retries.take_back(lambda key: key[0] == "one")] == [("dmz",)]
    assert retries.deadline == 2.0
    assert due(retries, 100.0) == [("two", "net")]


def test_none_waits_longer_than_until_soon() -> None:
    retries = Retries()
    retries.put(demand("one", "net"), 1.0)
    retries.put(demand("one", "dmz"), 100.0)
    retries.discard(("one", "net"))
    retries.put(demand("two", "net"), 2.0)
    retries.hasten(5.0)
    assert due(retries, 4.9) == [("two", "net")]
    assert due(retries, 5.0) == [("one", "dmz")]


def test_cleared() -> None:
    retries = Retries()
    retries.put(demand("one", "net"), 1.0)
    retries.clear()
    assert (bool(retries), retries.deadline, retries.pop(2.0)) == (False, None, None)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, 20)))))
def test_the_last_word_on_each_child_counts(words: list[tuple[tuple[str, str], int | None]]) -> None:
    """None discards; at the end all come in the order of their times."""
    retries = Retries()
    expected: dict[tuple[str, str], int] = {}
    for (connection, child), at in words:
        if at is None:
            retries.discard((connection, child))
            expected.pop((connection, child), None)
        else:
            retries.put(demand(connection, child), float(at))
            expected[connection, child] = at
        assert retries.deadline == (min(expected.values()) if expected else None)
    found = due(retries, 100.0)
    assert sorted(found) == sorted(expected)
    assert [expected[key] for key in found] == sorted(expected.values())
