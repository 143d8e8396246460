"""Who can't prove its identity by a signature, whatever it signs, shows and says; the peer hears one word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.crypto import algorithm_ids, signatures
from ikepy.crypto.schemes import Scheme
from ikepy.sa.api.commands import Initiate
from ikepy.sa.auth.authenticator import Authenticator, Context, Done, More, Step
from ikepy.sa.auth.credentials import OwnCredential
from ikepy.sa.auth.pubkey import PubkeyVerifier
from ikepy.sa.auth.rounds import FOLLOWS, LocalRound, RemoteRound, Rounds
from ikepy.wire.constants import AuthMethod, CertEncoding
from ikepy.wire.payloads import AuthPayload, CertPayload, Payload
from tests.exchange.credentials import Memory
from tests.exchange.network import Network, Options
from tests.pki import chain

MOON, SUN = "moon.example.org", "sun.example.org"
PUBKEY = 'auth = "pubkey"'
A = Options(local_id=MOON, remote_id=SUN, local=PUBKEY, remote=PUBKEY)
B = Options(local_id=SUN, remote_id=MOON, local=PUBKEY, remote=PUBKEY)
REMOTE = RemoteRound(AuthRemote(auth="pubkey"), PubkeyVerifier(AuthRemote(auth="pubkey")))
KIND = "rsa"


@dataclass(frozen=True)
class Says:
    """Says in its first message what it likes."""

    what: Callable[[Context], tuple[Payload, ...]]

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        return Done(self.what(context))

    def credential(self, context: Context) -> str:
        return ""


def attack(what: Callable[[Context], tuple[Payload, ...]]) -> Network:
    """a says `what` instead of what it should."""
    local = LocalRound(AuthLocal(auth="pubkey"), Says(what))
    attacker: Authenticator = Rounds((local,), (REMOTE,))
    pki = chain(KIND)
    memories = Memory(pki.moon, (pki.root.der,)), Memory(pki.sun, (pki.root.der,))
    net = Network(A, B, methods=(attacker, None), credentials=memories)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    return net


def certificates() -> tuple[Payload, ...]:
    return tuple(CertPayload(CertEncoding.X509_SIGNATURE, one) for one in chain(KIND).moon.chain)


def signature(context: Context, *, octets: bytes | None = None, scheme: Scheme = Scheme.PSS_SHA256) -> bytes:
    covered = b"".join(context.octets.parts) if octets is None else octets
    return signatures.sign(chain(KIND).moon.key, scheme, covered)


def digital(algorithm: bytes, signed: bytes) -> AuthPayload:
    return AuthPayload(AuthMethod.DIGITAL_SIGNATURE, bytes([len(algorithm)]) + algorithm + signed)


PSS = algorithm_ids.encoded(Scheme.PSS_SHA256)


def of_responder(context: Context) -> bytes:
    """What the other end would sign, as far as we know it."""
    return b"".join((context.octets.parts[0], context.octets.parts[2]))


ATTACKS: dict[str, tuple[Callable[[Context], tuple[Payload, ...]], str]] = {
    "other octets": (
        lambda context: (*certificates(), digital(PSS, signature(context, octets=b"something else"))),
        "its signature is wrong",
    ),
    "the octets without the identity": (
        lambda context: (
            *certificates(),
            digital(PSS, signature(context, octets=b"".join(context.octets.parts[:2]))),
        ),
        "its signature is wrong",
    ),
    "parts of the octets": (
        lambda context: (*certificates(), digital(PSS, signature(context, octets=of_responder(context)))),
        "its signature is wrong",
    ),
    "a hash that was not offered": (
        lambda context: (
            *certificates(),
            digital(algorithm_ids.encoded(Scheme.RSA_SHA1), signature(context, scheme=Scheme.RSA_SHA1)),
        ),
        "which we have not offered",
    ),
    "another algorithm than it names": (
        lambda context: (*certificates(), digital(PSS, signature(context, scheme=Scheme.RSA_SHA256))),
        "its signature is wrong",
    ),
    "an algorithm of another kind of key": (
        lambda context: (
            *certificates(),
            digital(algorithm_ids.encoded(Scheme.ED25519), signature(context)),
        ),
        "its signature is wrong",
    ),
    "ML-DSA without the switch": (
        lambda context: (*certificates(), digital(algorithm_ids.encoded(Scheme.ML_DSA_65), bytes(3309))),
        "its signature algorithm is not supported",
    ),
    "PSS with an absurd salt": (
        lambda context: (*certificates(), digital(PSS[:-6] + b"\x7f" + PSS[-5:], signature(context))),
        "its signature algorithm is not supported",
    ),
    "no algorithm": (
        lambda context: (*certificates(), AuthPayload(AuthMethod.DIGITAL_SIGNATURE, b"")),
        "its AUTH is cut off",
    ),
    "an algorithm longer than AUTH": (
        lambda context: (*certificates(), AuthPayload(AuthMethod.DIGITAL_SIGNATURE, b"\xff" + PSS)),
        "its AUTH is cut off",
    ),
    "an empty signature": (lambda context: (*certificates(), digital(PSS, b"")), "its signature is wrong"),
    "a raw key beside nothing": (
        lambda context: (
            CertPayload(CertEncoding.RAW_PUBLIC_KEY, chain(KIND).moon.spki),
            digital(PSS, signature(context)),
        ),
        "certificate: it sent none",
    ),
    "the CA's certificate in front": (
        lambda context: (*reversed(certificates()), digital(PSS, signature(context))),
        "certificate: ",
    ),
    "null authentication": (
        lambda context: (*certificates(), AuthPayload(AuthMethod.NULL, signature(context))),
        "it authenticates by null",
    ),
    "many certificates": (
        lambda context: (
            *(CertPayload(CertEncoding.X509_SIGNATURE, b"\x30\x00") for _ in range(50)),
            digital(PSS, signature(context)),
        ),
        "certificate: ",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_none_of_these_prove_anything(name: str) -> None:
    what, why = ATTACKS[name]
    net = attack(what)
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert any(why in log.text for log in net.b.logs), [log.text for log in net.b.logs]
    assert not net.b.plane.inbound
    assert not net.b.manager.ike_sas


def test_what_is_right_is_believed() -> None:
    """So that the attacks fail for what they are."""
    net = attack(lambda context: (*certificates(), digital(PSS, signature(context))))
    assert net.a.outcomes[1].ok
    assert net.b.plane.inbound


def test_another_round_that_nobody_asked_for() -> None:
    net = attack(lambda context: (*certificates(), digital(PSS, signature(context)), FOLLOWS))
    assert any("it wants to authenticate once more" in log.text for log in net.b.logs)
    assert not net.b.plane.inbound


class Forger(Memory):
    """Has the gateway's certificate, and another key."""

    def own(self, *arguments: object) -> OwnCredential | None:
        pki = chain(KIND)
        return OwnCredential(pki.carol.key_id, pki.carol.spki, pki.sun.chain, "forged")


def test_a_responder_with_a_stolen_certificate() -> None:
    """The initiator finds out, and tells it nothing."""
    pki = chain(KIND)
    memories = Memory(pki.moon, (pki.root.der,)), Forger(pki.carol, (pki.root.der,))
    net = Network(A, B, credentials=memories)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    assert "its signature is wrong" in net.a.outcomes[1].text
    assert not net.a.plane.inbound
