"""Message window: waits between retransmissions, edges of the window, what is kept (RFC 7296 2.1 to 2.3)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message.window import SPACING, RequestState, Retransmission, Window

PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("192.0.2.2"), 500))
OTHER = Path(Endpoint(IPv4Address("192.0.2.1"), 4500), Endpoint(IPv4Address("192.0.2.2"), 4500))


def arrivals(window: Window, *message_ids: int) -> list[RequestState]:
    return [window.arrival(one) for one in message_ids]


def send(window: Window, now: float, chance: float = 0.0) -> None:
    window.sent((b"request",), PATH, now, chance)


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [(0, 0.0, 4.0), (1, 0.0, 8.0), (2, 0.0, 10.0), (0, 0.5, 3.0), (2, 1.0, 5.0)],
)
def test_waits(attempt: int, chance: float, seconds: float) -> None:
    plan = Retransmission(timeout=4.0, base=2.0, tries=5, jitter=0.5, limit=10.0)
    assert plan.wait(attempt, chance) == seconds


def test_waits_without_a_limit() -> None:
    assert Retransmission(timeout=4.0, base=2.0).wait(5, 1.0) == 128.0


def test_charons_defaults() -> None:
    plan = Retransmission()
    assert (plan.timeout, plan.base, plan.tries, plan.jitter, plan.limit) == (4.0, 1.8, 5, 0.0, 0.0)


def test_one_request_of_the_peers_at_a_time() -> None:
    window = Window(Retransmission())
    assert arrivals(window, 0, 1) == [RequestState.NEW, RequestState.STALE]
    assert window.reply(0) == ()
    window.answered(0, (b"0",))
    assert arrivals(window, 0, 1, 2) == [RequestState.REPEATED, RequestState.NEW, RequestState.STALE]
    assert window.reply(0) == (b"0",)
    window.answered(1, (b"1",))
    assert arrivals(window, 0, 1, 2) == [RequestState.STALE, RequestState.REPEATED, RequestState.NEW]
    assert window.reply(0) == ()


def test_the_peer_has_a_response_when_it_asks_beyond_the_window() -> None:
    window = Window(Retransmission())
    window.open(2)
    window.begun(0)
    window.begun(1)
    assert window.newest == 1
    for answered in range(3):
        window.answered(answered, (b"reply",))
        assert not window.knows_answered(1)
    window.answered(3, (b"reply",))
    assert window.knows_answered(1)


def test_the_peers_window_never_shrinks() -> None:
    window = Window(Retransmission())
    window.open(3)
    window.open(2)
    assert arrivals(window, 2, 3) == [RequestState.NEW, RequestState.STALE]


def test_our_requests_are_numbered() -> None:
    window = Window(Retransmission())
    assert (window.next_request, window.has_room, window.deadline) == (0, True, None)
    send(window, 10.0)
    assert (window.next_request, window.has_room, window.deadline) == (1, False, 14.0)
    (request,) = window.outstanding.values()
    assert (request.message_id, request.datagrams, request.path) == (0, (b"request",), PATH)
    assert (request.due, request.since, request.attempt) == (14.0, 10.0, 0)
    assert window.awaited(1) is None
    assert window.awaited(0) is request
    window.finished(0)
    window.finished(0)
    assert window.awaited(0) is None
    assert window.has_room


def test_a_request_is_sent_again_until_its_tries_are_used_up() -> None:
    window = Window(Retransmission(timeout=1.0, base=2.0, tries=2))
    send(window, 0.0)
    assert window.retransmit(0.9, 0.0) is None
    assert not window.exhausted(0.9)
    request = window.retransmit(1.0, 0.0)
    assert request is not None
    assert (request.attempt, request.due) == (1, 3.0)
    assert window.retransmit(1.0, 0.0) is None
    assert window.retransmit(3.0, 0.0) is request
    assert (request.attempt, request.due) == (2, 7.0)
    assert not window.exhausted(6.9)
    assert window.retransmit(7.0, 0.0) is None
    assert window.exhausted(7.0)


def test_the_first_wait_is_shortened_by_chance_too() -> None:
    window = Window(Retransmission(timeout=4.0, jitter=0.5))
    send(window, 10.0, 1.0)
    assert window.deadline == 12.0
    again = window.retransmit(12.0, 1.0)
    assert again is not None
    assert again.due == pytest.approx(12.0 + 7.2 / 2)


def test_another_path_and_haste() -> None:
    window = Window(Retransmission(timeout=1.0, base=2.0, tries=2))
    send(window, 0.0)
    assert window.retransmit(1.0, 0.0) is not None
    window.redirect(OTHER)
    window.hasten(1.5)
    (request,) = window.outstanding.values()
    assert (request.path, request.due, request.since, request.attempt) == (OTHER, 1.5, 1.5, 0)
    assert window.silent_since() == 1.5


def test_the_oldest_silence() -> None:
    window = Window(Retransmission())
    assert window.silent_since() is None
    window.widen(2)
    send(window, 5.0)
    send(window, 7.0)
    assert window.silent_since() == 5.0
    window.finished(0)
    assert window.silent_since() == 7.0


def test_what_was_no_answer_after_all() -> None:
    window = Window(Retransmission())
    send(window, 0.0)
    request = window.awaited(0)
    assert request is not None
    window.finished(0)
    window.hold(request)
    assert window.awaited(0) is None
    assert window.deadline is None
    window.resume(request)
    assert window.awaited(0) is request
    assert window.deadline == 4.0
    assert window.outstanding == {0: request}


def test_starting_over_and_forgetting() -> None:
    window = Window(Retransmission())
    send(window, 0.0)
    window.restart()
    assert (window.next_request, window.outstanding, window.has_room) == (0, {}, True)
    send(window, 0.0)
    window.forget()
    assert (window.next_request, window.outstanding) == (1, {})


def test_one_more_try_for_what_has_used_up_its_own() -> None:
    window = Window(Retransmission(timeout=1.0, base=1.0, tries=1))
    window.widen(2)
    send(window, 0.0)
    assert window.retransmit(1.0, 0.0) is not None
    window.prolong(1.9)
    assert window.retransmit(1.9, 0.0) is None, "its time was not up"
    send(window, 1.5)
    assert window.exhausted(2.0)
    window.prolong(2.0)
    assert not window.exhausted(2.0)
    assert [one.attempt for one in window.outstanding.values()] == [0, 0]
    again = window.retransmit(2.0, 0.0)
    assert again is not None
    assert again.message_id == 0
    assert window.retransmit(2.0, 0.0) is None


@pytest.mark.parametrize(("wait", "spacing"), [(0.3, 0.1), (8.0, SPACING)])
def test_copies_on_other_paths_go_one_after_the_other(wait: float, spacing: float) -> None:
    """Before it is sent again: three parts of the wait, or so many quarters of a second."""
    window = Window(Retransmission(timeout=wait, base=1.0, tries=3))
    send(window, 100.0 - wait)
    request = window.retransmit(100.0, 0.0)
    assert request is not None
    window.spread(request, [OTHER, PATH], 100.0)
    first, second = 100.0 + spacing, 100.0 + 2 * spacing
    assert window.deadline == pytest.approx(first)
    assert window.spread_next(first - 0.001) is None
    at = window.deadline
    assert at is not None
    assert window.spread_next(at) == (request, OTHER)
    assert window.deadline == pytest.approx(second)
    assert window.spread_next(second - 0.001) is None
    assert window.spread_next(second + 0.001) == (request, PATH)
    assert window.spread_next(second + 10) is None
    assert window.deadline == pytest.approx(100.0 + wait)


def test_what_is_answered_is_no_longer_worked_on() -> None:
    window = Window(Retransmission())
    window.open(2)
    window.begun(0)
    window.answered(0, (b"0",))
    window.answered(1, (b"1",))
    window.answered(2, (b"2",))
    assert window.arrival(0) is RequestState.STALE
