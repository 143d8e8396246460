"""Values of configuration attributes, to bytes and back (RFC 7296 3.15.1, 8598 4, 9464 3).

A reader raises WireError for bytes that are no value of the attribute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
)

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import ConfigAttribute
from ikepy.wire.payloads.configuration import Attribute
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8, u16

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The two attributes of one meaning, by IP version.
ADDRESS = {4: ConfigAttribute.INTERNAL_IP4_ADDRESS, 6: ConfigAttribute.INTERNAL_IP6_ADDRESS}
DNS = {4: ConfigAttribute.INTERNAL_IP4_DNS, 6: ConfigAttribute.INTERNAL_IP6_DNS}
DHCP = {4: ConfigAttribute.INTERNAL_IP4_DHCP, 6: ConfigAttribute.INTERNAL_IP6_DHCP}
SUBNET = {4: ConfigAttribute.INTERNAL_IP4_SUBNET, 6: ConfigAttribute.INTERNAL_IP6_SUBNET}
SERVER = {4: ConfigAttribute.INTERNAL_IP4_SERVER, 6: ConfigAttribute.INTERNAL_IP6_SERVER}
ENCRYPTED_DNS = {4: ConfigAttribute.ENCDNS_IP4, 6: ConfigAttribute.ENCDNS_IP6}

_UNITY_PADDING = bytes(6)  # Cisco's: protocol and ports, unused
# Names in presentation format: letters, digits and hyphens (IDNA A-labels), as hosts are called.
_LABEL = rb"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_NAME = re.compile(rb"(?=.{1,253}\.?\Z)" + _LABEL + rb"(\." + _LABEL + rb")*\.?")


def of_address(types: dict[int, ConfigAttribute], address: Address) -> Attribute:
    """An attribute that holds a plain address; DNS, DHCP, SERVER."""
    return Attribute(types[address.version], address.packed)


def read_address(value: bytes) -> Address:
    """A plain address, of 4 or 16 bytes."""
    if len(value) not in (4, 16):
        raise WireError(f"an address of {len(value)} bytes")
    return ip_address(value)


def of_internal_address(address: Address) -> Attribute:
    """INTERNAL_IP4_ADDRESS; INTERNAL_IP6_ADDRESS, of one address alone."""
    prefix = u8(128) if address.version == 6 else b""
    return Attribute(ADDRESS[address.version], address.packed + prefix)


def read_internal_address(value: bytes) -> Address:
    """An internal address of either version; some peers leave IPv6's prefix length out."""
    if len(value) == 17 and value[16] <= 128:
        return IPv6Interface((value[:16], value[16])).ip
    return read_address(value)


def of_subnet(network: Network) -> Attribute:
    """INTERNAL_IP4_SUBNET or INTERNAL_IP6_SUBNET."""
    mask = network.netmask.packed if network.version == 4 else u8(network.prefixlen)
    return Attribute(SUBNET[network.version], network.network_address.packed + mask)


def read_subnet(value: bytes) -> Network:
    """A subnet: its address and mask (IPv4) or prefix length (IPv6). Bits outside the prefix are ignored."""
    if len(value) == 8:
        return _ip4_network(value[:4], value[4:])
    if len(value) == 17 and value[16] <= 128:
        return IPv6Network((value[:16], value[16]), strict=False)
    raise WireError(f"a subnet of {len(value)} bytes")


def of_unity_network(type: ConfigAttribute, network: IPv4Network) -> Attribute:
    """UNITY_SPLIT_INCLUDE or UNITY_LOCAL_LAN."""
    return Attribute(type, network.network_address.packed + network.netmask.packed + _UNITY_PADDING)


def read_unity_networks(value: bytes) -> tuple[IPv4Network, ...]:
    """The networks of a UNITY attribute: entries of 14 bytes; the last one's padding may be missing."""
    entries = [value[start : start + 14] for start in range(0, len(value), 14)]
    if any(len(one) not in (8, 14) for one in entries):
        raise WireError(f"a list of networks of {len(value)} bytes")
    return tuple(_ip4_network(one[:4], one[4:8]) for one in entries)


def _ip4_network(address: bytes, mask: bytes) -> IPv4Network:
    bits = int.from_bytes(mask, "big")
    length = bits.bit_count()
    if bits != (2**32 - 1) ^ (2 ** (32 - length) - 1):
        raise WireError("a netmask with holes")
    return IPv4Network((address, length), strict=False)


def read_netmask(value: bytes) -> int:
    """The prefix length that INTERNAL_IP4_NETMASK says."""
    if len(value) != 4:
        raise WireError(f"a netmask of {len(value)} bytes")
    return _ip4_network(bytes(4), value).prefixlen


def of_domain(name: str) -> Attribute:
    """INTERNAL_DNS_DOMAIN (RFC 8598 4.1)."""
    return Attribute(ConfigAttribute.INTERNAL_DNS_DOMAIN, _encoded(name))


def read_domain(value: bytes) -> str:
    """A domain in presentation format, in lower case and without the dot at its end."""
    if not _NAME.fullmatch(value):
        raise WireError("a domain that no host is in")
    return value.decode("ascii").lower().rstrip(".")


def _encoded(name: str) -> bytes:
    data = name.encode("ascii", "replace")
    if not _NAME.fullmatch(data):
        raise LocalMisuse("a domain that no host is in")
    return data


@dataclass(frozen=True, slots=True)
class EncryptedDns:
    """ENCDNS_IP4 or ENCDNS_IP6: a resolver for DNS over TLS, HTTPS or QUIC (RFC 9464 3.1).

    `priority` 0: an alias, without `parameters`. `name`: that its certificate must have. `parameters`:
    SvcParams as DNS has them on the wire (RFC 9460 2.2), in ascending order of their keys.
    """

    version: int  # of the addresses
    priority: int
    addresses: tuple[Address, ...]
    name: str
    parameters: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def read(cls, version: int, value: bytes) -> EncryptedDns:
        reader = Reader(value)
        priority, count, size = reader.u16(), reader.u8(), reader.u8()
        width = 4 if version == 4 else 16
        addresses = tuple(read_address(reader.take(width)) for _ in range(count))
        name = read_domain(reader.take(size))
        parameters: list[tuple[int, bytes]] = []
        while reader.remaining:
            key, length = reader.u16(), reader.u16()
            if parameters and key <= parameters[-1][0]:
                raise WireError("service parameters that are not in order")
            parameters.append((key, reader.take(length)))
        return cls(version, priority, addresses, name, tuple(parameters))

    def attribute(self) -> Attribute:
        if any(one.version != self.version for one in self.addresses):
            raise LocalMisuse("addresses of two versions in one ENCDNS attribute")
        name = _encoded(self.name)
        head = u16(self.priority) + u8(len(self.addresses)) + u8(len(name))
        addresses = b"".join(one.packed for one in self.addresses)
        parameters = b"".join(u16(key) + u16(len(value)) + value for key, value in self.parameters)
        return Attribute(ENCRYPTED_DNS[self.version], head + addresses + name + parameters)


def of_supported() -> Attribute:
    """SUPPORTED_ATTRIBUTES of ours: all that have a name here (RFC 7296 3.15.1)."""
    types = [one for one in ConfigAttribute if one is not ConfigAttribute.APPLICATION_VERSION]
    return Attribute(ConfigAttribute.SUPPORTED_ATTRIBUTES, b"".join(u16(one) for one in types))


def read_supported(value: bytes) -> tuple[int, ...]:
    """The types of SUPPORTED_ATTRIBUTES."""
    if len(value) % 2:
        raise WireError("SUPPORTED_ATTRIBUTES with half a type")
    return tuple(int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2))
