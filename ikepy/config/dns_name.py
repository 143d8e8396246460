"""A DNS name in the place of an address (RFC 1123 2.1): what it means is looked up while the daemon runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 253  # characters (RFC 1035 2.3.4)
LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
NAME = re.compile(rf"{LABEL}(?:\.{LABEL})*\.?")


@dataclass(frozen=True, slots=True, order=True)
class DnsName:
    """`text`: in lower case; a dot at its end keeps the resolver from trying its search domains."""

    text: str

    @classmethod
    def of(cls, text: str) -> DnsName | None:
        """The name that a text is; None if it is none. A last label without a letter is part of an
        address."""
        last = text.rstrip(".").rpartition(".")[2]
        if len(text) > MOST or not NAME.fullmatch(text) or not re.search("[A-Za-z]", last):
            return None
        return cls(text.lower())

    def __str__(self) -> str:
        return self.text
