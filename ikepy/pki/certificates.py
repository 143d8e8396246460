"""Certificates and requests made: what stands in one, and its signature (RFC 5280 4, RFC 2986)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from ikepy.crypto.x509.certificate import MALFORMED
from ikepy.crypto.x509.encoding import is_pem
from ikepy.pki import keys, names
from ikepy.pki.keys import PrivateKey, PublicKey

LIFETIME = 1095  # days, as pki's
BACKDATED = timedelta(minutes=5)  # for clocks that are slow
FLAGS = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "ocspSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "ikeIntermediate": x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2"),
    "msSmartcardLogon": ExtendedKeyUsageOID.SMARTCARD_LOGON,
}
CRL_SIGN = "crlSign"  # a flag of pki's that is a key usage


@dataclass(frozen=True, slots=True)
class Contents:
    """What a certificate says beside key and issuer. Texts are read by `ikepy.pki.names`.

    `lifetime` in days, unless `not_after` is given; `serial` None: random (RFC 5280 4.1.2.2). `flags`: FLAGS
    and crlSign. `path_length` only with `ca`. `crl`, `ocsp`: addresses (URI).
    `subject`, `alternative`: instead of `dn` and `san`, those of a request.
    """

    dn: str = ""
    subject: x509.Name | None = None
    san: tuple[str, ...] = ()
    alternative: x509.SubjectAlternativeName | None = None
    lifetime: float = LIFETIME
    not_before: datetime | None = None
    not_after: datetime | None = None
    serial: int | None = None
    ca: bool = False
    path_length: int | None = None
    flags: tuple[str, ...] = ()
    crl: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    digest: str | None = None
    rsa_padding: str | None = None
    further: tuple[tuple[x509.ExtensionType, bool], ...] = field(default=())  # with "critical"


def self_signed(key: PrivateKey, contents: Contents) -> x509.Certificate:
    """A certificate of the key by itself, as a root CA is. ValueError."""
    name = names.subject(contents.dn)
    return _sign(_builder(key.public_key(), contents, name), key, contents)


def issue(
    public: PublicKey, ca_key: PrivateKey, ca: x509.Certificate, contents: Contents
) -> x509.Certificate:
    """A certificate of a public key, by a CA. ValueError."""
    check_pair(ca_key, ca)
    if not is_ca(ca):
        raise ValueError("the CA's certificate is no CA's: it has no basicConstraints with CA (--ca)")
    builder = _builder(public, contents, ca.subject)
    return _sign(builder.add_extension(authority_key_identifier(ca), critical=False), ca_key, contents)


def request(key: PrivateKey, contents: Contents) -> x509.CertificateSigningRequest:
    """A PKCS#10 request: subject and alternative names. ValueError."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(names.subject(contents.dn))
    if alternative := _alternative(contents):
        builder = builder.add_extension(alternative, critical=False)
    if usage := _extended(contents):
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(
        key, keys.digest(key, contents.digest), rsa_padding=keys.rsa_padding(key, contents.rsa_padding)
    )


def check_pair(key: PrivateKey, certificate: x509.Certificate) -> None:
    """That the private key is the certificate's. ValueError."""
    if keys.public_bytes(key.public_key()) != keys.public_bytes(public_key(certificate)):
        raise ValueError("the private key does not belong to the certificate")


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it says that it is a CA's."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def load(data: bytes) -> x509.Certificate:
    """A certificate in PEM or DER. ValueError."""
    read = x509.load_pem_x509_certificate if is_pem(data) else x509.load_der_x509_certificate
    try:
        found = read(data)
        _ = found.subject, found.issuer, found.extensions  # read when they are asked for
    except MALFORMED:
        raise ValueError("no certificate in PEM or DER") from None
    return found


def encode(
    one: x509.Certificate | x509.CertificateRevocationList | x509.CertificateSigningRequest, outform: str
) -> bytes:
    """In PEM or DER (keys.OUTFORMS)."""
    return one.public_bytes(keys.OUTFORMS[outform])


def subject_text(certificate: x509.Certificate) -> str:
    """The subject, as strongSwan prints it."""
    return names.text_of(certificate.subject)


