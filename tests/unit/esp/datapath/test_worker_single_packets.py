"""What a worker does for packets that come alone, and when: first they leave, then they are counted."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from functools import partial
from time import monotonic, sleep

import pytest

from esp.datapath.sa_database import SaDatabase
from esp.datapath.sa_entries import InboundEntry
from esp.datapath.worker import Worker
from esp.ipc import channel
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import AddDevice, AddSocket, BusyChanged, Fault, Message, RemoveDevice, RemoveSocket
from esp.net.sockets import SocketKind, open_udp
from tests.unit.esp.bed import LOOPBACK, Bed, inbound, outbound
from tests.unit.esp.packets import ipv4
from tests.unit.esp.peer import Peer, paths, spi_of
from tests.unit.tun.plain import Flow, Packet
from tun.frames import FrameIo
from tun.virtio import PLAIN

PAUSE = 0.003  # seconds after which a packet counts as one that comes alone


class FrameBed(Bed):
    """Its devices have offloads."""

    def _wrap(self, fd: int, mss4: int, mss6: int) -> FrameIo:
        return FrameIo(fd, mss4, mss6)

    def hand_over(self) -> None:
        """The device gives one packet, after a pause."""
        sleep(PAUSE)
        self.devices[1].send(PLAIN + ipv4())


@pytest.fixture
def bed() -> Iterator[FrameBed]:
    with FrameBed() as one:
        yield one


@pytest.fixture
def peer(bed: FrameBed) -> Iterator[Peer]:
    """The other end of child 1, whose counters are in slot 0."""
    bed.add_device()
    port = bed.add_socket(open_udp(LOOPBACK, 0))
    one = Peer(port)
    bed.tell(outbound(1, 0x1001, **paths(port, one)))
    bed.tell(inbound(1, 0x2001, **paths(port, one)))
    bed.sync()
    yield one
    one.sock.close()


def test_they_are_counted_and_then_the_worker_sleeps(bed: FrameBed, peer: Peer) -> None:
    sender = peer.sa(0x2001)
    for _ in range(40):
        bed.hand_over()
        peer.receive()
        peer.send(*sender.seal_batch([ipv4()]))
        assert bed.devices[1].recv(1 << 16) == PLAIN + ipv4()
    bed.wait_for(lambda: (bed.sa().out_packets, bed.sa().in_packets) == (40, 40))
    assert bed.sa().out_seq == 40
    before = resource.getrusage(resource.RUSAGE_SELF)
    sleep(0.3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_nvcsw - before.ru_nvcsw < 50


def test_the_first_packet_wakes_the_sa_that_stands_by(bed: FrameBed, peer: Peer) -> None:
    """Its answer already leaves under that one."""
    where = paths(peer.worker_port, peer)
    bed.tell(outbound(2, 0x1002, standby=True, **where))
    bed.tell(inbound(2, 0x2002, **where))
    bed.sync()
    bed.hand_over()
    assert spi_of(peer.receive()) == 0x1001
    sleep(PAUSE)
    peer.send(*peer.sa(0x2002).seal_batch([ipv4()]))
    bed.devices[1].recv(1 << 16)
    bed.hand_over()
    assert spi_of(peer.receive()) == 0x1002


class Alone:
    """A worker that does nothing by itself, with a device and one SA, whose peer listens and says nothing."""

    def __init__(self, control: socket.socket, worker: Worker) -> None:
        self._control, self.worker, self.peer = control, worker, open_udp(LOOPBACK, 0)
        self.deferred = worker.context.deferred
        self.device, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, open_udp(LOOPBACK, 0) as sock:
            port = int(sock.getsockname()[1])
            self.tell(AddDevice(1, "vti1", False, 0, 0), theirs.fileno())
            self.tell(AddSocket(0, 4, SocketKind.UDP, LOOPBACK, port), sock.fileno())
            self.tell(outbound(1, 0x1001, local_port=port, remote_port=self.peer.getsockname()[1]))
        worker.serve_once()
        self.transport = worker.transports[0]

    def close(self) -> None:
        self.worker.close()
        self.device.close()
        self.peer.close()

    def tell(self, message: Message, fd: int | None = None) -> None:
        channel.send(self._control, message, fd)

    def calm_down(self) -> None:
        """Nothing comes for a while."""
        self.deferred.append(lambda: None)
        self.worker.serve_once()

    def stray(self, count: int) -> None:
        """So many packets come under an SPI that nobody has."""
        for _ in range(count):
            self.peer.sendto(bytes((0, 0, 16, 1)) + bytes(60), ("127.0.0.1", self.transport.local_port))

    def serve_packet(self) -> int:
        """The device gives one packet; how much work is left after it."""
        self.device.send(PLAIN + ipv4())
        self.worker.serve_once()
        return len(self.deferred)


@pytest.fixture
def alone() -> Iterator[Alone]:
    control, theirs = channel.pair()
    theirs.setblocking(False)
    with control, theirs, CounterBlock.create(1) as counters:
        worker = Worker(theirs, counters, 0, 1, lambda fd, mss4, mss6: FrameIo(fd, mss4, mss6))
        one = Alone(control, worker)
        yield one
        one.close()


def test_what_was_left_is_done_in_order_and_before_control_is_obeyed(alone: Alone) -> None:
    """Else a packet would be counted under the next SA of its slot, or with an old number."""
    done: list[int] = []
    alone.deferred.extend(partial(done.append, number) for number in range(3))
    alone.deferred.append(lambda: done.append(len(alone.worker.context.devices)))
    alone.tell(RemoveDevice(1))
    alone.worker.read_control()
    assert done == [0, 1, 2, 1]
    assert not alone.deferred
    assert not alone.worker.context.devices


def test_what_was_left_is_done_only_after_a_moment_of_sleep(alone: Alone) -> None:
    """Whoever a packet has woken may have to wait for this CPU."""
    done: list[float] = []
    begin = monotonic()
    alone.deferred.append(lambda: done.append(monotonic()))
    alone.worker.serve_once()
    assert [each - begin > 0.0005 for each in done] == [True]


def test_not_too_much_is_left_while_there_is_always_something(alone: Alone) -> None:
    left = []
    for _ in range(40):
        sleep(PAUSE)
        left.append(alone.serve_packet())  # counting, and noting the read
    assert max(left) == 17
    assert min(left[8:]) <= 2


def test_nor_when_nothing_had_come_for_a_while(alone: Alone) -> None:
    alone.calm_down()
    assert [alone.serve_packet() for _ in range(17)] == [*range(1, 17), 1]


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_the_socket_may_be_removed_while_it_is_read(
    alone: Alone, monkeypatch: pytest.MonkeyPatch, count: int, breaks: bool
) -> None:
    """Control's messages are read before an SPI counts as unknown. The socket is closed before the next
    turn."""
    inbound_of = SaDatabase.inbound

    def find(database: SaDatabase, spi: int) -> InboundEntry | None:
        if 0 in alone.worker.transports:
            alone.tell(RemoveSocket(0))
        elif breaks:
            raise KeyError("broken")
        return inbound_of(database, spi)

    monkeypatch.setattr(SaDatabase, "inbound", find)
    alone.calm_down()
    alone.stray(count)
    alone.worker.serve_once()
    assert alone.worker.transports == {}
    alone.serve_packet()
    assert alone.transport.fileno() == -1


@pytest.mark.parametrize("left", [0, 3])
def test_what_strangers_send_one_by_one_is_left_to_gather(alone: Alone, left: int) -> None:
    """It takes no fast path, however calm the worker was."""
    alone.calm_down()
    for _ in range(left):
        alone.serve_packet()
    alone.stray(1)
    alone.worker.serve_once()
    assert alone.transport.moderation.idle_from > 0


def test_a_packet_that_breaks_something_is_told_and_survived(
    bed: FrameBed, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is the first one after a pause or one of many such."""

    def broken(*_: object) -> None:
        raise KeyError("broken")

    for number in range(1, 3):
        with monkeypatch.context() as patch:
            patch.setattr(SaDatabase, "by_addresses", broken)
            sleep(PAUSE)
            bed.devices[1].send(PLAIN + ipv4(destination=f"10.2.0.{100 + number}"))
            assert "broken" in bed.hear(Fault).text
        bed.hand_over()
        peer.receive()
        bed.wait_for(lambda: bed.sa().out_packets == number)  # noqa: B023  at once


def test_a_frame_where_packets_came_alone(bed: FrameBed, peer: Peer) -> None:
    packet = Packet(Flow(), bytes(5000))
    for count in (2, 1):
        bed.hand_over()
        peer.receive()
        sleep(PAUSE)
        for _ in range(count):
            bed.devices[1].send(packet.frame(1200))
        for _ in range(count * 5):
            peer.receive()
    bed.wait_for(lambda: bed.sa().out_packets == 2 + 15)


def test_that_there_is_not_much_any_more_is_told(bed: FrameBed, peer: Peer) -> None:
    bed.make_busy(lambda: peer.burst(bed.devices[1], PLAIN + ipv4()))
    for _ in range(20):
        sleep(0.06)
        bed.hand_over()
        peer.receive()
    assert not bed.hear(BusyChanged).busy


def test_counting_that_fails_is_told_and_survived(
    bed: FrameBed, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(CounterBlock, "count_sealed", broken)
        bed.hand_over()
        peer.receive()
        assert "broken" in bed.hear(Fault).text
    bed.hand_over()
    peer.receive()
    bed.wait_for(lambda: bed.sa().out_packets == 1)
