"""The daemon's log on stderr, one line a record: time, level, subject, text; or JSON with the same and more.

Each line belongs to a subsystem, whose level can be set by itself. A thread writes the lines: nobody waits
for the log's reader.
"""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Callable, Mapping
from typing import TextIO, get_args

from ikepy.config.fields import Subsystem
from ikepy.daemon.log_format import FORMATTERS, Fields
from ikepy.daemon.log_writer import LogWriter

SUBSYSTEMS: tuple[Subsystem, ...] = get_args(Subsystem)
LOGGER = logging.getLogger("ikepy")
_LOGGERS = {name: LOGGER.getChild(name) for name in SUBSYSTEMS}
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
Tell = Callable[[int, str, str], None]  # level, subject, text
STDERR = 2
CLOSING = 1.0  # seconds for the last lines at the end
_writers: list[LogWriter] = []  # the one in use, or none


class _Handler(logging.Handler):
    """Hands lines to the thread that writes them."""

    def __init__(self, stream: TextIO | None, style: str) -> None:
        super().__init__()
        self.setFormatter(FORMATTERS[style]())
        self.writer = LogWriter(_write_stderr if stream is None else _to(stream), self._lost)

    def emit(self, record: logging.LogRecord) -> None:
        self.writer.put(f"{self.format(record)}\n")

    def _lost(self, count: int) -> str:
        text = f"{count:,} lines were lost: nobody read the log"
        return f"{self.format(_record(_LOGGERS['daemon'], logging.WARNING, 'log', text))}\n"


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


def set_up(level: str, stream: TextIO | None = None, style: str = "text") -> None:
    """Send the records of `level` (a key of LEVELS) and above to `stream` (default: stderr), by a thread.

    `style`: a key of `log_format.FORMATTERS`.
    """
    close()
    handler = _Handler(stream, style)
    _writers.append(handler.writer)
    for logger in (LOGGER, logging.getLogger("asyncio")):
        logger.handlers[:] = [handler]
        logger.propagate = False
    set_levels(level)


def set_style(style: str) -> None:
    """Write lines in this style (a key of `log_format.FORMATTERS`) from now on."""
    for handler in LOGGER.handlers:
        handler.setFormatter(FORMATTERS[style]())


def set_levels(level: str, special: Mapping[Subsystem, str] | None = None) -> None:
    """Write the records of `level` (a key of LEVELS) and above from now on; of some subsystems those of
    another level."""
    LOGGER.setLevel(LEVELS[level])
    for name, logger in _LOGGERS.items():
        other = None if special is None else special.get(name)
        logger.setLevel(logging.NOTSET if other is None else LEVELS[other])


def change_levels(special: Mapping[Subsystem, str]) -> None:
    """Write the records of another level of these subsystems from now on; others stay."""
    for name, level in special.items():
        _LOGGERS[name].setLevel(LEVELS[level])


def levels() -> dict[Subsystem, str]:
    """The level of each subsystem."""
    words = {number: word for word, number in LEVELS.items()}
    return {name: words[logger.getEffectiveLevel()] for name, logger in _LOGGERS.items()}


def writes(level: int, subsystem: Subsystem) -> bool:
    """Whether a line of this level is written."""
    return _LOGGERS[subsystem].isEnabledFor(level)


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


def log(
    level: int,
    subject: str,
    text: str,
    subsystem: Subsystem = "daemon",
    fields: Fields | None = None,
    *,
    traceback: BaseException | None = None,
) -> None:
    """Write one line. `fields`: what it is about, for JSON.

    `traceback`: an exception whose traceback is added, without values of variables.
    """
    logger = _LOGGERS[subsystem]
    if logger.isEnabledFor(level):
        logger.handle(_record(logger, level, subject, text, fields, traceback))


def _record(
    logger: logging.Logger,
    level: int,
    subject: str,
    text: str,
    fields: Fields | None = None,
    traceback: BaseException | None = None,
) -> logging.LogRecord:
    # Not `logger.log`: it looks up its caller's line, which costs more than all the rest and is not used.
    information = None if traceback is None else (type(traceback), traceback, traceback.__traceback__)
    record = logging.LogRecord(logger.name, level, "", 0, text, None, information)
    record.subject = subject
    record.fields = fields or {}
    return record


def debug(subject: str, text: str, subsystem: Subsystem = "daemon", fields: Fields | None = None) -> None:
    log(logging.DEBUG, subject, text, subsystem, fields)


def info(subject: str, text: str, subsystem: Subsystem = "daemon", fields: Fields | None = None) -> None:
    log(logging.INFO, subject, text, subsystem, fields)


def warning(subject: str, text: str, subsystem: Subsystem = "daemon", fields: Fields | None = None) -> None:
    log(logging.WARNING, subject, text, subsystem, fields)


def error(subject: str, text: str, subsystem: Subsystem = "daemon", fields: Fields | None = None) -> None:
    log(logging.ERROR, subject, text, subsystem, fields)


def device(level: int, subject: str, text: str) -> None:
    """Write a line about a device."""
    log(level, subject, text, "device")
