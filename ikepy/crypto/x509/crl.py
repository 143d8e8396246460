"""Certificate revocation lists (RFC 5280 5): read, verified, searched, without holding up other threads.

A list may have 50 MB and a million entries. A library that parses it whole keeps the interpreter's lock for
seconds, so that only a copy without the entries is given to it; the entries stay as they are, and are
searched for one serial number.

Only complete lists of the CA itself count: delta CRLs are ignored, indirect ones and those of some reasons
are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

from ikepy.crypto.x509 import encoding, public_key
from ikepy.crypto.x509.certificate import MALFORMED, Certificate
from ikepy.crypto.x509.path_checks import SKEW
from ikepy.errors import WireError
from ikepy.wire import der, distinguished_name
from ikepy.wire.der import Tag
from ikepy.wire.distinguished_name import DistinguishedName

MAX_CRL = 50_000_000  # octets
MAX_ONE_PIECE = 4_000_000  # of one signed by EdDSA, which hashes it at once
UNSEARCHED = b"-"  # in place of an entry, which is DER
MOST_REMEMBERED = 1024  # serial numbers
PIECE = 1 << 22  # octets that are searched at once
TIMES = (0x17, 0x18)  # UTCTime, GeneralizedTime
UNDERSTOOD = frozenset(
    {
        x509.AuthorityKeyIdentifier.oid,
        x509.CRLNumber.oid,
        x509.IssuingDistributionPoint.oid,
        x509.FreshestCRL.oid,
    }
)
_OF_SERIES = (x509.AuthorityKeyIdentifier.oid, x509.IssuingDistributionPoint.oid)
ENTRY_UNDERSTOOD = frozenset({x509.CRLReason.oid, x509.InvalidityDate.oid})

MAX_PARTS = 7  # of tbsCertList (RFC 5280 5.1)


@dataclass(frozen=True, slots=True)
class Crl:
    """A list. `issued`, `next_update`: in seconds since 1970; `next_update` None: it does not say.

    `head`: itself without its entries. `entries`: where they are in `der`. `tbs`: where what is signed is.
    """

    der: bytes
    raw_issuer: bytes = field(compare=False, repr=False)
    issued: float = field(compare=False)
    next_update: float | None = field(compare=False)
    head: x509.CertificateRevocationList = field(compare=False, repr=False)
    entries: range = field(compare=False, repr=False)
    tbs: range = field(compare=False, repr=False)
    _listed: dict[int, bytes | None] = field(default_factory=dict, compare=False, repr=False)  # found before
    _verified: set[bytes] = field(default_factory=set, compare=False, repr=False)  # issuers whose it is

    @property
    def issuer(self) -> DistinguishedName:
        return distinguished_name.decode(self.raw_issuer)

    def is_current(self, at: float) -> bool:
        """Whether it says what is true at a time."""
        return self.next_update is not None and self.issued - SKEW <= at <= self.next_update

    def verify(self, issuer: Certificate) -> None:
        """ValueError if it is not a list of this CA that can be used."""
        if issuer.der in self._verified:
            return
        if issuer.subject.folded != self.issuer.folded:
            raise ValueError("it is another CA's")
        usage = issuer.extension(x509.KeyUsage)
        if usage is not None and not usage.crl_sign:
            raise ValueError("its CA's key usage has no cRLSign")
        key = issuer.public_key
        public_key.strength(key)
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and len(self.tbs) > MAX_ONE_PIECE:
            raise ValueError(f"it is too long for its signature; allowed: at most {MAX_ONE_PIECE} octets")
        try:
            hashed, parameters = self.head.signature_hash_algorithm, self.head.signature_algorithm_parameters
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("it is signed by an unknown algorithm") from None
        signed = memoryview(self.der)[self.tbs.start : self.tbs.stop]
        public_key.verify(key, self.head.signature, signed, hashed, parameters)
        self._verified.add(issuer.der)

    def is_for(self, certificate: Certificate) -> bool:
        """Whether it lists certificates of this kind, of this distribution point (RFC 5280 6.3.3 (b))."""
        scope = next(
            (e.value for e in self.head.extensions if isinstance(e.value, x509.IssuingDistributionPoint)),
            None,
        )
        if scope is None:
            return True
        if scope.indirect_crl or scope.only_some_reasons or scope.only_contains_attribute_certs:
            return False
        if scope.only_contains_user_certs and certificate.is_ca:
            return False
        if scope.only_contains_ca_certs and not certificate.is_ca:
            return False
        of_part = _names_of(scope, certificate)
        points = certificate.extension(x509.CRLDistributionPoints) or ()
        return not of_part or any(not of_part.isdisjoint(_names_of(one, certificate)) for one in points)

    @property
    def series(self) -> tuple[bytes, ...]:
        """What all lists have that replace one another: issuer, its key, and which certificates they are for
        (RFC 5280 5.2.1, 5.2.5). A CA may have several, of which none says what the others do."""
        told = {e.oid: e.value.public_bytes() for e in self.head.extensions if e.oid in _OF_SERIES}
        return self.raw_issuer, *(told.get(oid, b"") for oid in _OF_SERIES)

    def revoked(self, serial: int) -> str | None:
        """Why and since when a certificate of this serial number is revoked; None: it is not. ValueError."""
        entry = self._listed.get(serial, UNSEARCHED)
        if entry == UNSEARCHED:
            entry = self._entry(serial)
            if len(self._listed) >= MOST_REMEMBERED:
                self._listed.clear()
            self._listed[serial] = entry
        if entry is None:
            return None
        try:
            listed = _with_entries(self.der, self.tbs, entry).get_revoked_certificate_by_serial_number(serial)
            extensions = () if listed is None else tuple(listed.extensions)
        except MALFORMED:
            listed = None
        if listed is None:
            raise ValueError("its entries are malformed")
        reason = "unspecified"
        for extension in extensions:
            if extension.critical and extension.oid not in ENTRY_UNDERSTOOD:
                raise ValueError("it has an entry with a critical extension that is not known here")
            if isinstance(extension.value, x509.CRLReason):
                reason = extension.value.reason.value
        return f"{reason}, {listed.revocation_date_utc:%Y-%m-%d %H:%M} UTC"

    def _entry(self, serial: int) -> bytes | None:
        """The entry of a serial number."""
        number = der.encode(Tag.INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
        start = self.entries.start
        while start < self.entries.stop:
            stop = min(start + PIECE, self.entries.stop)
            at = self.der.find(number, start, min(stop + len(number), self.entries.stop))
            if at >= 0:
                return self._entry_around(number)
            start = stop
        return None

    def _entry_around(self, number: bytes) -> bytes | None:
        """The digits are there: whether as an entry's serial number, shows a walk through all of them."""
        at, stop, data = self.entries.start, self.entries.stop, self.der
        while at < stop:
            tag, content, after = _header(data, at, stop)
            if tag != Tag.SEQUENCE:
                raise ValueError("its entries are malformed")
            if data.startswith(number, content, after):
                return data[at:after]
            at = after
        return None


