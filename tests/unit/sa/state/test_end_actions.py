"""ikepy.sa.state.end_actions: what follows the end of a child, and of its IKE_SA."""

from __future__ import annotations

from typing import Literal

import pytest

from ikepy.config.model import Child
from ikepy.sa.api.ends import End
from ikepy.sa.state.end_actions import AFTER_CHILD, AFTER_IKE, ChildEnd, after_child, after_ike, kept

Action = Literal["none", "trap", "start"]
ACTIONS: list[Action] = ["none", "trap", "start"]


def child(start: Action = "none", close: Action = "none", dpd: Action = "none") -> Child:
    return Child(name="net", start_action=start, close_action=close, dpd_action=dpd)


def test_every_end_has_a_row() -> None:
    assert set(AFTER_CHILD) == set(ChildEnd)
    assert set(AFTER_IKE) == set(End)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_configured_action_follows_what_the_peer_does(action: Action) -> None:
    closing, silent = child(close=action), child(dpd=action)
    assert after_child(ChildEnd.DELETED_BY_PEER, closing) == action
    assert after_ike(End.DELETED_BY_PEER, closing) == action
    for end in (End.TIMEOUT, End.REPLACED, End.RESTARTED):
        assert after_ike(end, silent) == action
        assert after_ike(end, child("start", "start", "none")) == "none"


def test_the_other_action_does_not_follow() -> None:
    assert after_child(ChildEnd.DELETED_BY_PEER, child("start", "none", "start")) == "none"
    assert after_ike(End.DELETED_BY_PEER, child("start", "none", "start")) == "none"


def test_what_a_user_deletes_stays_deleted() -> None:
    assert after_child(ChildEnd.DELETED, child("start", "start", "start")) == "none"
    assert after_ike(End.DELETED, child("start", "start", "start")) == "none"


def test_what_ends_by_the_clock_or_an_address_comes_again() -> None:
    assert after_child(ChildEnd.EXPIRED, child()) == "start"
    assert after_ike(End.REAUTHENTICATED, child()) == "start"
    assert after_ike(End.ADDRESS_GONE, child()) == "start"
    assert after_ike(End.LOST_BY_PEER, child()) == "start"
    assert after_ike(End.REDIRECTED, child("start", "start", "start")) == "none", "it is up elsewhere"


@pytest.mark.parametrize(
    ("config", "action"),
    [
        (child(), "none"),
        (child(start="trap"), "trap"),
        (child(close="trap"), "trap"),
        (child(dpd="start"), "start"),
        (child(start="trap", dpd="start"), "start"),
        (child(close="start", dpd="trap"), "start"),
    ],
)
def test_what_is_configured_to_be_up_is_kept(config: Child, action: str) -> None:
    assert kept(config) == action
    assert after_child(ChildEnd.NOT_REPLACED, config) == action
    for end in (End.EXPIRED, End.REFUSED, End.FAULT):
        assert after_ike(end, config) == action
