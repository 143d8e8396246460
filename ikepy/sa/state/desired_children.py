"""The children that an IKE_SA is to have and has not yet; `tasks.desired` decides which these are."""

from __future__ import annotations

from collections import deque

from ikepy.sa.state.wanted_child import WantedChild


class DesiredChildren:
    """`purpose`: the names of the children that it was to bring up before it stood."""

    def __init__(self) -> None:
        self.purpose: list[str] = []
        self.waiting: deque[WantedChild] = deque()  # until the IKE_SA stands
        self.due: list[tuple[float, WantedChild]] = []  # to be asked for, and from when on
        self.unmet: dict[str, None] = {}  # that did not come up, in order
        self.bounced: dict[str, int] = {}  # how often in a row a child ended that hardly lasted

    @property
    def open(self) -> bool:
        """Whether any is still to be asked for."""
        return bool(self.waiting or self.due)

    @property
    def deadlines(self) -> list[float]:
        """When those are due that are to be asked for later."""
        return [at for at, _ in self.due]

    def take_due(self, now: float) -> list[WantedChild]:
        """Those that are to be asked for now."""
        found = [wanted for at, wanted in self.due if at <= now]
        self.due = [one for one in self.due if one[0] > now]
        return found

    def hand_over(self, other: DesiredChildren) -> None:
        """Whatever is to come up comes up on the other one's IKE_SA."""
        other.purpose = self.purpose
        other.due += self.due
        self.due = []
