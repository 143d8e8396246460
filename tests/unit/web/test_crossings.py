"""Both ends' views of a datagram put together."""

from __future__ import annotations

from dataclasses import replace

from ikepy.web.crossings import PATIENCE, Crossings, View

HEAD = bytes(range(28))
ONE = View("cgw", 10.0, "192.0.2.10[500]", "198.51.100.10[500]", HEAD + b"one")
THERE = replace(ONE, node="c4", time=10.1, source="203.0.113.1[1024]")


def test_sent_and_arrived_under_other_addresses() -> None:
    crossings = Crossings()
    sent = crossings.sent(ONE)
    assert crossings.arrived(THERE) is sent
    assert sent.arrivals == [THERE]
    assert not sent.changed


def test_a_copy_arrives_for_the_copy_that_was_not_dropped() -> None:
    crossings = Crossings()
    first = crossings.sent(ONE)
    assert crossings.meddled(ONE.octets, "dropped on the way") is first
    second = crossings.sent(replace(ONE, time=11.0))
    assert crossings.arrived(replace(THERE, time=11.1)) is second
    assert first.arrivals == []


def test_what_arrives_twice() -> None:
    crossings = Crossings()
    sent = crossings.sent(ONE)
    crossings.arrived(THERE)
    crossings.arrived(replace(THERE, time=10.2))
    assert len(sent.arrivals) == 2


def test_changed_on_the_way() -> None:
    crossings = Crossings()
    sent = crossings.sent(ONE)
    assert crossings.arrived(replace(THERE, octets=HEAD + b"two")) is sent
    assert sent.changed


def test_nobody_was_seen_to_send_it() -> None:
    crossings = Crossings()
    crossings.sent(ONE)
    stray = crossings.arrived(replace(THERE, octets=bytes(28) + b"one"))
    late = crossings.arrived(replace(THERE, time=10.0 + PATIENCE + 1))
    own = crossings.arrived(replace(ONE, time=10.1))
    assert [one.sent for one in (stray, late, own)] == [None, None, None]


def test_an_answer_of_the_same_octets_is_another_datagram() -> None:
    crossings = Crossings()
    there = crossings.sent(ONE)
    back = crossings.sent(replace(ONE, node="c4", time=10.05))
    assert crossings.arrived(THERE) is there
    assert crossings.arrived(replace(ONE, time=10.2)) is back


def test_for_a_page() -> None:
    crossings = Crossings()
    crossings.sent(ONE)
    told = crossings.arrived(THERE).describe()
    assert told["changed"] is False
    assert told["arrivals"] == [
        {
            "node": "c4",
            "time": 10.1,
            "source": "203.0.113.1[1024]",
            "destination": "198.51.100.10[500]",
            "octets": 31,
        }
    ]
