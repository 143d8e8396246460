"""`message.encoding`: unprotected without a cipher, else protected, in fragments where they may be."""

from __future__ import annotations

import random

from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.message import protection
from ikepy.sa.message.encoding import encode
from ikepy.wire.constants import Encr, ExchangeType, HeaderFlag
from ikepy.wire.message import IkeHeader, decode_message, decode_payloads
from ikepy.wire.payloads import VendorIdPayload

RANDOM = random.Random("encoding").randbytes
HEADER = IkeHeader(b"initiate", b"responds", ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 7)
PAYLOADS = [VendorIdPayload(bytes(range(256)))]


def gcm() -> SkCipher:
    return SkCipher(Encr.AES_GCM_16, 128, None, Secret(bytes(20)), Secret(b""))


def test_without_a_cipher() -> None:
    (datagram,) = encode("ab", HEADER, PAYLOADS, None, RANDOM, None)
    message = decode_message(datagram)
    assert (message.header, list(message.payloads)) == (HEADER, PAYLOADS)


def test_with_a_cipher() -> None:
    (datagram,) = encode("ab", HEADER, PAYLOADS, gcm(), RANDOM, None)
    sk, plaintext = protection.unseal(datagram, decode_message(datagram), gcm())
    assert list(decode_payloads(sk.first, plaintext)) == PAYLOADS


def test_fragments_where_there_is_a_limit() -> None:
    fragments = encode("ab", HEADER, PAYLOADS, gcm(), RANDOM, 200)
    assert len(fragments) > 1
    assert max(map(len, fragments)) <= 200
