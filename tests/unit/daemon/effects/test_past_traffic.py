"""What children carried that are gone is forgotten with their connection."""

from __future__ import annotations

from ikepy.daemon.effects.past_traffic import PastTraffic, Traffic


def test_a_removed_connection_leaves_nothing() -> None:
    past = PastTraffic(lambda slot: None)
    past.sums = {("a", "net"): Traffic(1), ("a", "second"): Traffic(2), ("b", "net"): Traffic(3)}
    past.forget("a")
    assert past.sums == {("b", "net"): Traffic(3)}
