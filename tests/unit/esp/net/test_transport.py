"""Transport: GSO that is refused, and tried again later."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from esp.net.sockets import SocketKind, open_udp
from esp.net.transport import GSO_RETRY, GsoSend, Transport
from esp.packet.drop_reasons import Drop

LOOPBACK = ip_address("127.0.0.1")
SEGMENT, COUNT = 1000, 20
UDP_SEGMENT = 103


class RefusingSocket(socket.socket):
    """Refuses GSO sends by `refusal`, an errno; counts those that are tried, and those that it takes."""

    refusal = 0
    taken = tried = 0

    def sendmsg(self, buffers: list[memoryview], ancillary: object = (), *rest: object) -> int:  # type: ignore[override]
        if any(kind == UDP_SEGMENT for _, kind, _ in ancillary):  # type: ignore[attr-defined]
            self.tried += 1
            if self.refusal:
                raise OSError(self.refusal, os.strerror(self.refusal))
            self.taken += 1
        return super().sendmsg(buffers, ancillary, *rest)  # type: ignore[arg-type]


class Bed:
    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[str] = []
        with open_udp(LOOPBACK, 0) as sock:
            self.sock = RefusingSocket(fileno=os.dup(sock.fileno()))
        port = self.sock.getsockname()[1]
        self.transport = Transport(
            self.sock, SocketKind.UDP, 4, LOOPBACK, port, self.told.append, lambda: self.now
        )
        self.peers = [open_udp(LOOPBACK, 0) for _ in range(2)]

    def send(self, peer: int = 0, rows: bool = False) -> bool:
        """Send a batch, of one buffer or of `rows`; whether it left as one. Nothing of it is lost."""
        before, sock = self.sock.taken, self.peers[peer]
        octets = memoryview(bytearray(SEGMENT * COUNT))
        buffers = [octets[at : at + SEGMENT] for at in range(0, len(octets), SEGMENT)] if rows else [octets]
        assert not self.transport.send_gso(GsoSend(buffers, SEGMENT, COUNT), LOOPBACK, sock.getsockname())
        assert [len(sock.recv(1 << 16)) for _ in range(COUNT)] == [SEGMENT] * COUNT
        return self.sock.taken > before


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.transport.close()
    for peer in bed.peers:
        peer.close()


@pytest.mark.parametrize("rows", [False, True], ids=["one buffer", "rows"])
@pytest.mark.parametrize("number", [errno.EMSGSIZE, errno.EIO])
def test_refused_gso_is_tried_again_after_a_while(bed: Bed, number: int, rows: bool) -> None:
    """The size for a path, or all of it."""
    assert bed.send(rows=rows)
    bed.sock.refusal = number
    assert not bed.send(rows=rows)
    bed.sock.refusal = 0
    bed.now += GSO_RETRY - 1
    assert not bed.send(rows=rows), "not at each send, which would cost one that fails"
    bed.now += 1
    assert bed.send(rows=rows)
    assert bed.send(1, rows)
    assert len(bed.told) == 1


def test_gso_that_stays_refused_is_told_once(bed: Bed) -> None:
    bed.sock.refusal = errno.EMSGSIZE
    for _ in range(3):
        assert not bed.send()
        assert not bed.send(1)
        bed.now += GSO_RETRY
    (line,) = bed.told
    assert line == f"packets of {SEGMENT} octets to 127.0.0.1 leave one by one for a while: Message too long"


def test_another_path_goes_on_with_gso(bed: Bed) -> None:
    bed.sock.refusal = errno.EMSGSIZE
    assert not bed.send()
    bed.sock.refusal = 0
    assert bed.send(1)
    assert not bed.send()


@pytest.mark.parametrize("rows", [False, True], ids=["one buffer", "rows"])
def test_a_path_that_takes_nothing_says_nothing_of_gso(bed: Bed, rows: bool) -> None:
    """As behind a blackhole route, to which the kernel gives the same answer as to port 0."""
    octets = memoryview(bytearray(SEGMENT * COUNT))
    buffers = [octets[at : at + SEGMENT] for at in range(0, len(octets), SEGMENT)] if rows else [octets]
    for tried in (1, 2):
        failures = bed.transport.send_gso(GsoSend(buffers, SEGMENT, COUNT), LOOPBACK, ("127.0.0.1", 0))
        assert failures == dict.fromkeys(range(COUNT), Drop.UNREACHABLE)
        assert bed.sock.tried == tried, "without it they leave no better"
    assert bed.told == []
