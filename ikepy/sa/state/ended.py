"""Keeps what is left of an ended IKE_SA: the reason, and the children that may have to come up again."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.config.model import Child
from ikepy.sa.api.ends import End


@dataclass(slots=True)
class Ended:
    """`text`: why, for users. `was_up`: events told that it was up. The rest is known once
    `lifecycle.teardown` has run.

    `children`: those that were installed, or still to come up. `unfulfilled`: of these, the ones that were
    not installed.
    """

    why: End
    text: str
    was_up: bool
    torn_down: bool = False
    children: tuple[Child, ...] = ()
    unfulfilled: tuple[Child, ...] = ()
