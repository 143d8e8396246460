"""Keeps what an IKE_SA knows between two rounds of IKE_AUTH (RFC 7296 2.16)."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.sa.auth.authenticator import Following
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.wire.payloads import IdPayload, Payload

MOST_ROUNDS = 50  # of one IKE_AUTH: EAP methods with long chains of certificates take about 20


@dataclass(frozen=True, slots=True)
class Claim:
    """The identity that the peer claims. `payload`: as it came, which its AUTH covers.

    `connection`: None if none fits in the configuration of this `generation`.
    """

    identity: Identity
    payload: IdPayload
    connection: Connection | None
    generation: int


@dataclass(frozen=True, slots=True)
class AuthRound:
    """`number` rounds are over; `following` takes the peer's next message.

    `request`: the payloads of the peer's first request, as responder; the last response answers what it asks
    for there. `ppk`: whether there was an AUTH that might name a postquantum preshared key; `mixed`: the keys
    with the one that is used, None: none is.
    """

    number: int
    claim: Claim
    following: Following
    request: tuple[Payload, ...] = ()
    ppk: bool = False
    mixed: IkeSaKeys | None = None
