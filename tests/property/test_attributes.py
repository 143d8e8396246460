"""Configuration attributes: a value survives the wire, and any bytes give a value or WireError."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.errors import WireError
from ikepy.wire import attributes
from ikepy.wire.attributes import EncryptedDns

from .wire_values import DATA, WORD

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)
NETWORKS = st.builds(
    lambda address, length: attributes.read_subnet(
        address.packed + bytes([length])
        if address.version == 6
        else address.packed + (2**32 - 2 ** (32 - length % 33)).to_bytes(4, "big")
    ),
    ADDRESSES,
    st.integers(0, 128),
)
PARAMETERS = st.dictionaries(WORD, DATA, max_size=4).map(lambda one: tuple(sorted(one.items())))


def _resolvers(
    version: int, addresses: st.SearchStrategy[attributes.Address]
) -> st.SearchStrategy[EncryptedDns]:
    several = st.lists(addresses, max_size=4).map(tuple)
    return st.builds(EncryptedDns, st.just(version), WORD, several, NAMES, PARAMETERS)


RESOLVERS = _resolvers(4, st.ip_addresses(v=4)) | _resolvers(6, st.ip_addresses(v=6))


@given(ADDRESSES)
def test_addresses(address: attributes.Address) -> None:
    assert attributes.read_internal_address(attributes.of_internal_address(address).value) == address
    for types in (attributes.DNS, attributes.DHCP, attributes.SERVER):
        assert attributes.read_address(attributes.of_address(types, address).value) == address


@given(NETWORKS)
def test_subnets(network: attributes.Network) -> None:
    assert attributes.read_subnet(attributes.of_subnet(network).value) == network


@given(NAMES)
def test_domains(name: str) -> None:
    assert attributes.read_domain(attributes.of_domain(name).value) == name


@given(RESOLVERS)
def test_encrypted_dns(resolver: EncryptedDns) -> None:
    assert EncryptedDns.read(resolver.version, resolver.attribute().value) == resolver


READERS: list[Callable[[bytes], object]] = [
    attributes.read_address,
    attributes.read_internal_address,
    attributes.read_subnet,
    attributes.read_unity_networks,
    attributes.read_netmask,
    attributes.read_domain,
    attributes.read_supported,
    lambda value: EncryptedDns.read(4, value),
    lambda value: EncryptedDns.read(6, value),
]


@pytest.mark.parametrize("reader", READERS)
@given(value=st.binary(max_size=80))
def test_any_bytes(reader: Callable[[bytes], object], value: bytes) -> None:
    try:
        reader(value)
    except WireError as error:
        assert str(error)
