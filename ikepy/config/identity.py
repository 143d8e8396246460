"""IKE identities, written as in swanctl.conf and matched as charon does (RFC 7296 3.5).

Regular expressions are those of swanctl.conf since strongSwan 6.0.2: "^…$", perhaps behind a type's prefix,
for the text of an identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from ikepy.config import regular_expression
from ikepy.errors import WireError
from ikepy.wire import distinguished_name
from ikepy.wire.constants import IdType
from ikepy.wire.distinguished_name import DistinguishedName

ANY = frozenset(
    {"", "%any", "%any6", "*", "0.0.0.0", "::", "0::0"}
)  # charon takes each of them for "anybody"
MAX_LENGTH = 1024  # octets; an ID payload could be longer, but would hardly fit one datagram
PREFIXES = {
    "ipv4": IdType.IPV4_ADDR,
    "ipv6": IdType.IPV6_ADDR,
    "rfc822": IdType.RFC822_ADDR,
    "email": IdType.RFC822_ADDR,
    "userfqdn": IdType.RFC822_ADDR,
    "fqdn": IdType.FQDN,
    "dns": IdType.FQDN,
    "asn1dn": IdType.DER_ASN1_DN,
    "asn1gn": IdType.DER_ASN1_GN,
    "keyid": IdType.KEY_ID,
}
OF_ANY_TYPE = 0  # a regular expression without a prefix
ADDRESS_SIZE: dict[int, int] = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}
TEXT_TYPES: frozenset[int] = frozenset({IdType.FQDN, IdType.RFC822_ADDR})  # compared without regard to case
_TYPE_NAMES: dict[int, str] = {
    IdType.IPV4_ADDR: "address",
    IdType.IPV6_ADDR: "address",
    IdType.FQDN: "FQDN",
    IdType.RFC822_ADDR: "e-mail address",
    IdType.DER_ASN1_DN: "distinguished name",
    IdType.KEY_ID: "key ID",
}

ALLOWED = (
    'allowed: an IP address, a name ("gw.example.org", "@gwa"), "user@example.org", a distinguished name '
    '("C=CH, O=strongSwan, CN=moon"), "@#" and hex digits for a key ID, "^…$" for a regular '
    'expression, "%any", or one of the prefixes ' + ", ".join(f"{name}:" for name in PREFIXES)
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What an ID payload carries: the type's number and the data.

    `regular`: a regular expression instead, for identities of this type, or of any (OF_ANY_TYPE).
    """

    id_type: int
    data: bytes
    regular: bool = False

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """The identity that swanctl.conf means by `text`, None for "%any". ValueError if it means none."""
        text = text.strip()
        if text in ANY:
            return None
        identity = _regular(text) or _prefixed(text) or _by_look(text)
        if len(identity.data) > MAX_LENGTH:
            raise ValueError(f"too long for an identity; allowed: at most {MAX_LENGTH} bytes")
        return identity

    @classmethod
    def of_address(cls, address: IPv4Address | IPv6Address) -> Identity:
        """The default identity of a gateway without a configured one: its address."""
        id_type = IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR
        return cls(id_type, address.packed)

    @classmethod
    def of_user(cls, name: str) -> Identity | None:
        """The identity by which secrets and certificates know a user; None if it can't be one."""
        try:
            identity = cls.parse(name)
        except ValueError:
            return None
        return None if identity is None or identity.is_pattern else identity

    @classmethod
    def of_name(cls, name: DistinguishedName) -> Identity:
        """A distinguished name, as a certificate's subject."""
        return cls(IdType.DER_ASN1_DN, name.encode())

    @property
    def is_pattern(self) -> bool:
        """Whether many may match it: "*.example.org", "*@example.org", "C=CH, CN=*", "^gw[0-9]+$"."""
        name = self.name
        return (
            self.regular
            or (self.id_type in TEXT_TYPES and self.data.startswith(b"*"))
            or (name is not None and name.is_pattern)
        )

    @property
    def name(self) -> DistinguishedName | None:
        """What a distinguished name's DER means, None if it is malformed or this is of another type."""
        if self.id_type != IdType.DER_ASN1_DN or self.regular:
            return None
        try:
            return distinguished_name.decode(self.data)
        except WireError:
            return None

    @property
    def folded(self) -> Identity:
        """Normal form for comparison: names are case-insensitive."""
        if self.regular:
            return self
        name = self.name
        if name is not None:
            return Identity(self.id_type, name.folded.encode("utf-8", "surrogatepass"))
        return Identity(self.id_type, self.data.lower()) if self.id_type in TEXT_TYPES else self

    @property
    def type_name(self) -> str:
        """The type's name, for display: two identities that look alike may differ in type."""
        if self.regular:
            return "regular expression"
        return _TYPE_NAMES.get(self.id_type, f"type {self.id_type}")

    def matches(self, pattern: Identity | None) -> bool:
        """Whether `pattern` (None: any identity) equals this identity or matches it by wildcard."""
        if pattern is None:
            return True
        if pattern.regular:
            fits = pattern.id_type in (OF_ANY_TYPE, self.id_type) and len(self.data) <= MAX_LENGTH
            return fits and _found(pattern.data.decode(), str(self))
        if self.id_type != pattern.id_type or self.regular:
            return False
        if self.id_type in TEXT_TYPES:
            mine, theirs = self.data.lower(), pattern.data.lower()
            return mine == theirs or (pattern.is_pattern and mine.endswith(theirs[1:]))
        own, other = self.name, pattern.name
        if own is not None and other is not None:
            return own.matches(other)
        return self.data == pattern.data

    def __str__(self) -> str:
        if self.regular:
            prefix = next((f"{word}:" for word, kind in PREFIXES.items() if kind == self.id_type), "")
            return prefix + self.data.decode()
        name = self.name
        if name is not None and name.rdns:
            return str(name)
        if ADDRESS_SIZE.get(self.id_type) == len(self.data):
            return str(ip_address(self.data))
        text = _printable(self.data)
        if self.id_type in TEXT_TYPES and text is not None:
            return text
        if self.id_type == IdType.KEY_ID:
            return text if text is not None and ":" in text else f"@#{self.data.hex()}"
        return f"{{{self.id_type}}}:#{self.data.hex()}"


