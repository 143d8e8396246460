"""The phases of an IKE_SA: which may follow which, and which requests the peer may send in each.

Two tables decide alone: `IkeSa.enter` permits no other transition, and no other request reaches a task.
"""

from __future__ import annotations

from enum import Enum

from ikepy.wire.constants import ExchangeType


class Phase(Enum):
    """The names that `list-sas` shows."""

    CREATED = "CREATED"  # nothing is negotiated yet
    CONNECTING = "CONNECTING"  # IKE_SA_INIT sent or answered; the peer is not authenticated
    ESTABLISHED = "ESTABLISHED"
    REKEYED = "REKEYED"  # a new IKE_SA has its children; awaits its delete
    DELETING = "DELETING"  # we asked the peer to delete it
    DEAD = "DEAD"


FOLLOWS: dict[Phase, frozenset[Phase]] = {
    # An IKE_SA made by a rekey is established at once (RFC 7296 2.18).
    Phase.CREATED: frozenset({Phase.CONNECTING, Phase.ESTABLISHED, Phase.DEAD}),
    Phase.CONNECTING: frozenset({Phase.ESTABLISHED, Phase.DEAD}),
    Phase.ESTABLISHED: frozenset({Phase.REKEYED, Phase.DELETING, Phase.DEAD}),
    Phase.REKEYED: frozenset({Phase.DELETING, Phase.DEAD}),
    # After colliding rekeys the peer deletes the redundant IKE_SA, even if we have begun to.
    Phase.DELETING: frozenset({Phase.REKEYED, Phase.DEAD}),
    Phase.DEAD: frozenset(),
}

_ANY = frozenset({ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_FOLLOWUP_KE, ExchangeType.INFORMATIONAL})
PERMITTED: dict[Phase, frozenset[ExchangeType]] = {
    Phase.CREATED: frozenset(),
    # CONNECTING: the exchange that is next in its plan (`exchange_plan`).
    Phase.ESTABLISHED: _ANY,
    Phase.REKEYED: _ANY,
    Phase.DELETING: _ANY,
    Phase.DEAD: frozenset(),
}
# Between two rounds of IKE_AUTH the initiator may say too that it gives up (RFC 7296 2.16, 2.21.2).
BETWEEN_ROUNDS = frozenset({ExchangeType.INFORMATIONAL})
