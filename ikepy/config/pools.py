"""`[pools.NAME]`: addresses that peers are given, and what they are told beside (RFC 7296 3.15).

Keys are those of swanctl.conf's `pools`; numbers stand for attributes that have no name there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import Annotated, Any

from pydantic import Field, PlainValidator, model_validator

from ikepy.config import fields, values
from ikepy.config.dns_name import DnsName
from ikepy.config.section import Section
from ikepy.config.values import Address, Network
from ikepy.errors import LocalMisuse, WireError
from ikepy.wire import attributes as wire
from ikepy.wire.attributes import EncryptedDns
from ikepy.wire.constants import ConfigAttribute
from ikepy.wire.payloads import Attribute

MOST = 1024  # pools
MOST_BITS = 31  # of a pool's addresses, as charon has them
MOST_VALUES = 32  # of one key
MOST_BYTES = 512  # of one value
LARGEST_TYPE = 2**15 - 1  # of an attribute (RFC 7296 3.15.1)
ADDRESS_BITS = {4: 32, 6: 128}
ADDRS_ALLOWED = 'allowed: a network like "10.3.0.0/24", or a range like "10.3.0.5-10.3.0.9"'


@dataclass(frozen=True, slots=True)
class AddressRange:
    """`base` as it is written; the addresses to be given are `first` to `last`, of which 2^31 at most."""

    base: Address
    first: Address
    last: Address

    @classmethod
    def parse(cls, value: object) -> AddressRange:
        """A network, without its own address and the last one, or a range. Raises ValueError."""
        text = values.text(value).strip()
        try:
            return _range(text) if "-" in text else _network(text)
        except ValueError:
            raise ValueError(f"no addresses for a pool; {ADDRS_ALLOWED}") from None

    @property
    def version(self) -> int:
        return self.base.version

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: Address) -> bool:
        return address.version == self.version and int(self.first) <= int(address) <= int(self.last)

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def _network(text: str) -> AddressRange:
    interface = ip_interface(text)
    bits = min(ADDRESS_BITS[interface.version] - interface.network.prefixlen, MOST_BITS)
    size, base = 2**bits, int(interface.ip)
    if size <= 2:
        return AddressRange(interface.ip, interface.ip, _moved(interface.ip, size - base % size - 1))
    within = max(base % size, 1)
    first = _moved(interface.ip, within - base % size)
    last = _moved(interface.ip, size - base % size - 2)
    if int(last) < int(first):
        raise ValueError("no range")
    return AddressRange(interface.ip, first, last)


def _moved(address: Address, by: int) -> Address:
    kind = IPv4Address if address.version == 4 else IPv6Address
    return kind(int(address) + by)


def _range(text: str) -> AddressRange:
    first, last = (ip_address(one.strip()) for one in text.split("-", 1))
    if first.version != last.version or not 1 <= int(last) - int(first) + 1 <= 2**MOST_BITS:
        raise ValueError("no range")
    return AddressRange(first, first, last)


def _addrs(value: object) -> AddressRange:
    return value if isinstance(value, AddressRange) else AddressRange.parse(value)


def _ipv4(value: object) -> IPv4Address:
    address = values.address(value)
    if not isinstance(address, IPv4Address):
        raise ValueError("allowed: an IPv4 address; IPv6 has no such attribute")
    return address


def _netmask(value: object) -> IPv4Address:
    mask = _ipv4(value)
    try:
        wire.read_netmask(mask.packed)
    except WireError:
        raise ValueError('allowed: a netmask like "255.255.255.0"') from None
    return mask


def _networks(value: object) -> Network:
    word = values.text(value).strip()
    try:
        return ip_network(word, strict=False)
    except ValueError:
        raise ValueError('allowed: a network like "10.8.0.0/16"') from None


def _ipv4_network(value: object) -> Network:
    network = _networks(value)
    if network.version != 4:
        raise ValueError("allowed: IPv4 networks; IPv6 has no such attribute: use subnet")
    return network


def _domain(value: object) -> str:
    name = DnsName.of(values.text(value).strip())
    if name is None:
        raise ValueError('allowed: a DNS domain like "example.org"')
    return name.text.rstrip(".")


def _resolver(value: object) -> EncryptedDns:
    """ "dns.example.org 10.8.0.53 alpn=dot port=853": a resolver's name, addresses and parameters."""
    allowed = (
        'allowed: a name, addresses of one IP version and parameters, like "dns.example.org 10.8.0.53 '
        'alpn=h2 port=8443 dohpath=/dns-query{?dns}"; alpn may stand there several times'
    )
    words = values.text(value).split()
    addresses = [word for word in words[1:] if "=" not in word]
    pairs = [word.partition("=")[::2] for word in words[1:] if "=" in word]
    try:
        found = tuple(ip_address(one) for one in addresses)
        if not words or len({one.version for one in found}) != 1:
            raise ValueError
        resolver = EncryptedDns(found[0].version, 1, found, _domain(words[0]), _parameters(pairs))
        if len(resolver.attribute().value) > MOST_BYTES:
            raise ValueError
    except (ValueError, LocalMisuse):
        raise ValueError(allowed) from None
    return resolver


