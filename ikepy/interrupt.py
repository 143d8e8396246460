"""Ctrl-C while modules are imported ends the process without a traceback."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """While modules are imported and nothing is open yet, SIGINT ends the process as the system does it.

    Python's own KeyboardInterrupt would come out of whichever import was under way, with a traceback, or be
    swallowed there. Where SIGINT is ignored (a shell's background job) it stays so.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
