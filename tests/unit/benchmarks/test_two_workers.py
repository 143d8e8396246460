"""The configuration of the gateways with two tunnels."""

from __future__ import annotations

import tomllib

from benchmarks.two_workers import WORKERS, configuration


def test_the_two_ends_fit() -> None:
    left, right = tomllib.loads(configuration("1")), tomllib.loads(configuration("2"))
    assert left["daemon"] == right["daemon"] == {"workers": WORKERS}
    assert list(left["connections"]) == list(right["connections"]) == ["net0", "net1"]
    for name, one in left["connections"].items():
        other = right["connections"][name]
        assert one["local"]["id"] == other["remote"]["id"]
        assert one["local_addrs"] == other["remote_addrs"]
        assert one["vti"]["name"] == other["vti"]["name"]
        assert one["vti"]["routes"] != other["vti"]["routes"]
    assert len({one["vti"]["name"] for one in left["connections"].values()}) == WORKERS
