"""Certificates, CRLs, requests and keys as text for people, as pki(1) --print has them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ikepy.pki import certificates, keys, names
from ikepy.pki import crl as crls
from ikepy.pki.keys import PublicKey

WIDTH = 10
OF_ACCESS = {
    AuthorityInformationAccessOID.OCSP: "OCSP URIs",
    AuthorityInformationAccessOID.CA_ISSUERS: "CA URIs",
}
OF_FLAGS = {oid: name for name, oid in certificates.FLAGS.items()}


def certificate(found: x509.Certificate) -> Iterator[str]:
    """The lines of a certificate."""
    now = datetime.now(UTC)
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    yield _line("subject", f'"{names.text_of(found.subject)}"')
    yield _line("issuer", f'"{names.text_of(found.issuer)}"')
    yield _line("validity", f"not before {_time(begin)}, {'ok' if begin <= now else 'not valid yet'}")
    yield _line("", f"not after  {_time(end)}, {_left(end, now)}")
    yield _line("serial", _hex(found.serial_number))
    yield from _extensions(found.extensions)
    yield from public_key(certificates.public_key(found))


def of_der(kind: str, der: bytes) -> Iterator[str]:
    """The lines of what VICI calls X509, X509_CRL or PUBKEY. Raises ValueError."""
    match kind:
        case "X509":
            yield from certificate(certificates.load(der))
        case "X509_CRL":
            yield from crl(crls.load(der))
        case "PUBKEY":
            yield from public_key(keys.load_public(der))
        case _:
            raise ValueError(f"nothing shows what is called {kind}")


def request(found: x509.CertificateSigningRequest) -> Iterator[str]:
    """The lines of a certificate request."""
    yield _line("subject", f'"{names.text_of(found.subject)}"')
    yield from _extensions(found.extensions)
    yield from public_key(certificates.public_key(found))


def crl(found: x509.CertificateRevocationList) -> Iterator[str]:
    """The lines of a CRL."""
    now = datetime.now(UTC)
    yield _line("issuer", f'"{names.text_of(found.issuer)}"')
    yield _line("update", f"this on {_time(found.last_update_utc)}")
    if found.next_update_utc is not None:
        yield _line("", f"next on {_time(found.next_update_utc)}, {_left(found.next_update_utc, now)}")
    for extension in found.extensions:
        if isinstance(extension.value, x509.CRLNumber):
            yield _line("serial", str(extension.value.crl_number))
    yield f"{len(found)} revoked certificate{'' if len(found) == 1 else 's'}"
    for one in found:
        yield f"  {_hex(one.serial_number)}: {_time(one.revocation_date_utc)}{_reason(one)}"


def public_key(key: PublicKey) -> Iterator[str]:
    """The lines of a public key, or of a private key's public half."""
    spk, spki = keys.key_ids(key)
    yield _line("pubkey", keys.describe(key))
    yield _line("keyid", bytes.fromhex(spki).hex(":"))
    yield _line("subjkey", bytes.fromhex(spk).hex(":"))


def _extensions(extensions: x509.Extensions) -> Iterator[str]:
    for extension in extensions:
        match extension.value:
            case x509.SubjectAlternativeName() as found:
                yield _line("altNames", ", ".join(names.general_text(one) for one in found))
            case x509.BasicConstraints(ca=True, path_length=length):
                yield _line("flags", "CA" + ("" if length is None else f", path length {length}"))
            case x509.ExtendedKeyUsage() as found:
                yield _line("usage", " ".join(OF_FLAGS.get(one, one.dotted_string) for one in found))
            case x509.CRLDistributionPoints() as found:
                for point in found:
                    yield from (_line("CRL URIs", names.general_text(one)) for one in point.full_name or ())
            case x509.AuthorityInformationAccess() as found:
                for one in found:
                    if one.access_method in OF_ACCESS:
                        yield _line(OF_ACCESS[one.access_method], names.general_text(one.access_location))
            case x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded):
                for word, several in (("permitted", permitted), ("excluded", excluded)):
                    yield from (_line(word, names.general_text(one)) for one in several or ())


def _reason(one: x509.RevokedCertificate) -> str:
    try:
        return f", {one.extensions.get_extension_for_class(x509.CRLReason).value.reason.value}"
    except x509.ExtensionNotFound:
        return ""


def _line(word: str, text: str) -> str:
    return f"{word + ':' if word else '':<{WIDTH}} {text}"


def _hex(number: int) -> str:
    return number.to_bytes((number.bit_length() + 7) // 8 or 1, "big").hex(":")


def _time(when: datetime) -> str:
    return f"{when:%b %d %H:%M:%S %Y}"


def _left(end: datetime, now: datetime) -> str:
    if end < now:
        return "expired"
    return f"ok (expires in {(end - now).days} days)"
