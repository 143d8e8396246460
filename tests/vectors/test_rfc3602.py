"""RFC 3602 section 4, cases 5 to 8: ESP packets under AES-CBC.

The cases have no ICV: one under HMAC-SHA1-96 with a key of our own, computed here, is put behind them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

import pytest

from esp.packet.policy import Policy
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from esp.sa.suites import AES_CBC, HMAC_SHA1_96, suite_for
from tests.unit.esp.packets import ANY, open_row, seal_row

SUITE = suite_for(AES_CBC, 128, HMAC_SHA1_96)
INTEG_KEY = bytes(range(20))


@dataclass(frozen=True)
class Case:
    """One of the RFC's; all but `sequence` in hexadecimal digits."""

    name: str
    key: str
    spi: int
    sequence: int
    iv: str
    plaintext: str  # with padding, pad length, next header
    ciphertext: str

    @property
    def keys(self) -> bytes:
        return bytes.fromhex(self.key) + INTEG_KEY

    @property
    def header(self) -> bytes:
        return self.spi.to_bytes(4, "big") + self.sequence.to_bytes(4, "big")

    @property
    def packet(self) -> bytes:
        packet = self.header + bytes.fromhex(self.iv + self.ciphertext)
        return packet + hmac.digest(INTEG_KEY, packet, hashlib.sha1)[:12]


TRANSPORT_KEY = "90d382b4 10eeba7a d938c46c ec1a82bf"
TUNNEL_KEY = "01234567 89abcdef 01234567 89abcdef"
CASES = [
    Case(
        "5, transport",
        TRANSPORT_KEY,
        0x4321,
        1,
        "e96e8c08 ab465763 fd098d45 dd3ff893",
        "08000ebd a70a0000 8e9c083d b95b0700 08090a0b 0c0d0e0f 10111213 14151617"
        "18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637"
        "01020304 05060708 090a0b0c 0d0e0e01",
        "f663c25d 325c18c6 a9453e19 4e120849 a4870b66 cc6b9965 330013b4 898dc856"
        "a4699e52 3a55db08 0b59ec3a 8e4b7e52 775b07d1 db34ed9c 538ab50c 551b874a"
        "a269add0 47ad2d59 13ac19b7 cfbad4a6",
    ),
    Case(
        "6, transport",
        TRANSPORT_KEY,
        0x4321,
        8,
        "69d08df7 d203329d b093fc49 24e5bd80",
        "0800b5e8 a80a0500 a69c083d 0b660e00 77777777 77777777 77777777 01020201",
        "f5199588 1ec4e0c4 488987ce 742e8109 689bb379 d2d750c0 d915dca3 46a89f75",
    ),
    Case(
        "7, tunnel",
        TUNNEL_KEY,
        0x8765,
        2,
        "f4e76524 4f6407ad f13dc138 0f673f37",
        "45000054 09040000 4001f988 c0a87b03 c0a87bc8 08009f76 a90a0100 b49c083d"
        "02a20400 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f 20212223"
        "24252627 28292a2b 2c2d2e2f 30313233 34353637 01020304 05060708 090a0a04",
        "773b5241 a4c44922 5e4f3ce5 ed611b0c 237ca96c f74a9301 3c1b0ea1 a0cf70f8"
        "e4ecaec7 8ac53aad 7a0f022b 859243c6 47752e94 a859352b 8a4d4d2d ecd136e5"
        "c177f132 ad3fbfb2 201ac990 4c74ee0a 109e0ca1 e4dfe9d5 a100b842 f1c22f0d",
    ),
    Case(
        "8, tunnel",
        TUNNEL_KEY,
        0x8765,
        5,
        "85d47224 b5f3dd5d 2101d4ea 8dffab22",
        "45000044 090c0000 4001f990 c0a87b03 c0a87bc8 0800d63c aa0a0200 c69c083d"
        "a3de0300 ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff"
        "ffffffff 01020304 05060708 090a0a04",
        "15b92683 819596a8 047232cc 00f7048f e45318e1 1f8a0f62 ede3c3fc 61203bb5"
        "0f980a08 c9843fd3 a1b06d5c 07ff9639 b7eb7dfb 3512e5de 435e7207 ed971ef3"
        "d2726d9b 5ef6affc 6d17a0de cbb13892",
    ),
]
TUNNEL_CASES = [case for case in CASES if "tunnel" in case.name]


def fixed_random(monkeypatch: pytest.MonkeyPatch, iv: str) -> None:
    octets = bytes.fromhex(iv)
    monkeypatch.setattr(os, "urandom", lambda length: octets[:length])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sealed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed_random(monkeypatch, case.iv)
    plaintext = bytes.fromhex(case.plaintext)
    row = bytearray(case.header + bytes(16) + plaintext + bytes(12))
    seal_row(SUITE, case.keys, memoryview(row), case.sequence)
    assert bytes(row) == case.packet


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_opened(case: Case) -> None:
    row = memoryview(bytearray(case.packet))
    plaintext = open_row(SUITE, case.keys, row, case.sequence)
    assert plaintext is not None
    assert bytes(plaintext) == bytes.fromhex(case.plaintext)


@pytest.mark.parametrize("case", TUNNEL_CASES, ids=lambda case: case.name)
def test_tunnel_packet_sent(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed_random(monkeypatch, case.iv)
    inner = bytes.fromhex(case.plaintext)[:-12]
    sa = OutboundSa(case.spi, SUITE, case.keys, False, last_sequence=case.sequence - 1)
    assert sa.seal_batch([inner]) == [case.packet]


@pytest.mark.parametrize("case", TUNNEL_CASES, ids=lambda case: case.name)
def test_tunnel_packet_received(case: Case) -> None:
    inner = bytes.fromhex(case.plaintext)[:-12]
    sa = InboundSa(case.spi, SUITE, case.keys, False, 64, Policy(ANY, ANY))
    assert sa.open_batch([memoryview(bytearray(case.packet))]).packets == [inner]
