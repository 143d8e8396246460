"""OCSP (RFC 6960): requests, and what a response says of a certificate. Pure: no I/O, time is a parameter.

A response counts if the CA itself signed it, or somebody whom the CA's certificate for OCSP signing names, or
a responder that is configured. Signatures by RSASSA-PSS are not read: the library does not tell their
parameters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import sha1

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ikepy.crypto.x509 import certificate as x509_certificate
from ikepy.crypto.x509 import public_key
from ikepy.crypto.x509.certificate import Certificate
from ikepy.crypto.x509.path_checks import SKEW, check_validity
from ikepy.wire import der

MAX_RESPONSE = 65536  # octets
MAX_SINGLE = 64  # responses in one that are looked at
NONCE = 32  # octets (RFC 8954 2.1)
SHORT_LIFE = 300.0  # seconds that a response without nextUpdate counts
HASHES = {one.name: one for one in (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512())}


class Says(Enum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a valid response says of a certificate, until when (seconds since 1970). `text`: for the log."""

    says: Says
    until: float
    text: str


def request(of: Certificate, issuer: Certificate, nonce: bytes) -> bytes:
    """A request (RFC 6960 4.1), unsigned, DER. `nonce`: random, or b"" for none."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(of.found, issuer.found, hashes.SHA1())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def answer(
    data: bytes,
    of: Certificate,
    issuer: Certificate,
    at: float,
    nonce: bytes = b"",
    responders: Collection[Certificate] = (),
) -> Answer:
    """What a response says of a certificate. ValueError, with why, if it says nothing that counts.

    `nonce`: that of the request; a responder may leave it out, but not change it. `responders`: certificates
    that are trusted to answer for any CA.
    """
    if len(data) > MAX_RESPONSE:
        raise ValueError(f"it is too long; allowed: at most {MAX_RESPONSE} octets")
    try:
        found = ocsp.load_der_ocsp_response(data)
        if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise ValueError(f"the responder refuses: {found.response_status.name.lower()}")
        single = _single(found, of, issuer)
        _check_nonce(found, nonce)
        _verify(found, issuer, at, responders)
    except (UnsupportedAlgorithm, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise ValueError("it uses what is not known here") from None
    issued = single.this_update_utc.timestamp()
    until = issued + SHORT_LIFE if single.next_update_utc is None else single.next_update_utc.timestamp()
    if not issued - SKEW <= at <= until + (SKEW if single.next_update_utc is None else 0):
        raise ValueError(f"it is not current: of {single.this_update_utc:%Y-%m-%d %H:%M} UTC")
    return _said(single, max(until, at))


def _said(single: ocsp.OCSPSingleResponse, until: float) -> Answer:
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return Answer(Says.GOOD, until, "good")
        case ocsp.OCSPCertStatus.REVOKED:
            reason, since = single.revocation_reason, single.revocation_time_utc
            word = "unspecified" if reason is None else reason.value
            return Answer(
                Says.REVOKED, until, word if since is None else f"{word}, {since:%Y-%m-%d %H:%M} UTC"
            )
    return Answer(Says.UNKNOWN, until, "the responder does not know it")


def _single(found: ocsp.OCSPResponse, of: Certificate, issuer: Certificate) -> ocsp.OCSPSingleResponse:
    for number, one in enumerate(found.responses):
        if number >= MAX_SINGLE:
            break
        if one.serial_number == of.found.serial_number and _is_of(one, of, issuer):
            return one
    raise ValueError("it says nothing of this certificate")


def _is_of(one: ocsp.OCSPSingleResponse, of: Certificate, issuer: Certificate) -> bool:
    algorithm = HASHES.get(one.hash_algorithm.name)
    if algorithm is None:
        return False
    name, key = hashes.Hash(algorithm), hashes.Hash(algorithm)
    name.update(of.raw_issuer)
    key.update(key_bits(issuer.public_key))
    return (one.issuer_name_hash, one.issuer_key_hash) == (name.finalize(), key.finalize())


def key_bits(key: PublicKeyTypes) -> bytes:
    """The content of subjectPublicKey, which hashes of keys are of (RFC 6960 4.1.1)."""
    parts = list(der.elements(der.content_of(public_key.subject_public_key_info(key), der.Tag.SEQUENCE), 2))
    return parts[1][1][1:]


def _check_nonce(found: ocsp.OCSPResponse, nonce: bytes) -> None:
    for extension in found.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            if nonce and extension.value.nonce != nonce:
                raise ValueError("its nonce is not that of the request")
        elif extension.critical:
            raise ValueError(f"its critical extension {extension.oid.dotted_string} is not known here")


def _verify(
    found: ocsp.OCSPResponse, issuer: Certificate, at: float, responders: Collection[Certificate]
) -> None:
    """Whether one who may signed it (RFC 6960 4.2.2.2)."""
    why = "nobody signed it who may answer for this CA"
    for signer in _signers(found, issuer, at, responders):
        if not _names(found, signer):
            continue
        try:
            key = signer.public_key
            public_key.strength(key)
            hashed = found.signature_hash_algorithm
            public_key.verify(key, found.signature, found.tbs_response_bytes, hashed, _parameters(found, key))
            return
        except ValueError as error:
            why = str(error)
    raise ValueError(why)


def _signers(
    found: ocsp.OCSPResponse, issuer: Certificate, at: float, responders: Collection[Certificate]
) -> Iterator[Certificate]:
    yield issuer
    yield from responders
    for one in found.certificates[:4]:
        try:
            delegate = x509_certificate.certificate(one.public_bytes(Encoding.DER))
            if delegate.is_ocsp and delegate.issuer.folded == issuer.subject.folded:
                check_validity(delegate, at)
                public_key.strength(issuer.public_key)
                delegate.verify_signature(issuer.public_key)
                yield delegate
        except ValueError:
            continue


def _names(found: ocsp.OCSPResponse, signer: Certificate) -> bool:
    """Whether the response says that it is this one's."""
    if found.responder_key_hash is not None:
        return found.responder_key_hash == sha1(key_bits(signer.public_key), usedforsecurity=False).digest()
    name = found.responder_name
    return name is not None and name.public_bytes() == signer.found.subject.public_bytes()


def _parameters(found: ocsp.OCSPResponse, key: PublicKeyTypes) -> public_key.Parameters:
    match key:
        case rsa.RSAPublicKey() if found.signature_algorithm_oid != x509.SignatureAlgorithmOID.RSASSA_PSS:
            return padding.PKCS1v15()
        case ec.EllipticCurvePublicKey() if found.signature_hash_algorithm is not None:
            return ec.ECDSA(found.signature_hash_algorithm)
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return None
    raise ValueError("it is signed by an algorithm that is not known here")
