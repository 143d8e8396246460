"""A connection with several IKE_SAs, of many users or of one peer: what is said when one comes or goes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikepy.config.identity import Identity
from ikepy.daemon.diagnosis.findings import Code
from ikepy.daemon.net.icmp_errors import IcmpError
from ikepy.sa.api.ends import ChildRemoval, End
from ikepy.sa.api.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeMoved,
    IkeRekeyed,
    IkeUp,
    MoveReason,
    RetransmissionsEnded,
    Retransmitted,
)
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot

from .bed import CHILD, SA, SENT, Bed, codes, every, tunnel


def user(number: int) -> IkeSaSnapshot:
    """The IKE_SA of one of many users."""
    remote = Endpoint(ip_address(f"203.0.113.{number}"), 4500)
    who = Identity.parse(f"user{number}")
    return replace(SA, ike_id=number, remote_id=who, path=Path(SA.path.local, remote))


def child(number: int) -> ChildSnapshot:
    return replace(CHILD, child_id=number)


def since(bed: Bed) -> tuple[float | None, float | None]:
    """Of the tunnel, and of its child."""
    told = tunnel(bed.diagnosis(up=True))
    return told.since, told.children[0].since


def comes(number: int) -> tuple[IkeUp, ChildUp]:
    return IkeUp(user(number)), ChildUp(user(number), child(number))


def goes(number: int, end: End = End.DELETED_BY_PEER) -> tuple[IkeDown, ChildDown]:
    down = ChildDown(user(number), child(number), ChildRemoval.WITH_IKE_SA)
    return IkeDown(user(number), end, None, ""), down


def test_users_who_leave_take_nothing_down() -> None:
    bed = Bed()
    for number in range(5):
        bed.happens(*comes(number))
    began, bed.now = bed.now, bed.now + 60
    for number in range(4):
        bed.happens(*goes(number))
        assert not {Code.FLAPPING, Code.ENDED} & set(codes(bed.diagnosis(up=True)))
    assert since(bed) == (began, began)
    bed.happens(*goes(4))
    (told,) = every(bed.diagnosis())
    assert told.code is Code.ENDED and "after 60 s" in told.what
    assert tunnel(bed.diagnosis()).since == bed.now


def test_how_long_the_last_one_lived_is_its_own_time() -> None:
    bed = Bed()
    bed.happens(*comes(1))
    bed.now += 1000
    bed.happens(*comes(2))
    bed.now += 20
    bed.happens(*goes(1), *goes(2))
    (told,) = every(bed.diagnosis())
    assert "after 20 s" in told.what


def test_a_reauthentication_is_no_interruption() -> None:
    """The new IKE_SA comes before the old one goes (make before break)."""
    bed, old = Bed(), SA
    bed.happens(IkeUp(old), ChildUp(old, child(0)))
    began = bed.now
    for number in range(1, 4):
        bed.now += 100
        new = replace(SA, ike_id=10 + number)
        bed.happens(IkeUp(new), ChildUp(new, child(number)))
        end = End.REAUTHENTICATED if number % 2 else End.DELETED_BY_PEER
        removal = ChildRemoval.ELSEWHERE
        bed.happens(ChildDown(old, child(number - 1), removal), IkeDown(old, end, None, ""))
        old = new
    assert since(bed) == (began, began)
    assert not {Code.FLAPPING, Code.ENDED} & set(codes(bed.diagnosis(up=True)))


@pytest.mark.parametrize("end", [End.REAUTHENTICATED, End.REPLACED])
def test_nor_is_it_flapping_if_the_old_one_goes_first(end: End) -> None:
    bed = Bed()
    for _ in range(4):
        bed.happens(IkeUp(SA), IkeDown(SA, end, None, ""))
    bed.happens(IkeUp(SA))
    assert Code.FLAPPING not in codes(bed.diagnosis(up=True))


def test_a_peer_that_restarts_again_and_again_flaps() -> None:
    """Its new IKE_SA comes before the one that it has lost goes (INITIAL_CONTACT)."""
    bed = Bed()
    bed.happens(IkeUp(SA))
    for number in range(3):
        bed.now += 50
        old, new = replace(SA, ike_id=SA.ike_id + number), replace(SA, ike_id=SA.ike_id + number + 1)
        bed.happens(IkeUp(new), IkeDown(old, End.RESTARTED, None, ""))
        restarted = [one for one in every(bed.diagnosis(up=True)) if one.code is Code.PEER_RESTARTED]
        assert len(restarted) == (number < 2) and since(bed)[0] == bed.now
    (told,) = (one for one in every(bed.diagnosis(up=True)) if one.code is Code.FLAPPING)
    assert "3 times: the peer started anew" in told.what


def test_one_user_of_several_who_restarts_is_no_flapping() -> None:
    bed = Bed()
    bed.happens(*comes(1), *comes(2))
    for number in range(3):
        old, new = replace(user(1), ike_id=1 + 10 * number), replace(user(1), ike_id=11 + 10 * number)
        bed.happens(IkeUp(new), IkeDown(old, End.RESTARTED, None, ""))
    assert not {Code.FLAPPING, Code.PEER_RESTARTED} & set(codes(bed.diagnosis(up=True)))


def test_over_rekeys_it_is_the_same_tunnel() -> None:
    bed, rekeyed = Bed(), replace(SA, ike_id=2)
    bed.happens(IkeUp(SA), ChildUp(SA, child(5)))
    bed.happens(IkeRekeyed(SA, rekeyed), ChildRekeyed(rekeyed, child(5), child(6)))
    began, bed.now = bed.now, bed.now + 50
    assert since(bed) == (began, began)
    down = ChildDown(rekeyed, child(6), ChildRemoval.WITH_IKE_SA)
    bed.happens(IkeDown(rekeyed, End.TIMEOUT, None, ""), down)
    assert "after 50 s" in next(every(bed.diagnosis())).what
    told = tunnel(bed.diagnosis())
    assert (told.since, told.children[0].since) == (bed.now, bed.now)


def of_esp(sa: IkeSaSnapshot) -> IcmpError:
    remote = Endpoint(sa.path.remote.address, 0)
    return IcmpError(remote, ip_address("192.0.2.9"), "protocol unreachable", "nothing takes ESP there")


def hinted(bed: Bed) -> bool:
    return any("protocol unreachable" in one.why for one in every(bed.diagnosis(up=True, counters=SENT)))


def test_what_icmp_says_of_esp_to_one_of_them() -> None:
    """The bed's child is user 1's: what is said of packets to others does not explain its silence."""
    bed = Bed(sa=user(1))
    bed.happens(*comes(1), *comes(2), *comes(3), *goes(3))
    bed.history.note_icmp(of_esp(user(2)))
    bed.now += 5
    assert not hinted(bed)
    bed.history.note_icmp(of_esp(user(1)))
    assert hinted(bed), "though another user has left, and others are elsewhere"
    bed.happens(IkeUp(user(4)))
    assert hinted(bed)


def test_icmp_is_believed_of_where_a_peer_is_now() -> None:
    bed, moved = Bed(sa=replace(user(7), ike_id=1)), replace(user(7), ike_id=1)
    bed.happens(*comes(1), IkeMoved(moved, user(1).path, MoveReason.PEER_MOVED))
    bed.history.note_icmp(of_esp(user(1)))
    assert not hinted(bed)
    bed.history.note_icmp(of_esp(moved))
    assert hinted(bed)


def test_a_request_without_an_answer_is_one_peers() -> None:
    """Whatever others do meanwhile, it waits on; and their answers are no pause of its peer's."""
    bed, waiting = Bed(), user(0)  # the bed's
    bed.happens(*comes(0), *comes(1), *comes(2), Retransmitted(waiting, 4, 3, ()))
    bed.happens(*comes(3), *goes(1), RetransmissionsEnded(user(2), 9, 3))
    assert Code.UNANSWERED in codes(bed.diagnosis(up=True))
    assert Code.CAME_BACK not in codes(bed.diagnosis(up=True))
    bed.happens(RetransmissionsEnded(waiting, 4, 3))
    found = codes(bed.diagnosis(up=True))
    assert Code.UNANSWERED not in found and Code.CAME_BACK in found


def test_a_request_of_an_ike_sa_that_is_gone_waits_for_nothing() -> None:
    """One that was rekeyed ends without an event, and its delete may have had no answer."""
    bed, old, new = Bed(), replace(SA, ike_id=7), replace(SA, ike_id=0)
    bed.happens(IkeUp(old), IkeRekeyed(old, new), Retransmitted(old, 4, 3, ()))
    assert Code.UNANSWERED not in codes(bed.diagnosis(up=True))
