"""ikepy.daemon.net.round_robin: turns, and room for whoever comes."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.daemon.net.round_robin import RoundRobin
from ikepy.sa.api.path import Endpoint, Path

PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("198.51.100.7"), 500))


def put(room: RoundRobin, owner: str, count: int, size: int = 10) -> int:
    """How many of so many found room."""
    return sum(room.put(owner, owner.encode() + bytes(size - len(owner)), PATH) for _ in range(count))


def drained(room: RoundRobin) -> str:
    return "".join(chr(room.take()[0][0]) for _ in range(len(room)))


def test_owners_take_turns_and_each_ones_messages_keep_their_order() -> None:
    room = RoundRobin(100, 50, 10_000)
    put(room, "a", 4)
    put(room, "b", 2)
    put(room, "c", 1)
    assert drained(room) == "abcabaa"
    for n in range(3):
        room.put("a", bytes([n]), PATH)
    assert [room.take()[0][0] for _ in range(3)] == [0, 1, 2]


def test_one_owner_never_has_all_the_room() -> None:
    room = RoundRobin(100, 50, 10_000)
    assert put(room, "a", 1000) == 50
    assert put(room, "b", 1000) == 25
    assert put(room, "c", 10) == 10
    room.take()
    assert len(room) == 84


def test_nor_with_long_messages() -> None:
    room = RoundRobin(100, 50, 10_000)
    assert put(room, "a", 1000, size=1000) == 5
    assert put(room, "b", 2, size=1000) == 2


def test_a_newcomer_finds_room_among_many_that_flood() -> None:
    room = RoundRobin(1024, 512, 1 << 20)
    for _ in range(50):
        for n in range(200):
            room.put(f"flood {n}", bytes(10), PATH)
    assert put(room, "z", 1) == 1
    left = [room.take()[0] for _ in range(len(room))]
    assert left.index(b"z" + bytes(9)) <= 200, "after one of each at most"


def test_room_is_given_back() -> None:
    room = RoundRobin(10, 5, 100)
    for _ in range(100):
        assert put(room, "a", 3, size=30) >= 1
        drained(room)
    put(room, "a", 5)
    room.clear()
    assert len(room) == 0
    assert put(room, "a", 100) == 5
    with pytest.raises(IndexError):
        RoundRobin(1, 1, 1).take()
