"""X.501 names, as ID_DER_ASN1_DN and certificates have them (RFC 5280 4.1.2.4): DER, text, comparison.

The text is strongSwan's, "C=CH, O=strongSwan, CN=moon", with RFC 4514's escapes for what would read as
something else. "/C=CH/CN=moon" is read, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ikepy.errors import WireError
from ikepy.wire import der
from ikepy.wire.der import Tag

MAX_SIZE = 4096  # octets of DER: names of strangers are remembered, and compared with many patterns
MAX_RDNS = 64  # also: attributes in all
ANY = "*"  # as a pattern's value: any value
# strongSwan's short names, the one that is printed first.
NAMES = {
    "2.5.4.3": ("CN",),
    "2.5.4.4": ("S",),
    "2.5.4.5": ("SN", "serialNumber"),
    "2.5.4.6": ("C",),
    "2.5.4.7": ("L",),
    "2.5.4.8": ("ST",),
    "2.5.4.9": ("STREET",),
    "2.5.4.10": ("O",),
    "2.5.4.11": ("OU",),
    "2.5.4.12": ("T",),
    "2.5.4.13": ("D",),
    "2.5.4.17": ("postalCode",),
    "2.5.4.41": ("N",),
    "2.5.4.42": ("G",),
    "2.5.4.43": ("I",),
    "2.5.4.45": ("ID",),
    "2.5.4.46": ("dnQualifier",),
    "0.9.2342.19200300.100.1.1": ("UID",),
    "0.9.2342.19200300.100.1.25": ("DC",),
    "1.2.840.113549.1.9.1": ("E", "Email", "emailAddress"),
    "1.2.840.113549.1.9.2": ("UN", "unstructuredName"),
    "1.2.840.113549.1.9.8": ("UA", "unstructuredAddress"),
    "2.16.840.1.113730.3.1.3": ("EN", "employeeNumber"),
}
_OIDS = {name.lower(): oid for oid, names in NAMES.items() for name in names}
_IA5 = frozenset({"0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1", "1.2.840.113549.1.9.2"})
_CHARSETS: dict[int, str] = {
    Tag.UTF8: "utf-8",
    Tag.NUMERIC: "ascii",
    Tag.PRINTABLE: "ascii",
    Tag.T61: "latin-1",  # nobody writes T.61
    Tag.IA5: "ascii",
    Tag.VISIBLE: "ascii",
    Tag.UNIVERSAL: "utf-32-be",
    Tag.BMP: "utf-16-be",
}
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")
_TYPE = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*|[0-9]+(?:\.[0-9]+)+)\s*=")
_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2})|\\(.)|([^\\])", re.DOTALL)
ALLOWED = "allowed: as in C=CH, O=strongSwan, CN=moon"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One type and value. `oid` in dotted notation; `tag` and `content` as DER has the value."""

    oid: str
    tag: int
    content: bytes

    @property
    def text(self) -> str | None:
        """The value as text, None if it is none."""
        charset = _CHARSETS.get(self.tag)
        if charset is None:
            return None
        try:
            return self.content.decode(charset)
        except UnicodeDecodeError:
            return None

    @property
    def folded(self) -> str | bytes:
        """What is compared (RFC 5280 7.1): text without regard to case in ASCII, or to repeated spaces."""
        text = self.text
        if text is None:
            return der.encode(self.tag, self.content)
        return " ".join(part for part in _lower(text).split(" ") if part)

    def __str__(self) -> str:
        text = self.text
        name = NAMES.get(self.oid, (self.oid,))[0]
        if text is None or text.startswith("#"):
            return f"{name}=#{der.encode(self.tag, self.content).hex()}"
        return f"{name}={_escaped(text)}"


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """Relative names, each one or more attributes, the most general one first."""

    rdns: tuple[tuple[Attribute, ...], ...]

    @classmethod
    def parse(cls, text: str) -> DistinguishedName:
        """Read strongSwan's notation. ValueError if it means none."""
        rdns = tuple(tuple(_attribute(one) for one in _attributes(part)) for part in _parts(text.strip()))
        if len(rdns) > MAX_RDNS:
            raise ValueError(f"a distinguished name of too many parts; allowed: at most {MAX_RDNS}")
        return cls(rdns)

    @property
    def is_pattern(self) -> bool:
        """Whether it has a wildcard: CN=*."""
        return any(one.text == ANY for rdn in self.rdns for one in rdn)

    def matches(self, pattern: DistinguishedName) -> bool:
        """Whether `pattern` equals this name, its values of "*" any value. As many parts, in that order."""
        return len(self.rdns) == len(pattern.rdns) and all(
            len(own) == len(other) and all(map(_fits, _sorted(own), _sorted(other)))
            for own, other in zip(self.rdns, pattern.rdns, strict=True)
        )

    def encode(self) -> bytes:
        """As DER."""
        return der.encode(Tag.SEQUENCE, *map(_encode_rdn, self.rdns))

    @property
    def folded(self) -> str:
        """A text that all equal names have, and no others."""
        return _folded(self)

    def __str__(self) -> str:
        return ", ".join("+".join(map(str, rdn)) for rdn in self.rdns)


@lru_cache(maxsize=1024)
def _folded(name: DistinguishedName) -> str:
    return repr([[(one.oid, one.folded) for one in _sorted(rdn)] for rdn in name.rdns])


