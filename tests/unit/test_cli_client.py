"""The control socket's client: requests, progress, and what it says when something is wrong."""

import contextlib
import socket
from pathlib import Path

import pytest

from ikepy.daemon.control.client import ClientError, request
from tests.unit.fake_daemon import fake_daemon, lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ikepy.sock"


def test_request_and_result(path: Path) -> None:
    with fake_daemon(path, lines({"ok": True, "result": [1, 2]})) as daemon:
        assert request(path, "list-sas") == [1, 2]
        assert request(path, "initiate", {"child": "net", "timeout": 3.5}) == [1, 2]
    assert daemon.requests == [
        {"command": "list-sas", "args": {}},
        {"command": "initiate", "args": {"child": "net", "timeout": 3.5}},
    ]


def test_progress_comes_before_the_result(path: Path) -> None:
    told: list[str] = []
    with fake_daemon(path, lines({"log": "one"}, {"log": "two"}, {"ok": True, "result": None})):
        assert request(path, "initiate", progress=told.append) is None
    assert told == ["one", "two"]


def test_refusal(path: Path) -> None:
    with (
        fake_daemon(path, lines({"log": "x"}, {"ok": False, "error": "no such child"})),
        pytest.raises(ClientError, match=r"^no such child$"),
    ):
        request(path, "initiate")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "closed the connection without an answer"),
        (b'{"log": "x"}\n', "closed the connection without an answer"),
        (b"hello\n", "makes no sense"),
        (b"[1]\n", "makes no sense"),
        (b"\xff\n", "makes no sense"),
        (b"[" * 100_000 + b"\n", "makes no sense"),
        (b'{"ok": "yes"}\n', "refused"),
    ],
)
def test_nonsense(path: Path, answer: bytes, text: str) -> None:
    with fake_daemon(path, answer), pytest.raises(ClientError, match=text):
        request(path, "list-sas")


def test_nobody_there(path: Path) -> None:
    with pytest.raises(ClientError, match=r"no ikepy daemon is running at .*ikepy\.sock: start one"):
        request(path, "list-sas")


def test_dead_daemons_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with pytest.raises(ClientError, match="no ikepy daemon is running"):
        request(path, "list-sas")


def test_no_socket(path: Path, tmp_path: Path) -> None:
    path.write_text("")
    with pytest.raises(ClientError, match="no ikepy daemon is running"):
        request(path, "list-sas")
    with pytest.raises(ClientError, match="can't be opened: AF_UNIX path too long"):
        request(tmp_path / ("x" * 200), "list-sas")


def test_silent_daemon(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(ClientError, match=r"gave no answer within 0\.05 s"):
            request(path, "list-sas", timeout=0.05)


def test_signs_of_life_are_no_progress_and_no_answer(path: Path) -> None:
    told: list[str] = []
    with fake_daemon(
        path, lines({"alive": True}, {"log": "one"}, {"alive": True}, {"ok": True, "result": 1})
    ):
        assert request(path, "initiate", progress=told.append, timeout=None) == 1
    assert told == ["one"]


@pytest.mark.parametrize("command", ["list-sas", "initiate"])
def test_a_stopped_daemon_is_told_soon(path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kernel has taken the connection for it, and where its queue is full."""
    monkeypatch.setattr("ikepy.daemon.control.client.SILENCE", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen(0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
            with pytest.raises(ClientError, match=r"does not answer: no sign of life for 0\.1 s"):
                request(path, command, timeout=None)
            with contextlib.suppress(BlockingIOError):  # now the queue is full, if it was not before
                waiting.setblocking(False)
                waiting.connect(str(path))
            with pytest.raises(ClientError, match=r"does not answer: no sign of life for 0\.1 s"):
                request(path, command, timeout=None)
