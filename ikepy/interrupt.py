"""While modules are imported: Ctrl-C ends the process without a traceback, garbage is not searched for."""

import gc
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
    swallowed there. Where SIGINT is ignored (a shell's background job) it stays so. Searches for garbage, of
    which imports leave little, would take an eighth of its start.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, ending())
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()
        signal.signal(signal.SIGINT, before)
