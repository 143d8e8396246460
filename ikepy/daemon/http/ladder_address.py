"""The file with the address of the ladder's page, which is secret: whoever knows it sees the messages."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ikepy.daemon import log
from ikepy.daemon.errors import StartError

ADDRESS = "ladder.url"  # the file, beside the control socket
KEY = "daemon.http.ladder"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def tell_address(directory: Path, address: str) -> Path:
    """Write the page's address, token and all, into a file that we alone may read. Raises StartError.

    It is not logged: logs go to places where secrets should not.
    """
    path = directory / ADDRESS
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, _FLAGS, 0o600), "w") as file:
            file.write(f"{address}\n")
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}", key=KEY) from None
    log.info("http", f"the address of the ladder is in {path}", "http")
    return path


def forget_address(path: Path) -> None:
    """Remove it, as far as we still may: without the daemon it leads nowhere."""
    with suppress(OSError):
        path.unlink()
