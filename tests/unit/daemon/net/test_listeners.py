"""IKE over real UDP sockets on the loopback: the non-ESP marker, keepalives, errors that stop nothing."""

import asyncio
import errno
import os
import socket
from ipaddress import IPv4Address
from typing import ClassVar

import pytest

from esp.datapath.limits import FORWARD
from esp.ipc.messages import ForwardEsp
from esp.net import cmsg
from ikepy.daemon.errors import StartError
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.net.reception import Reception
from ikepy.sa.api.path import Endpoint, Path

LOOPBACK = IPv4Address("127.0.0.1")


def free_ports() -> tuple[int, int]:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


class Bed:
    """Listeners on free ports and a peer's socket."""

    def __init__(self) -> None:
        self.ike, self.nat_t = free_ports()
        self.listeners = Listeners.open([LOOPBACK], (self.ike, self.nat_t), 2, raw=False)
        self.received: asyncio.Queue[tuple[bytes, Path]] = asyncio.Queue()
        self.peer = socket.socket(type=socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.settimeout(2)
        self.remote = Endpoint(LOOPBACK, self.peer.getsockname()[1])

    async def __aenter__(self) -> "Bed":
        self.listeners.start(Reception(lambda data, path: self.received.put_nowait((data, path))))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.peer.close()
        await self.listeners.close()

    def path(self, port: int) -> Path:
        return Path(Endpoint(LOOPBACK, port), self.remote)

    def throw(self, data: bytes, port: int) -> None:
        self.peer.sendto(data, ("127.0.0.1", port))

    async def catch(self) -> tuple[bytes, Path]:
        return await asyncio.wait_for(self.received.get(), 2)

    async def sent(self) -> tuple[bytes, int]:
        data, address = await asyncio.to_thread(self.peer.recvfrom, 65536)
        return data, address[1]


def test_the_marker_is_added_and_stripped_on_the_nat_port_only() -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            bed.throw(b"plain", bed.ike)
            assert await bed.catch() == (b"plain", bed.path(bed.ike))
            bed.throw(bytes(4) + b"marked", bed.nat_t)
            assert await bed.catch() == (b"marked", bed.path(bed.nat_t))
            bed.listeners.send(bed.path(bed.ike), b"out")
            assert await bed.sent() == (b"out", bed.ike)
            bed.listeners.send(bed.path(bed.nat_t), b"out")
            assert await bed.sent() == (bytes(4) + b"out", bed.nat_t)
            bed.listeners.send_keepalive(bed.path(bed.nat_t))
            assert await bed.sent() == (b"\xff", bed.nat_t)

    asyncio.run(scenario())


def test_keepalives_and_esp_never_reach_the_machine() -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            for junk in (b"\xff", b"", b"\x00\x00", b"\x00\x00\x01\x00 esp for a worker"):
                bed.throw(junk, bed.nat_t)
            bed.throw(bytes(4) + b"ike", bed.nat_t)
            assert (await bed.catch())[0] == b"ike"
            assert bed.received.empty()

    asyncio.run(scenario())


def train(bed: Bed, *datagrams: bytes, tos: int = 0) -> None:
    """Send datagrams of one length, the last one perhaps shorter, as the kernel coalesces them (UDP_GRO)."""
    ancillary = cmsg.udp_segment(len(datagrams[0])) + cmsg.tos_octet(4, tos)
    bed.peer.sendmsg(datagrams, ancillary, 0, ("127.0.0.1", bed.nat_t))


def esp(spi: int, number: int) -> bytes:
    return spi.to_bytes(4, "big") + number.to_bytes(4, "big") + bytes(40)


def test_esp_that_is_coalesced_behind_an_ike_message_goes_to_its_worker() -> None:
    """RFC 3948 2.2: each datagram has its own marker, or none."""

    async def scenario() -> None:
        async with Bed() as bed:
            forwarded: list[ForwardEsp] = []
            bed.listeners.forward_esp = forwarded.append
            ike = [bytes(4) + bytes([number]) * 44 for number in (1, 2)]
            train(bed, ike[0], esp(0x1001, 1), esp(0x1000, 2), ike[1], esp(0x1001, 3)[:20], tos=0x2B)
            assert [await bed.catch() for _ in ike] == [(one[4:], bed.path(bed.nat_t)) for one in ike]
            ends = (LOOPBACK, bed.nat_t, LOOPBACK, bed.remote.port)
            rows = (esp(0x1001, 1), esp(0x1000, 2), esp(0x1001, 3)[:20])
            assert forwarded == [ForwardEsp(True, 0x2B, *ends, row) for row in rows]
            assert bed.listeners.stray == 0
            assert bed.received.empty()

    asyncio.run(scenario())


def test_esp_beyond_the_limit_is_counted() -> None:
    """Anyone can send it."""

    async def scenario() -> None:
        async with Bed() as bed:
            taken: list[ForwardEsp] = []
            bed.listeners.forward_esp = taken.append
            for number in range(50):
                train(bed, bytes(4) + bytes(44), *[esp(0x1001, number)] * 40)
                await bed.catch()
            assert FORWARD[1] <= len(taken) < 2000
            assert bed.listeners.stray == 2000 - len(taken)

    asyncio.run(scenario())


def test_esp_is_steered_to_the_worker_that_its_spi_names() -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            for spi in (1000, 1001):
                bed.throw(spi.to_bytes(4, "big") + b"esp", bed.nat_t)
            for slot, spi in ((0, 1000), (1, 1001)):
                (one,) = bed.listeners.of_slot(slot)
                one.sock.settimeout(2)
                assert one.sock.recv(100) == spi.to_bytes(4, "big") + b"esp"

    asyncio.run(scenario())


def test_what_cannot_be_sent_stops_nothing() -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            nowhere = Path(Endpoint(IPv4Address("127.0.0.9"), 500), bed.remote)
            bed.listeners.send(nowhere, b"no socket is bound to that")
            bed.listeners.send(bed.path(bed.ike), bytes(70000))  # EMSGSIZE
            bed.listeners.send(bed.path(bed.ike), b"next")
            assert await bed.sent() == (b"next", bed.ike)
            bed.throw(b"in", bed.ike)
            assert (await bed.catch())[0] == b"in"

    asyncio.run(scenario())


class ObstinateSocket(socket.socket):
    """Refuses what is sent with the errors of `plan` first."""

    plan: ClassVar[list[int]] = []

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:  # type: ignore[override]
        if self.plan:
            number = self.plan.pop(0)
            raise OSError(number, os.strerror(number))
        return super().sendto(data, address)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The errors of all sockets that are opened."""
    monkeypatch.setattr("esp.net.sockets.socket.socket", ObstinateSocket)
    ObstinateSocket.plan.clear()
    return ObstinateSocket.plan


@pytest.mark.parametrize("closed", [False, True], ids=["later", "at the end"])
def test_what_the_kernel_has_no_room_for_leaves_in_order(plan: list[int], closed: bool) -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            plan.extend([errno.EAGAIN] * 3)
            for number in range(5):
                bed.listeners.send(bed.path(bed.ike), b"%d" % number)
            if closed:
                await bed.listeners.close()
            assert [(await bed.sent())[0] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
            assert not plan

    asyncio.run(scenario())


def test_what_never_finds_room_does_not_hold_up_the_end(plan: list[int]) -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            plan.extend([errno.EAGAIN] * 200_000)
            for number in range(2000):
                bed.listeners.send(bed.path(bed.ike), b"%d" % number)

    asyncio.run(asyncio.wait_for(scenario(), 5))
    plan.clear()


def test_an_error_of_an_earlier_packet_costs_no_message(plan: list[int]) -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            plan.append(errno.ECONNREFUSED)
            bed.listeners.send(bed.path(bed.ike), b"sent all the same")
            assert await bed.sent() == (b"sent all the same", bed.ike)

    asyncio.run(scenario())


def test_the_last_messages_leave_before_the_sockets_close() -> None:
    async def scenario() -> None:
        async with Bed() as bed:
            bed.listeners.send(bed.path(bed.ike), b"delete")
            await bed.listeners.close()
            assert await bed.sent() == (b"delete", bed.ike)

    asyncio.run(scenario())


@pytest.mark.parametrize("reuse_port", [False, True])
def test_a_port_in_use_is_one_clear_line(reuse_port: bool) -> None:
    ike, nat_t = free_ports()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuse_port)
        other.bind(("127.0.0.1", nat_t))
        with pytest.raises(StartError, match=rf"UDP port {nat_t} of 127\.0\.0\.1: in use"):
            Listeners.open([LOOPBACK], (ike, nat_t), 1, raw=False)
    with socket.socket(type=socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", ike))  # what was opened first is closed again


def test_a_foreign_address_is_one_clear_line() -> None:
    with pytest.raises(StartError, match="not an address of this machine"):
        Listeners.open([IPv4Address("192.0.2.77")], free_ports(), 1, raw=False)


def test_a_filter_that_the_kernel_refuses_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    async def scenario() -> None:
        async with Bed() as bed:
            monkeypatch.setattr("ikepy.daemon.net.ike_sockets.attach_outside", fail)
            with caplog.at_level("WARNING", "ikepy"):
                bed.listeners.refuse_from({7, 9})
                bed.listeners.refuse_from({7, 9, 11})
            bed.throw(b"plain", bed.ike)
            assert await bed.catch() == (b"plain", bed.path(bed.ike))
            assert len(bed.listeners.add(IPv4Address("127.0.0.2"))) == 2

    asyncio.run(scenario())
    told = [message for message in caplog.messages if "a filter for 2 devices is refused" in message]
    assert len(told) == 1
