"""SIGTERM ends a benchmark as Ctrl-C does: what it made is removed."""

from __future__ import annotations

import signal
from types import FrameType


def on_sigterm() -> None:
    """From now on SIGTERM raises KeyboardInterrupt in the main thread, once: cleaning up goes on."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt(number)
