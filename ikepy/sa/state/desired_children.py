"""The children that an IKE_SA is still to bring up; `tasks.desired` decides which."""

from __future__ import annotations

from collections import deque

from ikepy.sa.state.wanted_child import WantedChild

AT_ONCE = float("-inf")


class DesiredChildren:
    """`purpose`: names of the children requested before the IKE_SA was established."""

    def __init__(self) -> None:
        self.purpose: list[str] = []
        self.waiting: deque[WantedChild] = deque()  # until the IKE_SA is established
        self.due: list[tuple[float, WantedChild]] = []  # to be requested, from this time on
        self.unmet: dict[str, None] = {}  # names of those that failed to come up, in order
        self.bounced: dict[str, int] = {}  # by name: how often in a row the child ended soon after it came up

    @property
    def open(self) -> bool:
        """Whether any child is still to be requested."""
        return bool(self.waiting or self.due)

    @property
    def deadlines(self) -> list[float]:
        """The times at which children are to be requested."""
        return [at for at, _ in self.due]

    def take_due(self, now: float) -> list[WantedChild]:
        """Remove and return the children that are due to be requested."""
        found = [wanted for at, wanted in self.due if at <= now]
        self.due = [one for one in self.due if one[0] > now]
        return found

    def bring_forward(self, wanted: WantedChild) -> None:
        """If this one is due later, it is due now."""
        self.due = [(min(at, AT_ONCE) if one is wanted else at, one) for at, one in self.due]

    def remove(self, wanted: WantedChild) -> None:
        """This one is not to come up."""
        self.waiting = deque(one for one in self.waiting if one is not wanted)
        self.due = [entry for entry in self.due if entry[1] is not wanted]
        self.purpose = [name for name in self.purpose if name != wanted.config.name]

    def hand_over(self, other: DesiredChildren) -> None:
        """Move the children that are to come up to the successor's."""
        other.purpose = self.purpose
        other.due += self.due
        other.unmet |= self.unmet
        self.due, self.unmet = [], {}
