"""The client of the VICI socket: requests, events, and what it says when something is wrong."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ikepy.control.client import Client, ClientError, Message, RefusedError, ask, ask_for_list
from ikepy.daemon.vici.packets import HEADER, MAX_PACKET
from tests.unit.vici_daemon import ALIVE, EVENTS, Answer, vici_daemon


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ikepy.sock"


def test_request_and_answer(path: Path) -> None:
    with vici_daemon(path, {"version": Answer({"daemon": "ikepy", "of": {"it": ["a", "b"]}})}) as daemon:
        with Client(path) as client:
            assert client.request("version") == {"daemon": "ikepy", "of": {"it": ["a", "b"]}}
            assert client.request("version", {"child": "net", "timeout": 3}) == client.request("version")
        assert ask(path, "version") == {"daemon": "ikepy", "of": {"it": ["a", "b"]}}
    assert daemon.requests[:2] == [("version", {}), ("version", {"child": "net", "timeout": "3"})]


def test_events_come_before_the_answer(path: Path) -> None:
    lines = [
        ("control-log", {"msg": "one"}),
        ("list-sa", {"not": "asked for"}),
        ("control-log", {"msg": "2"}),
    ]
    told: list[Message] = []
    with vici_daemon(path, {"initiate": Answer({"success": "yes"}, lines)}):
        ask(path, "initiate", events={"control-log": told.append})
        assert told == [{"msg": "one"}, {"msg": "2"}]
        assert ask_for_list(path, "initiate", "list-sa") == [{"not": "asked for"}]


def test_a_connection_that_is_called_like_a_key(path: Path) -> None:
    event = b"\x03\x02up\x00\x03yes" + b"\x01\x02up" + b"\x03\x01a\x00\x011" + b"\x02"
    with raw_daemon(path, CONFIRMED, CONFIRMED, [b"\x07\x07list-sa" + event, b"\x01"], CONFIRMED):
        assert ask_for_list(path, "list-sas", "list-sa") == [{"up": {"a": "1"}}]


def test_refusal(path: Path) -> None:
    refusal = {"success": "no", "matches": "2", "errmsg": "no such child"}
    with (
        vici_daemon(path, {"initiate": Answer(refusal)}),
        pytest.raises(RefusedError, match=r"^no such child$") as caught,
    ):
        ask(path, "initiate")
    assert caught.value.answer == refusal


def test_unknown_command_and_event(path: Path) -> None:
    with vici_daemon(path, {}):
        with pytest.raises(ClientError, match="has no command 'initiate'"):
            ask(path, "initiate")
        with Client(path) as client, pytest.raises(ClientError, match="has no event 'nothing'"):
            client.listen("nothing")


def test_listen(path: Path) -> None:
    answer = Answer(events=[("log", {"msg": "one"}), ("log", {"msg": "two"})])
    with vici_daemon(path, {"log": answer}), Client(path) as client:
        events = client.listen("ike-updown", "log")
        assert [next(events), next(events)] == [("log", {"msg": "one"}), ("log", {"msg": "two"})]


def test_bytes_that_are_no_text(path: Path) -> None:
    with raw_daemon(path, CONFIRMED, b"\x01" + b"\x03\x01a\x00\x02\xff\xfe"):
        assert ask(path, "version") == {"a": "\udcff\udcfe"}


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (None, "closed the connection without an answer"),
        (b"", "makes no sense"),
        (b"\x00\x01a", "makes no sense"),
        (b"\x09", "makes no sense"),
        (b"\x05", "makes no sense"),
        (b"\x01\x03", "makes no sense"),
        (b"\x01" + b"\x01\x01a" * 50, "makes no sense"),
        (b"\x07\x09", "makes no sense"),
    ],
)
def test_nonsense(path: Path, packet: bytes | None, text: str) -> None:
    with (
        raw_daemon(path, CONFIRMED, *([] if packet is None else [packet])),
        pytest.raises(ClientError, match=text),
    ):
        ask(path, "list-sas")


def test_a_packet_that_is_too_long(path: Path) -> None:
    with raw_daemon(path, bytes(MAX_PACKET + 1)), pytest.raises(ClientError, match="makes no sense"):
        ask(path, "list-sas")


def test_nobody_there(path: Path) -> None:
    with pytest.raises(ClientError, match=r"no ikepy daemon is running at .*ikepy\.sock: start one"):
        Client(path)


def test_dead_daemons_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with pytest.raises(ClientError, match="no ikepy daemon is running"):
        Client(path)


def test_no_socket(path: Path, tmp_path: Path) -> None:
    path.write_text("")
    with pytest.raises(ClientError, match="no ikepy daemon is running"):
        Client(path)
    with pytest.raises(ClientError, match="can't be opened: AF_UNIX path too long"):
        Client(tmp_path / ("x" * 200))


def test_silent_daemon(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(ClientError, match=r"gave no answer within 0\.05 s"):
            ask(path, "list-sas", timeout=0.05)


def test_signs_of_life_are_no_events_and_no_answer(path: Path) -> None:
    events = [(ALIVE, {}), ("control-log", {"msg": "one"}), (ALIVE, {})]
    told: list[Message] = []
    with vici_daemon(path, {"initiate": Answer({"success": "yes"}, events)}):
        ask(path, "initiate", events={"control-log": told.append}, timeout=None)
    assert told == [{"msg": "one"}]


@pytest.mark.parametrize("command", ["list-sas", "initiate"])
def test_a_stopped_daemon_is_told_soon(path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kernel has taken the connection for it, and where its queue is full."""
    monkeypatch.setattr("ikepy.control.client.SILENCE", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen(0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
            with pytest.raises(ClientError, match=r"does not answer: no sign of life for 0\.1 s"):
                ask(path, command, timeout=None)
            with contextlib.suppress(BlockingIOError):  # now the queue is full, if it was not before
                waiting.setblocking(False)
                waiting.connect(str(path))
            with pytest.raises(ClientError, match=r"does not answer: no sign of life for 0\.1 s"):
                ask(path, command, timeout=None)


def test_a_daemon_that_stops_at_a_command_is_told_soon(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the event that shows life, and shows none."""
    monkeypatch.setattr("ikepy.control.client.SILENCE", 0.1)
    with (
        raw_daemon(path, CONFIRMED, hold=True),
        pytest.raises(ClientError, match=r"does not answer: no sign of life for 0\.1 s"),
    ):
        ask(path, "initiate", timeout=None)


def test_a_daemon_without_signs_of_life_may_take_its_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As charon, whose commands end when they end: only the timeout ends the wait."""
    monkeypatch.setattr("ikepy.control.client.SILENCE", 0.1)
    with (
        raw_daemon(path, b"\x06", hold=True),
        pytest.raises(ClientError, match=r"gave no answer within 0\.3 s"),
    ):
        ask(path, "initiate", timeout=0.3)
    other = path.with_name("other.sock")
    with vici_daemon(other, {"version": Answer({"daemon": "charon"})}, EVENTS - {ALIVE}):
        assert ask(other, "version", timeout=None) == {"daemon": "charon"}


CONFIRMED = b"\x05"


@contextmanager
def raw_daemon(path: Path, *answers: bytes | list[bytes], hold: bool = False) -> Iterator[None]:
    """Answers each request of one client with the next packet, or packets, and then leaves.

    `hold`: it stays, and is silent.
    """
    done = threading.Event()

    def serve() -> None:
        client, _ = server.accept()
        with client, client.makefile("rb") as requests, contextlib.suppress(BrokenPipeError):
            for answer in answers:
                requests.read(int.from_bytes(requests.read(HEADER), "big"))
                for packet in answer if isinstance(answer, list) else [answer]:
                    client.sendall(len(packet).to_bytes(HEADER, "big") + packet)
            requests.read(int.from_bytes(requests.read(HEADER), "big"))
            if hold:
                done.wait(10)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
