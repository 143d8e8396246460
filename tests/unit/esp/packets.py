"""Inner packets to carry, and an SA pair to carry them, for the tests of `esp`."""

from __future__ import annotations

import os
import struct
from ipaddress import IPv4Address, IPv6Address

from esp.packet.headers import Buffer
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.ciphers import InvalidTag, keyed_aead
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from esp.sa.suites import AES_CBC, ESP_HEADER, MACS, SUITES, Suite

ANY = (Selector.of("0.0.0.0/0"), Selector.of("::/0"))
UDP, TCP, ICMP = 17, 6, 1


def _each_kind() -> list[Suite]:
    """Suites of the shortest keys: every AEAD, AES-CBC with every MAC, each other cipher with one MAC."""
    short = [suite for suite in SUITES if suite.key_bits in (None, 128)]
    ciphers = dict.fromkeys(suite.encr for suite in short if suite.integ is not None)
    chosen = set(zip(ciphers, MACS, strict=False)) | {(AES_CBC, mac) for mac in MACS}
    return [suite for suite in short if suite.integ is None or (suite.encr, suite.integ) in chosen]


EACH_KIND = _each_kind()


def ipv4(
    source: str = "10.1.0.1",
    destination: str = "10.2.0.1",
    payload: bytes = b"",
    *,
    protocol: int = 253,
    fragment_offset: int = 0,
    options: bytes = b"",
) -> bytes:
    """An IPv4 packet without a right checksum: nobody here looks at it. `fragment_offset` in 8 octets."""
    header = 20 + len(options)
    length = header + len(payload)
    first = struct.pack("!BBHHHBBH", 0x40 | header // 4, 0, length, 1, fragment_offset, 64, protocol, 0)
    return first + IPv4Address(source).packed + IPv4Address(destination).packed + options + payload


def ipv6(
    source: str = "2001:db8:1::1",
    destination: str = "2001:db8:2::1",
    payload: bytes = b"",
    *,
    next_header: int = 253,
) -> bytes:
    """An IPv6 packet."""
    first = struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64)
    return first + IPv6Address(source).packed + IPv6Address(destination).packed + payload


def ports(source: int, destination: int, size: int = 8) -> bytes:
    """The beginning of a TCP, UDP or SCTP header and zeros up to `size` octets."""
    return struct.pack("!HH", source, destination).ljust(size, b"\0")


def keys_for(suite: Suite, seed: int = 1) -> bytes:
    """Keys that differ in every octet position and for every seed."""
    return bytes((seed * 31 + index * 7) & 0xFF for index in range(suite.key_length))


def _nonce_parts(suite: Suite, row: memoryview, sequence: int, esn: bool) -> tuple[int, Buffer]:
    """Where the ciphertext begins, and the AAD (RFC 4106 5)."""
    aad = bytes(row[:4]) + sequence.to_bytes(8, "big") if esn else bytes(row[:ESP_HEADER])
    return ESP_HEADER + suite.iv_length, aad


def seal_row(suite: Suite, keys: bytes, row: memoryview, sequence: int, *, esn: bool = False) -> None:
    """Seal a packet in place whose ESP header, plaintext and trailer are filled in, whatever they are."""
    aead, salt = keyed_aead(suite, keys)
    start, aad = _nonce_parts(suite, row, sequence, esn)
    iv = os.urandom(suite.iv_length) if suite.random_iv else sequence.to_bytes(8, "big")
    row[ESP_HEADER:start] = iv
    aead.encrypt_into(salt + iv, row[start : -suite.icv_length], aad, row[start:])


def open_row(
    suite: Suite, keys: bytes, row: memoryview, sequence: int, *, esn: bool = False
) -> memoryview | None:
    """Plaintext and trailer of a packet, opened in place; None if it is not authentic."""
    aead, salt = keyed_aead(suite, keys)
    start, aad = _nonce_parts(suite, row, sequence, esn)
    plaintext = row[start : -suite.icv_length]
    try:
        aead.decrypt_into(salt + row[ESP_HEADER:start], row[start:], aad, plaintext)
    except InvalidTag:
        return None
    return plaintext


def sa_pair(
    suite: Suite,
    *,
    esn: bool = False,
    window: int = 64,
    used: int = 0,
    ts_local: tuple[Selector, ...] = ANY,
    ts_remote: tuple[Selector, ...] = ANY,
) -> tuple[OutboundSa, InboundSa]:
    """The two ends of one direction. The selectors are those of the receiving end."""
    keys = keys_for(suite)
    inbound = InboundSa(0x1001, suite, keys, esn, window, Policy(ts_local, ts_remote))
    return OutboundSa(0x1001, suite, keys, esn, used), inbound


def lead_up(inbound: InboundSa, suite: Suite, target: int) -> None:
    """Bring an ESN receiver of `sa_pair` close below `target`, in steps of 2^31 that it can follow."""
    for used in range((1 << 31) - 1, target - 1, 1 << 31):
        sender = OutboundSa(inbound.spi, suite, keys_for(suite), True, used)
        opened = inbound.open_batch(sender.seal_batch([ipv4()]))
        assert opened.packets
