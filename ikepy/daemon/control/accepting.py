"""Accepts connections, as `accept(2)` does.

asyncio's own server is not used: without descriptors it logs a traceback a second, and it does not close its
clients (`Server.close_clients` came with Python 3.13).
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def accept_waiting(
    listening: socket.socket, most: int, take: Callable[[socket.socket], None]
) -> OSError | None:
    """Accept up to `most` of the clients that wait, and give each one's socket to `take`.

    Returns the error if the system has no descriptor or memory for a client: it goes on waiting. Raises other
    OSErrors.
    """
    queue = select.poll()
    queue.register(listening, select.POLLIN)
    for _ in range(most):
        if not queue.poll(0):  # accept(2) needs a free descriptor even to find that nobody waits
            return None
        try:
            sock, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            return error
        take(sock)
    return None
