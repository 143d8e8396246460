"""Defines a demand: the children of one connection to bring up, and the commands that wait for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ikepy.config.model import Connection
from ikepy.sa.negotiation.ts_request import Pair
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.redirect import Redirect

Key = tuple[str, str]  # names of connection and child


@dataclass(frozen=True, slots=True)
class Demand:
    """Children to bring up.

    `tickets`: the commands that wait for the outcome. `bounces`: how many of their IKE_SAs in a row ended
    soon after they were established. `replaces`: the IKE_SA that the new one reauthenticates. `packet`: the
    selectors of the packet that needs the children. `looked_up`: the connection's DNS names have been looked
    up for this try. `redirect`: the gateway that another one sent us to, which is tried first.
    """

    connection: Connection
    children: tuple[str, ...]
    tickets: tuple[int, ...] = ()
    bounces: int = 0
    replaces: IkeSa | None = None
    packet: Pair | None = None
    looked_up: bool = False
    redirect: Redirect | None = None

    def configured(self, connection: Connection | None) -> Demand | None:
        """The same of the connection as it is configured now (None: not at all); None if nothing is left."""
        if connection is None:
            return None
        children = tuple(name for name in self.children if name in connection.children)
        return replace(self, connection=connection, children=children) if children else None

    def only(self, name: str) -> Demand:
        """The same demand for one of the children, without the waiting commands."""
        return replace(self, children=(name,), tickets=())
