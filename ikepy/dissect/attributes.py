"""Values of configuration attributes in words (RFC 7296 3.15.1). No function raises."""

from __future__ import annotations

from collections.abc import Callable

from ikepy.dissect import names
from ikepy.dissect.tree import hexadecimal, text
from ikepy.errors import WireError
from ikepy.wire import attributes
from ikepy.wire.constants import ConfigAttribute

_TEXTS = frozenset({ConfigAttribute.APPLICATION_VERSION})


def _supported(value: bytes) -> str:
    return " ".join(names.short(names.ATTRIBUTES, one) for one in attributes.read_supported(value)[:64])


def _netmask(value: bytes) -> str:
    return f"/{attributes.read_netmask(value)}"


def _encrypted_dns(version: int, value: bytes) -> str:
    found = attributes.EncryptedDns.read(version, value)
    where = ", ".join(map(str, found.addresses[:8])) or "no address"
    return f"{found.name} at {where}, priority {found.priority}"


def _subnet(value: bytes) -> str:
    return str(attributes.read_subnet(value))


def _networks(value: bytes) -> str:
    return ", ".join(map(str, attributes.read_unity_networks(value)[:16]))


def _address(value: bytes) -> str:
    return str(attributes.read_address(value))


_READERS: dict[int, Callable[[bytes], str]] = {
    **dict.fromkeys(
        (
            ConfigAttribute.INTERNAL_IP4_DNS,
            ConfigAttribute.INTERNAL_IP6_DNS,
            ConfigAttribute.INTERNAL_IP4_NBNS,
            ConfigAttribute.INTERNAL_IP4_DHCP,
            ConfigAttribute.INTERNAL_IP6_DHCP,
            ConfigAttribute.INTERNAL_IP4_SERVER,
            ConfigAttribute.INTERNAL_IP6_SERVER,
        ),
        _address,
    ),
    ConfigAttribute.INTERNAL_IP4_ADDRESS: _address,
    ConfigAttribute.INTERNAL_IP6_ADDRESS: lambda value: str(attributes.read_internal_address(value)),
    ConfigAttribute.INTERNAL_IP4_NETMASK: _netmask,
    ConfigAttribute.INTERNAL_IP4_SUBNET: _subnet,
    ConfigAttribute.INTERNAL_IP6_SUBNET: _subnet,
    ConfigAttribute.SUPPORTED_ATTRIBUTES: _supported,
    ConfigAttribute.INTERNAL_DNS_DOMAIN: attributes.read_domain,
    ConfigAttribute.ENCDNS_IP4: lambda value: _encrypted_dns(4, value),
    ConfigAttribute.ENCDNS_IP6: lambda value: _encrypted_dns(6, value),
    ConfigAttribute.UNITY_SPLIT_INCLUDE: _networks,
    ConfigAttribute.UNITY_LOCAL_LAN: _networks,
}


def attribute_value(type: int, value: bytes) -> str:
    """The value of an attribute of this type; hexadecimal if it is none that is known, or malformed."""
    if type in _TEXTS:
        return text(value)
    reader = _READERS.get(type)
    if reader is None or not value:
        return hexadecimal(value)
    try:
        return reader(value)
    except WireError as error:
        return f"malformed ({error}): {hexadecimal(value)}"