def crl(data: bytes) -> Crl:
    """Read a CRL, PEM or DER. ValueError if it is none, or one that is no complete list."""
    content = encoding.der(data, MAX_CRL, b"X509 CRL")
    try:
        tbs, entries = _spans(content)
        head = _with_entries(content, tbs, b"")
        extensions = tuple(head.extensions)
        raw_issuer = head.issuer.public_bytes()
        distinguished_name.decode(raw_issuer)
    except (WireError, *MALFORMED):
        raise ValueError("it is neither PEM nor DER of this type") from None
    for one in extensions:
        if isinstance(one.value, x509.DeltaCRLIndicator):
            raise ValueError("it is a delta CRL, which is of no use without its base")
        if one.critical and one.oid not in UNDERSTOOD:
            raise ValueError(f"its critical extension {one.oid.dotted_string} is not known here")
    until = head.next_update_utc
    return Crl(
        content,
        raw_issuer,
        head.last_update_utc.timestamp(),
        None if until is None else until.timestamp(),
        head,
        entries,
        tbs,
    )


def _names_of(
    point: x509.IssuingDistributionPoint | x509.DistributionPoint, certificate: Certificate
) -> set[x509.GeneralName]:
    """The names of a distribution point of a certificate's CA; one may be relative to the CA's own (RFC 5280
    4.2.1.13)."""
    if point.relative_name is not None:
        return {x509.DirectoryName(x509.Name([*certificate.found.issuer.rdns, point.relative_name]))}
    return set(point.full_name or ())


def _spans(data: bytes) -> tuple[range, range]:
    """Where tbsCertList is, and in it the content of the entries, perhaps none (RFC 5280 5.1)."""
    _, content, end = _header(data, 0, len(data))
    if end != len(data):
        raise ValueError("octets left over")
    _, _, stop = _header(data, content, end)
    tbs = range(content, stop)
    for part, is_entries in _parts(data, tbs):
        if is_entries:
            return tbs, range(_header(data, part.start, part.stop)[1], part.stop)
    return tbs, range(stop, stop)


def _parts(data: bytes, tbs: range) -> Iterator[tuple[range, bool]]:
    """The parts of tbsCertList, and whether that is the entries: the SEQUENCE behind the times.

    ValueError if there are more than a CRL has.
    """
    _, at, stop = _header(data, tbs.start, tbs.stop)
    timed = False
    for _ in range(MAX_PARTS):
        if at == stop:
            return
        tag, _, after = _header(data, at, stop)
        timed = timed or tag in TIMES
        yield range(at, after), timed and tag == Tag.SEQUENCE
        at = after
    if at < stop:
        raise ValueError("it has more parts than a CRL")


def _header(data: bytes, at: int, stop: int) -> tuple[int, int, int]:
    """An element's tag, where its content begins, and where it ends. ValueError."""
    if stop - at < 2:
        raise ValueError("DER cut off")
    tag, size = data[at], data[at + 1]
    content = at + 2
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or content + count > stop:
            raise ValueError("a DER length that is indefinite or too long")
        size = int.from_bytes(data[content : content + count], "big")
        content += count
    if content + size > stop:
        raise ValueError("DER cut off")
    return tag, content, content + size


def _with_entries(data: bytes, tbs: range, entries: bytes) -> x509.CertificateRevocationList:
    """The list with other entries, and so a wrong signature."""
    whole = der.encode(Tag.SEQUENCE, entries) if entries else b""
    parts = [whole if is_entries else data[one.start : one.stop] for one, is_entries in _parts(data, tbs)]
    rest = data[tbs.stop :]
    return x509.load_der_x509_crl(der.encode(Tag.SEQUENCE, der.encode(Tag.SEQUENCE, *parts), rest))
