"""What probes through a tunnel lead `status` to say."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikepy.daemon.diagnosis.findings import Code
from ikepy.daemon.diagnosis.probes import ENOUGH
from ikepy.daemon.probe.prober import ProbeState
from ikepy.daemon.probe.target import Loss, RoundTrip
from ikepy.daemon.vici.status_sections import status_events
from ikepy.sa.api.events import ChildUp, IkeUp
from tests.unit.daemon.diagnosis.bed import BOTH, CHILD, SA, Bed, codes, only

TIMES = RoundTrip(0.01, 0.01, 0.0123, 0.02)
FINE = ProbeState("a", ip_address("10.2.0.1"), True, 20, 20, Loss(0, 20), TIMES, 1400, 1400)


@pytest.fixture
def bed() -> Bed:
    made = Bed()
    made.happens(IkeUp(SA), ChildUp(SA, CHILD))
    return made


def test_a_path_that_takes_less(bed: Bed) -> None:
    found = only(bed.diagnosis(up=True, counters=BOTH, probes=(replace(FINE, path_mtu=1380),)))
    assert found.code is Code.PATH_MTU
    assert found.what == "0 of 3 pings of 1400 octets to 10.2.0.1 come back: the path takes 1380."
    assert "connections.a.vti.mtu = 1380" in found.do


def test_nothing_comes_back(bed: Bed) -> None:
    silent = replace(FINE, loss=Loss(ENOUGH, ENOUGH), round_trip=None, path_mtu=None, tried_mtu=None)
    assert codes(bed.diagnosis(up=True, counters=BOTH, probes=(silent,))) == [Code.PROBE_UNANSWERED]


@pytest.mark.parametrize(
    "probe",
    [
        FINE,
        replace(FINE, loss=Loss(19, 20)),
        replace(FINE, loss=Loss(ENOUGH - 1, ENOUGH - 1)),
        replace(FINE, path_mtu=None, tried_mtu=None),
        replace(FINE, up=False, loss=Loss(20, 20), path_mtu=1000),
    ],
)
def test_nothing_to_say(bed: Bed, probe: ProbeState) -> None:
    assert not codes(bed.diagnosis(up=True, counters=BOTH, probes=(probe,)))


def test_round_trips_for_top(bed: Bed) -> None:
    silent = replace(FINE, round_trip=None)
    (event,) = status_events(bed.diagnosis(up=True, counters=BOTH, probes=(silent, FINE)))
    assert event["rtt"] == 12300
