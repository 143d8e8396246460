"""Who, why and for how long: a line for each SA that comes, is replaced, goes or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ikepy.daemon.bus.audit import AUDITED, MOST_TEXT, Audit, AuditLine
from ikepy.sa.api.ends import AuthenticationFailure, AuthenticationFault, ChildRemoval, End, Failure, Party
from ikepy.sa.api.events import (
    EVENTS,
    ChildDown,
    ChildRekeyed,
    ChildSetUpFailed,
    ChildUp,
    Event,
    IkeDown,
    IkeMoved,
    IkeRekeyed,
    IkeSetUpFailed,
    IkeUp,
    MoveReason,
    RetransmissionsEnded,
)
from ikepy.sa.api.log_source import Peer
from ikepy.wire.constants import NotifyType
from tests.unit.daemon.fakes import PATH, ike_info

ONE, TWO = ike_info(1, 1, 2), ike_info(2)
CHILD, LATER = ONE.children
REFUSED = Failure(
    Party.US,
    NotifyType.AUTHENTICATION_FAILED,
    AuthenticationFailure(AuthenticationFault.WRONG_SECRET, None, None),
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def line(clock: Clock) -> Callable[[Event], AuditLine]:
    audit = Audit(clock)

    def made(event: Event) -> AuditLine:
        found = audit.line(event)
        assert found is not None
        return found

    return made


def test_an_ike_sa_from_its_beginning_to_its_end(clock: Clock, line: Callable[[Event], AuditLine]) -> None:
    up = line(IkeUp(ONE))
    assert up.source == Peer("a", "gwb")
    assert up.fields == {
        "event": "ike-up",
        "connection": "a",
        "ike_id": 1,
        "spi_i": "01" * 8,
        "spi_r": "65" * 8,
        "local": str(PATH.local),
        "local_id": "gwa",
        "remote": str(PATH.remote),
        "remote_id": "gwb",
        "role": "initiator",
    }
    clock.now += 3600
    rekeyed = line(IkeRekeyed(ONE, TWO)).fields
    assert (rekeyed["event"], rekeyed["ike_id"], rekeyed["replaces"]) == ("ike-rekey", 2, 1)
    clock.now += 1800.25
    down = line(IkeDown(TWO, End.DELETED_BY_PEER, None, "deleted by the peer")).fields
    assert (down["reason"], down["seconds"]) == ("deleted by the peer", 5400.2)


def test_a_user_has_a_name(line: Callable[[Event], AuditLine]) -> None:
    assert line(IkeUp(replace(ONE, eap_id="alice"))).fields["eap_id"] == "alice"


def test_a_child_from_its_beginning_to_its_end(clock: Clock, line: Callable[[Event], AuditLine]) -> None:
    up = line(ChildUp(ONE, CHILD)).fields
    assert (up["child"], up["spi_in"], up["spi_out"]) == ("net", "00001000", "00002000")
    assert up["ts_local"] == ",".join(map(str, CHILD.ts_local))
    clock.now += 10
    assert line(ChildRekeyed(ONE, CHILD, LATER)).fields["replaces"] == CHILD.child_id
    clock.now += 5
    down = line(ChildDown(ONE, LATER, ChildRemoval.WITH_IKE_SA)).fields
    assert (down["reason"], down["seconds"]) == ("with its IKE_SA", 15.0)


def test_refusals_say_who_and_why(line: Callable[[Event], AuditLine]) -> None:
    stranger = line(IkeSetUpFailed(None, PATH, End.REFUSED, REFUSED, "no connection"))
    assert stranger.source == PATH.remote.address
    assert stranger.fields == {
        "event": "ike-refused",
        "local": str(PATH.local),
        "remote": str(PATH.remote),
        "reason": "no connection",
        "by": "us",
        "notify": "AUTHENTICATION_FAILED",
    }
    ours = line(IkeSetUpFailed(ONE, PATH, End.TIMEOUT, None, "")).fields
    assert (ours["remote_id"], ours["reason"]) == ("gwb", "the peer does not answer")
    cancelled = line(IkeSetUpFailed(ONE, PATH, End.DELETED, None, "terminated")).fields
    assert (cancelled["event"], cancelled["reason"]) == ("ike-cancelled", "terminated")
    theirs = line(IkeSetUpFailed(replace(ONE, initiator=False), PATH, End.REFUSED, REFUSED, "wrong secret"))
    assert theirs.source == PATH.remote.address  # whoever has not authenticated may be anybody
    child = line(ChildSetUpFailed(ONE, "net", Failure(Party.PEER, 65000), "x" * 2 * MOST_TEXT)).fields
    assert (child["by"], child["notify"], child["reason"]) == ("peer", 65000, "x" * MOST_TEXT)


def test_a_move(line: Callable[[Event], AuditLine]) -> None:
    moved = line(IkeMoved(ONE, PATH, MoveReason.PEER_MOVED)).fields
    assert (moved["from"], moved["reason"]) == (str(PATH), "peer-moved")


def test_the_text_is_read_as_pairs(line: Callable[[Event], AuditLine]) -> None:
    text = line(IkeDown(ONE, End.REFUSED, None, 'a "quoted" reason=x')).text
    assert text.startswith("ike-down connection=a ike_id=1 spi_i=0101010101010101 ")
    assert text.endswith("reason=" + json.dumps('a "quoted" reason=x'))


def test_other_events_have_no_line() -> None:
    assert Audit(Clock()).line(RetransmissionsEnded(ONE, 1, 1)) is None
    assert set(AUDITED) <= set(EVENTS)
