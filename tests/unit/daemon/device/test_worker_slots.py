"""Which connections share a worker: those that may have a peer's addresses and ports in common."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any

import pytest

from ikepy.config.model import Config, Connection
from ikepy.daemon.device.worker_slots import WorkerSlots, groups
from tests.unit.daemon.fakes import connection

OURS, OTHER = "192.0.2.1", "192.0.2.9"


def made(*ends: tuple[str, ...]) -> list[Connection]:
    """Connections a, b, c ... of our addresses, the peer's, and perhaps its identity. Several: "x y"."""
    connections = {}
    for name, (ours, peers, *identity) in zip("abcdefghijkl", ends, strict=False):
        keys: dict[str, Any] = {"local_addrs": ours.split(), "remote_addrs": peers.split()}
        keys |= {"remote": {"id": identity[0]}} if identity else {}
        connections[name] = connection(name, **keys)
    return list(Config.model_validate({"connections": connections}).connections.values())


def together(connections: Collection[Connection]) -> list[str]:
    return sorted("".join(sorted(one.name for one in group)) for group in groups(connections))


def of_peers(*peers: str) -> list[Connection]:
    return made(*[(OURS, peer) for peer in peers])


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([(OURS, "192.0.2.2"), (OURS, "192.0.2.2"), (OURS, "192.0.2.3")], ["ab", "c"]),
        ([(OURS, "192.0.2.2"), (OURS, "192.0.2.3"), (OURS, "192.0.2.3 192.0.2.2")], ["abc"]),
        ([(OURS, "192.0.2.2"), (OURS, "192.0.2.4"), (OURS, "192.0.2.3 192.0.2.2")], ["ac", "b"]),
        ([(OURS, "gw.example"), (OURS, "GW.example"), (OURS, "other.example")], ["ab", "c"]),
        # Our addresses differ, for good
        ([(OURS, "192.0.2.2"), (OTHER, "192.0.2.2")], ["a", "b"]),
        ([(OURS, "192.0.2.2"), (f"{OTHER} {OURS}", "192.0.2.2")], ["ab"]),
        ([(OURS, "192.0.2.2"), ("%any", "192.0.2.2"), (OTHER, "192.0.2.2")], ["abc"]),
        ([(OURS, "192.0.2.2"), ("192.0.2.0/24", "192.0.2.2"), (OTHER, "192.0.2.3")], ["ab", "c"]),
        ([("%any", "192.0.2.2"), ("%any", "192.0.2.2"), ("%any", "192.0.2.3")], ["ab", "c"]),
        # The peer's address is not known in advance: its identity is
        ([(OURS, "%any", "gwb"), (OURS, "%any", "gwb"), (OURS, "%any", "gwc")], ["ab", "c"]),
        ([(OURS, "%any", "gwb"), (OURS, "192.0.2.2", "gwb"), (OURS, "192.0.2.3", "gwc")], ["ab", "c"]),
        ([(OURS, "198.51.100.0/24", "gwb"), (OURS, "192.0.2.2 %any", "gwb")], ["ab"]),
        ([(OURS, "%any", "gwb"), (OTHER, "%any", "gwb")], ["a", "b"]),
        ([(OURS, "192.0.2.2", "gwb"), (OURS, "192.0.2.3", "gwb")], ["a", "b"]),  # two uplinks of one peer
        ([(OURS, "192.0.2.2", "gwb"), (OURS, "192.0.2.3", "gwb"), (OURS, "%any", "gwb")], ["abc"]),
        # Users and unnamed peers are many
        ([(OURS, "%any"), (OURS, "%any"), (OURS, "192.0.2.2")], ["a", "b", "c"]),
        ([(OURS, "%any", "*@example.org"), (OURS, "%any", "*@example.org")], ["a", "b"]),
    ],
)
def test_who_may_have_both_ends_in_common(ends: list[tuple[str, ...]], expected: list[str]) -> None:
    connections = made(*ends)
    assert together(connections) == together(connections[::-1]) == expected
    slots = WorkerSlots(1 + len(ends), connections)
    assert sorted({slots[one.name] for one in connections}) == list(range(len(expected)))


@pytest.mark.parametrize(
    ("peers", "expected"),
    [
        ("abcd", [0, 1, 0, 1]),
        ("aabc", [0, 0, 1, 1]),
        ("bcdaaa", [1, 1, 1, 0, 0, 0]),
        ("aaaa", [0, 0, 0, 0]),
    ],
)
def test_workers_have_as_many_devices_as_peers_permit(peers: str, expected: list[int]) -> None:
    connections = of_peers(*(f"{peer}.example" for peer in peers))
    slots = WorkerSlots(2, connections)
    assert [slots[one.name] for one in connections] == expected


@pytest.mark.parametrize("ends", [("192.0.2.2",), ("192.0.2.3 192.0.2.2",), ("%any", "gwb")])
def test_one_more_comes_to_those_that_it_may_share_with(ends: tuple[str, ...]) -> None:
    *there, late = made((OURS, "192.0.2.7"), (OURS, "192.0.2.2", "gwb"), (OURS, *ends))
    slots = WorkerSlots(2, there)
    slots.allot(made((OURS, "192.0.2.8"), (OURS, "192.0.2.8"))[0].model_copy(update={"name": "z"}), there)
    assert (slots["a"], slots["b"], slots["z"]) == (0, 1, 0)
    slots.allot(late, there)
    assert slots["c"] == 1
    slots.release("c")
    slots.release("b")
    slots.allot(there[1], there[:1])
    assert slots["b"] == 1, "the least loaded"


def test_thousands() -> None:
    """All of one peer, and each of its own, by address and by identity."""
    one = of_peers("192.0.2.2")[0]
    apart = of_peers("%any")[0]
    many = [
        found
        for number in range(2000)
        for found in (
            one.model_copy(update={"name": f"one{number}"}),
            one.model_copy(update={"name": f"own{number}", "remote_addrs": (ip_address(number),)}),
            apart.model_copy(update={"name": f"any{number}"}),
        )
    ]
    slots = WorkerSlots(4, many)
    for number in range(100):
        slots.allot(one.model_copy(update={"name": f"late{number}"}), many)
    assert {slots[f"late{number}"] for number in range(100)} == {slots["one0"]}
