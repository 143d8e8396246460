"""What keeps the daemon from starting."""

from __future__ import annotations

from ikepy.errors import IkeError


class StartError(IkeError):
    """One clear line: the key path where there is one, what is wrong, what helps."""

    def __init__(self, text: str, *, key: str = "") -> None:
        super().__init__(f"{key}: {text}" if key else text)
