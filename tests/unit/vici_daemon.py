"""The server's side of the VICI socket, with answers that a test chooses, over strongSwan's own codec."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vici.protocol import FiniteStream, Message, Packet

from ikepy.daemon.vici.packets import HEADER

ALIVE = "ikepy-alive"
EVENTS = frozenset(
    {ALIVE, "control-log", "list-sa", "list-conn", "list-policy", "log", "ike-updown", "child-updown"}
)
Event = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What comes for a command: events, for who registered for them, then the message; None: nothing more."""

    message: Mapping[str, Any] | None = field(default_factory=dict)
    events: Sequence[Event] = ()


class FakeDaemon:
    """Answers every client with what `answers` has for its commands, and keeps what they asked.

    What `answers` has for an event comes with its registration.
    """

    def __init__(self, path: Path, answers: Mapping[str, Answer], events: frozenset[str]) -> None:
        self.path = path
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._answers = answers
        self._events = events
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._ending = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ending:
            client, _ = self._socket.accept()
            with client, client.makefile("rb") as packets, contextlib.suppress(BrokenPipeError):
                registered: set[str] = set()
                while header := packets.read(HEADER):
                    packet = packets.read(int.from_bytes(header, "big"))
                    if not self._answer(client, packet, registered):
                        break

    def _answer(self, client: socket.socket, packet: bytes, registered: set[str]) -> bool:
        kind, name = packet[0], packet[2 : 2 + packet[1]].decode()
        if kind != Packet.CMD_REQUEST:
            (registered.add if kind == Packet.EVENT_REGISTER else registered.discard)(name)
            known = name in self._events
            _send(client, bytes([Packet.EVENT_CONFIRM if known else Packet.EVENT_UNKNOWN]))
            by_itself = self._answers.get(name) if kind == Packet.EVENT_REGISTER else None
            if by_itself is None:
                return True
            for event, message in by_itself.events:
                _send(client, _event(event, message))
            return by_itself.message is not None
        self.requests.append((name, decoded(packet[2 + packet[1] :])))
        answer = self._answers.get(name)
        if answer is None:
            _send(client, bytes([Packet.CMD_UNKNOWN]))
            return True
        for event, message in answer.events:
            if event in registered:
                _send(client, _event(event, message))
        if answer.message is None:
            return False
        _send(client, bytes([Packet.CMD_RESPONSE]) + Message.serialize(answer.message))
        return True

    def close(self) -> None:
        self._ending = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
            last.connect(str(self.path))
        self._thread.join()
        self._socket.close()


def decoded(message: bytes) -> dict[str, Any]:
    """A request's arguments as text."""
    return {key: _text(value) for key, value in Message.deserialize(FiniteStream(message)).items()}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {key: _text(one) for key, one in value.items()}
    return [_text(one) for one in value]


def _event(name: str, message: Mapping[str, Any]) -> bytes:
    return b"".join((bytes([Packet.EVENT, len(name)]), name.encode(), Message.serialize(message)))


def _send(client: socket.socket, packet: bytes) -> None:
    client.sendall(len(packet).to_bytes(HEADER, "big") + packet)


@contextmanager
def vici_daemon(
    path: Path, answers: Mapping[str, Answer], events: frozenset[str] = EVENTS
) -> Iterator[FakeDaemon]:
    """A daemon that listens on `path` until the block ends, with these answers by command."""
    daemon = FakeDaemon(path, answers, events)
    try:
        yield daemon
    finally:
        daemon.close()
