"""A peer that does not answer: for good, for a while, or in IKE alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikepy.daemon.diagnosis.diagnose import RECENT
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.history import MOST_ENDS, PAUSE
from ikepy.daemon.net.icmp_errors import IcmpError
from ikepy.sa.api.ends import End, Failure, Party, Silence
from ikepy.sa.api.events import ChildUp, IkeDown, IkeSetUpFailed, IkeUp, RetransmissionsEnded, Retransmitted
from ikepy.sa.api.path import Endpoint
from ikepy.sa.api.snapshot import Waiting
from ikepy.wire.constants import ExchangeType

from .bed import AT, BOTH, CHILD, SA, SENT, Bed, codes, every

FIRST = replace(SA, ike_id=0)  # the bed's
OPEN = replace(FIRST, nat_remote=False)


def unanswered(bed: Bed, heard: int) -> Finding:
    """`heard`: seconds since ESP came in."""
    counters = replace(BOTH, in_last=int(AT) - heard)
    found = every(bed.diagnosis(up=True, counters=counters))
    return next(one for one in found if one.code is Code.UNANSWERED)


def test_a_request_without_an_answer() -> None:
    for sa, why in ((OPEN, "down or has restarted"), (FIRST, "only a packet of the peer opens it again")):
        bed = Bed()
        bed.happens(IkeUp(sa), ChildUp(sa, CHILD), Retransmitted(sa, 4, 2, ()))
        told = unanswered(bed, 500)
        assert "nothing authentic has come for 98 s." in told.what and why in told.why
        told = unanswered(bed, 3)
        assert "for 98 s by IKE, though ESP came 3 s ago." in told.what
        assert "The peer is there" in told.why and "DPD at both ends" in told.do


def test_a_pause() -> None:
    bed = Bed()
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    for attempts in (PAUSE - 1, PAUSE):
        bed.happens(Retransmitted(SA, 4, attempts, ()), RetransmissionsEnded(SA, 4, attempts))
    told = [one for one in every(bed.diagnosis(up=True, counters=BOTH)) if one.code is Code.CAME_BACK]
    assert [(one.severity, one.at) for one in told] == [(Severity.NOTE, bed.now)], "one lost packet is none"
    assert "did not answer for 98 s, and then did by itself" in told[0].what
    bed.now += 100
    heard = replace(SA, heard_at=bed.now - 20)
    for _ in range(2 * MOST_ENDS):
        bed.happens(Retransmitted(heard, 5, 3, ()), RetransmissionsEnded(heard, 5, 3))
    told = [one for one in every(bed.diagnosis(up=True, counters=BOTH)) if one.code is Code.CAME_BACK]
    assert f"{MOST_ENDS} times, the longest for 20 s" in told[0].what
    bed.now += RECENT + 1
    assert Code.CAME_BACK not in codes(bed.diagnosis(up=True, counters=BOTH))


@pytest.mark.parametrize("delay", [0, 5, 60])
def test_how_long_nothing_comes_in(delay: float) -> None:
    """As long as DPD waits, but no longer than half a minute."""
    bed, enough = Bed(dpd_delay=delay), delay if delay == 5 else 30
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    for seconds in (enough - 1, enough):
        told = codes(bed.diagnosis(up=True, counters=replace(BOTH, in_last=int(AT - seconds))))
        assert (Code.WENT_SILENT in told) is (seconds == enough)


@pytest.mark.parametrize(
    ("heard_at", "encap", "nat_local", "nat_remote", "severity", "words"),
    [
        (98.0, True, False, True, Severity.WARNING, "no way back into the tunnel"),
        (98.0, False, False, False, Severity.WARNING, "forgotten the ESP flow"),
        (2.0, True, False, True, Severity.ERROR, "only a packet of the peer opens it again"),
        (2.0, True, True, False, Severity.ERROR, "a NAT on the way"),
        (2.0, False, False, False, Severity.ERROR, "a firewall on the way"),
    ],
)
def test_why_nothing_comes_in(
    heard_at: float, encap: bool, nat_local: bool, nat_remote: bool, severity: Severity, words: str
) -> None:
    bed = Bed(sa=replace(SA, heard_at=heard_at, nat_local=nat_local, nat_remote=nat_remote))
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    counters = replace(SENT, in_packets=5, in_last=int(AT) - 40)
    (told,) = every(bed.diagnosis(up=True, counters=counters, encap=encap))
    assert (told.code, told.severity) == (Code.WENT_SILENT, severity)
    assert words in told.why and told.do
    assert ("though IKE was heard 2 s ago" in told.what) is (heard_at == 98.0)


ERROR = IcmpError(SA.path.remote, ip_address("203.0.113.1"), "port unreachable", "nobody is there")
HINT = (
    "203.0.113.1 says of it: port unreachable: nobody is there (by ICMP, which is not authenticated, "
    "5 s ago)."
)


def hinted(bed: Bed, *, up: bool = False) -> bool:
    """Whether what is said of the silence has the hint."""
    return any(HINT in one.why for one in every(bed.diagnosis(up=up, waiting=Waiting.SET_UP)))


def test_what_icmp_says_of_a_try() -> None:
    bed, connecting = Bed(), replace(SA, established_at=None)
    bed.history.note_icmp(ERROR)
    bed.happens(Retransmitted(connecting, 0, 1, ()))
    bed.history.note_icmp(replace(ERROR, remote=Endpoint(ERROR.by, 500)))
    bed.now += 5
    assert not hinted(bed), "nobody waited for an answer, or from elsewhere"
    bed.history.note_icmp(ERROR)
    bed.now += 5
    assert hinted(bed)
    silence = Failure(Party.NOBODY, None, Silence(ExchangeType.IKE_SA_INIT, 12.0))
    bed.happens(IkeSetUpFailed(connecting, SA.path, End.TIMEOUT, silence, ""))
    assert hinted(bed), "it stays with the try that has failed"
    bed.now += 100
    bed.history.note_icmp(ERROR)  # the last one came late
    bed.now += 5
    assert hinted(bed)
    bed.now += RECENT
    assert not any("ICMP" in one.why for one in every(bed.diagnosis()))
    bed.happens(IkeUp(SA))
    assert bed.history.of("a").own_icmp is None


def test_what_icmp_says_of_esp() -> None:
    bed, error = Bed(), replace(ERROR, remote=Endpoint(SA.path.remote.address, 0))
    bed.history.note_icmp(error)
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    bed.history.note_icmp(replace(error, remote=Endpoint(error.by, 0)))
    bed.now += 5
    assert not any("ICMP" in one.why for one in every(bed.diagnosis(up=True, counters=SENT)))
    bed.history.note_icmp(error)
    bed.now += 5
    (told,) = every(bed.diagnosis(up=True, counters=SENT))
    assert told.code is Code.ESP_BLOCKED and told.why.startswith(HINT)
    assert not any("ICMP" in one.why for one in every(bed.diagnosis(up=True, counters=BOTH)))
    bed.happens(IkeDown(SA, End.DELETED, None, ""))
    bed.history.note_icmp(error)
    bed.happens(IkeUp(SA))
    assert bed.history.of("a").esp_icmp is None


def test_what_icmp_says_of_a_request() -> None:
    bed = Bed()
    bed.happens(IkeUp(FIRST), ChildUp(FIRST, CHILD), Retransmitted(FIRST, 4, 2, ()))
    bed.history.note_icmp(ERROR)
    bed.now += 5
    assert hinted(bed, up=True)
    bed.history.note_icmp(replace(ERROR, by=ERROR.remote.address))
    (told,) = (one for one in every(bed.diagnosis(up=True)) if one.code is Code.UNANSWERED)
    assert "port unreachable: the NAT there has no such mapping any more (by ICMP" in told.why
    bed.happens(RetransmissionsEnded(FIRST, 4, 2))
    assert bed.history.of("a").icmp is None
