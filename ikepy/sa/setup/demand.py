"""What a set-up is asked for: the children of one connection that are to come up, and who waits for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ikepy.config.model import Connection
from ikepy.sa.negotiation.ts_request import Pair
from ikepy.sa.state.ike_sa import IkeSa

Key = tuple[str, str]  # connection and child


@dataclass(frozen=True, slots=True)
class Demand:
    """Children to bring up. `bounces`: how often in a row the peer let go of them as soon as they were up;
    `replaces`: the one to be reauthenticated; `packet`: why they are wanted."""

    connection: Connection
    children: tuple[str, ...]
    tickets: tuple[int, ...] = ()
    bounces: int = 0
    replaces: IkeSa | None = None
    packet: Pair | None = None

    def only(self, name: str) -> Demand:
        """One of the children, for which nobody waits."""
        return replace(self, children=(name,), tickets=())
