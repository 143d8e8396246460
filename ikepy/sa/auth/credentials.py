"""What authentication needs of certificates and keys: the interface, and of who has none (RFC 7296 3.6).

The machine knows no file, no store and no private key. It asks for what the configuration gives it, and gets
jobs: functions that run in a thread, may wait (for the process that signs, for a CRL, for an OCSP responder)
and bound that wait themselves. They capture what they need, as it was when they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.crypto.schemes import KeyFacts as KeyFacts  # a part of the interface
from ikepy.crypto.schemes import KeyKind, Scheme
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import HashAlgorithm


def no_responses() -> tuple[bytes, ...]:
    """Of what no OCSP response is to be had."""
    return ()


@dataclass(frozen=True, slots=True)
class OwnCredential:
    """A key of ours with what shows that it is ours.

    `key_id`: SHA-1 of the public key's bits in hex digits, by which `sign` finds the private key.
    `public_key`: its SubjectPublicKeyInfo, DER. `certificates`: DER, end entity first, then intermediates,
    without the root; none for a raw public key. `name`: how the log calls it: 'certificate "CN=gw"', 'raw
    public key 12ab...'. `ocsp`: a job that gives DER OCSP responses about the first certificate, for CERT
    (RFC 4806); of none that is to be had it says nothing.
    """

    key_id: str
    public_key: bytes
    certificates: tuple[bytes, ...]
    name: str
    ocsp: Callable[[], tuple[bytes, ...]] = no_responses


@dataclass(frozen=True, slots=True)
class Presented:
    """What a peer shows to be believed, undecoded and hostile; each in the order in which it came.

    `certificates`: DER, the end entity's first (RFC 7296 3.6). `raw_keys`: DER SubjectPublicKeyInfo
    (RFC 7670). `hash_and_urls`: SHA-1 of a certificate, and where it is said to be. `bundles`: alike, of
    several. `end_by_url`: the end entity's is the first of `hash_and_urls`.
    """

    certificates: tuple[bytes, ...] = ()
    raw_keys: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    hash_and_urls: tuple[tuple[bytes, str], ...] = ()
    bundles: tuple[tuple[bytes, str], ...] = ()
    end_by_url: bool = False


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One certificate of a verified chain: its key, and how it was signed. `hash` None: of another kind than
    IKE has a number for. The signature of a trust anchor does not count: it has no link, or a None."""

    key: KeyFacts
    signed_by: KeyKind | None = None
    hash: HashAlgorithm | None = None
    pss: bool = False


@dataclass(frozen=True, slots=True)
class Trusted:
    """The peer's key is to be believed for its identity; whether it holds the private key, AUTH shows.

    `public_key`: DER SubjectPublicKeyInfo. `chain`: end entity first, for constraints of strength; empty for
    a raw key or a certificate that is configured itself. `until`: when a certificate of the chain expires, or
    what is known of its revocation is out of date, in seconds since 1970; None: never. `name`: how the log
    calls it. `remark`: for the log, "" for none, as that a CRL was not to be had and `revocation` lets that
    pass.
    """

    public_key: bytes
    chain: tuple[ChainLink, ...]
    until: float | None
    name: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Not to be believed. `why` is for our log: "certificate: ...", bounded, and printable. `unproven`: it
    does not hold the private key."""

    why: str
    unproven: bool = False


Verdict = Trusted | Untrusted
# Why the peer has not shown that it holds the private key of a SubjectPublicKeyInfo (DER); "" if it has.
Doubt = Callable[[bytes], str]


def no_doubt(public_key: bytes) -> str:
    """Of what has proven its key already, as TLS does; or will do it."""
    return ""


class Credentials(Protocol):
    """Certificates, CAs and private keys as they are now."""

    def own(
        self, auth: AuthLocal, local_id: Identity | None, asked: Collection[bytes]
    ) -> OwnCredential | None:
        """What we prove `local_id` with: what `auth` names, or else what fits the identity best and has a
        private key. `asked`: SHA-1 of the SubjectPublicKeyInfos of the CAs that the peer trusts (CERTREQ), a
        preference (RFC 7296 3.7); empty: it did not say."""
        ...

    def cas(self, auth: AuthRemote) -> tuple[bytes, ...]:
        """Those SHA-1 hashes of the CAs that we accept from this peer: what our CERTREQ asks for."""
        ...

    def responders(self) -> tuple[bytes, ...]:
        """Those of the OCSP responders whose word we take for any CA: our CERTREQ names them (RFC 4806)."""
        ...

    def sign(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        """A job that signs and returns the signature as `Scheme` has it. It raises PeerError
        AUTHENTICATION_FAILED, with a text for the log, if there is no such key any more or no answer in time.
        """
        ...

    def private_key(self, key_id: str) -> Secret | None:
        """The private key itself (PKCS#8, DER), for EAP-TLS alone: OpenSSL has to hold it. None if there is
        none, or it may not leave where it is, as a token."""
        ...

    def verify(
        self, auth: AuthRemote, identity: Identity, presented: Presented, doubt: Doubt = no_doubt
    ) -> Callable[[], Verdict]:
        """A job that finds out whether the peer's key may prove `identity`: a chain to an accepted CA, its
        usage, the identity in the certificate, revocation; or a raw key that is configured for it.

        `doubt` is asked before a chain is looked at, so that nobody has anything fetched by a certificate
        that is somebody else's."""
        ...


class NoCredentials:
    """No certificate and no key: whatever they are needed for is refused."""

    def own(
        self, auth: AuthLocal, local_id: Identity | None, asked: Collection[bytes]
    ) -> OwnCredential | None:
        return None

    def cas(self, auth: AuthRemote) -> tuple[bytes, ...]:
        return ()

    def responders(self) -> tuple[bytes, ...]:
        return ()

    def sign(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        raise LocalMisuse("a signature, of no key")

    def private_key(self, key_id: str) -> Secret | None:
        return None

    def verify(
        self, auth: AuthRemote, identity: Identity, presented: Presented, doubt: Doubt = no_doubt
    ) -> Callable[[], Verdict]:
        return lambda: Untrusted("certificate: none is accepted, as no CA is configured")


NO_CREDENTIALS = NoCredentials()
