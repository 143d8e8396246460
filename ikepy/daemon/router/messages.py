"""Router advertisements and solicitations as octets (RFC 4861 4.1, 4.2, 4.6; RFC 4191 2; RFC 8106 5).

Advertisements are only written, solicitations only read: `read_solicitation` gives a value or raises
`WireError` for any octets. The checksum is the kernel's (RFC 3542 3.1): it is written as 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address, IPv6Network
from typing import TypeAlias

from ikepy.errors import WireError

ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
HOP_LIMIT = 255  # of every message: it comes from this link (RFC 4861 6.1.1, 6.2.3)
ROOM = 1280 - 40  # octets that fit every IPv6 link (RFC 8200 5), less the IPv6 header
MANAGED, OTHER_CONFIG, ON_LINK, AUTONOMOUS = 0x80, 0x40, 0x80, 0x40
LONGEST = 2**32 - 1  # seconds; as a lifetime: infinity

_HEADER = struct.Struct("!BBHBBHII")  # type, code, checksum, hop limit, flags, lifetime, reachable, retrans
_SOLICITATION = struct.Struct("!BBHI")  # type, code, checksum, reserved
_OPTION = struct.Struct("!BB")  # type, length in units of 8 octets
_MTU = struct.Struct("!BBHI")
_PREFIX = struct.Struct("!BBBBIII16s")
_ROUTE = struct.Struct("!BBBBI")
_DNS = struct.Struct("!BBHI")


class OptionType(IntEnum):
    SOURCE_LINK_LAYER_ADDRESS = 1
    PREFIX_INFORMATION = 3
    MTU = 5
    ROUTE_INFORMATION = 24
    RDNSS = 25
    DNSSL = 31


class Preference(IntEnum):
    """Two bits, a signed number (RFC 4191 2.1)."""

    LOW = 0b11
    MEDIUM = 0b00
    HIGH = 0b01


@dataclass(frozen=True, slots=True)
class SourceLinkLayerAddress:
    """Of 6 octets on an Ethernet (RFC 2464 6)."""

    address: bytes

    def encode(self) -> bytes:
        return _padded(_OPTION.pack(OptionType.SOURCE_LINK_LAYER_ADDRESS, 0) + self.address)


@dataclass(frozen=True, slots=True)
class Mtu:
    """In octets (RFC 4861 4.6.4)."""

    mtu: int

    def encode(self) -> bytes:
        return _MTU.pack(OptionType.MTU, 1, 0, self.mtu)


@dataclass(frozen=True, slots=True)
class PrefixInformation:
    """A prefix that is on the link, or of which hosts make addresses (RFC 4861 4.6.2). Lifetimes: seconds."""

    prefix: IPv6Network
    on_link: bool
    autonomous: bool
    valid: int
    preferred: int

    def encode(self) -> bytes:
        flags = ON_LINK * self.on_link | AUTONOMOUS * self.autonomous
        address = self.prefix.network_address.packed
        length = self.prefix.prefixlen
        return _PREFIX.pack(
            OptionType.PREFIX_INFORMATION, 4, length, flags, self.valid, self.preferred, 0, address
        )


@dataclass(frozen=True, slots=True)
class RouteInformation:
    """A network behind us (RFC 4191 2.3); `lifetime` in seconds, 0: not any more."""

    network: IPv6Network
    preference: Preference
    lifetime: int

    def encode(self) -> bytes:
        length = self.network.prefixlen
        octets = 0 if length == 0 else 8 if length <= 64 else 16
        head = _ROUTE.pack(
            OptionType.ROUTE_INFORMATION, 1 + octets // 8, length, self.preference << 3, self.lifetime
        )
        return head + self.network.network_address.packed[:octets]


@dataclass(frozen=True, slots=True)
class RecursiveDnsServers:
    """At most 127 (RFC 8106 5.1); `lifetime` in seconds, 0: not any more."""

    servers: tuple[IPv6Address, ...]
    lifetime: int

    def encode(self) -> bytes:
        head = _DNS.pack(OptionType.RDNSS, 1 + 2 * len(self.servers), 0, self.lifetime)
        return head + b"".join(one.packed for one in self.servers)


@dataclass(frozen=True, slots=True)
class DnsSearchList:
    """Names in ASCII without the last dot (RFC 8106 5.2); `lifetime` in seconds, 0: not any more."""

    domains: tuple[str, ...]
    lifetime: int

    def encode(self) -> bytes:
        names = b"".join(map(_name, self.domains))
        return _padded(_DNS.pack(OptionType.DNSSL, 0, 0, self.lifetime) + names)


Option: TypeAlias = (
    SourceLinkLayerAddress | Mtu | PrefixInformation | RouteInformation | RecursiveDnsServers | DnsSearchList
)


@dataclass(frozen=True, slots=True)
class Advertisement:
    """A router advertisement (RFC 4861 4.2). `lifetime` in seconds, 0: no default router; the times of
    neighbours in milliseconds, 0: unspecified, as is `hop_limit` 0."""

    hop_limit: int
    managed: bool
    other_config: bool
    preference: Preference
    lifetime: int
    reachable_time: int
    retrans_timer: int
    options: tuple[Option, ...] = ()

    def encode(self, room: int = ROOM) -> list[bytes]:
        """The ICMPv6 messages: several, each of at most `room` octets, if the options do not fit into one
        (RFC 4861 6.2.3). An option that does not fit at all stands in a message of its own."""
        head = self._header()
        messages = [head]
        for option in map(_encode, self.options):
            if len(messages[-1]) > len(head) and len(messages[-1]) + len(option) > room:
                messages.append(head)
            messages[-1] += option
        return messages

    def _header(self) -> bytes:
        # RFC 4191 2.2: without a lifetime the preference is 0.
        preference = self.preference if self.lifetime else Preference.MEDIUM
        flags = MANAGED * self.managed | OTHER_CONFIG * self.other_config | preference << 3
        times = self.reachable_time, self.retrans_timer
        return _HEADER.pack(ROUTER_ADVERTISEMENT, 0, 0, self.hop_limit, flags, self.lifetime, *times)


@dataclass(frozen=True, slots=True)
class Solicitation:
    """A valid router solicitation. `link_layer`: the sender's address on this link, None: not told."""

    link_layer: bytes | None


