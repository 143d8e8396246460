"""A child that is to come up, and who waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ikepy.config.model import Child
from ikepy.sa.negotiation.ts_request import EVERYTHING, TsRequest
from ikepy.sa.state.child_sa import ChildSa


@dataclass(slots=True)
class WantedChild:
    """`tickets`: of the commands that wait for it. `ts_request`: how much of what is configured."""

    config: Child
    tickets: list[int] = field(default_factory=list)
    ts_request: TsRequest = EVERYTHING

    def met_by(self, child: ChildSa) -> bool:
        """Whether `child` is what is asked for."""
        return child.config.name == self.config.name and self.ts_request.met_by(child.selectors)
