"""IKE identities, written as in swanctl.conf and matched as charon does (RFC 7296 3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from ikepy.wire.constants import IdType

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
    "keyid": IdType.KEY_ID,
}
DN_PREFIXES = frozenset({"asn1dn", "asn1gn"})
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
    'allowed: an IP address, a name ("gw.example.org", "@gwa"), "user@example.org", "@#" and hex digits for '
    'a key ID, "%any", or one of the prefixes ' + ", ".join(f"{name}:" for name in PREFIXES)
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What an ID payload carries: the type's number and the data."""

    id_type: int
    data: bytes

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """The identity that swanctl.conf means by `text`, None for "%any". ValueError if it means none."""
        text = text.strip()
        if text in ANY:
            return None
        identity = _prefixed(text) or _by_look(text)
        if len(identity.data) > MAX_LENGTH:
            raise ValueError(f"too long for an identity; allowed: at most {MAX_LENGTH} bytes")
        return identity

    @classmethod
    def of_address(cls, address: IPv4Address | IPv6Address) -> Identity:
        """The default identity of a gateway without a configured one: its address."""
        id_type = IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR
        return cls(id_type, address.packed)

    @property
    def is_pattern(self) -> bool:
        """Whether it has a wildcard: "*.example.org", "*@example.org"."""
        return self.id_type in TEXT_TYPES and self.data.startswith(b"*")

    @property
    def folded(self) -> Identity:
        """Normal form for comparison: names are case-insensitive."""
        return Identity(self.id_type, self.data.lower()) if self.id_type in TEXT_TYPES else self

    @property
    def type_name(self) -> str:
        """The type's name, for display: two identities that look alike may differ in type."""
        return _TYPE_NAMES.get(self.id_type, f"type {self.id_type}")

    def matches(self, pattern: Identity | None) -> bool:
        """Whether `pattern` (None: any identity) equals this identity or matches it by wildcard."""
        if pattern is None:
            return True
        if self.id_type != pattern.id_type:
            return False
        if self.id_type not in TEXT_TYPES:
            return self.data == pattern.data
        mine, theirs = self.data.lower(), pattern.data.lower()
        return mine == theirs or (pattern.is_pattern and mine.endswith(theirs[1:]))

    def __str__(self) -> str:
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
    if prefix in DN_PREFIXES:
        raise _no_dn()
    number: int | None = PREFIXES.get(prefix)
    if number is None and prefix.startswith("{") and prefix.endswith("}"):
        number = int(prefix[1:-1]) if prefix[1:-1].isascii() and prefix[1:-1].isdigit() else 0
        if not 1 <= number <= 255:
            raise ValueError("the number in {…} is not an ID type; allowed: 1..255")
    if number is None:
        return None
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
        raise _no_dn()
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


def _no_dn() -> ValueError:
    return ValueError(f"distinguished names are not supported by ikepy yet; {ALLOWED}")
