"""What the counts make of events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.daemon.bus.daemon_events import ConfigRefused, ConfigReloaded, ConnectionRemoved
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.http.tally import Tally
from ikepy.sa.api.ends import (
    AuthenticationFailure,
    AuthenticationFault,
    Cause,
    ChildRemoval,
    End,
    Failure,
    HalfOpenLimit,
    Party,
    ProposalMismatch,
    SelectorMismatch,
    Silence,
)
from ikepy.sa.api.events import (
    EVENTS,
    ChildDown,
    ChildExpired,
    ChildRekeyed,
    ChildRekeyFailed,
    ChildSetUpFailed,
    ChildUp,
    Event,
    IkeDown,
    IkeExpired,
    IkeMoved,
    IkeRekeyed,
    IkeRekeyFailed,
    IkeSetUpFailed,
    IkeUp,
    LocalAddressGone,
    MoveReason,
    PacketRefused,
    ResponseIgnored,
    RetransmissionsEnded,
    Retransmitted,
)
from tests.unit.daemon.fakes import PATH, ike_info

SA = ike_info(1, 5)
(CHILD,) = SA.children
FAILURE = Failure(Party.PEER, 14, ProposalMismatch(()))
AUTHENTICATION = AuthenticationFailure(AuthenticationFault.WRONG_SECRET, None, None)

CASES: list[tuple[Event, str, object]] = [
    (IkeUp(SA), "handshakes", ("a", "established")),
    (IkeSetUpFailed(SA, PATH, End.REFUSED, FAILURE, ""), "handshakes", ("a", "no_proposal_chosen")),
    (IkeSetUpFailed(None, PATH, End.REFUSED, FAILURE, ""), "handshakes", ("", "no_proposal_chosen")),
    (IkeSetUpFailed(SA, PATH, End.DELETED, None, ""), "handshakes", ("a", "deleted")),
    (IkeRekeyed(SA, replace(SA, ike_id=2)), "ike_rekeys", ("a", "done")),
    (IkeRekeyFailed(SA, FAILURE, None, ""), "ike_rekeys", ("a", "no_proposal_chosen")),
    (IkeDown(SA, End.TIMEOUT, None, ""), "ike_ends", ("a", "timeout")),
    (IkeMoved(SA, PATH, MoveReason.NAT_MAPPING), "moves", ("a", "nat_mapping")),
    (Retransmitted(SA, 1, 1, ()), "retransmissions", "a"),
    (ChildUp(SA, CHILD), "child_set_ups", ("a", "net", "installed")),
    (ChildSetUpFailed(SA, "net", FAILURE, ""), "child_set_ups", ("a", "net", "no_proposal_chosen")),
    (ChildRekeyed(SA, CHILD, CHILD), "child_rekeys", ("a", "net", "done")),
    (ChildRekeyFailed(SA, CHILD, FAILURE, 1.0, ""), "child_rekeys", ("a", "net", "no_proposal_chosen")),
    (ChildDown(SA, CHILD, ChildRemoval.WITH_IKE_SA), "child_ends", ("a", "net", "with_ike_sa")),
]
NOT_COUNTED = {
    IkeExpired,
    ChildExpired,
    ResponseIgnored,
    RetransmissionsEnded,
    PacketRefused,
    LocalAddressGone,
}


@pytest.mark.parametrize(("event", "count", "key"), CASES, ids=lambda one: type(one).__name__)
def test_each_event(event: Event, count: str, key: object) -> None:
    bus, tally = EventBus(), Tally()
    tally.listen(bus)
    bus.publish(event)
    bus.publish(event)
    assert dict(getattr(tally, count)) == {key: 2}
    others = [name for name in Tally.__slots__ if name != count]
    assert not any(getattr(tally, name) for name in others)


def test_every_event_is_counted_or_known_to_be_none() -> None:
    assert {type(event) for event, _, _ in CASES} | NOT_COUNTED == set(EVENTS)


@pytest.mark.parametrize(
    ("cause", "by", "word"),
    [
        (SelectorMismatch(()), Party.PEER, "ts_unacceptable"),
        (AUTHENTICATION, Party.US, "authentication_failed"),
        (Silence(None, 60.0), Party.NOBODY, "timeout"),
        (HalfOpenLimit(), Party.US, "half_open_limit"),
        (None, Party.NOBODY, "timeout"),
        (None, Party.PEER, "refused_by_peer"),
        (None, Party.US, "refused_by_us"),
    ],
)
def test_causes(cause: Cause | None, by: Party, word: str) -> None:
    tally = Tally()
    tally.count(IkeSetUpFailed(SA, PATH, End.REFUSED, Failure(by, None, cause), ""))
    assert dict(tally.handshakes) == {("a", word): 1}


def test_a_copy_stands_still() -> None:
    tally = Tally()
    tally.count(IkeUp(SA))
    copied = tally.copy()
    tally.count(IkeUp(SA))
    assert (copied.handshakes["a", "established"], tally.handshakes["a", "established"]) == (1, 2)


def test_a_removed_connection_leaves_nothing() -> None:
    """Connections may come and go for ever."""
    bus, tally = EventBus(), Tally()
    tally.listen(bus)
    for event, _, _ in CASES:
        bus.publish(event)
    bus.publish(IkeUp(replace(SA, connection="b")))
    bus.publish(ConnectionRemoved("a", "vti0"))
    left = {name: dict(getattr(tally, name)) for name in Tally.__slots__ if getattr(tally, name)}
    assert left == {"handshakes": {("", "no_proposal_chosen"): 1, ("b", "established"): 1}}


def test_reloads() -> None:
    tally, bus = Tally(), EventBus()
    tally.listen(bus)
    for event, refused in ((ConfigReloaded("SIGHUP"), False), (ConfigRefused("command", ("x",)), True)):
        bus.publish(event)
        assert tally.copy().reload_refused is refused
    bus.publish(ConfigReloaded("SIGHUP"))
    assert not tally.reload_refused
    assert tally.copy().reloads == {"done": 2, "refused": 1}
