"""Tells whether a command printed what the page says, apart from what differs from run to run."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What is never the same: it is replaced in both texts by one word before they are compared.
_DIFFERS = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "<date>"),
    (r"\b\d{4}-\d\d-\d\d\b", "<date>"),
    (r"\d\d:\d\d:\d\d\.\d{6}", "<time>"),
    (r"\b(0x)?[0-9a-f]{8,}(?![0-9a-f])", "<hex>"),  # SPIs, keys, nonces
    (r"\d+\.\d+(/\d+\.\d+)+ ms", "<times>"),
    (r"\b\d+(\.\d+)?\s?(ms|s|sec|min|h)\b", "<time>"),
    (r"\btime[= ]\d+(\.\d+)?", "time <time>"),
    (r"^\s*\d+\s+\d+\.\d{6}\b", "<row>"),  # of `ikepy decode`
    (r",? \d+ packets in, \d+ out", ""),  # `ikepy status` may not have heard of the last ones yet
    (r"\b\d+\.\d{6}\b", "<time>"),
    (r"\b(identifier|id|pid) \d+", r"\1 <number>"),
    (r"─+", "─"),
    (r"\s+", " "),
)
_REST = "…"


def normal(line: str) -> str:
    """The line without what differs from run to run."""
    for pattern, word in _DIFFERS:
        line = re.sub(pattern, word, line)
    return line.strip()


def fits(expected: Sequence[str], printed: str) -> bool:
    """Whether the lines of the page stand for what was printed."""
    wanted = [normal(line) for line in expected]
    found = [normal(line) for line in printed.rstrip("\n").splitlines()]
    return re.fullmatch("".join(map(_pattern, wanted)), "".join(f"{line}\n" for line in found)) is not None


def _pattern(line: str) -> str:
    if line == _REST:
        return r"(?:.*\n)*?"
    return ".*".join(map(re.escape, line.split(_REST))) + r"\n"
