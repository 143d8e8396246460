"""ikepy.daemon.log_limit: how many lines strangers and peers can cause."""

from __future__ import annotations

from ipaddress import IPv4Address

from ikepy.daemon.log_limit import (
    EACH,
    EACH_OF_PEER,
    KEPT,
    KEPT_WHOLE,
    OF_CONNECTION,
    OF_PEER,
    SUMMED,
    TOGETHER,
    LogLimit,
)
from ikepy.sa.api.log_source import Peer

A, SAME_NET, B = (IPv4Address(one) for one in ("198.51.100.7", "198.51.100.8", "192.0.2.1"))


def test_a_few_are_written_and_the_others_summed_up() -> None:
    limit = LogLimit()
    written = sum(limit.allow("refused", (A, SAME_NET)[n % 2], 5.0) for n in range(2955))
    assert written == EACH[1]
    assert list(limit.sums()) == [("198.51.100.0/24", "refused: and 2,950 more from 198.51.100.0/24")]
    assert list(limit.sums()) == []
    assert limit.suppressed == 2950


def test_other_kinds_and_networks_have_their_own() -> None:
    limit = LogLimit()
    for _ in range(100):
        limit.allow("refused", A, 5.0)
    assert limit.allow("malformed", A, 5.0)
    assert limit.allow("refused", B, 5.0)
    assert limit.allow("refused", A, 5.0 + EACH[0])


def test_many_networks_together_are_bounded_and_so_is_the_sum() -> None:
    limit = LogLimit()
    count = 20 * KEPT
    written = sum(limit.allow("refused", IPv4Address((10 << 24) + (n << 8)), n / 1000) for n in range(count))
    assert written <= TOGETHER[1] + count / 1000 / TOGETHER[0] + 1
    lines = list(limit.sums())
    assert len(lines) == SUMMED + 1
    assert lines[-1] == (
        "strangers",
        f"and {limit.suppressed - SUMMED:,} more lines because of others",
    )


GWA, GWC = Peer("site", "gwa"), Peer("site", "gwc")


def test_a_peer_has_more_of_them() -> None:
    limit = LogLimit()
    written = sum(limit.allow("NO_ADDITIONAL_SAS", GWA, 5.0) for _ in range(1000))
    assert written == EACH_OF_PEER[1]
    assert list(limit.sums()) == [("site", "NO_ADDITIONAL_SAS: and 950 more from gwa")]
    assert limit.allow("NO_ADDITIONAL_SAS", GWA, 5.0 + EACH_OF_PEER[0])


def test_a_peer_without_an_identity_is_the_connections() -> None:
    limit = LogLimit()
    for _ in range(EACH_OF_PEER[1] + 1):
        limit.allow("next try", Peer("site"), 5.0)
    assert list(limit.sums()) == [("site", "next try: and 1 more from site")]


def test_a_peer_that_varies_its_lines_keeps_nobody_elses_out() -> None:
    limit = LogLimit()
    written = sum(limit.allow(f"kind {n}", GWA, 5.0) for n in range(20 * KEPT))
    assert written == OF_PEER[1]
    assert limit.allow("refused", GWC, 5.0)
    assert limit.allow("refused", A, 5.0)


def test_a_peer_that_varies_its_identity_is_bounded_too() -> None:
    limit = LogLimit()
    count = 2 * KEPT_WHOLE
    written = sum(limit.allow("up", Peer("any", f"id {n}"), 5.0) for n in range(count))
    assert written == OF_CONNECTION[1]
    assert limit.allow("up", GWA, 5.0), "another connection's"
    assert limit.suppressed == count - written
