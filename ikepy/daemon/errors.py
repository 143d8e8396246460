"""The errors that keep the daemon from starting, or end it."""

from __future__ import annotations

from ikepy.errors import IkeError


class StartError(IkeError):
    """The text is one line: the key path in the configuration if there is one, what is wrong, what to do."""

    def __init__(self, text: str, *, key: str = "") -> None:
        super().__init__(f"{key}: {text}" if key else text)


class RunError(IkeError):
    """The daemon can't go on, and has ended in order. The text is one line."""
