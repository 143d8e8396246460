"""Packets that are forwarded from user space: one hop more, a checksum that fits."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from ikepy.web.lab.meddler import corrupted, forwarded


def packet(load: bytes) -> bytes:
    return bytes(IP(src="192.0.2.10", dst="198.51.100.10", ttl=64) / UDP(sport=500, dport=500) / load)


def checked(octets: bytes) -> IP:
    """With the checksum that scapy computes, for comparison."""
    found = IP(octets)
    del found[UDP].chksum
    return IP(bytes(found))


@pytest.mark.parametrize("size", [1, 2, 27, 28, 1200])
def test_one_hop_more_and_a_whole_checksum(size: int) -> None:
    open_checksum = bytearray(packet(bytes(range(256)) * 5)[: 28 + size])
    open_checksum[2:4] = (28 + size).to_bytes(2, "big")
    open_checksum[24:26] = (8 + size).to_bytes(2, "big")
    open_checksum[26:28] = b"\x12\x34"
    after = forwarded(bytes(open_checksum) + b"\0\0")  # and the link's padding
    assert len(after) == 28 + size
    assert IP(after).ttl == 63
    assert IP(after)[UDP].chksum == checked(after)[UDP].chksum


def test_one_bit_that_udp_does_not_see() -> None:
    before = packet(bytes(100))
    after = corrupted(before)
    assert sum((a ^ b).bit_count() for a, b in zip(before[28:], after[28:], strict=True)) == 1
    assert IP(after)[UDP].chksum == checked(after)[UDP].chksum


def test_native_esp_has_no_checksum_of_udp() -> None:
    before = bytes(IP(src="192.0.2.10", dst="198.51.100.10", proto=50, ttl=9) / bytes(64))
    after = forwarded(before)
    assert after[20:] == before[20:]
    assert IP(after).ttl == 8
