"""A client of the VICI socket, for `ikepy list-sas` and others (strongSwan's vici/README.md).

It blocks. A daemon that has events named ALIVE sends one at the beginning of a command, and one every second
while the command is at work: a client that hears none knows that the daemon is stopped, or has far too much
to do, however long the command may take. Other daemons' clients wait as long as their timeout.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeAlias, Union

from ikepy.daemon.vici.message import Decoded, Value, ViciError, decode
from ikepy.daemon.vici.packets import ALIVE, HEADER, MAX_PACKET, Packet, PacketType, parse_answer, request
from ikepy.errors import IkeError

DEFAULT_SOCKET = Path("/run/ikepy/ikepy.sock")
SILENCE = 4.0  # seconds without a packet; a daemon that works on a command sends one every second
FULL_QUEUE = 0.05  # seconds between attempts to connect while the daemon's backlog is full (listen(2))
ANSWER_TIMEOUT = 30.0  # seconds, for commands that need no answer of a peer

# A message whose values are text; octets that are no UTF-8 are surrogates (PEP 383).
Message: TypeAlias = dict[str, Union[str, list[str], "Message"]]
Told: TypeAlias = Callable[[Message], None]


class ClientError(IkeError):
    """The daemon can't be reached, refused the command, or gave no valid answer; the text is for the user."""


class RefusedError(ClientError):
    """The daemon's answer is `success = no`. `answer`: all of it."""

    def __init__(self, text: str, answer: Message) -> None:
        super().__init__(text)
        self.answer = answer


