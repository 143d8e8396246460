"""The life of an IKE_SA: its phases, and which requests the peer may send in each.

This table is the whole law: a request that is not in it never reaches a task.
"""

from __future__ import annotations

from enum import Enum

from ikepy.wire.constants import ExchangeType


class Phase(Enum):
    """The names that `list-sas` shows."""

    CREATED = "CREATED"  # nothing is negotiated yet
    CONNECTING = "CONNECTING"  # IKE_SA_INIT sent or answered; the peer is not authenticated
    ESTABLISHED = "ESTABLISHED"
    REKEYED = "REKEYED"  # a new IKE_SA has its children; waits to be deleted
    DELETING = "DELETING"  # we asked the peer to delete it
    DEAD = "DEAD"


PERMITTED: dict[Phase, frozenset[ExchangeType]] = {
    Phase.CREATED: frozenset(),
    Phase.CONNECTING: frozenset({ExchangeType.IKE_AUTH}),
    Phase.ESTABLISHED: frozenset({ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL}),
    Phase.REKEYED: frozenset({ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL}),
    Phase.DELETING: frozenset({ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL}),
    Phase.DEAD: frozenset(),
}


class End(Enum):
    """Why an IKE_SA is dead: what the manager does next depends on it."""

    TIMEOUT = "the peer does not answer"
    REFUSED = "the peer refused"
    DELETED_BY_PEER = "deleted by the peer"
    DELETED = "deleted"
    REPLACED = "replaced"
    REAUTHENTICATED = "authenticated anew"
    RESTARTED = "the peer started anew"
    EXPIRED = "its life is over"
    ADDRESS_GONE = "our address is gone, and the peer can't be told"  # no MOBIKE
    FAULT = "internal fault"
