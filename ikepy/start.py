"""The entry point of the command `ikepy`: imports the rest so that Ctrl-C meanwhile shows no traceback."""

import signal
import sys

from ikepy.interrupt import ending, interruptible


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["run"]:
        # A daemon that is asked to reload while it starts does so once it runs, instead of ending.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        signal.signal(signal.SIGTERM, ending())  # until it can end in order
    with interruptible():
        from ikepy.cli import main as command_line
    command_line()
