"""Laws of what reads EAP: a value or WireError, nothing else, and never more memory than the bounds say."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ikepy.eap.methods.tls_flights import MAX_MESSAGE, MOST_FRAGMENTS, Collected
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.eap.peer import Peer
from ikepy.eap.server import ask_identity
from ikepy.eap.turns import Accepted, Refused, Say
from ikepy.errors import WireError
from tests.unit.eap.talk import USER, md5_server, mschapv2_peer, mschapv2_server

OCTETS = st.binary(max_size=80)
PACKETS = st.builds(
    lambda code, identifier, type, data: Packet(
        code, identifier, type if code < Code.SUCCESS else None, data if code < Code.SUCCESS else b""
    ),
    st.sampled_from(Code),
    st.integers(0, 255),
    st.sampled_from([*EapType, 99]),
    OCTETS,
)


@given(OCTETS)
def test_any_octets(octets: bytes) -> None:
    with contextlib.suppress(WireError):
        assert Packet.decode(octets).encode() == octets


@given(PACKETS)
def test_what_is_written_is_read(packet: Packet) -> None:
    assert Packet.decode(packet.encode()) == packet


@given(st.lists(PACKETS | OCTETS, max_size=6))
def test_a_server_lets_nobody_in_by_chance(said: list[Packet | bytes]) -> None:
    for begun in (ask_identity(0, md5_server().begin), mschapv2_server().begin(USER, 0)):
        turn = begun
        for one in said:
            if not isinstance(turn, Say):
                break
            turn = turn.following(one.encode() if isinstance(one, Packet) else one)
        assert not isinstance(turn, Accepted)


@given(st.lists(PACKETS | OCTETS, max_size=6))
def test_a_peer_believes_nobody_by_chance(said: list[Packet | bytes]) -> None:
    peer: Peer = mschapv2_peer()
    following = peer.receive
    for one in said:
        turn = following(one.encode() if isinstance(one, Packet) else one)
        assert not isinstance(turn, Accepted)
        if isinstance(turn, Refused) or not isinstance(turn, Say):
            return
        following = turn.following  # type: ignore[assignment]


@given(st.lists(st.binary(max_size=2000), max_size=100))
def test_fragments_are_bounded(said: list[bytes]) -> None:
    collected = Collected()
    with contextlib.suppress(WireError):
        for one in said:
            collected, more = collected.add(one)
            assert len(collected.octets) <= MAX_MESSAGE
            assert collected.fragments <= MOST_FRAGMENTS
            if not more:
                return