def load_request(data: bytes) -> x509.CertificateSigningRequest:
    """A PKCS#10 request in PEM or DER, whose signature is right. ValueError."""
    read = x509.load_pem_x509_csr if is_pem(data) else x509.load_der_x509_csr
    try:
        found = read(data)
        signed, _ = found.is_signature_valid, (found.subject, found.extensions)
    except MALFORMED:
        raise ValueError("no PKCS#10 request in PEM or DER") from None
    if not signed:
        raise ValueError("the request's signature is wrong: who sent it does not show that the key is theirs")
    return found


def public_key(certified: x509.Certificate | x509.CertificateSigningRequest) -> PublicKey:
    """The key of a certificate or request. ValueError."""
    try:
        found = certified.public_key()
    except UnsupportedAlgorithm:
        found = None
    if not isinstance(found, PublicKey):
        raise ValueError("its key is of a kind that verifies nothing, or of an unknown one")
    return found


def names_of(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    """The alternative names that a request asks for."""
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def authority_key_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """What a CA's certificates and CRLs call its key: as its own certificate does, however that was made
    (RFC 5280 4.2.1.1, 5.2.1). ValueError."""
    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key(ca))
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _builder(public: PublicKey, contents: Contents, issuer: x509.Name) -> x509.CertificateBuilder:
    begin, end = validity(contents.lifetime, contents.not_before, contents.not_after)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(contents))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(contents.serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for extension, critical in (*_extensions(public, contents), *contents.further):
        builder = builder.add_extension(extension, critical)
    return builder


def _subject(contents: Contents) -> x509.Name:
    return names.subject(contents.dn) if contents.dn else contents.subject or x509.Name([])


def validity(days: float, begin: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """From when to when something is valid that has a lifetime in days, or given ends. ValueError."""
    now = datetime.now(UTC).replace(microsecond=0)
    if begin is None:
        begin = (end - timedelta(days=days)) if end and end <= now else now - BACKDATED
    end = end or max(begin, now) + timedelta(days=days)
    if end <= begin:
        raise ValueError(f"it would end at {end} before it begins at {begin}")
    return begin, end


def _sign(builder: x509.CertificateBuilder, key: PrivateKey, contents: Contents) -> x509.Certificate:
    digest = keys.digest(key, contents.digest)
    return builder.sign(key, digest, rsa_padding=keys.rsa_padding(key, contents.rsa_padding))


def _extensions(public: PublicKey, contents: Contents) -> Iterator[tuple[x509.ExtensionType, bool]]:
    if contents.path_length is not None and not contents.ca:
        raise ValueError("a path length goes with a CA: give --ca, too")
    if contents.ca:
        yield x509.BasicConstraints(ca=True, path_length=contents.path_length), True
    yield _usage(contents), True
    yield x509.SubjectKeyIdentifier.from_public_key(public), False
    if alternative := _alternative(contents):
        yield alternative, not (contents.dn or contents.subject)  # RFC 5280 4.2.1.6
    if usage := _extended(contents):
        yield usage, False
    if contents.crl:
        yield x509.CRLDistributionPoints([_point(uri) for uri in contents.crl]), False
    if contents.ocsp:
        yield x509.AuthorityInformationAccess([_access(uri) for uri in contents.ocsp]), False
    if contents.permitted or contents.excluded:
        yield _constraints(contents), True


def _usage(contents: Contents) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not contents.ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=contents.ca,
        crl_sign=contents.ca or CRL_SIGN in contents.flags,
        encipher_only=False,
        decipher_only=False,
    )


def _extended(contents: Contents) -> x509.ExtendedKeyUsage | None:
    found = [FLAGS[flag] for flag in contents.flags if flag != CRL_SIGN]
    return x509.ExtendedKeyUsage(found) if found else None


def _alternative(contents: Contents) -> x509.SubjectAlternativeName | None:
    if not contents.san:
        return contents.alternative
    return x509.SubjectAlternativeName([names.alternative(text) for text in contents.san])


def _point(uri: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(uri)], None, None, None)


def _access(uri: str) -> x509.AccessDescription:
    return x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(uri))


def _constraints(contents: Contents) -> x509.NameConstraints:
    permitted, excluded = (
        [names.constraint(text) for text in texts] or None
        for texts in (contents.permitted, contents.excluded)
    )
    return x509.NameConstraints(permitted, excluded)
