"""EAP that somebody else's server speaks, for us to hand on: the interface to RADIUS (RFC 3579)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ikepy.eap.turns import Turn
from ikepy.sa.api.path import Path


@dataclass(frozen=True, slots=True)
class Relayed:
    """For which IKE_SA: what an AAA server is told of it. `remote_id`: what the peer calls itself in IKE."""

    ike_id: int
    connection: str
    path: Path
    remote_id: str


class Relay(Protocol):
    """Hands EAP on to an AAA server."""

    def begin(self, about: Relayed, user: str, identifier: int) -> Turn:
        """The server's first request, or its refusal. Waits for the network, as all turns that follow: it is
        called where that delays nobody. Its request has an identifier of the server's own."""
        ...
