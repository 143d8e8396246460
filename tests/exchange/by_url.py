"""A peer that gives its certificate by hash and URL (RFC 7296 3.6), or says that it is there."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1

from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.crypto import algorithm_ids, signatures
from ikepy.crypto.schemes import Scheme
from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.daemon.credentials.certificate_lookup import CertificateLookup
from ikepy.daemon.credentials.known import Known
from ikepy.daemon.credentials.store import Store
from ikepy.sa.api.commands import Initiate
from ikepy.sa.auth.authenticator import Context, Done, More, Step
from ikepy.sa.auth.pubkey import PubkeyVerifier
from ikepy.sa.auth.rounds import LocalRound, RemoteRound, Rounds
from ikepy.wire.constants import AuthMethod, CertEncoding
from ikepy.wire.payloads import AuthPayload, CertPayload
from tests.pki import chain

from .credentials import KeyOf, Memory
from .network import Network, Options
from .test_pubkey import A

PKI = chain()
REMOTE = RemoteRound(AuthRemote(auth="pubkey"), PubkeyVerifier(AuthRemote(auth="pubkey")))
ALGORITHM = algorithm_ids.encoded(Scheme.ECDSA_SHA256)


def described(data: bytes, url: str) -> bytes:
    """The content of a CERT payload of encoding 12: of what has the hash of `data`."""
    return sha1(data).digest() + url.encode()


def by_url(*found: bytes, encoding: CertEncoding = CertEncoding.HASH_AND_URL_X509) -> list[CertPayload]:
    """CERT payloads of an encoding."""
    return [CertPayload(encoding, one) for one in found]


def inline(*found: bytes) -> list[CertPayload]:
    """Certificates themselves."""
    return by_url(*found, encoding=CertEncoding.X509_SIGNATURE)


@dataclass(frozen=True)
class Shows:
    """Shows these CERT payloads, and signs as moon."""

    certificates: list[CertPayload]

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        signed = signatures.sign(PKI.moon.key, Scheme.ECDSA_SHA256, b"".join(context.octets.parts))
        data = bytes([len(ALGORITHM)]) + ALGORITHM + signed
        return Done((*self.certificates, AuthPayload(AuthMethod.DIGITAL_SIGNATURE, data)))

    def credential(self, context: Context) -> str:
        return ""


def store(lookup: CertificateLookup | None = None) -> Store:
    """What sun has, which trusts the root, and has the intermediate's certificate to show its own."""
    made = Store(keys=KeyOf(PKI.sun, (PKI.ca.der,)), lookup=lookup)
    made.known = Known((certificate(PKI.sun.der),), Anchors([certificate(PKI.root.der)]))
    return made


def joined_by(certificates: list[CertPayload], b: Options, kept: Store) -> Network:
    """a, which shows these, begins an IKE_SA with b, which has a store."""
    local = LocalRound(AuthLocal(auth="pubkey"), Shows(certificates))
    net = Network(
        A,
        b,
        methods=(Rounds((local,), (REMOTE,)), None),
        credentials=(Memory(PKI.moon, (PKI.root.der,)), kept),
    )
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    return net
