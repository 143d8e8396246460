"""esp.datapath.limits: rate limit, bounded set, waiting packets."""

from esp.datapath.limits import WAITING_PACKETS, WAITING_SECONDS, PacketQueue, RateLimit, RecentSet


def test_rate_limit() -> None:
    limit = RateLimit(1.0, 3)
    assert [limit.allow(100.0) for _ in range(4)] == [True, True, True, False]
    assert not limit.allow(100.9)
    assert limit.allow(101.1)
    assert not limit.allow(101.2)
    assert [limit.allow(1000.0) for _ in range(4)] == [True, True, True, False]


def test_recent_set_forgets_the_oldest() -> None:
    recent = RecentSet(2)
    for value in range(9):
        recent.add(value)
        assert all(last in recent for last in range(max(0, value - 1), value + 1))
    assert [value for value in range(9) if value in recent] == [6, 7, 8]  # never more than twice as many


def test_waiting_room_is_bounded_and_in_order() -> None:
    room = PacketQueue()
    kept = [room.put(bytes([index]), 1.0, 1.0) for index in range(WAITING_PACKETS + 2)]
    assert kept == [True] * WAITING_PACKETS + [False] * 2
    assert [packet for _, packet in room.take_all(2.0)] == [bytes([i]) for i in range(WAITING_PACKETS)]
    assert room.take_all(2.0) == []


def test_waiting_room_keeps_copies() -> None:
    room, packet = PacketQueue(), bytearray(b"abc")
    room.put(memoryview(packet), 1.0, 1.0)
    packet[:] = b"xyz"
    assert room.take_all(1.0) == [(1.0, b"abc")]


def test_waiting_room_does_not_keep_them_for_ever() -> None:
    room = PacketQueue()
    room.put(b"old", 1.0, 1.0)
    room.put(b"new", 5.0, 5.0)
    assert room.take_all(2.0 + WAITING_SECONDS) == [(5.0, b"new")]
    assert room.expired == 1
