"""The VICI socket's clients: requests, events, and what a slow, silent or flooding one may cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vici.protocol import Message, Packet

from esp.ipc.counters import SaCounters
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.control_socket import MAX_CLIENTS, ControlSocket
from ikepy.daemon.control.snapshot import InstalledChild
from ikepy.daemon.effects.waiting_clients import FAULT
from ikepy.daemon.vici.events import ViciEvents
from ikepy.daemon.vici.message import Decoded, Pairs, ViciError
from ikepy.daemon.vici.packets import HEADER, MAX_PACKET
from ikepy.daemon.vici.sections import Reqids
from ikepy.daemon.vici.vici_client import Stream, ViciClient
from ikepy.sa.api.effects import Level, Log
from ikepy.sa.api.events import IkeUp
from ikepy.sa.api.log_source import NamedSa
from tests.unit.daemon.fakes import ike_info

BIG = "x" * 60000
LINE = Log(Level.INFO, "ab #1", "it rains", sa=NamedSa("ab", 1, bytes(8), bytes(8)))


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ikepy-t") as name:  # a Unix socket's path is short
        yield Path(name) / "s"


class FakeCommands:
    """echo, fail, fault, several events, a huge answer, and one that waits until its client is gone."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.waiting = 0
        self.enough = asyncio.Event()

    def knows(self, command: str) -> bool:
        return command in ("echo", "fail", "fault", "list", "huge", "wait")

    async def execute(self, command: str, given: Decoded, stream: Stream) -> Pairs:
        if command == "wait":
            self.waiting += 1
            try:
                await asyncio.wait_for(self.enough.wait(), 60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if command == "fail":
            raise ViciError("no such thing")
        if command == "fault":
            raise ZeroDivisionError("a bug")
        if command == "list":
            for number in range(200):
                await stream.send("list-sa", [(str(number), BIG)])
        if command == "huge":
            return [(str(number), BIG) for number in range(10)]
        return [(key, value) for key, value in given.items() if isinstance(value, bytes)]


class CountingEvents(ViciEvents):
    asked = 0

    def knows(self, event: str) -> bool:
        self.asked += 1
        return super().knows(event)


class Peer:
    """The other end of a client's socket, over strongSwan's codec."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, packet: bytes) -> None:
        self.writer.write(len(packet).to_bytes(HEADER, "big") + packet)

    async def receive(self) -> tuple[int, str, dict[str, Any]]:
        """Type, name and message of the next packet."""
        length = int.from_bytes(await self.reader.readexactly(HEADER), "big")
        parsed = Packet.parse(await self.reader.readexactly(length))
        name = parsed.event_type.decode() if parsed.response_type == Packet.EVENT else ""
        return parsed.response_type, name, dict(Message.deserialize(parsed.payload))

    async def ask(self, command: str, **arguments: str) -> dict[str, Any]:
        self.send(Packet.request(command, Message.serialize(arguments)))
        kind, _, message = await self.receive()
        assert kind == Packet.CMD_RESPONSE
        return message

    async def register(self, event: str) -> int:
        self.send(Packet.register_event(event))
        return (await self.receive())[0]

    def pause(self) -> None:
        """Read no more."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    def resume(self) -> None:
        cast(asyncio.Transport, self.writer.transport).resume_reading()

    async def is_cut_off(self) -> bool:
        """Whether the daemon closes the connection, without a word."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read() == b""
        return True


class Served:
    """A socket with clients, and the bus whose events they get."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commands = FakeCommands()
        self.bus = EventBus()
        self._nothing = SaCounters(0, 0, 0, 0, 0, 0, 0, {})
        traffic = lambda child: InstalledChild(child, None, self._nothing)  # noqa: E731
        self.events = CountingEvents(self.bus, traffic, Reqids())
        self._peers: list[Peer] = []

    async def connect(self) -> Peer:
        self._peers.append(Peer(*await asyncio.open_unix_connection(self.path)))
        return self._peers[-1]

    async def waits(self, peer: Peer, number: int) -> None:
        """This client gives the command "wait", as the `number`-th that does."""
        peer.send(Packet.request("wait"))
        while self.commands.waiting < number:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        for peer in self._peers:
            peer.writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await peer.writer.wait_closed()


def run(path: Path, scenario: Callable[[Served], Awaitable[None]]) -> None:
    async def inside() -> None:
        served = Served(path)
        control = ControlSocket.open(path)
        control.start(lambda sock: ViciClient(sock, served.commands, served.events))
        try:
            async with asyncio.timeout(20):
                await scenario(served)
        finally:
            await served.close()
            await control.close()

    asyncio.run(inside())
    assert not path.exists()


def test_requests_one_after_the_other(path: Path) -> None:
    async def scenario(served: Served) -> None:
        peer = await served.connect()
        assert await peer.ask("echo", a="1") == {"a": b"1"}
        assert await peer.ask("fail") == {"success": b"no", "errmsg": b"no such thing"}
        huge = await peer.ask("huge")
        assert huge["success"] == b"no" and b"ask for less" in huge["errmsg"]
        peer.send(Packet.request("no-such-command"))
        assert (await peer.receive())[0] == Packet.CMD_UNKNOWN
        peer.send(Packet.request("echo", b"\x07\x07"))
        assert (await peer.receive())[2]["success"] == b"no"
        assert await peer.ask("echo") == {}

    run(path, scenario)


def test_a_fault_of_ours_is_answered_and_costs_that_connection_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(served: Served) -> None:
        peer, other = await served.connect(), await served.connect()
        assert (await peer.ask("fault"))["errmsg"] == FAULT.encode()
        assert await peer.is_cut_off()
        assert await other.ask("echo") == {}

    run(path, scenario)
    (message,) = caplog.messages
    assert "a client's request failed" in message


def test_registrations(path: Path) -> None:
    async def scenario(served: Served) -> None:
        peer, other = await served.connect(), await served.connect()
        assert await peer.register("no-such-event") == Packet.EVENT_UNKNOWN
        assert await peer.register("log") == Packet.EVENT_CONFIRM
        assert await peer.register("log") == Packet.EVENT_CONFIRM  # once more changes nothing
        served.bus.publish(LINE)
        served.bus.publish(replace(LINE, level=Level.DEBUG))  # charon's `log` shows its level 1
        kind, name, message = await peer.receive()
        assert (kind, name) == (Packet.EVENT, "log")
        assert (message["ikesa-name"], message["ikesa-uniqueid"], message["msg"]) == (
            b"ab",
            b"1",
            b"it rains",
        )
        assert (message["group"], message["level"]) == (b"IKE", b"1")
        for expected in (Packet.EVENT_CONFIRM, Packet.EVENT_UNKNOWN):
            peer.send(Packet.unregister_event("log"))
            assert (await peer.receive())[0] == expected
        served.bus.publish(LINE)
        assert await peer.ask("echo") == {} == await other.ask("echo")

    run(path, scenario)


def test_a_streamed_list_is_for_those_that_registered(path: Path) -> None:
    async def scenario(served: Served) -> None:
        peer, other = await served.connect(), await served.connect()
        assert await other.register("list-sa") == Packet.EVENT_CONFIRM
        assert await peer.ask("list") == {}
        assert await peer.register("list-sa") == Packet.EVENT_CONFIRM
        peer.send(Packet.request("list"))
        names = [next(iter((await peer.receive())[2])) for _ in range(200)]
        assert names == [str(number) for number in range(200)]
        assert (await peer.receive())[0] == Packet.CMD_RESPONSE
        assert await other.ask("echo") == {}  # the other one got none of it

    run(path, scenario)


@pytest.mark.parametrize(
    "octets",
    [
        (MAX_PACKET + 1).to_bytes(HEADER, "big"),
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\1\x01",
        b"\0\0\0\1\x00",
        b"\0\0\0\3\x00\xffa",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_packet_ends_the_connection(path: Path, octets: bytes) -> None:
    async def scenario(served: Served) -> None:
        peer = await served.connect()
        peer.writer.write(octets)
        assert await peer.is_cut_off()
        assert await (await served.connect()).ask("echo") == {}

    run(path, scenario)


def test_a_packet_that_does_not_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has said nothing, or listens, may stay."""
    monkeypatch.setattr("ikepy.daemon.vici.vici_client.REST", 0.1)

    async def scenario(served: Served) -> None:
        silent, listener, peer = [await served.connect() for _ in range(3)]
        await listener.register("log")
        peer.writer.write((9).to_bytes(HEADER, "big") + b"\0\4ec")
        assert await peer.is_cut_off()
        assert await silent.ask("echo") == {} == await listener.ask("echo")

    run(path, scenario)


def test_a_client_that_goes_away_is_waited_for_no_more(path: Path) -> None:
    async def scenario(served: Served) -> None:
        peer = await served.connect()
        await served.waits(peer, 1)
        peer.writer.close()
        await served.commands.cancelled.wait()

    run(path, scenario)


def test_a_list_that_nobody_reads_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikepy.daemon.vici.vici_client.UNREAD", 0.1)
    monkeypatch.setattr("ikepy.daemon.control.socket_client.LEAVING", 0.1)

    async def scenario(served: Served) -> None:
        deaf, other = await served.connect(), await served.connect()
        await deaf.register("list-sa")
        deaf.pause()
        deaf.send(Packet.request("list"))
        assert await other.ask("echo") == {}
        while not deaf.writer.is_closing():
            with contextlib.suppress(ConnectionError):
                deaf.writer.write(b"\0")
                await deaf.writer.drain()
            await asyncio.sleep(0.01)
        assert await other.ask("echo") == {}

    run(path, scenario)


def test_a_listener_that_does_not_read_loses_lines_but_no_event(path: Path) -> None:
    """It is told how many lines; an event of an SA that has no room ends its connection."""

    async def scenario(served: Served) -> None:
        deaf, other = await served.connect(), await served.connect()
        for peer in (deaf, other):
            await peer.register("log")
        await deaf.register("ike-updown")
        deaf.pause()
        lines = 100
        for number in range(lines):
            served.bus.publish(replace(LINE, text=f"{number} {BIG}"))
            assert (await other.receive())[2]["msg"].startswith(f"{number} ".encode())
        deaf.resume()
        heard = 0
        while True:
            served.bus.publish(replace(LINE, text="more"))
            message = (await deaf.receive())[2]["msg"].decode()
            if message.endswith("lines are left out"):
                break
            heard += message.endswith("x")
        assert 0 < heard < lines
        assert heard + int(message.split()[0]) >= lines

        deaf.pause()
        for _ in range(lines):
            served.bus.publish(replace(LINE, text=BIG))
        served.bus.publish(IkeUp(ike_info(1)))
        deaf.resume()
        with contextlib.suppress(ConnectionError):
            await deaf.reader.read(-1)
        assert deaf.reader.at_eof() or deaf.reader.exception() is not None

    run(path, scenario)


def test_idle_clients_keep_nobody_out_and_listeners_go_last(path: Path) -> None:
    async def scenario(served: Served) -> None:
        listener = await served.connect()
        await listener.register("log")
        for _ in range(2 * MAX_CLIENTS):
            await served.connect()
        assert await (await served.connect()).ask("echo") == {}
        served.bus.publish(LINE)
        assert (await listener.receive())[1] == "log"

    run(path, scenario)


def test_a_flood_of_requests_is_served_in_turn_with_others(path: Path) -> None:
    """Requests that come faster than they are answered wait in the sender's socket, not with us."""

    async def scenario(served: Served) -> None:
        flood, other = await served.connect(), await served.connect()
        request = Packet.request("echo", Message.serialize({"a": BIG}))
        for _ in range(500):
            flood.send(request)
        for _ in range(20):
            assert await other.ask("echo", b="2") == {"b": b"2"}

    run(path, scenario)


def test_a_flood_of_registrations_is_served_in_turn_with_others(path: Path) -> None:
    """They are answered without waiting for anything, and yet others have their turn."""
    number = 10_000

    async def scenario(served: Served) -> None:
        flood, other = await served.connect(), await served.connect()
        assert await other.ask("echo") == {}
        register = Packet.register_event("x")
        flood.writer.write(number * (len(register).to_bytes(HEADER, "big") + register))
        await asyncio.sleep(0)
        assert await other.ask("echo") == {}
        assert served.events.asked < number / 2

    run(path, scenario)


@given(st.lists(st.binary(max_size=60), max_size=20), st.booleans())
@settings(max_examples=30, deadline=None)
def test_whatever_a_client_sends_others_are_served(packets: list[bytes], framed: bool) -> None:
    async def scenario(served: Served) -> None:
        hostile, other = await served.connect(), await served.connect()
        for packet in packets:
            if framed:
                hostile.send(packet)
            else:
                hostile.writer.write(packet)
        hostile.writer.write_eof()
        await hostile.is_cut_off()
        assert await other.ask("echo", a="1") == {"a": b"1"}

    with TemporaryDirectory(prefix="ikepy-t") as name:
        run(Path(name) / "s", scenario)


def test_a_client_that_waits_is_told_when_others_need_its_place(path: Path) -> None:
    async def scenario(served: Served) -> None:
        first = await served.connect()
        await served.waits(first, 1)
        for number in range(MAX_CLIENTS):
            await served.waits(await served.connect(), number + 2)
        message = (await first.receive())[2]
        assert b"too many clients" in message["errmsg"]
        assert await first.is_cut_off()

    run(path, scenario)


def test_signs_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at the beginning of a command, others while it is at work, none after it; to who asked for them."""
    monkeypatch.setattr("ikepy.daemon.vici.vici_client.HEARTBEAT", 0.01)

    async def scenario(served: Served) -> None:
        peer, other = await served.connect(), await served.connect()
        assert await peer.register("ikepy-alive") == Packet.EVENT_CONFIRM
        await served.waits(peer, 1)
        for _ in range(3):
            assert await peer.receive() == (Packet.EVENT, "ikepy-alive", {})
        assert await other.ask("echo", a="1") == {"a": b"1"}
        served.commands.enough.set()
        while (await peer.receive())[0] == Packet.EVENT:
            pass
        await asyncio.sleep(0.05)
        peer.send(Packet.unregister_event("ikepy-alive"))
        assert (await peer.receive())[0] == Packet.EVENT_CONFIRM

    run(path, scenario)


def test_a_client_that_only_ends_its_sending_gets_its_answer(path: Path) -> None:
    async def scenario(served: Served) -> None:
        peer = await served.connect()
        peer.send(Packet.request("echo", Message.serialize({"a": "1"})))
        peer.writer.write_eof()
        assert (await peer.receive())[2] == {"a": b"1"}
        assert await peer.reader.read() == b""

    run(path, scenario)


def test_a_flood_of_requests_whose_answers_nobody_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikepy.daemon.vici.vici_client.UNREAD", 0.1)
    monkeypatch.setattr("ikepy.daemon.control.socket_client.LEAVING", 0.1)

    async def scenario(served: Served) -> None:
        deaf, other = await served.connect(), await served.connect()
        deaf.pause()
        for _ in range(100):
            deaf.send(Packet.request("echo", Message.serialize({"a": "x" * 60000})))
        with pytest.raises(ConnectionError):
            while True:
                await deaf.writer.drain()
                deaf.writer.write(b"x")
                await asyncio.sleep(0.01)
        assert await other.ask("echo") == {}

    run(path, scenario)