def read_solicitation(octets: bytes, source: IPv6Address, hop_limit: int) -> Solicitation:
    """The message, if it is valid by RFC 4861 6.1.1; the kernel has verified the checksum.

    Raises WireError for what is to be discarded silently.
    """
    if hop_limit != HOP_LIMIT:
        raise WireError(f"a hop limit of {hop_limit}: it comes from another link")
    if len(octets) < _SOLICITATION.size:
        raise WireError(f"{len(octets)} octets are no router solicitation")
    kind, code, _, _ = _SOLICITATION.unpack_from(octets)
    if (kind, code) != (ROUTER_SOLICITATION, 0):
        raise WireError(f"ICMPv6 type {kind}, code {code} is no router solicitation")
    link_layer = None
    for option, value in _options(octets[_SOLICITATION.size :]):
        if option == OptionType.SOURCE_LINK_LAYER_ADDRESS:
            if source.is_unspecified:
                raise WireError("a link-layer address of no source address")
            link_layer = link_layer or value
    return Solicitation(link_layer)


def _options(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each option (RFC 4861 4.6)."""
    place = 0
    while place < len(octets):
        if len(octets) - place < _OPTION.size:
            raise WireError("an option is cut off")
        kind, units = _OPTION.unpack_from(octets, place)
        end = place + 8 * units
        if not units or end > len(octets):
            raise WireError(f"an option of {8 * units} octets, where {len(octets) - place} are left")
        yield kind, octets[place + _OPTION.size : end]
        place = end


def _encode(option: Option) -> bytes:
    return option.encode()


def _padded(option: bytes) -> bytes:
    """The option with zeros up to a multiple of 8 octets, and its length, the second octet."""
    option += bytes(-len(option) % 8)
    return bytes((option[0], len(option) // 8)) + option[2:]


def _name(domain: str) -> bytes:
    """A domain name as labels (RFC 1035 3.1), not compressed."""
    labels = domain.encode("ascii").split(b".")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
