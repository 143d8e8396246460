"""The data of REDIRECT and REDIRECTED_FROM (RFC 5685 9.2, 9.3)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.redirect import Gateway, decode_gateway, encode_gateway

GATEWAYS: list[tuple[Gateway, str]] = [
    (IPv4Address("192.0.2.1"), "0104c0000201"),
    (IPv6Address("2001:db8::1"), "0210" + "20010db8" + "00" * 11 + "01"),
    ("gw.example", "030a" + b"gw.example".hex()),
]


@pytest.mark.parametrize(("gateway", "octets"), GATEWAYS)
@pytest.mark.parametrize("nonce", [b"", bytes(16), bytes(256)])
def test_as_the_rfc_has_it(gateway: Gateway, octets: str, nonce: bytes) -> None:
    data = bytes.fromhex(octets) + nonce
    assert encode_gateway(gateway, nonce) == data
    assert decode_gateway(data) == (gateway, nonce)


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "01",
        "0104c00002",  # truncated
        "0105c000020100",
        "0204c0000201",  # IPv6 of four octets
        "0300",
        "0001" + "00",
        "04020102",  # an unassigned type
        "0302" + "c3a4",  # no ASCII
        "0104c0000201" + "00" * 15,  # no nonce is so short
        "0104c0000201" + "00" * 257,
        "03fe" + "61" * 254,
    ],
)
def test_anything_else_is_malformed(octets: str) -> None:
    with pytest.raises(WireError):
        decode_gateway(bytes.fromhex(octets))


@pytest.mark.parametrize("name", ["", "ä.example", "a" * 254])
def test_a_name_that_can_not_be_sent(name: str) -> None:
    with pytest.raises(LocalMisuse):
        encode_gateway(name)


@given(st.binary(max_size=300))
def test_a_value_or_wire_error(data: bytes) -> None:
    try:
        gateway, nonce = decode_gateway(data)
    except WireError:
        return
    assert encode_gateway(gateway, nonce) == data
