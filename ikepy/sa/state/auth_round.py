"""Keeps what an IKE_SA knows between two rounds of IKE_AUTH (RFC 7296 2.16)."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.auth import SignedOctets
from ikepy.sa.auth.authenticator import Following
from ikepy.wire.payloads import Payload

MOST_ROUNDS = 50  # of one IKE_AUTH: EAP methods with long chains of certificates take about 20


@dataclass(frozen=True, slots=True)
class Claim:
    """The identity that the peer claims. `octets`: what its AUTH covers. `connection`: None if none fits in
    the configuration of this `generation`."""

    identity: Identity
    octets: SignedOctets
    connection: Connection | None
    generation: int


@dataclass(frozen=True, slots=True)
class AuthRound:
    """`number` rounds are over; `following` takes the peer's next message.

    `request`: the payloads of the peer's first request, as responder; the last response answers what it asks
    for there.
    """

    number: int
    claim: Claim
    following: Following
    request: tuple[Payload, ...] = ()
