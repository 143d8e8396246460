"""ikepy.sa.auth.psk: both ends of a shared key, without an IKE_SA (RFC 7296 2.15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote, Config
from ikepy.config.toml_source import parse
from ikepy.crypto.auth import SignedOctets
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Received, Step
from ikepy.sa.auth.psk import DECOY, PskProver, PskVerifier
from ikepy.sa.auth.rounds import LocalRound, RemoteRound, Rounds
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.wire.constants import AuthMethod, IdType, NotifyType, Prf
from ikepy.wire.payloads import AuthPayload, NotifyPayload, Payload

INITIATOR, RESPONDER, OTHER = (Identity(IdType.FQDN, name) for name in (b"gwa", b"gwb", b"other"))
I_OCTETS = SignedOctets(b"IKE_SA_INIT request", b"nonce r", b"maced id i")
R_OCTETS = SignedOctets(b"IKE_SA_INIT response", b"nonce i", b"maced id r")
PSK = Rounds((LocalRound(AuthLocal(), PskProver()),), (RemoteRound(AuthRemote(), PskVerifier()),))
OTHERS = '[secrets.ike_others]\nids = ["x", "y"]\nsecret = "s3cr3t"\n'


def secrets(ids: str = '"gwa", "gwb"', **entries: str) -> Config:
    """[secrets] entries by name: the secret, which fits `ids`; one of others is there in any case."""
    text = "".join(f'[secrets.{name}]\nids = [{ids}]\nsecret = "{one}"\n' for name, one in entries.items())
    connection = '[connections.c]\nremote_addrs = ["192.0.2.2"]\n[connections.c.children.net]\n'
    return parse(connection + text + OTHERS)


def end(
    config: Config, *, initiator: bool, random: Callable[[int], bytes] = bytes, known: bool = True
) -> Context:
    ours, theirs = (INITIATOR, RESPONDER) if initiator else (RESPONDER, INITIATOR)
    octets = I_OCTETS if initiator else R_OCTETS
    return Context(SharedSecrets(config), random, Prf.HMAC_SHA2_256, ours, theirs, octets, known, initiator)


def from_initiator(*payloads: Payload) -> Received:
    return Received(payloads, INITIATOR, I_OCTETS)


def from_responder(*payloads: Payload) -> Received:
    return Received(payloads, RESPONDER, R_OCTETS)


RIGHT, WRONG = secrets(ike_ab="correct horse"), secrets(ike_ab="battery staple")


def begun(config: Config = RIGHT) -> More:
    step = PSK.initiate(end(config, initiator=True))
    assert isinstance(step, More)
    return step


def fault(step: Step) -> AuthenticationFault:
    assert isinstance(step, Failed)
    return step.fault


def test_both_ends_prove_that_they_hold_the_secret() -> None:
    request = begun()
    answer = PSK.respond(end(RIGHT, initiator=False), from_initiator(*request.payloads))
    assert isinstance(answer, Done)
    assert request.following(from_responder(*answer.payloads)) == Done()
    assert answer.payloads != request.payloads


def test_the_proof_of_one_end_is_none_for_the_other() -> None:
    """Sent back to its sender it proves nothing: each end signs its own octets."""
    request = begun()
    assert fault(request.following(from_responder(*request.payloads))) is AuthenticationFault.WRONG_SECRET


def test_another_secret_at_either_end() -> None:
    request = begun(WRONG)
    refused = PSK.respond(end(RIGHT, initiator=False), from_initiator(*request.payloads))
    assert fault(refused) is AuthenticationFault.WRONG_SECRET
    answer = PSK.respond(end(WRONG, initiator=False), from_initiator(*request.payloads))
    assert isinstance(answer, Done)
    concluded = begun(RIGHT).following(from_responder(*answer.payloads))
    assert fault(concluded) is AuthenticationFault.WRONG_SECRET


@pytest.mark.parametrize("part", ["message", "peer_nonce", "maced_id", "int_auth"])
def test_auth_covers_all_octets(part: str) -> None:
    request = begun()
    changed = replace(I_OCTETS, **{part: b"changed"})
    message = Received(request.payloads, INITIATOR, changed)
    assert fault(PSK.respond(end(RIGHT, initiator=False), message)) is AuthenticationFault.WRONG_SECRET


def test_the_method_counts_too() -> None:
    (auth,) = begun().payloads
    assert isinstance(auth, AuthPayload)
    assert auth.method == AuthMethod.SHARED_KEY_MIC
    signed = replace(auth, method=AuthMethod.RSA_SIGNATURE)
    found = PSK.respond(end(RIGHT, initiator=False), from_initiator(signed))
    assert fault(found) is AuthenticationFault.METHOD
    assert isinstance(found, Failed)
    assert "it authenticates by rsa signature" in found.why
    unknown = replace(auth, method=201)
    found = PSK.respond(end(RIGHT, initiator=False), from_initiator(unknown))
    assert isinstance(found, Failed)
    assert "method 201" in found.why


def test_without_auth_the_peer_wants_eap() -> None:
    other = NotifyPayload(NotifyType.INITIAL_CONTACT)
    found = PSK.respond(end(RIGHT, initiator=False), from_initiator(other))
    assert fault(found) is AuthenticationFault.METHOD
    assert fault(begun().following(from_responder(other))) is AuthenticationFault.METHOD


def test_no_secret_for_the_pair() -> None:
    none = secrets()
    assert fault(PSK.initiate(end(none, initiator=True))) is AuthenticationFault.NO_SECRET
    found = PSK.respond(end(none, initiator=False), from_initiator(*begun().payloads))
    assert fault(found) is AuthenticationFault.NO_SECRET
    of_the_peer = begun(secrets('"gwb"', ike_b="correct horse"))
    stranger = Received(of_the_peer.payloads, OTHER, R_OCTETS)
    assert fault(of_the_peer.following(stranger)) is AuthenticationFault.NO_SECRET


@pytest.mark.parametrize(("config", "known"), [(secrets(), True), (RIGHT, False)])
def test_who_is_not_known_costs_a_computation_too_and_never_succeeds(config: Config, known: bool) -> None:
    """Even one that guesses the key that stands in, here zeros."""
    asked: list[int] = []

    def random(octets: int) -> bytes:
        asked.append(octets)
        return bytes(octets)

    guess = begun(secrets(ike_ab="0x" + "00" * DECOY))
    context = end(config, initiator=False, random=random, known=known)
    found = PSK.respond(context, from_initiator(*guess.payloads))
    assert fault(found) is AuthenticationFault.NO_SECRET
    assert asked == [DECOY]


def test_of_several_secrets_the_one_of_both_identities_is_taken_and_named() -> None:
    """Others name one of the two, and stand before it."""
    near = """
