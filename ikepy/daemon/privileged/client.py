"""Control's end of the pair: starts the privileged process, asks it, and notices its end.

A request is answered in the order of its arrival, as a system call would be: control waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, get_args

from ikepy.daemon.privileged import codec, pair
from ikepy.daemon.privileged.requests import Answer, Begin, BeginNames, Done, Failed, Request
from ikepy.daemon.process.launcher import environment

PATIENCE = 7.0  # seconds for an answer
GOODBYE = 1.5  # seconds for its end; with PATIENCE and 4 for the peers less than a pod has after preStop (13)
ANSWERS = get_args(Answer)
ENDED = "the privileged process has ended"
SILENT = "the privileged process gives no answer"
T = TypeVar("T")


class Privileged:
    """The privileged process, from `start` to `close`."""

    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self._sock = sock
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._lock = threading.Lock()
        self._begun = False
        self._on_silence: Callable[[], object] | None = None

    @classmethod
    def start(cls) -> Privileged:
        """Start the process, which waits for `begin`. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                ours.settimeout(PATIENCE)
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "ikepy.daemon.privileged.main", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # a terminal's Ctrl-C is for control
                    env=environment(),
                )
                return cls(ours, process)
            except BaseException:
                ours.close()
                raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, begin: Begin) -> None:
        """Tell the process what it may be asked for. Raises OSError."""
        self._begun = True
        messages: list[Begin | BeginNames] = []
        messages += [BeginNames(part, ()) for part in codec.in_parts(begin.files)]
        messages += [BeginNames((), part) for part in codec.in_parts(begin.patterns)]
        messages.append(replace(begin, files=(), patterns=()))
        for data in map(_encoded, messages):
            try:
                pair.send(self._sock, data)
            except TimeoutError as error:  # it may still load, and reads nothing
                raise TimeoutError(errno.ETIMEDOUT, SILENT) from error
            except OSError as error:
                raise OSError(error.errno, ENDED) from error

    def watch(self, on_end: Callable[[str], None]) -> None:
        """Call `on_end` with how the process ended, or fell silent, if that is before `close`."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pidfd, self._ended, on_end)
        self._on_silence = functools.partial(loop.call_soon_threadsafe, self._silent, on_end)

    def _silent(self, on_end: Callable[[str], None]) -> None:
        if asyncio.get_running_loop().remove_reader(self._pidfd):  # else its end was told
            on_end(f"no answer within {PATIENCE:g} s")

    def _ended(self, on_end: Callable[[str], None]) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        status = self._process.wait()
        on_end(f"status {status}" if status >= 0 else f"signal {-status}, {signal.strsignal(-status)}")

    def _give_up(self) -> None:
        """Nothing more is asked: an answer that comes now would be taken for the next request's.

        A process that control may not kill, root's, ends with the pair, once it runs again.
        """
        self._sock.close()
        with contextlib.suppress(PermissionError):
            self._process.kill()
        if self._on_silence is not None:
            self._on_silence()

    def ask(self, request: Request, expected: type[T], fd: int | None = None) -> T:
        """The answer to a request that brings no descriptor; `fd` goes with it. Raises OSError."""
        answer, fds = self._exchange(request, expected, fd)
        pair.close(fds)
        return answer

    def ask_for_descriptor(self, request: Request, expected: type[T], fd: int | None = None) -> tuple[T, int]:
        """The answer to a request, and the descriptor that comes with it, the caller's to close.

        Raises OSError.
        """
        answer, fds = self._exchange(request, expected, fd)
        if len(fds) != 1:
            pair.close(fds)
            raise OSError(errno.EBADMSG, f"{type(request).__name__}: no descriptor came")
        return answer, fds[0]

    def do(self, request: Request) -> None:
        """Have something done. Raises OSError."""
        self.ask(request, Done)

    def _exchange(self, request: Request, expected: type[T], fd: int | None) -> tuple[T, list[int]]:
        data = _encoded(request)
        with self._lock:
            try:
                pair.send(self._sock, data, fd)
                received = pair.receive(self._sock)
            except TimeoutError as error:
                self._give_up()
                raise TimeoutError(errno.ETIMEDOUT, SILENT) from error
            except OSError as error:
                raise OSError(error.errno, ENDED) from error
        if received is None:
            raise OSError(errno.ECONNRESET, ENDED)
        try:
            answer: Any = codec.decode(received[0], *ANSWERS)
        except codec.CodecError as error:
            pair.close(received[1])
            raise OSError(errno.EBADMSG, str(error)) from error
        if isinstance(answer, Failed):
            pair.close(received[1])
            raise OSError(answer.code, answer.text)
        if not isinstance(answer, expected):
            pair.close(received[1])
            raise OSError(errno.EBADMSG, f"{type(request).__name__} was answered by {type(answer).__name__}")
        return answer, received[1]

    def close(self) -> None:
        """Close the pair, and wait for the process's end, for a while."""
        with contextlib.suppress(RuntimeError):  # no loop any more
            asyncio.get_running_loop().remove_reader(self._pidfd)
        self._on_silence = None
        self._sock.close()
        if not self._begun:  # it may be loading still, and has nothing to clean up
            self._process.kill()
        try:
            self._process.wait(GOODBYE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(PermissionError):  # another user's: it ends by itself
                self._process.kill()
        os.close(self._pidfd)


def _encoded(message: Begin | BeginNames | Request) -> bytes:
    """Raises OSError for one that is too large."""
    try:
        return codec.encode(message)
    except codec.CodecError as error:
        raise OSError(errno.EMSGSIZE, str(error)) from error
