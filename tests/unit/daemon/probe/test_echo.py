"""ICMP echo against scapy's idea of it, and against anything else that a raw socket may deliver."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest

from ikepy.daemon.probe.echo import IDENTIFIERS, IP_HEADER, LEAST, Reply, checksum, reply, request

NUMBERS = st.integers(0, IDENTIFIERS - 1)


@given(NUMBERS, NUMBERS, st.integers(LEAST[4], 1500))
def test_a_request_of_ipv4(identifier: int, sequence: int, size: int) -> None:
    message = request(4, identifier, sequence, size)
    assert len(message) + IP_HEADER[4] == size
    parsed = ICMP(message)
    assert (parsed.type, parsed.code, parsed.id, parsed.seq) == (8, 0, identifier, sequence)
    assert checksum(message) == 0


@given(NUMBERS, NUMBERS, st.integers(LEAST[6], 1500))
def test_a_request_of_ipv6(identifier: int, sequence: int, size: int) -> None:
    message = request(6, identifier, sequence, size)
    assert len(message) + IP_HEADER[6] == size
    parsed = ICMPv6EchoRequest(message)
    assert (parsed.type, parsed.id, parsed.seq) == (128, identifier, sequence)


def test_a_request_without_room() -> None:
    with pytest.raises(ValueError, match="27 octets"):
        request(4, 1, 1, 27)


@given(NUMBERS, NUMBERS, st.binary(max_size=64), st.integers(0, 10))
def test_replies(identifier: int, sequence: int, data: bytes, options: int) -> None:
    packet = bytes(
        IP(ihl=5 + options, options=b"\x01" * 4 * options) / ICMP(type=0, id=identifier, seq=sequence) / data
    )
    assert reply(4, packet, len(packet)) == Reply(identifier, sequence, len(packet))
    message = bytes(ICMPv6EchoReply(id=identifier, seq=sequence, data=data))
    assert reply(6, message, len(message)) == Reply(identifier, sequence, len(message) + IP_HEADER[6])


@given(st.sampled_from([4, 6]), st.binary(max_size=128))
def test_anything_else_is_no_reply(version: int, data: bytes) -> None:
    found = reply(version, data, len(data))
    assert found is None or found.size >= 8
    assert reply(4, bytes(IP() / ICMP(type=3)), 28) is None  # unreachable
    assert reply(4, bytes(IP() / ICMP(type=0, code=1)), 28) is None