[secrets.ike_a]
ids = ["gwa", "x"]
secret = "of a and x"
[secrets.ike_b]
ids = ["x", "gwb"]
secret = "of x and b"
"""
    several = parse(near + '[secrets.ike_ab]\nids = ["gwa", "gwb"]\nsecret = "correct horse"')
    assert begun(several).payloads == begun(RIGHT).payloads
    assert PSK.credential(end(several, initiator=True)) == "secret of [secrets.ike_ab]"
    answer = PSK.respond(end(several, initiator=False), from_initiator(*begun(RIGHT).payloads))
    assert isinstance(answer, Done)
    assert begun(several).following(from_responder(*answer.payloads)) == Done()
    words = "secret: the peer's is not the one of [secrets.ike_ab], which fits "
    refused = PSK.respond(end(several, initiator=False), from_initiator(*begun(WRONG).payloads))
    assert refused == Failed(f'{words}FQDN "gwa" and our FQDN "gwb"', AuthenticationFault.WRONG_SECRET)
    wrong = begun(several).following(from_responder(*begun(WRONG).payloads))
    assert wrong == Failed(f'{words}FQDN "gwb" and our FQDN "gwa"', AuthenticationFault.WRONG_SECRET)


def test_no_secret_is_explained_by_both_identities() -> None:
    words = "secret: no [secrets] entry fits "
    none = secrets()
    request = PSK.initiate(end(none, initiator=True))
    assert request == Failed(f'{words}FQDN "gwb" and our FQDN "gwa"', AuthenticationFault.NO_SECRET)
    answer = PSK.respond(end(none, initiator=False), from_initiator(*begun().payloads))
    assert answer == Failed(f'{words}FQDN "gwa" and our FQDN "gwb"', AuthenticationFault.NO_SECRET)
    of_the_peer = begun(secrets('"gwb"', ike_b="correct horse"))
    answer = of_the_peer.following(Received(of_the_peer.payloads, OTHER, R_OCTETS))
    assert answer == Failed(f'{words}FQDN "other" and our FQDN "gwa"', AuthenticationFault.NO_SECRET)


def test_the_log_names_the_entry_and_never_the_secret() -> None:
    context = end(RIGHT, initiator=True)
    assert PSK.credential(context) == "secret of [secrets.ike_ab]"
    assert PSK.credential(end(secrets(), initiator=True)) == ""
    step = PSK.respond(end(RIGHT, initiator=False), from_initiator(*begun(WRONG).payloads))
    assert isinstance(step, Failed)
    assert "[secrets.ike_ab]" in step.why
    assert "correct horse" not in step.why
