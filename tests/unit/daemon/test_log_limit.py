"""ikepy.daemon.log_limit: how many lines strangers can cause."""

from __future__ import annotations

from ipaddress import IPv4Address

from ikepy.daemon.log_limit import EACH, KEPT, SUMMED, TOGETHER, LogLimit

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
        f"and {limit.suppressed - SUMMED:,} more lines because of other networks",
    )
