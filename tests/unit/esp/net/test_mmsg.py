"""esp.net.mmsg: many datagrams a call, and which of them are alike."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from esp.net import cmsg
from esp.net.mmsg import IoVectors, Receiver, Sender, parse_control, parse_name

ROW, PITCH = 512, 600
LOOPBACK = "127.0.0.1"


class Ends:
    """Two senders and the rows of a receiver."""

    def __init__(self) -> None:
        self.socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
        for sock in self.socks:
            sock.bind((LOOPBACK, 0))
        self.one, self.other, self.sock = self.socks
        self.sock.setblocking(False)
        cmsg.enable_tos(self.sock)
        self.to = LOOPBACK, int(self.sock.getsockname()[1])
        self.arena = memoryview(bytearray(64 * PITCH))
        self.receiver = Receiver(self.arena, PITCH, ROW)

    def row(self, number: int, length: int) -> bytes:
        return bytes(self.arena[number * PITCH : number * PITCH + length])


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    for sock in made.socks:
        sock.close()


@pytest.mark.parametrize(("length", "counts"), [(1000, [100] * 10), (950, [100] * 9 + [50]), (30, [30])])
def test_a_cut_buffer_arrives_in_order(ends: Ends, length: int, counts: list[int]) -> None:
    whole = memoryview(bytearray(at * 7 % 256 for at in range(length)))
    results = Sender().send(ends.one, IoVectors.cut(whole, 100), ends.to, cmsg.tos_octet(4, 0xB8))
    assert results == [0] * len(counts)
    assert ends.receiver.receive(ends.sock, 64) == len(counts)
    arrivals = [ends.receiver.message(number) for number in range(len(counts))]
    assert [one.length for one in arrivals] == counts
    assert {parse_name(one.name) for one in arrivals} == {ends.one.getsockname()}
    assert {cmsg.parse(parse_control(one.control)).tos for one in arrivals} == {0xB8}
    assert b"".join(ends.row(number, count) for number, count in enumerate(counts)) == whole
    assert ends.receiver.uniform_last_length(len(counts)) == counts[-1]


def test_what_a_sender_wrote_for_one_send_is_not_in_the_next(ends: Ends) -> None:
    sender, row = Sender(), memoryview(bytearray(b"a row"))
    for tos, to in ((0xB8, ends.to), (0, ends.to), (2, ends.other.getsockname()), (2, ends.to)):
        marks = cmsg.tos_octet(4, tos) if tos else []
        assert sender.send(ends.one, IoVectors.of([row, row]), to, marks) == [0, 0]
    assert ends.receiver.receive(ends.sock, 64) == 6
    marks_seen = [cmsg.parse(parse_control(ends.receiver.message(row).control)).tos for row in range(6)]
    assert marks_seen == [0xB8, 0xB8, 0, 0, 2, 2]
    assert ends.other.recv(100) == b"a row"


@pytest.mark.parametrize(
    "sent",
    [
        [(0, 90, 0), (0, 100, 0)],  # the last one may be shorter only
        [(0, 100, 0), (0, 90, 0), (0, 90, 0)],
        [(0, 100, 0), (1, 100, 0), (0, 100, 0)],
        [(0, 100, 0), (0, 100, 2)],
        [(0, 100, 0), (0, 90, 2)],
    ],
)
def test_not_alike(ends: Ends, sent: list[tuple[int, int, int]]) -> None:
    for which, length, tos in sent:
        ends.socks[which].sendmsg([bytes(length)], cmsg.tos_octet(4, tos), 0, ends.to)
    assert ends.receiver.receive(ends.sock, 64) == len(sent)
    assert ends.receiver.uniform_last_length(len(sent)) is None


def test_nothing_there(ends: Ends) -> None:
    with pytest.raises(BlockingIOError):
        ends.receiver.receive(ends.sock, 64)


def test_one_that_is_refused_is_told_and_the_others_leave(ends: Ends) -> None:
    row = memoryview(bytearray(70_000))
    results = Sender().send(ends.one, IoVectors.of([row[:10], row, row[:20]]), ends.to, [])
    assert results == [0, errno.EMSGSIZE, 0]
    assert ends.receiver.receive(ends.sock, 64) == 2
