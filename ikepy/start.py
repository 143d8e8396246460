"""The entry point of the command `ikepy`: imports the rest so that Ctrl-C meanwhile shows no traceback."""

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ikepy.interrupt import ending, interruptible

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["run"]:
        # A daemon that is asked to reload while it starts does so once it runs, instead of ending.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        signal.signal(signal.SIGTERM, ending())  # until it can end in order
    with interruptible():
        from ikepy.cli import main as command_line
    with written():
        command_line()


@contextmanager
def written() -> Iterator[None]:
    """Have all of standard output written; what it can't take, as on a full disk, is told in a line.

    A character that its encoding lacks is a question mark.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # None: it was closed before
                sys.stdout.flush()
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python tries once more at its end
        print(f"ikepy: standard output can't be written: {error.strerror}", file=sys.stderr)
        sys.exit(1)
