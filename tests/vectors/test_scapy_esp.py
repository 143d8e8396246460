"""ESP packets of what scapy knows, in both directions: every AEAD, every cipher and every MAC.

scapy 2.8 knows AES-GCM and AES-CCM with the full ICV of 16 only. GCM's shorter ICVs are the first octets of
the full one (NIST SP 800-38D 5.2.1.2), so that for them scapy's packet is cut. It has neither Camellia nor
AES-XCBC: they have their RFCs' vectors.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation

from esp.sa.outbound import OutboundSa
from esp.sa.suites import (
    AES_CBC,
    AES_CCM_16,
    AES_CMAC_96,
    AES_CTR,
    CHACHA20_POLY1305,
    GCM_ICV,
    NULL,
    NULL_AES_GMAC,
    SUITES,
    TRIPLE_DES_CBC,
    Suite,
)
from tests.unit.esp.packets import ipv4, ipv6, keys_for, lead_up, sa_pair

SPI = 0x1001  # as in sa_pair
MAC_NAMES = {
    2: "HMAC-SHA1-96",
    AES_CMAC_96: "AES-CMAC-96",
    12: "SHA2-256-128",
    13: "SHA2-384-192",
    14: "SHA2-512-256",
}
CIPHER_NAMES = {
    **dict.fromkeys(GCM_ICV, "AES-GCM"),
    AES_CCM_16: "AES-CCM",
    CHACHA20_POLY1305: "CHACHA20-POLY1305",
    NULL_AES_GMAC: "AES-NULL-GMAC",
    AES_CBC: "AES-CBC",
    AES_CTR: "AES-CTR",
    TRIPLE_DES_CBC: "3DES",
    NULL: "NULL",
}


def scapys_suites() -> list[Suite]:
    """Of what scapy knows: the AEADs, and the ciphers with the MACs in turn."""
    known = [suite for suite in SUITES if suite.encr in CIPHER_NAMES]
    aeads = [suite for suite in known if suite.integ is None]
    ciphers = dict.fromkeys((suite.encr, suite.key_bits) for suite in known if suite.integ is not None)
    pairs = zip(ciphers, itertools.cycle(MAC_NAMES), strict=False)
    chosen = {(*cipher, integ) for cipher, integ in pairs} | {(AES_CBC, 128, integ) for integ in MAC_NAMES}
    return aeads + [suite for suite in known if (suite.encr, suite.key_bits, suite.integ) in chosen]


SCAPYS = scapys_suites()
OUTER_HEADERS = {4: IP(src="192.0.2.1", dst="192.0.2.2"), 6: IPv6(src="2001:db8::1", dst="2001:db8::2")}
PACKETS = [
    ipv4(payload=bytes(range(11))),
    ipv6(payload=bytes(range(64))),
    *(ipv4(payload=bytes(size)) for size in (0, 1, 2, 3, 10)),
    ipv4(payload=bytes(1380)),
    ipv6(),
]


@dataclass(frozen=True)
class Way:
    """How the packets travel, and with which 64-bit sequence number the first of them."""

    version: int
    encap: bool
    esn: bool
    first: int


WAYS = [
    Way(version, encap, esn, 5 + (3 << 32 if esn else 0))
    for version, encap, esn in itertools.product((4, 6), (False, True), (False, True))
]


def way_id(way: Way) -> str:
    return f"v{way.version}{'-udp' if way.encap else ''}{'-esn' if way.esn else ''}"


def scapy_sa(suite: Suite, way: Way) -> SecurityAssociation:
    keys = keys_for(suite)
    return SecurityAssociation(
        ESP,
        spi=SPI,
        crypt_algo=CIPHER_NAMES[suite.encr],
        crypt_key=keys[: suite.encr_key_length],
        auth_algo=MAC_NAMES[suite.integ] if suite.integ else None,
        auth_key=keys[suite.encr_key_length :],
        tunnel_header=OUTER_HEADERS[way.version],
        nat_t_header=UDP(sport=4500, dport=4500) if way.encap else None,
        esn_en=way.esn,
        esn=way.first >> 32,
    )


def scapy_seal(suite: Suite, way: Way, inner: bytes, sequence: int, iv: bytes) -> bytes:
    """scapy's packet from the SPI on."""
    packet = IP(inner) if inner[0] >> 4 == 4 else IPv6(inner)
    sealed = scapy_sa(suite, way).encrypt(packet, seq_num=sequence & 0xFFFFFFFF, iv=iv)
    octets = bytes(sealed[ESP])
    cut = 16 - suite.icv_length if suite.integ is None else 0
    return octets[: len(octets) - cut]


def scapy_open(suite: Suite, way: Way, row: bytes) -> bytes:
    outer = OUTER_HEADERS[way.version].copy()
    packet = outer / UDP(sport=4500, dport=4500) / ESP(row) if way.encap else outer / ESP(row)
    return bytes(scapy_sa(suite, way).decrypt(type(outer)(bytes(packet))))


def our_rows(suite: Suite, way: Way) -> list[bytes]:
    sa = OutboundSa(SPI, suite, keys_for(suite), way.esn, last_sequence=way.first - 1)
    return [bytes(row) for row in sa.seal_batch(PACKETS)]


@pytest.mark.parametrize("way", WAYS, ids=way_id)
@pytest.mark.parametrize("suite", SCAPYS, ids=str)
def test_our_packets_are_scapys(suite: Suite, way: Way) -> None:
    """With the IV that we chose, scapy makes the very same octets."""
    for index, (row, inner) in enumerate(zip(our_rows(suite, way), PACKETS, strict=True)):
        iv = row[8 : 8 + suite.iv_length]
        assert row == scapy_seal(suite, way, inner, way.first + index, iv)


@pytest.mark.parametrize("way", WAYS, ids=way_id)
@pytest.mark.parametrize("suite", [s for s in SCAPYS if s.integ or s.icv_length == 16], ids=str)
def test_scapy_opens_ours(suite: Suite, way: Way) -> None:
    for row, inner in zip(our_rows(suite, way), PACKETS, strict=True):
        assert scapy_open(suite, way, row) == inner


@pytest.mark.parametrize("way", WAYS, ids=way_id)
@pytest.mark.parametrize("suite", SCAPYS, ids=str)
def test_we_open_scapys(suite: Suite, way: Way) -> None:
    _, inbound = sa_pair(suite, esn=way.esn)
    if way.esn:
        lead_up(inbound, suite, way.first)
    iv = bytes(range(suite.iv_length))
    rows = [scapy_seal(suite, way, inner, way.first + index, iv) for index, inner in enumerate(PACKETS)]
    opened = inbound.open_batch([memoryview(bytearray(row)) for row in rows])
    assert [bytes(packet) for packet in opened.packets] == PACKETS
    assert opened.drops == {}
