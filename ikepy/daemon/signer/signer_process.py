"""Control's end of one signer process: starts it, asks it from any thread, and notices its end."""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, get_args

from ikepy.daemon.process.capabilities import Capability, handing_on
from ikepy.daemon.process.launcher import environment
from ikepy.daemon.signer.messages import MAX_MESSAGE, Answer, MessageError, Refused, Request, decode, encode

ANSWERS = get_args(Answer)
OF_TOKENS = ("SOFTHSM2_", "OPENSC_", "PKCS11_", "P11_")  # variables that PKCS#11 modules read
PATIENCE = 30.0  # seconds for an answer: a token may be slow, a password's derivation too
SENDING = 2.0  # seconds until the signer takes a request
TICKETS = 1 << 32


class SignerError(Exception):
    """A request that was refused, or not answered. The text is for the log."""


class SignerEndedError(SignerError):
    """The process has ended: another one may answer."""


class SignerSilentError(SignerError):
    """No answer in time."""


class SignerProcess:
    """One process. `on_end` is called once, in a thread, when it has ended without `close`."""

    def __init__(self, on_end: Callable[[str], object]) -> None:
        """Start it. Raises OSError."""
        self._on_end = on_end
        self._lock = threading.Lock()
        self._asked: dict[int, Future[Answer]] = {}
        self._next = 0
        self._closed = False
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Behind another user's directory control reads its program by a right, which the signer needs, too.
        with theirs, handing_on(Capability.DAC_READ_SEARCH):
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "ikepy.daemon.signer.signer_main", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # a terminal's Ctrl-C is for control
                    env=environment() | _for_tokens(),
                )
            except BaseException:
                self._sock.close()
                raise
        self.pid = self._process.pid
        self._thread = threading.Thread(target=self._read, name="signer", daemon=True)
        self._thread.start()

    def ask(self, make: Callable[[int], Request], fd: int | None = None, wait: float = PATIENCE) -> Answer:
        """The answer to the request that `make` makes of its ticket; `fd` goes with it, and stays open here.

        Any thread may ask. Raises SignerError, with nothing of the request in it.
        """
        future: Future[Answer] = Future()
        with self._lock:
            if self._closed:
                raise SignerEndedError("the signer has ended")
            self._next = ticket = (self._next + 1) % TICKETS
            self._asked[ticket] = future
        try:
            self._send(encode(make(ticket)), fd)
            answer = future.result(wait)
        except MessageError as error:
            raise SignerError(f"a request that is too long: {error}") from None
        except TimeoutError:
            raise SignerSilentError(f"the signer gives no answer within {wait:g} s") from None
        except (ConnectionError, BrokenPipeError):
            raise SignerEndedError("the signer has ended") from None
        except OSError as error:
            if self._closed:  # meanwhile, and the socket with it
                raise SignerEndedError("the signer has ended") from None
            raise SignerError(f"the signer can't be asked: {error.strerror or error}") from None
        finally:
            with self._lock:
                self._asked.pop(ticket, None)
        if isinstance(answer, Refused):
            raise SignerError(answer.why)
        return answer

    def _send(self, data: bytes, fd: int | None) -> None:
        rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        flags = socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT
        while True:
            try:
                self._sock.sendmsg([data], rights, flags)
            except BlockingIOError:
                room = select.poll()
                room.register(self._sock, select.POLLOUT)
                if not room.poll(SENDING * 1000):
                    raise SignerError("the signer takes no request: it is busy") from None
            else:
                return

    def _read(self) -> None:
        """Hand answers to those who wait, until the process ends or talks nonsense."""
        how = ""
        while not how:
            try:
                data = self._sock.recv(MAX_MESSAGE + 1)
                if not data:
                    break
                self._take(decode(data, *ANSWERS))
            except MessageError as error:
                how = f"it talks nonsense: {error}"
            except OSError:
                break
        with self._lock:
            own, self._closed = self._closed, True
            waiting = list(self._asked.values())
        for future in waiting:
            if not future.done():
                future.set_exception(ConnectionResetError(0, "it has ended"))
        self._process.kill()
        status = self._process.wait()
        self._sock.close()
        if not own:
            self._on_end(how or (f"status {status}" if status >= 0 else f"signal {-status}"))

    def _take(self, answer: Any) -> None:
        with self._lock:
            future = self._asked.pop(answer.ticket, None)
        if future is not None:  # else nobody waits any more
            future.set_result(answer)

    def close(self) -> None:
        """End it: keys go with its memory."""
        with self._lock:
            self._closed = True
        with contextlib.suppress(OSError):  # the other end is closed already
            self._sock.shutdown(socket.SHUT_RDWR)
        self._process.kill()
        self._thread.join()


def _for_tokens() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(OF_TOKENS)}
