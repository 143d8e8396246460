"""The largest packet that a path takes is found in few steps, whatever the path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.daemon.probe.mtu_search import FIRST_TRIES, SMALL, STEP, TRIES, MtuSearch, remedy


@given(st.sampled_from([4, 6]), st.integers(576, 9000), st.integers(0, 9000))
def test_it_finds_what_the_path_takes(version: int, full: int, takes: int) -> None:
    search = MtuSearch(full, version)
    while search.size is not None:
        (search.came_back(search.size) if search.size <= takes else search.lost())
    found = search.takes
    if takes >= full:
        assert found == full
    elif takes < SMALL:
        assert found == 0
    else:
        assert found <= takes < found + STEP


@given(st.integers(576, 9000), st.integers(0, 9000))
def test_it_takes_few_packets(full: int, takes: int) -> None:
    search, sent = MtuSearch(full, 4), 0
    while search.size is not None:
        sent += 1
        (search.came_back(search.size) if search.size <= takes else search.lost())
    assert sent <= FIRST_TRIES + TRIES * 15


def test_one_lost_packet_of_the_full_size_proves_nothing() -> None:
    search = MtuSearch(1400, 4)
    for _ in range(FIRST_TRIES - 1):
        search.lost()
    assert search.size == 1400
    search.came_back(1400)
    assert search.takes == 1400


@pytest.mark.parametrize("size", [1399, 1401, 576])
def test_a_late_reply_of_another_size(size: int) -> None:
    search = MtuSearch(1400, 4)
    for _ in range(FIRST_TRIES):
        search.lost()
    before = search.takes
    search.came_back(size)
    assert search.takes in (before, size) and (search.takes < 1400)


def test_what_to_do_below_what_ipv6_takes() -> None:
    """The configuration refuses such an MTU for a device with IPv6."""
    assert "IPv6" not in remedy(1280, "vti")
    told = remedy(1279, "vti")
    assert told.startswith("vti.mtu = 1279, ") and "IPv6 takes 1,280 octets" in told
