"""Certificates read (RFC 5280 4), from PEM or DER that may be hostile: sizes are bounded, and whatever is
wrong is a ValueError."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from ikepy.crypto.x509 import encoding, proven, public_key
from ikepy.crypto.x509.public_key import Parameters
from ikepy.errors import WireError
from ikepy.wire import der, distinguished_name
from ikepy.wire.der import Tag
from ikepy.wire.distinguished_name import DistinguishedName

MAX_CERTIFICATE = 65535  # octets
LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")  # of PEM
# What the library raises for what is malformed: TypeError for a name with a BIT STRING in it.
MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class AlternativeNames:
    """subjectAltName (RFC 5280 4.2.1.6), of the kinds that IKE identities are."""

    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    directory: tuple[DistinguishedName, ...] = ()

    def __iter__(self) -> Iterator[str]:
        """As text."""
        for one in (*self.dns, *self.emails, *self.addresses, *self.directory):
            yield str(one)


@dataclass(frozen=True)
class Certificate:
    """An X.509 certificate. `der`: itself; `raw_subject`, `raw_issuer`: the names' DER, as they stand there.

    `key_id`: of its key, None for one of a kind that signs nothing. `is_ca`, `is_ocsp`: what it says itself.
    `not_before`, `not_after`: in seconds since 1970. What is read of it is read once.
    """

    der: bytes
    raw_subject: bytes = field(compare=False, repr=False)
    raw_issuer: bytes = field(compare=False, repr=False)
    key_id: str | None = field(compare=False)
    is_ca: bool = field(compare=False)
    is_ocsp: bool = field(compare=False)
    not_before: float = field(compare=False)
    not_after: float = field(compare=False)
    found: x509.Certificate = field(compare=False, repr=False)

    @cached_property
    def subject(self) -> DistinguishedName:
        return distinguished_name.decode(self.raw_subject)

    @cached_property
    def issuer(self) -> DistinguishedName:
        return distinguished_name.decode(self.raw_issuer)

    @cached_property
    def is_self_issued(self) -> bool:
        return self.subject.folded == self.issuer.folded

    @cached_property
    def names(self) -> AlternativeNames:
        """The alternative names that identities may be."""
        alternative = self.extension(x509.SubjectAlternativeName)
        return AlternativeNames() if alternative is None else _names(alternative)

    @cached_property
    def key_ids(self) -> frozenset[bytes]:
        """What it calls its key, and what we call it."""
        own = self.extension(x509.SubjectKeyIdentifier)
        calculated = None if self.key_id is None else bytes.fromhex(self.key_id)
        return frozenset(one for one in (calculated, None if own is None else own.digest) if one)

    @cached_property
    def public_key(self) -> PublicKeyTypes:
        """ValueError for one of a kind that nobody knows."""
        try:
            return self.found.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("its key is malformed, or of an unknown kind") from None

    @cached_property
    def public_key_info(self) -> bytes:
        """SubjectPublicKeyInfo, DER. ValueError as `public_key`."""
        return public_key.subject_public_key_info(self.public_key)

    def extension(self, kind: type[E]) -> E | None:
        """An extension's value, None if it is absent."""
        try:
            return self.found.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    def verify_signature(self, key: PublicKeyTypes) -> None:
        """ValueError if `key` did not sign it."""
        once = proven.name_of(self.der, public_key.subject_public_key_info(key))
        if once in proven.KNOWN:
            return
        hashed, parameters = self.signed_with
        public_key.verify(key, self.found.signature, self.found.tbs_certificate_bytes, hashed, parameters)
        proven.KNOWN.add(once)

    @property
    def signed_with(self) -> tuple[hashes.HashAlgorithm | None, Parameters]:
        """The hash, None if the scheme has its own; padding. ValueError for what nobody knows."""
        try:
            return self.found.signature_hash_algorithm, self.found.signature_algorithm_parameters
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("it is signed by an unknown algorithm") from None

    def __str__(self) -> str:
        return f'certificate "{self.subject}"'[:300]


def certificate(data: bytes) -> Certificate:
    """Read an X.509 certificate, PEM or DER. ValueError if it is none."""
    content = encoding.der(data, MAX_CERTIFICATE, *LABELS)
    try:
        raw_issuer, raw_subject = _raw_names(content)
        found = x509.load_der_x509_certificate(content)
    except (WireError, *MALFORMED):
        raise ValueError("it is neither PEM nor DER of this type") from None
    try:
        distinguished_name.decode(raw_issuer)
        distinguished_name.decode(raw_subject)
        _ = found.issuer, found.subject  # the library reads them when they are asked for
        extensions = {one.oid: one.value for one in found.extensions}
        basic = extensions.get(x509.BasicConstraints.oid)
        usage = extensions.get(x509.ExtendedKeyUsage.oid)
        alternative = extensions.get(x509.SubjectAlternativeName.oid)
        if isinstance(alternative, x509.SubjectAlternativeName):
            _names(alternative)
    except (WireError, *MALFORMED):
        raise ValueError("its extensions or names are malformed") from None
    return Certificate(
        content,
        raw_subject,
        raw_issuer,
        _key_id(found),
        is_ca=isinstance(basic, x509.BasicConstraints) and basic.ca,
        is_ocsp=isinstance(usage, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.OCSP_SIGNING in usage,
        not_before=found.not_valid_before_utc.timestamp(),
        not_after=found.not_valid_after_utc.timestamp(),
        found=found,
    )


def _raw_names(data: bytes) -> tuple[bytes, bytes]:
    """Issuer and subject (RFC 5280 4.1). WireError, also for a negative serial number."""
    whole = tuple(der.elements(der.content_of(data, Tag.SEQUENCE), 3))
    if not whole:
        raise WireError("an empty certificate")
    parts = list(der.elements(whole[0][1], 10))
    if parts and parts[0][0] == 0xA0:
        del parts[0]  # the version
    if len(parts) < 6 or not parts[0][1] or parts[0][1][0] & 0x80:
        raise WireError("a certificate without names, or with a negative serial number")
    issuer, subject = parts[2], parts[4]
    return der.encode(*issuer), der.encode(*subject)


def _names(alternative: x509.SubjectAlternativeName) -> AlternativeNames:
    """ValueError for names that are no IA5String, which the library lets pass."""
    dns = tuple(alternative.get_values_for_type(x509.DNSName))
    emails = tuple(alternative.get_values_for_type(x509.RFC822Name))
    if not all(one.isascii() for one in (*dns, *emails)):
        raise ValueError("an alternative name that is not ASCII")
    return AlternativeNames(
        dns,
        emails,
        tuple(ip_address(str(one)) for one in alternative.get_values_for_type(x509.IPAddress)),
        tuple(
            distinguished_name.decode(one.public_bytes())
            for one in alternative.get_values_for_type(x509.DirectoryName)
        ),
    )


def _key_id(found: x509.Certificate) -> str | None:
    try:
        return public_key.key_id(found.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return None
