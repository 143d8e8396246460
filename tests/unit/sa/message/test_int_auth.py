"""ikepy.sa.message.int_auth: what AUTH covers of IKE_INTERMEDIATE, computed otherwise (RFC 9242 3.3.2)."""

from __future__ import annotations

import hashlib
import hmac
import struct

import pytest

from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.message import fragments, int_auth
from ikepy.sa.message.int_auth import Covered, IntAuth
from ikepy.wire.constants import Encr, ExchangeType, Integ, PayloadType, Prf
from ikepy.wire.message import IkeHeader, decode_message
from ikepy.wire.payloads import KePayload, NotifyPayload, Payload

SPI_I, SPI_R = b"initiate", b"response"
KEY = bytes(1184)
PAYLOADS: list[Payload] = [KePayload(36, KEY), NotifyPayload(40961, b"x")]
# What stands inside: KE (34), then N (41).
INSIDE = (
    struct.pack("!BBHHH", 41, 0, 8 + len(KEY), 36, 0)
    + KEY
    + struct.pack("!BBHBBH", 0, 0, 9, 0, 0, 40961)
    + b"x"
)
HEADER = IkeHeader(SPI_I, SPI_R, ExchangeType.IKE_INTERMEDIATE, 0x08, 1)
# From the IKE header to the header of SK (46): lengths without IV, padding and checksum.
OUTSIDE = (
    SPI_I
    + SPI_R
    + struct.pack("!BBBBII", 46, 0x20, 43, 0x08, 1, 32 + len(INSIDE))
    + struct.pack("!BBH", 34, 0, 4 + len(INSIDE))
)


def ciphers() -> dict[str, SkCipher]:
    return {
        "aead": SkCipher(Encr.AES_GCM_16, 128, None, Secret(bytes(20)), Secret(b"")),
        "cbc": SkCipher(Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128, Secret(bytes(16)), Secret(bytes(32))),
    }


def test_sent() -> None:
    assert int_auth.of_sent(HEADER, PAYLOADS) == Covered(OUTSIDE, INSIDE)


@pytest.mark.parametrize("kind", ["aead", "cbc"])
@pytest.mark.parametrize("limit", [None, 300, 1000, 5000])
def test_received(limit: int | None, kind: str) -> None:
    """The same in whatever form it came, and whatever cipher protected it."""
    cipher = ciphers()[kind]
    reassembly = fragments.Reassembly()
    opened = None
    for datagram in reversed(fragments.seal(HEADER, PAYLOADS, cipher, bytes, limit)):
        assert opened is None
        opened = reassembly.open(datagram, decode_message(datagram), cipher, 0.0, negotiated=True)
    assert opened is not None
    assert int_auth.of_received(opened) == Covered(OUTSIDE, INSIDE)


def test_what_we_do_not_know_counts() -> None:
    """Reserved bits, and the minor version, are as they came."""
    cipher = ciphers()["aead"]
    first, inside = int(PayloadType.KE), INSIDE
    odd = SPI_I + SPI_R + struct.pack("!BBBBII", 46, 0x2F, 43, 0xC8, 1, 32 + cipher.body_length(len(inside)))
    prefix = odd + struct.pack("!BBH", first, 0x7F, 4 + cipher.body_length(len(inside)))
    datagram = cipher.seal(prefix, inside, bytes)
    opened = fragments.Reassembly().open(datagram, decode_message(datagram), cipher, 0.0, negotiated=True)
    assert opened is not None
    covered = int_auth.of_received(opened)
    assert covered.associated[17:20] == bytes((0x2F, 43, 0xC8))
    assert covered.associated[29] == 0x7F
    assert covered.associated[24:28] + covered.associated[30:] == OUTSIDE[24:28] + OUTSIDE[30:]


def test_chain() -> None:
    """IntAuth_i2 = prf(SK_pi2, IntAuth_i1 | A | P), and so on; IKE_AUTH_MID counts on."""
    messages = [Covered(bytes([n]) * 32, bytes([n]) * n) for n in range(1, 5)]
    keys = [bytes([n]) * 32 for n in range(1, 5)]
    value = IntAuth()
    assert value.octets == b""
    for n, (key, message) in enumerate(zip(keys, messages, strict=True)):
        value = value.after(Prf.HMAC_SHA2_256, Secret(key), message, initiator=n % 2 == 0)

    def mac(key: bytes, *parts: bytes) -> bytes:
        return hmac.new(key, b"".join(parts), hashlib.sha256).digest()

    i1 = mac(keys[0], messages[0].associated, messages[0].payloads)
    i2 = mac(keys[2], i1, messages[2].associated, messages[2].payloads)
    r1 = mac(keys[1], messages[1].associated, messages[1].payloads)
    r2 = mac(keys[3], r1, messages[3].associated, messages[3].payloads)
    assert value.octets == i2 + r2 + bytes((0, 0, 0, 3))


def test_nothing_inside() -> None:
    """The P chunk is missing if the Encrypted payload is empty."""
    covered = int_auth.of_sent(HEADER, [])
    assert covered.payloads == b""
    assert covered.associated[24:] == struct.pack("!IBBH", 32, 0, 0, 4)
