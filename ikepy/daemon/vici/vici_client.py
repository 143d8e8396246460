"""Serves one client of the VICI socket: its packets one after the other, and the events that it asked for.

What it may cost is bounded: octets of a packet, seconds for the rest of one that has begun, octets and
seconds that it may leave what it was sent unread. A client that asks nothing may stay, until others need its
place.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from typing import Protocol

from ikepy.daemon.control.socket_client import CROWDED, UNREAD, SocketClient, unless_gone
from ikepy.daemon.effects.waiting_clients import FAULT
from ikepy.daemon.vici.message import Decoded, Pairs, ViciError, decode
from ikepy.daemon.vici.packets import (
    ALIVE,
    HEADER,
    MAX_PACKET,
    Packet,
    PacketType,
    answer,
    event,
    parse_request,
)

REST = 10.0  # seconds for the rest of a packet that has begun
HEARTBEAT = 1.0  # seconds from one ALIVE to the next


def failure(text: str) -> list[tuple[str, str]]:
    """The answer to a command that can't be fulfilled."""
    return [("success", "no"), ("errmsg", text)]


class Stream:
    """The events that a command sends to its client before the answer, if the client registered for them."""

    def __init__(self, client: ViciClient) -> None:
        self._client = client

    async def send(self, name: str, pairs: Pairs) -> None:
        """Send an event, and wait until the client has room for the next. TimeoutError, ConnectionError."""
        if name in self._client.registered:
            await self._client.send(event(name, pairs))
            await asyncio.sleep(0)  # the rest of a long list is not everybody's loss

    def wants(self, name: str) -> bool:
        return name in self._client.registered

    def mention(self, name: str, pairs: Pairs) -> None:
        """Send an event, unless the client has too much unread."""
        if name in self._client.registered and self._client.has_room:
            self._client.write(event(name, pairs))


class Commands(Protocol):
    """Who executes commands, `ikepy.daemon.vici.commands.ViciCommands`."""

    def knows(self, command: str) -> bool: ...

    def execute(self, command: str, arguments: Decoded, stream: Stream) -> Awaitable[Pairs]:
        """The answer. Raises ViciError with a text for the client."""


class Events(Protocol):
    """Who sends events to those that registered, `ikepy.daemon.vici.events.ViciEvents`."""

    def knows(self, event: str) -> bool: ...

    def register(self, event: str, client: ViciClient) -> None: ...

    def unregister(self, event: str, client: ViciClient) -> None: ...


class ViciClient(SocketClient):
    """One connected client; it is busy while its command is executed, and while it is registered for events.

    `registered`: the names of these events.
    """

    limit = MAX_PACKET

    def __init__(self, sock: socket.socket, commands: Commands, events: Events) -> None:
        """`sock` is non-blocking; this object closes it."""
        super().__init__(sock)
        self._commands = commands
        self._events = events
        self._at_work = False
        self.registered: set[str] = set()

    def say_crowded(self, writer: asyncio.StreamWriter) -> None:
        if self._at_work:
            writer.write(answer(PacketType.CMD_RESPONSE, failure(CROWDED)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (packet := await _read_packet(reader)) is not None:
                try:
                    request = parse_request(packet)
                except ViciError:
                    return  # as charon does: VICI has no answer to what is no packet
                if not await self._answer(request, writer):
                    return
                await asyncio.sleep(0)  # else what is read already would be answered in one go
        finally:
            for name in tuple(self.registered):
                self._events.unregister(name, self)

    def ended(self) -> None:
        super().ended()
        for name in tuple(self.registered):
            self._events.unregister(name, self)

    def write(self, packet: bytes) -> None:
        """Queue a whole packet, unless the connection is closed."""
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write(packet)

    async def send(self, packet: bytes) -> None:
        """Queue a packet, and wait until there is room for the next. TimeoutError, ConnectionError."""
        if self.writer is not None:
            self.write(packet)
            async with asyncio.timeout(UNREAD):
                await self.writer.drain()

    async def _answer(self, request: Packet, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False: the client has gone away meanwhile."""
        if request.type is not PacketType.CMD_REQUEST:
            await self.send(answer(self._registration(request)))
            return True
        if not self._commands.knows(request.name):
            await self.send(answer(PacketType.CMD_UNKNOWN))
            return True
        self._work(True)
        try:
            done = await unless_gone(self._execute(request), writer)
            if done is None:
                return False
            if isinstance(done.exception(), TimeoutError | ConnectionError):
                return False
            if done.exception() is not None:
                self.write(answer(PacketType.CMD_RESPONSE, failure(FAULT)))
            await self.send(done.result())  # or raises it, for the log
        finally:
            self._work(False)
        return True

    async def _execute(self, request: Packet) -> bytes:
        stream = Stream(self)
        life = asyncio.create_task(_show_life(stream)) if stream.wants(ALIVE) else None
        try:
            pairs = await self._commands.execute(request.name, decode(request.message), stream)
            return answer(PacketType.CMD_RESPONSE, pairs)
        except ViciError as error:
            return answer(PacketType.CMD_RESPONSE, failure(str(error)))
        finally:
            if life is not None:
                life.cancel()

    def _registration(self, request: Packet) -> PacketType:
        name = request.name
        if not self._events.knows(name):
            return PacketType.EVENT_UNKNOWN
        if request.type is PacketType.EVENT_REGISTER:
            self.registered.add(name)
            self._events.register(name, self)
        elif name in self.registered:
            self.registered.discard(name)
            self._events.unregister(name, self)
        else:
            return PacketType.EVENT_UNKNOWN
        self._work(self._at_work)
        return PacketType.EVENT_CONFIRM

    def _work(self, at_work: bool) -> None:
        self._at_work = at_work
        self.set_busy(at_work or bool(self.registered))


async def _show_life(stream: Stream) -> None:
    while True:
        stream.mention(ALIVE, ())
        await asyncio.sleep(HEARTBEAT)


async def _read_packet(reader: asyncio.StreamReader) -> bytes | None:
    """The next packet without its length; None at the end, or after a length that no packet has.

    TimeoutError if one that has begun does not go on.
    """
    try:
        first = await reader.readexactly(1)
        async with asyncio.timeout(REST):
            length = int.from_bytes(first + await reader.readexactly(HEADER - 1), "big")
            return await reader.readexactly(length) if length <= MAX_PACKET else None
    except asyncio.IncompleteReadError:
        return None
