"""Whose a file or directory is that holds our secrets: ours or root's, and out of others' reach."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ikepy.daemon.errors import StartError


def check_own(found: os.stat_result, path: Path, forbidden: int, what: str, key: str) -> None:
    """StartError with the configuration's `key` if it is another user's, or has bits of `forbidden` in its
    mode; `what`: what others may do then."""
    if found.st_uid not in (0, os.geteuid()):
        raise StartError(f"{path} belongs to another user (uid {found.st_uid})", key=key)
    if stat.S_IMODE(found.st_mode) & forbidden:
        raise StartError(f"others may {what} {path}: chmod go= {path}", key=key)
