"""Tells a set-up that was given up here, as by a command or a reload, from one that failed."""

from __future__ import annotations

from ikepy.sa.api.ends import End
from ikepy.sa.api.events import IkeSetUpFailed

BY_US = frozenset({End.DELETED, End.REPLACED})


def given_up(event: IkeSetUpFailed) -> bool:
    """Whether it is what the user or the configuration asked for: there is no failure to look into."""
    return event.failure is None and event.end in BY_US
