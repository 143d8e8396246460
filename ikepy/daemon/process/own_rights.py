"""What control gives up and gets when it starts: capabilities, descriptors."""

from __future__ import annotations

import resource
from pathlib import Path

from ikepy.daemon import log
from ikepy.daemon.process.account import closed_to_root
from ikepy.daemon.process.capabilities import KEPT, Capability, bounding, effective, keep_only

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


def tell_of_a_bounding_set_that_stays() -> None:
    """Warn where no process of ours can empty its bounding set (capabilities(7))."""
    if bounding() and not effective() >> Capability.SETPCAP & 1:
        text = (
            "without CAP_SETPCAP the bounding sets of all processes stay as they are, so that no_new_privs "
            "alone keeps control and workers from capabilities: add SETPCAP to capabilities.add of the "
            "container, or CAP_SETPCAP to CapabilityBoundingSet= of the unit"
        )
        log.warning(SUBJECT, text)


def permit_many_descriptors() -> None:
    """Raise the soft limit of descriptors to the hard one: there are sockets for each address and worker."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