def _printable(data: bytes) -> str | None:
    # A peer chooses these bytes and they are logged: control characters must not reach the log.
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and text else None


def _prefixed(text: str) -> Identity | None:
    """ "fqdn:gwa", "keyid:#00ff", "{11}:gwa"; None if there is no such prefix."""
    prefix, colon, rest = text.partition(":")
    prefix = prefix.lower()
    if not colon:
        return None
    number: int | None = PREFIXES.get(prefix)
    if number is None and prefix.startswith("{") and prefix.endswith("}"):
        number = int(prefix[1:-1]) if prefix[1:-1].isascii() and prefix[1:-1].isdigit() else 0
        if not 1 <= number <= 255:
            raise ValueError("the number in {…} is not an ID type; allowed: 1..255")
    if number is None:
        return None
    if number == IdType.DER_ASN1_DN and not rest.startswith("#"):
        return _name(rest)  # charon would take the text for DER
    data = _hex(rest[1:]) if rest.startswith("#") else rest.encode()
    if ADDRESS_SIZE.get(number, len(data)) != len(data):
        raise ValueError(
            f"{len(data)} bytes are no address; allowed after {prefix}: # and the address in hex digits "
            "(or the address without any prefix)"
        )
    if not data:
        raise ValueError(f"nothing behind the prefix; {ALLOWED}")
    return Identity(number, data)


def _by_look(text: str) -> Identity:
    """Guess the type of a text without prefix, as charon does."""
    if "=" in text:
        return _name(text)
    if text.startswith("@#"):
        return Identity(IdType.KEY_ID, _hex(text[2:]))
    if text.startswith("@@"):
        return _text(IdType.RFC822_ADDR, text[2:])
    if text.startswith("@"):
        return _text(IdType.FQDN, text[1:])
    if "@" in text:
        return _text(IdType.RFC822_ADDR, text)
    try:
        return Identity.of_address(ip_address(text))
    except ValueError:
        return _text(IdType.KEY_ID if ":" in text else IdType.FQDN, text)


def _text(id_type: IdType, text: str) -> Identity:
    if not text or not text.isprintable():
        raise ValueError(f"empty or with control characters; {ALLOWED}")
    return Identity(id_type, text.encode())


def _hex(digits: str) -> bytes:
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        data = b""
    if not data:
        raise ValueError('"#" must be followed by pairs of hex digits')
    return data


def _name(text: str) -> Identity:
    """charon takes a text that is no name for a key ID: hardly what was meant."""
    try:
        name = DistinguishedName.parse(text)
        if not name.rdns:
            raise ValueError("nothing behind the prefix")
    except ValueError as error:
        raise ValueError(f'{error}; a key ID with "=" in it is written keyid:…') from None
    return Identity.of_name(name)


def _regular(text: str) -> Identity | None:
    """ "^gw[0-9]+$", "fqdn:^…$"; None if it does not look like one."""
    prefix, colon, rest = text.partition(":")
    number = PREFIXES.get(prefix.lower()) if colon else None
    id_type, expression = (OF_ANY_TYPE, text) if number is None else (int(number), rest)
    if len(expression) < 2 or not (expression.startswith("^") and expression.endswith("$")):
        return None
    regular_expression.compiled(expression)
    return Identity(id_type, expression.encode(), regular=True)


def _found(expression: str, text: str) -> bool:
    return regular_expression.compiled(expression).fullmatch(text) is not None