def _parameters(pairs: list[tuple[str, str]]) -> tuple[tuple[int, bytes], ...]:
    """SvcParams (RFC 9460 7, 9461 5): alpn is 1, port 3, dohpath 7."""
    protocols = [word.encode() for key, word in pairs if key == "alpn"]
    found: dict[int, bytes] = {}
    if protocols:
        found[1] = b"".join(bytes([len(one)]) + one for one in protocols)
    for key, word in pairs:
        match key:
            case "alpn":
                pass
            case "port" if word.isascii() and word.isdigit() and 0 < int(word) < 2**16:
                found[3] = int(word).to_bytes(2, "big")
            case "dohpath":
                found[7] = word.encode()
            case _:
                raise ValueError
    return tuple(sorted(found.items()))


def _numbered(value: object) -> tuple[Attribute, ...]:
    """Values by an attribute's number: an address, a network, "0x" and hex digits, or other text."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, dict):
        raise ValueError('must be a section: numbers of attributes, like 25 = ["example.org"]')
    found: list[Attribute] = []
    for key, given in value.items():
        number = int(key) if key.isascii() and key.isdigit() and len(key) < 6 else 0
        items = values.listed(given)
        if not 1 <= number <= LARGEST_TYPE or len(items) > MOST_VALUES:
            raise ValueError(
                f"allowed: attributes 1 to {LARGEST_TYPE}, each with {MOST_VALUES} values at most"
            )
        found += [Attribute(number, _bytes(values.text(one).strip())) for one in items]
    return tuple(found)


def _bytes(text: str) -> bytes:
    try:
        if text.startswith("0x"):
            return bytes.fromhex(text[2:])
        if "/" in text:
            return wire.of_subnet(ip_network(text, strict=False)).value
        return ip_address(text).packed
    except ValueError:
        data = text.encode()
    if len(data) > MOST_BYTES:
        raise ValueError(f"allowed: at most {MOST_BYTES} bytes")
    return data


Addresses = Annotated[tuple[Address, ...], fields.each(values.address, most=MOST_VALUES)]
Ipv4Networks = Annotated[tuple[Network, ...], fields.each(_ipv4_network, most=MOST_VALUES)]


class Pool(Section):
    """Addresses for peers, and what whoever gets one of them is told besides."""

    name: str
    addrs: Annotated[AddressRange, PlainValidator(_addrs)]
    dns: Addresses = ()
    nbns: Annotated[tuple[IPv4Address, ...], fields.each(_ipv4, most=MOST_VALUES)] = ()
    dhcp: Addresses = ()
    netmask: Annotated[tuple[IPv4Address, ...], fields.each(_netmask, most=1)] = ()
    server: Addresses = ()
    subnet: Annotated[tuple[Network, ...], fields.each(_networks, most=MOST_VALUES)] = ()
    split_include: Ipv4Networks = ()
    split_exclude: Ipv4Networks = ()
    # RFC 8598 and 9464: only peers that ask for them are told.
    domains: Annotated[tuple[str, ...], fields.each(_domain, most=MOST_VALUES)] = ()
    encrypted_dns: Annotated[tuple[EncryptedDns, ...], fields.each(_resolver, most=MOST_VALUES)] = ()
    attributes: Annotated[tuple[Attribute, ...], PlainValidator(_numbered)] = Field(default=())

    @model_validator(mode="before")
    @classmethod
    def _gather_numbers(cls, given: Any) -> Any:
        """swanctl.conf has the numbers beside the names."""
        if not isinstance(given, dict):
            return given
        numbers = {key: one for key, one in given.items() if isinstance(key, str) and key.isdecimal()}
        if not numbers:
            return given
        rest = {key: one for key, one in given.items() if key not in numbers}
        inner = rest.get("attributes", {})
        return {**rest, "attributes": {**inner, **numbers} if isinstance(inner, dict) else inner}

    @property
    def told(self) -> Iterator[Attribute]:
        """The attributes beside the addresses, in the order of their keys."""
        for types, addresses in ((wire.DNS, self.dns), (wire.DHCP, self.dhcp), (wire.SERVER, self.server)):
            yield from (wire.of_address(types, one) for one in addresses)
        yield from (Attribute(ConfigAttribute.INTERNAL_IP4_NBNS, one.packed) for one in self.nbns)
        yield from (Attribute(ConfigAttribute.INTERNAL_IP4_NETMASK, one.packed) for one in self.netmask)
        yield from (wire.of_subnet(one) for one in self.subnet)
        for unity, networks in (
            (ConfigAttribute.UNITY_SPLIT_INCLUDE, self.split_include),
            (ConfigAttribute.UNITY_LOCAL_LAN, self.split_exclude),
        ):
            yield from (wire.of_unity_network(unity, one) for one in networks if one.version == 4)
        yield from (wire.of_domain(one) for one in self.domains)
        yield from (one.attribute() for one in self.encrypted_dns)
        yield from self.attributes


def check(pools: dict[str, Pool]) -> Iterator[tuple[str, str]]:
    """More than there may be, as (key path, text)."""
    if len(pools) > MOST:
        yield "pools", f"allowed: at most {MOST}"
