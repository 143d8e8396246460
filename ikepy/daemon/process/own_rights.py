"""What control gives up and gets when it starts: capabilities, descriptors."""

from __future__ import annotations

import resource
from pathlib import Path

from ikepy.daemon import log
from ikepy.daemon.process.account import closed_to_root
from ikepy.daemon.process.capabilities import KEPT, Capability, keep_only

SUBJECT = "daemon"


def give_up_the_rest() -> None:
    """Drop all capabilities but those that are needed from here on. Raises OSError."""
    kept = KEPT
    directory = closed_to_root()
    if directory is not None:
        kept = (*KEPT, Capability.DAC_READ_SEARCH)
    tell_what_is_kept(directory)
    keep_only(kept)


def tell_what_is_kept(directory: Path | None) -> None:
    """Log that the program is in a directory which its user can't enter by itself."""
    if directory is not None:
        text = f"the right to read all files is kept: the program is behind {directory}, another user's"
        log.info(SUBJECT, text)


def permit_many_descriptors() -> None:
    """Raise the soft limit of descriptors to the hard one: there are sockets for each address and worker."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
