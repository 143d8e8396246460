"""ikepy.sa.auth.resumption: both ends prove that they have the keys of a ticket (RFC 5723 4.3.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.config.identity import Identity
from ikepy.config.toml_source import parse
from ikepy.crypto.auth import SignedOctets, psk_auth
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Received
from ikepy.sa.auth.resumption import ByTicket
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.wire.constants import AuthMethod, IdType, Prf
from ikepy.wire.payloads import AuthPayload

INITIATOR, RESPONDER, OTHER = (Identity(IdType.FQDN, name) for name in (b"gwa", b"gwb", b"other"))
I_OCTETS = SignedOctets(b"IKE_SESSION_RESUME request", b"nonce r", b"maced id i")
R_OCTETS = SignedOctets(b"IKE_SESSION_RESUME response", b"nonce i", b"maced id r")
SK_PI, SK_PR = Secret(b"i" * 32), Secret(b"r" * 32)
CONFIG = parse('[secrets.ike]\nsecret = "x y z"')


def end(*, initiator: bool) -> Context:
    ours, theirs = (INITIATOR, RESPONDER) if initiator else (RESPONDER, INITIATOR)
    keys = (SK_PI, SK_PR) if initiator else (SK_PR, SK_PI)
    octets = I_OCTETS if initiator else R_OCTETS
    secrets = SharedSecrets(CONFIG)
    return Context(secrets, bytes, Prf.HMAC_SHA2_256, ours, theirs, octets, True, initiator, sk_p=keys)


def proof(secret: Secret, octets: SignedOctets) -> AuthPayload:
    """As the RFC has it: prf(SK_px, <octets>), without the pad of shared keys."""
    data = prf(Prf.HMAC_SHA2_256).compute(secret, b"".join(octets.parts))
    return AuthPayload(AuthMethod.SHARED_KEY_MIC, data)


CLIENT, GATEWAY = ByTicket(INITIATOR, RESPONDER), ByTicket(RESPONDER, INITIATOR)


def test_both_ends() -> None:
    first = CLIENT.initiate(end(initiator=True))
    assert isinstance(first, More)
    assert first.payloads == (proof(SK_PI, I_OCTETS),)
    answer = GATEWAY.respond(end(initiator=False), Received(first.payloads, INITIATOR, I_OCTETS))
    assert isinstance(answer, Done)
    assert answer.payloads == (proof(SK_PR, R_OCTETS),)
    last = first.following(Received(answer.payloads, RESPONDER, R_OCTETS))
    assert last == Done(remark="resumed")


@pytest.mark.parametrize(
    "payload",
    [
        proof(SK_PR, I_OCTETS),
        proof(SK_PI, R_OCTETS),
        AuthPayload(AuthMethod.SHARED_KEY_MIC, b""),
        AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(Prf.HMAC_SHA2_256, SK_PI, I_OCTETS)),
        replace(proof(SK_PI, I_OCTETS), method=AuthMethod.RSA_SIGNATURE),
        None,
    ],
)
def test_another_proof(payload: AuthPayload | None) -> None:
    message = Received(() if payload is None else (payload,), INITIATOR, I_OCTETS)
    assert isinstance(GATEWAY.respond(end(initiator=False), message), Failed)


def test_another_identity_than_in_the_ticket() -> None:
    message = Received((proof(SK_PI, I_OCTETS),), OTHER, I_OCTETS)
    assert isinstance(GATEWAY.respond(end(initiator=False), message), Failed)
    ours = ByTicket(OTHER, INITIATOR)
    right = Received((proof(SK_PI, I_OCTETS),), INITIATOR, I_OCTETS)
    assert isinstance(ours.respond(end(initiator=False), right), Failed)


def test_a_peer_that_no_connection_is_for_any_more() -> None:
    message = Received((proof(SK_PI, I_OCTETS),), INITIATOR, I_OCTETS)
    assert isinstance(GATEWAY.respond(replace(end(initiator=False), known=False), message), Failed)


def test_without_keys() -> None:
    with pytest.raises(LocalMisuse):
        CLIENT.initiate(replace(end(initiator=True), sk_p=None))
