"""Ctrl-C while modules are imported ends the process without a traceback."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def ending() -> Callable[[int, object], None] | signal.Handlers:
    """What ends the process as the system does it, for `signal.signal`.

    For PID 1 of a container the system does nothing: a signal that it has no handler for is lost
    (pid_namespaces(7)).
    """
    return _end if os.getpid() == 1 else signal.SIG_DFL


def _end(number: int, _: object) -> None:
    os._exit(128 + number)  # a shell's status for it


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
    signal.signal(signal.SIGINT, ending())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
