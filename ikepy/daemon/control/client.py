"""The client side of the control socket, for `ikepy list-sas` and others: one JSON object a line."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ikepy.errors import IkeError

DEFAULT_SOCKET = Path("/run/ikepy/ikepy.sock")
SILENCE = 4.0  # seconds without a line; a daemon that works on a command sends one every second
FULL_QUEUE = 0.05  # seconds between attempts to connect while the daemon's backlog is full (listen(2))
ANSWER_TIMEOUT = 30.0  # seconds, for commands that need no answer of a peer
MAX_LINE = 64 * 1024 * 1024  # bytes: a listing of a hundred thousand SAs

Arguments = dict[str, str | int | float | bool]


class ClientError(IkeError):
    """The daemon can't be reached, refused the command, or gave no valid answer."""


def request(
    path: Path,
    command: str,
    arguments: Arguments | None = None,
    *,
    progress: Callable[[str], None] | None = None,
    timeout: float | None = ANSWER_TIMEOUT,
) -> object:
    """Send one command, and return its result as JSON gives it. `progress` gets the log lines before it.

    `timeout` is in seconds, None: as long as the daemon shows that it is at work. ClientError with a text for
    the user.
    """
    now = time.monotonic()
    end = math.inf if timeout is None else now + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        first = now + SILENCE  # for the first line: the kernel accepts clients for a stopped daemon, too
        _connect(sock, path, min(first, end))
        try:
            _limit(sock, min(first, end))
            sock.sendall(json.dumps({"command": command, "args": arguments or {}}).encode() + b"\n")
            with sock.makefile("rb") as lines:
                return _result(_objects(sock, lines, first, end), progress)
        except TimeoutError:
            if time.monotonic() >= end:
                raise ClientError(f"the daemon at {path} gave no answer within {timeout:g} s") from None
            raise ClientError(_silent(path)) from None
        except OSError as error:
            raise ClientError(f"the daemon at {path} is gone: {error.strerror}") from None


def _silent(path: Path) -> str:
    return (
        f"the daemon at {path} does not answer: no sign of life for {SILENCE:g} s. It is stopped, or has "
        "far too much to do: see its log and its process"
    )


def _limit(sock: socket.socket, until: float) -> None:
    """Let operations on the socket raise TimeoutError from that monotonic time on."""
    sock.settimeout(max(until - time.monotonic(), 0.001))


def _connect(sock: socket.socket, path: Path, until: float) -> None:
    sock.setblocking(False)
    try:
        while True:
            try:
                return sock.connect(str(path))
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
        raise ClientError(f"{path} may not be opened: the daemon answers only to its own user") from None
    except OSError as error:
        raise ClientError(f"{path} can't be opened: {error.strerror or error}") from None


def _objects(sock: socket.socket, lines: BinaryIO, first: float, end: float) -> Iterator[dict[str, object]]:
    """The daemon's lines. `first`: until when the first one must be there, `end`: all (monotonic seconds)."""
    until = first
    while True:
        _limit(sock, min(until, end))
        line = lines.readline(MAX_LINE)
        if not line:
            return
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ClientError("the daemon's answer makes no sense: is it an ikepy of the same version?")
        yield value
        until = time.monotonic() + SILENCE


def _result(objects: Iterator[dict[str, object]], progress: Callable[[str], None] | None) -> object:
    for value in objects:
        if "ok" not in value:
            if progress is not None and "log" in value:
                progress(str(value["log"]))
        elif value["ok"] is True:
            return value.get("result")
        else:
            raise ClientError(str(value.get("error", "the daemon refused")))
    raise ClientError("the daemon has closed the connection without an answer")
