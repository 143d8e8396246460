"""How far a worker has got with both SAs of a CHILD_SA, for a machine that takes them over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EspState:
    """What only the worker knows of a child.

    `last_sequence`: the highest sequence number that may have been used for sending. It is the worker's own
    counter once it has stopped; one that was read before needs a margin for all that is sent until it stops,
    as a number that comes twice under an AEAD key gives the key away (RFC 4106 2). `replay_top`: the right
    edge of the replay window. `standby`: the outbound SA is not activated yet. `octets`, `packets`: carried,
    in the direction that carried more.
    """

    last_sequence: int
    replay_top: int
    standby: bool = False
    octets: int = 0
    packets: int = 0
