"""A child that is to be brought up, and the commands that wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ikepy.config.model import Child
from ikepy.sa.negotiation.ts_request import EVERYTHING, TsRequest
from ikepy.sa.state.child_sa import ChildSa


@dataclass(slots=True)
class WantedChild:
    """`tickets`: of the waiting commands. `ts_request`: which part of the configured traffic to request.
    `replaces`: the child_id of a lost child that is deleted when this one is up. `given_up`: a user wants it
    down; it is not asked for any more, and if it was already, deleted."""

    config: Child
    tickets: list[int] = field(default_factory=list)
    ts_request: TsRequest = EVERYTHING
    replaces: int | None = None
    given_up: bool = False

    def reconfigure(self, config: Child) -> None:
        """Ask for the child as it is configured now; a part of other selectors means nothing any more."""
        if (config.local_ts, config.remote_ts) != (self.config.local_ts, self.config.remote_ts):
            self.ts_request = EVERYTHING
        self.config = config

    def met_by(self, child: ChildSa) -> bool:
        """Whether `child` satisfies this request."""
        return child.config.name == self.config.name and self.ts_request.met_by(child.selectors)
