"""Authentication by a pre-shared key, alone: which secret is taken, and what fails (RFC 7296 2.15)."""

from __future__ import annotations

from ikepy.config.identity import Identity
from ikepy.config.model import Config
from ikepy.config.toml_source import parse
from ikepy.crypto.auth import SignedOctets, psk_auth
from ikepy.crypto.secret import Secret
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Received
from ikepy.sa.auth.psk import PreSharedKey
from ikepy.wire.constants import AuthMethod, IdType, Prf
from ikepy.wire.payloads import AuthPayload, EapPayload, Payload

PRF = Prf.HMAC_SHA2_256
METHOD = PreSharedKey()
A, B, C = (Identity(IdType.FQDN, name) for name in (b"a", b"b", b"c"))
OURS, THEIRS = SignedOctets(b"ours", b"nonce", b"id"), SignedOctets(b"theirs", b"other nonce", b"other id")
CONFIG = parse('[secrets.ike-b]\nids = ["b"]\nsecret = "correct horse"')


def context(remote: Identity = B, config: Config = CONFIG, *, known: bool = True) -> Context:
    return Context(config, bytes, PRF, A, remote, OURS, known)


def auth(octets: SignedOctets, secret: bytes = b"correct horse") -> AuthPayload:
    return AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(PRF, Secret(secret), octets))


def message(*payloads: Payload, remote: Identity = B) -> Received:
    return Received(payloads, remote, THEIRS)


def test_one_round_as_initiator() -> None:
    first = METHOD.initiate(context())
    assert isinstance(first, More)
    assert first.payloads == (auth(OURS),)
    assert first.following(message(auth(THEIRS))) == Done()


def test_one_round_as_responder() -> None:
    assert METHOD.respond(context(), message(auth(THEIRS))) == Done((auth(OURS),))


def test_a_wrong_proof_is_explained_by_the_name_of_the_secret() -> None:
    first = METHOD.initiate(context())
    assert isinstance(first, More)
    for proof in (
        auth(OURS),  # reflected
        auth(THEIRS, b"another"),
        AuthPayload(AuthMethod.RSA_SIGNATURE, auth(THEIRS).data),
    ):
        for step in (first.following(message(proof)), METHOD.respond(context(), message(proof))):
            assert isinstance(step, Failed)
            assert step.fault is AuthenticationFault.WRONG_SECRET
            assert step.why.startswith("secret: the peer's is not the one of [secrets.ike-b]")
            assert "correct horse" not in step.why


def test_no_secret() -> None:
    why = 'secret: no [secrets] entry fits FQDN "c" and our FQDN "a"'
    failed = Failed(why, AuthenticationFault.NO_SECRET)
    assert METHOD.initiate(context(C)) == failed
    assert METHOD.respond(context(C), message(auth(THEIRS), remote=C)) == failed
    first = METHOD.initiate(context())
    assert isinstance(first, More)
    assert first.following(message(auth(THEIRS), remote=C)) == failed


def test_a_peer_without_a_connection_fails_though_it_has_a_secret() -> None:
    assert isinstance(METHOD.respond(context(known=False), message(auth(THEIRS))), Failed)


def test_a_peer_that_wants_eap() -> None:
    first = METHOD.initiate(context())
    assert isinstance(first, More)
    for step in (first.following(message(EapPayload(b""))), METHOD.respond(context(), message())):
        assert isinstance(step, Failed)
        assert step.fault is AuthenticationFault.METHOD
        assert "EAP, which is not supported" in step.why


def test_what_the_log_calls_our_credential() -> None:
    assert METHOD.credential(context()) == "secret of [secrets.ike-b]"
    assert METHOD.credential(context(C)) == ""