class Client:
    """A connection to the daemon, from `Client(path)` to `close`; a context manager, too."""

    def __init__(self, path: Path) -> None:
        """Raises ClientError if the socket can't be opened, or the daemon does not accept clients."""
        self._path = path
        self._buffer = b""
        self._alive: bool | None = None  # does the daemon have that event?
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(time.monotonic() + SILENCE)
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the daemon goes on with a command that waits for a peer."""
        self._sock.close()

    def request(
        self,
        command: str,
        arguments: Mapping[str, Value] | None = None,
        *,
        events: Mapping[str, Told] | None = None,
        timeout: float | None = ANSWER_TIMEOUT,
    ) -> Message:
        """Execute one command: its answer. `events`: who is told of which events that come before it.

        `timeout` is in seconds, None: as long as the daemon shows that it is at work. Raises ClientError,
        RefusedError if the answer is a failure.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        told = dict(events or {})
        try:
            return self._request(command, arguments or {}, told, end)
        except TimeoutError:
            if time.monotonic() >= end:
                text = f"the daemon at {self._path} gave no answer within {timeout:g} s"
                raise ClientError(text) from None
            raise ClientError(_silent(self._path)) from None
        except OSError as error:
            raise ClientError(f"the daemon at {self._path} is gone: {error.strerror}") from None

    def listen(self, *names: str) -> Iterator[tuple[str, Message]]:
        """Register for events, and yield each that comes, with its name, until the daemon ends (ClientError).

        The registration is done, or failed with ClientError, when this returns; an event that the daemon
        does not have is an error.
        """
        try:
            for name in names:
                if not self._register(name, time.monotonic() + SILENCE):
                    raise ClientError(f"the daemon at {self._path} has no event {name!r}")
        except TimeoutError:
            raise ClientError(_silent(self._path)) from None
        except OSError as error:
            raise ClientError(f"the daemon at {self._path} is gone: {error.strerror}") from None
        return self._events()

    def _events(self) -> Iterator[tuple[str, Message]]:
        try:
            while True:
                packet = self._packet(math.inf)
                if packet.type is PacketType.EVENT:
                    yield packet.name, _text(packet.message)
        except OSError as error:
            raise ClientError(f"the daemon at {self._path} is gone: {error.strerror}") from None

    def _request(
        self, command: str, arguments: Mapping[str, Value], told: dict[str, Told], end: float
    ) -> Message:
        if self._alive is None:
            self._alive = self._register(ALIVE, min(end, time.monotonic() + SILENCE))
        registered = [name for name in told if self._register(name, min(end, time.monotonic() + SILENCE))]
        self._send(request(PacketType.CMD_REQUEST, command, arguments.items()), end)
        while True:
            packet = self._packet(min(end, time.monotonic() + SILENCE) if self._alive else end)
            if packet.type is PacketType.EVENT:
                if packet.name in told:
                    told[packet.name](_text(packet.message))
            elif packet.type is PacketType.CMD_UNKNOWN:
                raise ClientError(f"the daemon at {self._path} has no command {command!r}")
            elif packet.type is PacketType.CMD_RESPONSE:
                answer = _text(packet.message)
                break
            else:
                raise _nonsense()
        for name in registered:
            self._registration(PacketType.EVENT_UNREGISTER, name, min(end, time.monotonic() + SILENCE))
        if answer.get("success", "yes") != "yes":
            raise RefusedError(str(answer.get("errmsg", "the daemon refused")), answer)
        return answer

    def _register(self, name: str, until: float) -> bool:
        return self._registration(PacketType.EVENT_REGISTER, name, until)

    def _registration(self, kind: PacketType, name: str, until: float) -> bool:
        """Whether the daemon has this event."""
        self._send(request(kind, name), until)
        while (packet := self._packet(until)).type is PacketType.EVENT:
            pass  # of a registration that ends
        if packet.type not in (PacketType.EVENT_CONFIRM, PacketType.EVENT_UNKNOWN):
            raise _nonsense()
        return packet.type is PacketType.EVENT_CONFIRM

    def _connect(self, until: float) -> None:
        path = self._path
        self._sock.setblocking(False)
        try:
            while True:
                try:
                    return self._sock.connect(str(path))
                except BlockingIOError:  # the daemon's backlog is full, and poll(2) does not wait for that
                    if time.monotonic() >= until:
                        raise ClientError(_silent(path)) from None
                    time.sleep(FULL_QUEUE)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise ClientError(
                f"no ikepy daemon is running at {path}: start one with `ikepy run`, or name its socket with "
                "--socket or IKEPY_SOCKET"
            ) from None
        except PermissionError:
            raise ClientError(
                f"{path} may not be opened: the daemon answers to root, who started it, and the group that "
                "daemon.socket_group names"
            ) from None
        except OSError as error:
            raise ClientError(f"{path} can't be opened: {error.strerror or error}") from None

    def _limit(self, until: float) -> None:
        """Let operations on the socket raise TimeoutError from that monotonic time on."""
        self._sock.settimeout(None if until == math.inf else max(until - time.monotonic(), 0.001))

    def _send(self, packet: bytes, until: float) -> None:
        self._limit(until)
        self._sock.sendall(packet)

    def _packet(self, until: float) -> Packet:
        """The daemon's next packet. ClientError for what is none; TimeoutError, OSError."""
        length = int.from_bytes(self._read(HEADER, until), "big")
        if length > MAX_PACKET:
            raise _nonsense()
        try:
            return parse_answer(self._read(length, until))
        except ViciError:
            raise _nonsense() from None

    def _read(self, count: int, until: float) -> bytes:
        while len(self._buffer) < count:
            self._limit(until)
            more = self._sock.recv(65536)
            if not more:
                raise ClientError("the daemon has closed the connection without an answer")
            self._buffer += more
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def ask(
    path: Path,
    command: str,
    arguments: Mapping[str, Value] | None = None,
    *,
    events: Mapping[str, Told] | None = None,
    timeout: float | None = ANSWER_TIMEOUT,
) -> Message:
    """Connect, execute one command, and leave: as `Client.request`."""
    with Client(path) as client:
        return client.request(command, arguments, events=events, timeout=timeout)


def ask_for_list(
    path: Path, command: str, event: str, arguments: Mapping[str, Value] | None = None
) -> list[Message]:
    """The events `event` that a command sends, one an item of its list. Raises ClientError."""
    items: list[Message] = []
    ask(path, command, arguments, events={event: items.append})
    return items


def _silent(path: Path) -> str:
    return (
        f"the daemon at {path} does not answer: no sign of life for {SILENCE:g} s. It is stopped, or has "
        "far too much to do: see its log and its process"
    )


def _nonsense() -> ClientError:
    return ClientError("the daemon's answer makes no sense: is it an ikepy, and of the same version?")


def _text(message: bytes) -> Message:
    try:
        return _as_text(decode(message, MAX_PACKET, repeats=True))
    except ViciError:
        raise _nonsense() from None


def _as_text(section: Decoded) -> Message:
    made: Message = {}
    for key, value in section.items():
        if isinstance(value, dict):
            made[key] = _as_text(value)
        elif isinstance(value, list):
            made[key] = [item.decode(errors="surrogateescape") for item in value]
        else:
            made[key] = value.decode(errors="surrogateescape")
    return made
