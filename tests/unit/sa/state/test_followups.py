"""ikepy.sa.state.followups: what is kept of exchanges that the peer is to go on with (RFC 9370 2.2.4)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Level, Log
from ikepy.sa.state.followups import MOST, TIMEOUT, Followup, Followups
from ikepy.sa.state.task import Answer
from ikepy.wire.constants import NotifyType


def finish(secrets: Sequence[Secret], now: float) -> Answer:
    return Answer([])


def give_up(now: float) -> list[Effect]:
    return [Log(Level.INFO, "ab", f"given up at {now}")]


def followup(*methods: int, replaces: int | None = None, rekeys_ike: bool = False) -> Followup:
    return Followup(methods or (36,), (Secret(b"0"),), finish, give_up, replaces, rekeys_ike)


def test_one_goes_on() -> None:
    kept, one = Followups(), followup(36, 37)
    kept.add(b"1", one, 0.0)
    assert kept.get(b"1") is one
    assert kept.get(b"2") is None
    later = one.after(Secret(b"1"))
    assert (later.methods, later.secrets) == ((37,), (Secret(b"0"), Secret(b"1")))
    kept.take(b"1")
    assert kept.get(b"1") is None
    assert kept.deadline is None


def test_one_that_does_not_go_on_is_given_up() -> None:
    kept = Followups()
    kept.add(b"1", followup(), 0.0)
    kept.add(b"2", followup(), 5.0)
    kept.prolong(b"1", 10.0)
    assert kept.deadline == 5.0 + TIMEOUT
    assert kept.expire(4.0 + TIMEOUT) == []
    assert kept.expire(5.0 + TIMEOUT) == give_up(5.0 + TIMEOUT)
    assert kept.get(b"1") is not None


def test_one_that_fails_is_given_up_at_once() -> None:
    kept = Followups()
    kept.add(b"1", followup(replaces=7), 0.0)
    kept.fail(b"1", 3.0)
    assert kept.get(b"1") is None
    assert kept.deadline == 3.0
    assert kept.expire(3.0) == give_up(3.0)
    kept.fail(b"1", 3.0)
    assert kept.deadline is None


def test_one_sa_is_replaced_once() -> None:
    kept = Followups()
    kept.add(b"1", followup(replaces=7), 0.0)
    kept.add(b"2", followup(replaces=8), 0.0)
    kept.add(b"3", followup(replaces=7), 0.0)
    kept.add(b"4", followup(rekeys_ike=True), 0.0)
    kept.add(b"5", followup(rekeys_ike=True), 0.0)
    assert [kept.get(link) is not None for link in (b"1", b"2", b"3", b"4", b"5")] == [
        False, True, True, False, True
    ]  # fmt: skip
    assert kept.rekeys(7)
    assert kept.rekeys_ike
    kept.forget_rekey(7)
    kept.forget_ike_rekey()
    assert not kept.rekeys(7)
    assert not kept.rekeys_ike
    assert kept.rekeys(8)
    kept.forget()
    assert not kept.rekeys(8)


def test_room() -> None:
    kept = Followups()
    for n in range(MOST):
        kept.check_room()
        kept.add(bytes([n]), followup(), 0.0)
    with pytest.raises(PeerError) as caught:
        kept.check_room()
    assert caught.value.notify == NotifyType.TEMPORARY_FAILURE
