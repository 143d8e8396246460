"""The daemon's log on stderr, one line a record: time, level, subject, text.

A text may hold what a peer sent (an identity, a notify's name), so control characters are escaped here: no
peer can forge a line or control a terminal. A thread writes the lines: nobody waits for the log's reader.
"""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Callable
from typing import TextIO

from ikepy.daemon.log_writer import LogWriter

LOGGER = logging.getLogger("ikepy")
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
Tell = Callable[[int, str, str], None]  # level, subject, text
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


STDERR = 2
CLOSING = 1.0  # seconds for the last lines at the end
_writers: list[LogWriter] = []  # the one in use, or none


class LineFormatter(logging.Formatter):
    """Time, level, subject and text in one line; a traceback follows on the same line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(subject)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        if not hasattr(record, "subject"):
            record.subject = record.name
        return one_line(super().format(record))


def one_line(text: str) -> str:
    """`text` with line ends as " | " and every other control character escaped."""
    if text.isprintable():
        return text
    return " | ".join(text.splitlines()).translate(_ESCAPES)


class _Handler(logging.Handler):
    """Hands lines to the thread that writes them."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self.writer = LogWriter(_write_stderr if stream is None else _to(stream), self._lost)

    def emit(self, record: logging.LogRecord) -> None:
        self.writer.put(f"{self.format(record)}\n")

    def _lost(self, count: int) -> str:
        text = f"{count:,} lines were lost: nobody read the log"
        return f"{self.format(_record(logging.WARNING, 'log', text))}\n"


def _write_stderr(text: str) -> None:
    # Not through `sys.stderr`: at the process's end its lock may be held by the thread that hangs here.
    data = text.encode(errors="backslashreplace")
    while data:
        try:
            data = data[os.write(STDERR, data) :]
        except BlockingIOError:  # a process that shares stderr made it non-blocking
            select.select([], [STDERR], [])


def _to(stream: TextIO) -> Callable[[str], None]:
    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Send the records of `level` (a key of LEVELS) and above to `stream` (default: stderr), by a thread."""
    close()
    handler = _Handler(stream)
    _writers.append(handler.writer)
    for logger in (LOGGER, logging.getLogger("asyncio")):
        logger.handlers[:] = [handler]
        logger.propagate = False
    set_level(level)


def set_level(level: str) -> None:
    """Write the records of `level` (a key of LEVELS) and above from now on."""
    LOGGER.setLevel(LEVELS[level])


def drain(seconds: float = CLOSING) -> None:
    """Wait until all lines are written, at most so many seconds."""
    for writer in _writers:
        writer.drain(seconds)


def close(seconds: float = CLOSING) -> None:
    """Write the lines that wait, if their reader takes them within `seconds`; later ones are lost."""
    while _writers:
        _writers.pop().close(seconds)


def lost() -> int:
    """How many lines were lost because nobody read the log."""
    return sum(writer.lost for writer in _writers)


def log(level: int, subject: str, text: str, *, traceback: BaseException | None = None) -> None:
    """Write one line. `traceback`: an exception whose traceback is added, without values of variables."""
    if LOGGER.isEnabledFor(level):
        LOGGER.handle(_record(level, subject, text, traceback))


def _record(level: int, subject: str, text: str, traceback: BaseException | None = None) -> logging.LogRecord:
    # Not `LOGGER.log`: it looks up its caller's line, which costs more than all the rest and is not used.
    information = None if traceback is None else (type(traceback), traceback, traceback.__traceback__)
    record = logging.LogRecord(LOGGER.name, level, "", 0, text, None, information)
    record.subject = subject
    return record


def debug(subject: str, text: str) -> None:
    log(logging.DEBUG, subject, text)


def info(subject: str, text: str) -> None:
    log(logging.INFO, subject, text)


def warning(subject: str, text: str) -> None:
    log(logging.WARNING, subject, text)


def error(subject: str, text: str) -> None:
    log(logging.ERROR, subject, text)
