"""The client of the daemon's control socket: one JSON object a line, each way."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ikepy.errors import IkeError

DEFAULT_SOCKET = Path("/run/ikepy/ikepy.sock")
CONNECT_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUT = 30.0  # seconds, for what the daemon knows without asking a peer
MAX_LINE = 64 * 1024 * 1024  # bytes: a listing of a hundred thousand SAs

Arguments = dict[str, str | int | float | bool]


class ClientError(IkeError):
    """The daemon can't be reached, refused the command, or answered nonsense."""


def request(
    path: Path,
    command: str,
    arguments: Arguments | None = None,
    *,
    progress: Callable[[str], None] | None = None,
    timeout: float | None = ANSWER_TIMEOUT,
) -> object:
    """The result of one command, as JSON gives it. `progress` gets the lines that come before it.

    `timeout` is in seconds between two lines, None: wait for ever. ClientError with a text for the user.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        _connect(sock, path)
        sock.settimeout(timeout)
        try:
            sock.sendall(json.dumps({"command": command, "args": arguments or {}}).encode() + b"\n")
            with sock.makefile("rb") as lines:
                return _result(_objects(lines), progress)
        except TimeoutError:
            raise ClientError(f"the daemon at {path} gave no answer within {timeout:g} s") from None
        except OSError as error:
            raise ClientError(f"the daemon at {path} is gone: {error.strerror}") from None


def _connect(sock: socket.socket, path: Path) -> None:
    sock.settimeout(CONNECT_TIMEOUT)
    try:
        sock.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise ClientError(
            f"no ikepy daemon is running at {path}: start one with `ikepy run`, or name its socket with "
            "--socket or IKEPY_SOCKET"
        ) from None
    except PermissionError:
        raise ClientError(f"{path} may not be opened: the daemon answers only to its own user") from None
    except TimeoutError:
        raise ClientError(f"the daemon at {path} does not answer") from None
    except OSError as error:
        raise ClientError(f"{path} can't be opened: {error.strerror or error}") from None


def _objects(lines: BinaryIO) -> Iterator[dict[str, object]]:
    while line := lines.readline(MAX_LINE):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ClientError("the daemon's answer makes no sense: is it an ikepy of the same version?")
        yield value


def _result(objects: Iterator[dict[str, object]], progress: Callable[[str], None] | None) -> object:
    for value in objects:
        if "ok" not in value:
            if progress is not None:
                progress(str(value.get("log", "")))
        elif value["ok"] is True:
            return value.get("result")
        else:
            raise ClientError(str(value.get("error", "the daemon refused")))
    raise ClientError("the daemon has closed the connection without an answer")
