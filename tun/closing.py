"""Closes descriptors of TUN devices in a thread of its own.

With its last descriptor the kernel removes a device (Documentation/networking/tuntap.rst), and `close` waits
for that: tens of milliseconds each, as all processors have to have let go of the device (RCU) and the kernel
removes one after the other. Whoever forwards packets, or removes a thousand, has no time for it.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from queue import SimpleQueue

_waiting: SimpleQueue[int] = SimpleQueue()


def close_later(fd: int) -> None:
    """Close a descriptor soon, without waiting for it. The kernel closes the rest at the process' end."""
    try:
        _start()
    except RuntimeError:  # the system permits no further thread
        os.close(fd)
    else:
        _waiting.put(fd)


@lru_cache(1)
def _start() -> None:
    """Start the thread, once a process."""
    threading.Thread(target=_close_all, name="close TUN devices", daemon=True).start()


def _close_all() -> None:
    while True:
        os.close(_waiting.get())
