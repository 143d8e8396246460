"""Round trips as ping prints them, and their percentiles."""

from __future__ import annotations

import math

import pytest

from benchmarks.latency import parse, percentile
from ikepy.lab.netns import LabError

TEXT = """\
PING 10.2.0.10 (10.2.0.10) 56(84) bytes of data.
64 bytes from 10.2.0.10: icmp_seq=1 ttl=62 time=0.413 ms
64 bytes from 10.2.0.10: icmp_seq=3 ttl=62 time=12 ms

--- 10.2.0.10 ping statistics ---
3 packets transmitted, 2 received, 33% packet loss, time 20ms
rtt min/avg/max/mdev = 0.413/6.2/12.0/5.8 ms
"""


def test_every_line() -> None:
    assert parse(TEXT) == [0.413, 12.0]


def test_none_came_back() -> None:
    with pytest.raises(LabError, match="unreachable"):
        parse("ping: connect: Network is unreachable\n")


@pytest.mark.parametrize(("share", "value"), [(0, 1), (1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_nearest_rank(share: float, value: float) -> None:
    assert percentile([float(one) for one in range(100, 0, -1)], share) == value


def test_of_few() -> None:
    assert percentile([7.0], 99) == 7
    assert percentile([1.0, 2.0, 3.0], 50) == 2


def test_lost_pings_count_as_the_longest() -> None:
    assert percentile([1.0] * 98 + [math.inf] * 2, 99) == math.inf
    assert percentile([1.0] * 99 + [math.inf], 99) == 1