def decode(data: bytes) -> DistinguishedName:
    """A name's DER. WireError if it is none, or too long."""
    if len(data) > MAX_SIZE:
        raise WireError(f"a distinguished name of more than {MAX_SIZE} octets")
    found = _decoded(data)
    if isinstance(found, str):
        raise WireError(found)
    return found


@lru_cache(maxsize=1024)
def _decoded(data: bytes) -> DistinguishedName | str:
    """The name, or what is wrong with it: one is asked for once for each connection that it could mean."""
    try:
        content = der.content_of(data, Tag.SEQUENCE)
        rdns = tuple(_decode_rdn(*one) for one in der.elements(content, MAX_RDNS))
    except WireError as error:
        return str(error)
    if sum(map(len, rdns)) > MAX_RDNS:
        return f"a distinguished name of more than {MAX_RDNS} attributes"
    return DistinguishedName(rdns)


def _decode_rdn(tag: int, content: bytes) -> tuple[Attribute, ...]:
    if tag != Tag.SET or not content:
        raise WireError("a distinguished name with a part that is no set of attributes")
    return tuple(_decode_attribute(*one) for one in der.elements(content, MAX_RDNS))


def _decode_attribute(tag: int, content: bytes) -> Attribute:
    if tag != Tag.SEQUENCE:
        raise WireError("a distinguished name with an attribute that is no sequence")
    parts = tuple(der.elements(content, 2))
    if len(parts) != 2 or parts[0][0] != Tag.OID:
        raise WireError("a distinguished name with an attribute that is no type and value")
    return Attribute(der.oid_text(parts[0][1]), *parts[1])


def _encode_rdn(rdn: tuple[Attribute, ...]) -> bytes:
    encoded = (
        der.encode(Tag.SEQUENCE, der.encode_oid(one.oid), der.encode(one.tag, one.content)) for one in rdn
    )
    return der.encode(Tag.SET, *sorted(encoded))  # X.690 11.6


def _sorted(rdn: tuple[Attribute, ...]) -> list[Attribute]:
    return sorted(rdn, key=lambda one: one.oid)


def _fits(own: Attribute, pattern: Attribute) -> bool:
    return own.oid == pattern.oid and (pattern.text == ANY or own.folded == pattern.folded)


def _lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def _escaped(text: str) -> str:
    """RFC 4514 2.4, of it what strongSwan would print, too, where nothing needs it."""
    shown = "".join(f"\\{c}" if c in ',+\\"' else c if c.isprintable() else _hex_escapes(c) for c in text)
    if text.startswith(" "):
        shown = "\\20" + shown[1:]
    return f"{shown[:-1]}\\20" if len(text) > 1 and text.endswith(" ") else shown


def _hex_escapes(character: str) -> str:
    return "".join(f"\\{octet:02x}" for octet in character.encode("utf-8", "surrogatepass"))


def _parts(text: str) -> Iterator[str]:
    """The text of each relative name."""
    if text.startswith("/"):
        yield from _split(text[1:], "/")
    elif text:
        yield from _split(text, ",")


def _attributes(part: str) -> Iterator[str]:
    """The text of each attribute of a relative name: "+" divides only where a type follows."""
    pending = ""
    for piece in _split(part, "+"):
        if pending and _TYPE.match(piece):
            yield pending
            pending = piece
        else:
            pending = f"{pending}+{piece}" if pending else piece
    yield pending


def _split(text: str, separator: str) -> Iterator[str]:
    start, quoted, escaped = 0, False, False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _attribute(text: str) -> Attribute:
    found = _TYPE.match(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no attribute of a distinguished name; {ALLOWED}")
    name = found[1]
    oid = name if "." in name else _OIDS.get(name.lower())
    if oid is None:
        known = ", ".join(names[0] for names in NAMES.values())
        raise ValueError(f"{name!r} is no attribute of a distinguished name; allowed: {known}, an OID")
    der.encode_oid(oid)
    value = text[found.end() :].strip()
    if text.endswith(" ") and value.endswith("\\"):
        value += " "  # an escaped space at the end
    if value.startswith("#"):
        return Attribute(oid, *_hex_value(value[1:]))
    return Attribute(oid, *_encoded(oid, _plain(value)))


def _plain(value: str) -> str:
    """A value without its quotes and escapes (RFC 4514 3)."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    octets = bytearray()
    for hexadecimal, escaped, plain in _ESCAPE.findall(value):
        octets += bytes.fromhex(hexadecimal) if hexadecimal else (escaped or plain).encode()
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise ValueError("escapes in a distinguished name that are no UTF-8") from None


def _hex_value(digits: str) -> tuple[int, bytes]:
    try:
        ((tag, content),) = der.elements(bytes.fromhex(digits), 1)
    except (ValueError, WireError):
        raise ValueError('"#" in a distinguished name must be followed by DER in hex digits') from None
    return tag, content


def _encoded(oid: str, text: str) -> tuple[int, bytes]:
    """As strongSwan encodes values: PrintableString, or what the type or the text needs."""
    if oid in _IA5 and text.isascii():
        return Tag.IA5, text.encode()
    return (Tag.PRINTABLE if _PRINTABLE.fullmatch(text) else Tag.UTF8), text.encode()
