"""Keys that may outlive the process: of tokens that tell peers of a crash (RFC 6290), of tickets (RFC 5723).

The daemon writes this table, perhaps from a file, and the IKE machine reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class TicketKey:
    """`key_id`: 4 octets, by which a ticket names it."""

    key_id: bytes
    secret: Secret


@dataclass(slots=True)
class RestartKeys:
    """The newest key first. Without `crash` no tokens are made, without `tickets` none are granted.

    `epoch`: Unix time less the machine's clock, in seconds: a ticket outlives that clock.
    """

    crash: tuple[Secret, ...] = ()
    tickets: tuple[TicketKey, ...] = ()
    epoch: float = 0.0
