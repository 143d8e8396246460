"""ikepy.sa.state.event_text: lines of the log (`tests.exchange.test_events` has them in ladders)."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.sa.api.ends import ChildRemoval
from ikepy.sa.api.events import MoveReason
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.state.event_text import installed, moved, named, packet_text, removed

from .test_child_sa import child

OLD = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("198.51.100.1"), 500))
NEW = Path(Endpoint(IPv4Address("192.0.2.2"), 4500), Endpoint(IPv4Address("198.51.100.2"), 4500))
NEW_TEXT, OLD_TEXT = "192.0.2.2[4500] to 198.51.100.2[4500]", "192.0.2.1[500] to 198.51.100.1[500]"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (MoveReason.OWN_ADDRESS_GONE, f"192.0.2.1 is gone: {NEW_TEXT}"),
        (MoveReason.REFUSED, f"the peer does not accept these addresses, {OLD_TEXT}"),
        (MoveReason.PEER_ANSWERS, f"the peer answers, {NEW_TEXT}"),
        (MoveReason.PEER_MOVED, f"the peer moved, {NEW_TEXT}"),
        (MoveReason.PEER_ADDRESS_GONE, f"the peer's address is gone: {NEW_TEXT}"),
        (MoveReason.NAT_MAPPING, "the peer moved to 198.51.100.2[4500]"),
    ],
)
def test_every_move_has_its_reason(reason: MoveReason, text: str) -> None:
    assert moved(OLD, NEW, reason) == text


def test_every_reason_of_a_move_is_told_apart() -> None:
    assert len({moved(OLD, NEW, reason) for reason in MoveReason}) == len(MoveReason)


def test_children() -> None:
    one = child().snapshot()
    assert named(one) == "net #7"
    assert removed(one, ChildRemoval.DELETED_BY_PEER) == "CHILD_SA net #7 removed (deleted by the peer)"
    assert installed(one) == (
        "CHILD_SA net #7 installed, spis 00001111_i 00002222_o, AES_GCM_16_128/NO_ESN, "
        "10.1.0.0/16 === 10.2.0.0/16"
    )


def header(version: int, source: str, destination: str, protocol: int) -> bytes:
    ends = ip_address(source).packed + ip_address(destination).packed
    if version == 4:
        return bytes([0x45, *bytes(8), protocol, 0, 0]) + ends
    return bytes([0x60, *bytes(5), protocol, 64]) + ends


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (header(4, "10.1.0.1", "10.2.0.1", 17), "10.1.0.1 -> 10.2.0.1, protocol 17"),
        (header(6, "fd00::1", "fd00::2", 58) + b"data", "fd00::1 -> fd00::2, protocol 58"),
        (header(4, "10.1.0.1", "10.2.0.1", 17)[:-1], "a packet"),
        (header(6, "fd00::1", "fd00::2", 58)[:-1], "a packet"),
        (bytes(40), "a packet"),
        (b"", "a packet"),
    ],
)
def test_the_start_of_a_packet(packet: bytes, text: str) -> None:
    assert packet_text(packet) == text


@given(st.binary(max_size=64))
def test_any_bytes_are_one_short_line(start: bytes) -> None:
    text = packet_text(start)
    assert text.isprintable()
    assert len(text) < 110
