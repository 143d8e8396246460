"""Reads what the gateways of a lab write to their logs, as it comes."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

MOST = 200  # lines at once
_LARGEST = 1 << 16  # octets at once
# The log's text format: local time with milliseconds, level, subject and text (ikepy.daemon.log_format).
_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) (\w+) +([^:]+): (.*)")


@dataclass(frozen=True, slots=True)
class LogLine:
    """`time`: seconds of the epoch."""

    node: str
    time: float
    level: str
    subject: str
    text: str

    def describe(self) -> dict[str, object]:
        """For a page."""
        return asdict(self)


class GatewayLog:
    """The log of one node's daemon, from its beginning."""

    def __init__(self, node: str, path: Path) -> None:
        self._node = node
        self._path = path
        self._at = 0
        self._rest = b""

    def new(self) -> list[LogLine]:
        """The lines since the last call, MOST at most."""
        try:
            with self._path.open("rb") as file:
                if self._path.stat().st_size < self._at:  # it began again
                    self._at = 0
                file.seek(self._at)
                octets = file.read(_LARGEST)
        except OSError:
            return []
        self._at += len(octets)
        *whole, self._rest = (self._rest + octets).split(b"\n")
        found = [line(self._node, text.decode(errors="replace")) for text in whole[-MOST:]]
        return [one for one in found if one is not None]


def line(node: str, text: str) -> LogLine | None:
    """One line; None if it is no line of our log."""
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    moment = time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S")) + int(found[2]) / 1000
    return LogLine(node, moment, found[3].lower(), found[4], found[5])
