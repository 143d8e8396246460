"""esp.sa.suites: numbers, sizes, MTU, and what SAs refuse, and never show."""

from __future__ import annotations

import copy
import pickle

import pytest

from esp.packet.policy import Policy
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from esp.sa.suites import (
    AES_CBC,
    AES_GCM_12,
    AES_GCM_16,
    CHACHA20_POLY1305,
    HMAC_SHA1_96,
    HMAC_SHA2_256_128,
    IP_HEADER,
    SUITES,
    UDP_HEADER,
    Suite,
    inner_mtu,
    suite_for,
)
from tests.unit.esp.packets import ANY, EACH_KIND, keys_for, sa_pair


@pytest.mark.parametrize(
    ("numbers", "name", "key_length", "icv_length"),
    [
        ((AES_GCM_16, 128, None), "AES_GCM_16_128", 20, 16),
        ((AES_GCM_12, 192, None), "AES_GCM_12_192", 28, 12),
        ((CHACHA20_POLY1305, None, None), "CHACHA20_POLY1305", 36, 16),
        ((AES_CBC, 256, HMAC_SHA2_256_128), "AES_CBC_256/HMAC_SHA2_256_128", 64, 16),
        ((AES_CBC, 128, HMAC_SHA1_96), "AES_CBC_128/HMAC_SHA1_96", 36, 12),
        ((AES_CBC, 192, 13), "AES_CBC_192/HMAC_SHA2_384_192", 72, 24),
        ((AES_CBC, 256, 14), "AES_CBC_256/HMAC_SHA2_512_256", 96, 32),
    ],
)
def test_suite_for(
    numbers: tuple[int, int | None, int | None], name: str, key_length: int, icv_length: int
) -> None:
    suite = suite_for(*numbers)
    assert (str(suite), suite.key_length, suite.icv_length) == (name, key_length, icv_length)


@pytest.mark.parametrize("numbers", [(AES_CBC, 128, None), (AES_GCM_16, 128, 12), (AES_GCM_16, None, None)])
def test_unknown_suite(numbers: tuple[int, int | None, int | None]) -> None:
    with pytest.raises(KeyError):
        suite_for(*numbers)


def test_numbers_are_unique() -> None:
    assert (
        len({(s.encr, s.key_bits, s.integ) for s in SUITES}) == len({s.name for s in SUITES}) == len(SUITES)
    )


@pytest.mark.parametrize("outer_version", [4, 6])
@pytest.mark.parametrize("encap", [False, True])
@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_inner_mtu_is_exact(suite: Suite, encap: bool, outer_version: int) -> None:
    """A packet of that size fits, one octet more does not."""
    sa, _ = sa_pair(suite)
    outer_header = IP_HEADER[outer_version] + (UDP_HEADER if encap else 0)
    for outer_mtu in range(1480, 1501):
        mtu = inner_mtu(outer_mtu, outer_version, encap, suite)
        fits, too_long = sa.seal_batch([b"\x45" + bytes(mtu - 1), b"\x45" + bytes(mtu)])
        assert outer_header + len(fits) <= outer_mtu < outer_header + len(too_long)


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_neither_copied_nor_pickled(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    for one in (outbound, inbound, outbound.aead, inbound.aead):
        for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                duplicate(one)


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("difference", [-1, 1])
def test_keys_of_the_wrong_length(suite: Suite, difference: int) -> None:
    keys = bytes(suite.key_length + difference)
    with pytest.raises(ValueError, match="octets of keys"):
        OutboundSa(0x1001, suite, keys, False)
    with pytest.raises(ValueError, match="octets of keys"):
        InboundSa(0x1001, suite, keys, False, 64, Policy(ANY, ANY))


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_impossible_lengths_do_not_open(suite: Suite) -> None:
    _, inbound = sa_pair(suite)
    for length in range(suite.overhead + 40):
        row = memoryview(bytearray(length))
        row[4:8] = bytes((0, 0, 0, 1)) if length >= 8 else row[4:8]
        opened = inbound.open_batch([row])
        assert (opened.valid, opened.packets, sum(opened.drops.values())) == (False, [], 1)


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_no_key_in_the_representation(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    keys = keys_for(suite)
    for one in (outbound, inbound, outbound.aead, inbound.aead):
        assert repr(keys)[2:12] not in repr(one)
    for context in (outbound.aead, inbound.aead):
        assert repr(context.spi_salt)[2:-1] not in f"{context} {[context]}"
