"""The program of the privileged process, which control starts before it gives up its own rights.

`python -P -m ikepy.daemon.privileged.main FD`: FD is its end of a SOCK_SEQPACKET pair (unix(7)). The first
message is `Begin`, perhaps behind some `BeginNames`, each further one a request. It ends when control's end
is closed, and takes what is left of control with it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from dataclasses import replace
from typing import get_args

from ikepy.daemon.privileged import codec, pair
from ikepy.daemon.privileged.desk import Desk, Reply
from ikepy.daemon.privileged.requests import WITH_DESCRIPTOR, Answer, Begin, BeginNames, Failed, Request
from ikepy.daemon.process.capabilities import KEPT, Capability, keep_memory_private, keep_only
from tun import rtnetlink

REQUESTS = get_args(Request)


def receive_begin(sock: socket.socket) -> Begin | None:
    """`Begin` with all its names; None where the other end is closed. Raises CodecError and OSError."""
    files: list[str] = []
    patterns: list[str] = []
    while (received := pair.receive(sock)) is not None:
        message = codec.decode(received[0], Begin, BeginNames)
        files += message.files
        patterns += message.patterns
        if isinstance(message, Begin):
            return replace(message, files=tuple(files), patterns=tuple(patterns))
    return None


def serve(sock: socket.socket, desk: Desk) -> None:
    """Answer requests until the other end is closed. Raises OSError."""
    while (received := pair.receive(sock)) is not None:
        data, fds = received
        try:
            answer, fd = answer_one(desk, data, fds)
        finally:
            pair.close(fds)
        try:
            pair.send(sock, encoded(answer), fd)
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            if fd is not None:
                pair.close([fd])


def encoded(answer: Answer) -> bytes:
    """An answer that is too large becomes an error: no request ends the process."""
    try:
        return codec.encode(answer)
    except codec.CodecError as error:
        return codec.encode(Failed(errno.EMSGSIZE, str(error)))


def answer_one(desk: Desk, data: bytes, fds: list[int]) -> Reply:
    """The answer to a request, whatever it is: `Failed` for what is malformed, forbidden or fails."""
    try:
        request = codec.decode(data, *REQUESTS)
        if len(fds) != isinstance(request, WITH_DESCRIPTOR):
            raise codec.CodecError(f"{type(request).__name__}: a descriptor is missing or not wanted")
        return desk.answer(request, fds)
    except codec.CodecError as error:
        return Failed(errno.EBADMSG, str(error)), None
    except OSError as error:
        return Failed(error.errno or errno.EIO, (error.strerror or str(error))[: codec.MAX_TEXT]), None
    except Exception as error:  # no request ends the process, whatever pyroute2 makes of its values
        return Failed(errno.EINVAL, type(error).__name__), None


def main(arguments: list[str]) -> int:
    """Run until control closes the pair. Signals are ignored: control alone decides when this ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    keep_memory_private()
    with socket.socket(fileno=int(arguments[0])) as sock:
        sock.set_inheritable(False)
        begin = receive_begin(sock)
        if begin is None:
            return 0
        keep_only((*KEPT, Capability.DAC_READ_SEARCH) if begin.keep_reading else KEPT)
        rtnetlink.use_tag(begin.tag)
        desk = Desk(begin)
        try:
            serve(sock, desk)
        finally:
            desk.close()
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # control waits, and the interpreter has nothing to write
