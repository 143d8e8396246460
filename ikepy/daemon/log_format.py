"""Formats log records: as text for people, or as JSON, an object a line, for programs.

A text may hold what a peer sent (an identity, a notify's name), so control characters are escaped here: no
peer can forge a line or control a terminal.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping

Fields = Mapping[str, str | int | float]


class TextFormatter(logging.Formatter):
    """Time, level, subject and text in one line; a traceback follows on the same line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(subject)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        if not hasattr(record, "subject"):
            record.subject = record.name
        return one_line(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object in a line.

    `time` (RFC 3339, UTC), `level`, `subsystem`, `subject` and `text` are always there. What a line is about
    has fields of its own: `connection`, `ike_id`, `spi_i`, `spi_r`, `child`, ...; `fault` is a traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        values: dict[str, str | int | float] = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "subsystem": record.name.rpartition(".")[2],
            "subject": getattr(record, "subject", record.name),
            **getattr(record, "fields", {}),
            "text": record.getMessage(),
        }
        if record.exc_info:
            values["fault"] = self.formatException(record.exc_info)
        return json.dumps(values)


def one_line(text: str) -> str:
    """`text` with line ends as " | " and whatever else can't be printed escaped: control characters, and
    those that turn the direction of writing or can't be seen."""
    if text.isprintable():
        return text
    joined = " | ".join(text.splitlines())
    return "".join(one if one.isprintable() else _escaped(ord(one)) for one in joined)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


FORMATTERS: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}
