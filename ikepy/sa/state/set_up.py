"""Records who set up an IKE_SA and when, to decide between simultaneous set-ups (RFC 7296 2.4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetUp:
    """The first set-up of an IKE_SA, before rekeys. Times are seconds on the machine's clock."""

    ours: bool  # we were the initiator
    began_at: float  # with our IKE_SA_INIT request, or the arrival of the peer's
    ended_at: float  # when the peer was authenticated
    lowest_nonce: bytes
    again: bool = False  # it reauthenticates an older IKE_SA
    bounces: int = 0  # IKE_SAs before it, in a row, that the peer ended as soon as they were up
