"""Regular expressions for identities, by RE2, which takes linear time whatever they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol, cast

MAX_LENGTH = 256  # characters
MAX_MEMORY = 1 << 20  # octets that RE2 may use for one of them


class Expression(Protocol):
    def fullmatch(self, text: str) -> object | None: ...


@lru_cache(maxsize=1024)
def compiled(expression: str) -> Expression:
    """An expression that disregards case, as strongSwan's. ValueError if it is none."""
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"too long for a regular expression; allowed: at most {MAX_LENGTH} characters")
    try:
        import re2  # only for who uses regular expressions: it is no part of a plain installation
    except ImportError:
        raise ValueError(
            'regular expressions need google-re2: install ikepy with its extra "regex" '
            "(in a clone: pip install '.[regex]')"
        ) from None
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.max_mem = False, False, MAX_MEMORY
    try:
        return cast(Expression, re2.compile(expression, options))
    except re2.error as error:
        why = error.args[0] if error.args else b"?"
        text = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise ValueError(f"no regular expression: {text}") from None
