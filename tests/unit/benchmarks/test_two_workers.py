"""The configuration of the gateways with two tunnels."""

from __future__ import annotations

import tomllib

import pytest

from benchmarks.two_workers import WORKERS, configuration
from ikepy.config.toml_source import parse
from ikepy.daemon.device.worker_slots import WorkerSlots


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


@pytest.mark.parametrize("side", ["1", "2"])
def test_each_tunnel_has_a_worker(side: str) -> None:
    connections = list(parse(configuration(side)).connections.values())
    slots = WorkerSlots(WORKERS, connections)
    assert [slots[one.name] for one in connections] == list(range(WORKERS))
