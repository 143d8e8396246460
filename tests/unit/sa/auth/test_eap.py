"""EAP-TLS within IKE_AUTH messages: both ends' steps one after the other (RFC 7296 2.16, RFC 5998)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.config.toml_source import parse
from ikepy.crypto.auth import SignedOctets
from ikepy.eap.packet import Code, Packet
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Pending, Received, Step
from ikepy.sa.auth.eap import EapProver, EapVerifier
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.wire.constants import Prf
from ikepy.wire.payloads import AuthPayload, EapPayload, Payload
from tests import pki
from tests.exchange.eap_tls import Store

TLS = {"auth": "eap-tls"}
CAROL, MOON = "carol@example.org", "moon.example.org"


def identity(text: str) -> Identity:
    found = Identity.parse(text)
    assert found is not None
    return found


def octets(which: str) -> SignedOctets:
    return SignedOctets(which.encode(), b"nonce", b"maced")


def context(own: str, other: str, store: Store, *, initiator: bool) -> Context:
    return Context(
        SharedSecrets(parse("")),
        lambda size: bytes(size),
        Prf.HMAC_SHA2_256,
        identity(own),
        identity(other),
        octets(own),
        initiator=initiator,
        credentials=store,
    )


def stores() -> tuple[Store, Store]:
    made = pki.chain("ecdsa")
    return Store(made.carol, {MOON: made.moon}), Store(made.moon, {CAROL: made.carol})


def settled(step: Step) -> Done | More | Failed:
    while isinstance(step, Pending):
        step.job()  # whoever starts over gets the same
        step = step.then(step.job())
    return step


Change = Callable[[str, tuple[Payload, ...]], tuple[Payload, ...]]


def converse(
    ours: Store, theirs: Store, *, alone: bool = False, change: Change = lambda who, payloads: payloads
) -> tuple[Done | More | Failed, Done | More | Failed]:
    """How initiator and responder come out of it. `change`: what somebody in between makes of messages."""
    other = TLS if alone else {"auth": "psk"}
    prover = EapProver(AuthLocal.model_validate(TLS), AuthRemote.model_validate(other))
    verifier = EapVerifier(
        AuthRemote.model_validate({**TLS, "eap_id": "%any"}), AuthLocal.model_validate(other)
    )
    a = settled(prover.prove(context(CAROL, MOON, ours, initiator=True), None))
    responder = context(MOON, CAROL, theirs, initiator=False)
    assert isinstance(a, More)
    b = settled(verifier.verify(responder, Received(a.payloads, identity(CAROL), octets(CAROL))))
    for _ in range(40):
        if not isinstance(b, More) or not isinstance(a, More):
            break
        a = settled(a.following(Received(change("b", b.payloads), identity(MOON), octets(MOON))))
        if not isinstance(a, More):
            break
        b = settled(b.following(Received(change("a", a.payloads), identity(CAROL), octets(CAROL))))
    if isinstance(b, Done) and isinstance(a, More):
        a = settled(a.following(Received(change("b", b.payloads), identity(MOON), octets(MOON))))
    return a, b


@pytest.mark.parametrize("alone", [False, True])
def test_both_ends_are_authenticated(alone: bool) -> None:
    ours, theirs = stores()
    a, b = converse(ours, theirs, alone=alone)
    assert isinstance(a, Done) and isinstance(b, Done)
    assert a.mutual
    assert b.eap_id == CAROL
    assert (set(ours.asked), set(theirs.asked)) == ({MOON}, {CAROL})


def test_it_holds_as_long_as_the_certificates_do() -> None:
    ours, theirs = stores()
    a, b = converse(replace(ours, until=100.0), replace(theirs, until=50.0))
    assert isinstance(a, Done)
    assert isinstance(b, Done)
    assert (a.until, b.until) == (100.0, 50.0)


def test_a_user_with_anothers_certificate_is_refused() -> None:
    made = pki.chain("ecdsa")
    ours, theirs = stores()
    _, b = converse(replace(ours, own_entity=made.sun), theirs)
    assert isinstance(b, Failed)
    assert "it is not of carol" in b.why
    failure = b.payloads[0]
    assert isinstance(failure, EapPayload)
    assert Packet.decode(failure.data).code is Code.FAILURE


def test_a_gateway_with_anothers_certificate_is_refused() -> None:
    made = pki.chain("ecdsa")
    ours, theirs = stores()
    a, _ = converse(ours, replace(theirs, own_entity=made.sun), alone=True)
    assert isinstance(a, Failed)
    assert "it is not of moon" in a.why


def test_a_key_that_may_not_leave_does_not_serve() -> None:
    ours, theirs = stores()
    a, _ = converse(replace(ours, may_leave=False), theirs)
    assert isinstance(a, Failed)
    assert "the private key of certificate of a test is not in a file" in a.why


def forged(who: str) -> Change:
    """Another AUTH of one end, as of somebody who has no MSK."""

    def change(sender: str, payloads: tuple[Payload, ...]) -> tuple[Payload, ...]:
        return tuple(
            AuthPayload(one.method, bytes(len(one.data)))
            if sender == who and isinstance(one, AuthPayload)
            else one
            for one in payloads
        )

    return change


@pytest.mark.parametrize("who", ["a", "b"])
def test_auth_without_the_key_of_eap_is_refused(who: str) -> None:
    a, b = converse(*stores(), change=forged(who))
    wrong = b if who == "a" else a
    assert isinstance(wrong, Failed)
    assert "not made with the key of EAP" in wrong.why


def early(who: str, payloads: tuple[Payload, ...]) -> tuple[Payload, ...]:
    """EAP-Success in place of the first request of the method."""
    packets = [Packet.decode(one.data) for one in payloads if isinstance(one, EapPayload)]
    if who == "b" and packets and packets[0].type == 13:
        return (EapPayload(Packet(Code.SUCCESS, packets[0].identifier).encode()),)
    return payloads


def test_early_success_is_refused() -> None:
    a, _ = converse(*stores(), change=early)
    assert isinstance(a, Failed)
    assert "early EAP-Success" in a.why


def without(who: str) -> Change:
    """Messages of one end without a word of EAP or AUTH."""
    return lambda sender, payloads: () if sender == who else payloads


@pytest.mark.parametrize("who", ["a", "b"])
def test_silence_is_refused(who: str) -> None:
    a, b = converse(*stores(), change=without(who))
    wrong = b if who == "a" else a
    assert isinstance(wrong, Failed)


def test_a_peer_that_proves_itself_otherwise_is_refused() -> None:
    _, theirs = stores()
    verifier = EapVerifier(AuthRemote.model_validate(TLS), AuthLocal())
    auth = AuthPayload(2, b"mac")
    step = settled(
        verifier.verify(
            context(MOON, CAROL, theirs, initiator=False), Received((auth,), identity(CAROL), octets(CAROL))
        )
    )
    assert isinstance(step, Failed)
    assert "eap-tls" in step.why


def test_strangers_are_verified_and_refused() -> None:
    """A peer that no connection is for costs as much, though its certificate would do."""
    _, theirs = stores()
    verifier = EapVerifier(AuthRemote.model_validate(TLS), AuthLocal())
    stranger = replace(context(MOON, CAROL, theirs, initiator=False), known=False)
    ours, _ = stores()
    prover = EapProver(AuthLocal.model_validate(TLS), AuthRemote())
    a = settled(prover.prove(context(CAROL, MOON, ours, initiator=True), None))
    b = settled(verifier.verify(stranger, Received((), identity(CAROL), octets(CAROL))))
    while isinstance(a, More) and isinstance(b, More):
        a = settled(a.following(Received(b.payloads, identity(MOON), octets(MOON))))
        if isinstance(a, More):
            b = settled(b.following(Received(a.payloads, identity(CAROL), octets(CAROL))))
    assert isinstance(b, Failed)
    assert b.why == "EAP-TLS: no connection is for it"
    assert theirs.asked
