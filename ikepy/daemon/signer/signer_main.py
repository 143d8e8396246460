"""The program of the signer: it has the private keys, signs what control asks for, and opens no socket.

Control starts it as `python -P -m ikepy.daemon.signer.signer_main FD`: FD is its end of a SOCK_SEQPACKET
pair. It keeps no capability, writes no core dump, lets no debugger in, and ends when the pair is closed, as
with control. (PR_SET_PDEATHSIG would end it with the thread of control that started it.)
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import get_args

from ikepy.daemon.process.capabilities import keep_memory_private, keep_only
from ikepy.daemon.signer.keys import Keys
from ikepy.daemon.signer.messages import (
    MAX_MESSAGE,
    Answer,
    LoadKey,
    MessageError,
    Refused,
    Request,
    decode,
    encode,
)
from ikepy.daemon.signer.module_threads import ModuleThreads

THREADS = 4  # requests at once, beside those of tokens
MOST_BEGUN = 64  # requests that were read and not answered; further ones stay in the pair
TOO_MANY = "too many requests wait for tokens already"
REQUESTS = get_args(Request)


def serve(sock: socket.socket, keys: Keys) -> None:
    """Answer requests until the other end is closed, or talks nonsense. Raises OSError.

    Those of each PKCS#11 module have threads of their own: one that hangs holds up nothing else.
    """
    room, buffer = threading.Semaphore(MOST_BEGUN), bytearray(MAX_MESSAGE + 1)
    pool, tokens = ThreadPoolExecutor(THREADS, "signing"), ModuleThreads()
    try:
        while True:
            room.acquire()
            size, fds = receive_into(sock, buffer)
            try:
                if not size:
                    return
                request = decode(memoryview(buffer)[:size], *REQUESTS)
                fd = os.dup(fds[0]) if fds and isinstance(request, LoadKey) else None
            except MessageError:
                return  # control is of this version, unless somebody else has taken its place
            finally:
                buffer[:size] = bytes(size)
                for one in fds:
                    os.close(one)
            job: Callable[[], Answer] = partial(keys.answer, request, fd)
            module = keys.module_of(request)
            if module is not None:
                if tokens.submit(module, partial(_answer, sock, job, fd)):
                    room.release()
                    continue
                job = partial(Refused, request.ticket, TOO_MANY)
            pool.submit(_answer, sock, job, fd).add_done_callback(lambda _: room.release())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        tokens.shutdown()


def _answer(sock: socket.socket, job: Callable[[], Answer], fd: int | None) -> None:
    answer = job()
    try:
        data = encode(answer)
    except ValueError as error:  # a container or token with more certificates than a message has room for
        data = encode(Refused(answer.ticket, str(error)[:200]))
    try:
        sock.sendmsg([data], [], socket.MSG_NOSIGNAL)
    except OSError:
        pass  # control is gone, which the reader notices
    finally:
        if fd is not None:
            os.close(fd)


def receive_into(sock: socket.socket, buffer: bytearray) -> tuple[int, list[int]]:
    """A datagram's size and descriptors, the caller's to close; size 0 when the other end is closed."""
    try:
        size, ancillary, _, _ = sock.recvmsg_into([buffer], socket.CMSG_SPACE(4 * 4), socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return 0, []
    fds: list[int] = []
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds += memoryview(rights[: len(rights) - len(rights) % 4]).cast("i").tolist()
    return size, fds


def main(arguments: list[str]) -> int:
    """Run until control closes the pair. Signals are ignored: control alone decides when this ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    keep_only(())
    keep_memory_private()
    with socket.socket(fileno=int(arguments[0])) as sock:
        sock.set_inheritable(False)
        serve(sock, Keys())
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # the interpreter has nothing to write, and no thread is waited for
