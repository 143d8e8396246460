"""EAP-TLS between our two ends, its fragments, and what is refused (RFC 5216, RFC 9190)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from OpenSSL import SSL

from ikepy.crypto import tls
from ikepy.crypto.secret import Secret
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.eap.peer import Peer
from ikepy.eap.server import ask_identity
from ikepy.eap.turns import Accepted, Refused, Say, Trust, Turn
from tests import pki

from .talk import USER, Talk, credential, talk, tls_peer, tls_server

TYPES = pytest.mark.parametrize("type", pki.TYPES)


@pytest.fixture(params=["1.2", "1.3"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Whatever both ends could speak, they speak this."""
    number = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}[request.param]
    original = SSL.Context

    class Limited(original):  # type: ignore[misc,valid-type]
        def __init__(self, method: int) -> None:
            super().__init__(method)
            self.set_max_proto_version(number)

    monkeypatch.setattr(SSL, "Context", Limited)
    tls.CONTEXTS.clear()
    yield str(request.param)
    tls.CONTEXTS.clear()


def ends(type: str = "ecdsa") -> tuple[Turn, Peer]:
    made = pki.chain(type)
    return ask_identity(0, tls_server(made.moon).begin), tls_peer(made.carol)


@TYPES
@pytest.mark.parametrize("twice", [False, True])
def test_both_ends_agree(version: str, type: str, twice: bool) -> None:
    begun, peer = ends(type)
    done = talk(begun, peer, twice=twice)
    assert isinstance(done.server, Accepted), done.server
    assert isinstance(done.peer, Accepted), done.peer
    ours, theirs = done.msks
    assert ours == theirs
    assert len(ours) == 64


def test_fragments_are_small_and_acknowledged(version: str) -> None:
    done = talk(*ends("rsa"))
    assert isinstance(done.server, Accepted)
    assert max(map(len, done.packets)) <= 1034
    assert len(done.packets) > 10


def test_each_end_sees_the_others_chain(version: str) -> None:
    made = pki.chain("ecdsa")
    done = talk(*ends())
    peers, servers = done.trusts
    assert (peers.certificates, peers.user) == (made.moon.chain, "")
    assert (servers.certificates, servers.user) == (made.carol.chain, USER)


def certificates_in(done: Talk, entity: pki.Entity) -> bool:
    """Whether it was sent in clear, as TLS 1.2 does."""
    return entity.der[-200:] in b"".join(one.data[1:] for one in done.said)


def test_peer_shows_no_certificate_to_a_server_without_trust(version: str) -> None:
    made = pki.chain("ecdsa")
    done = talk(*ends(), verdict=lambda trust: "it is a stranger" if not trust.user else None)
    assert isinstance(done.peer, Refused)
    assert done.peer.why == "EAP-TLS: it is a stranger"
    assert done.server is None
    assert not certificates_in(done, made.carol)


def test_server_refuses_a_user_without_trust(version: str) -> None:
    done = talk(*ends(), verdict=lambda trust: "no trusted CA" if trust.user else None)
    assert isinstance(done.server, Refused)
    assert done.server.why == "EAP-TLS: no trusted CA"
    assert isinstance(done.peer, Refused)


# -- hostile ---------------------------------------------------------------------------------------


def started() -> Say[Turn]:
    """The server has asked for the first flight, with identifier 1."""
    turn = tls_server(pki.chain("ecdsa").moon).begin(USER, 1)
    assert isinstance(turn, Say)
    return turn


def flight(identifier: int, data: bytes) -> bytes:
    return Packet(Code.RESPONSE, identifier, EapType.TLS, data).encode()


BAD = {
    "zero length": b"",
    "an empty flight": b"\0",
    "start out of order": b"\x20",
    "no TLS": b"\0GET / HTTP/1.1\r\n\r\n",
    "an empty fragment": b"\x40",
    "an endless length": b"\xc0\xff\xff\xff\xffx",
    "more than announced": b"\x80\x00\x00\x00\x01xy",
    "less than announced": b"\x80\x00\x00\x00\x09xy",
    "a length cut off": b"\x80\x00",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_flights_are_refused(data: bytes) -> None:
    turn = started().following(flight(1, data))
    if isinstance(turn, Say):  # an alert
        turn = turn.following(flight(2, b"\0"))
    assert isinstance(turn, Refused)


def test_fragments_without_end_are_ended() -> None:
    turn: Turn = started()
    for number in range(1, 300):
        assert isinstance(turn, Say)
        turn = turn.following(flight(number % 256, b"\x40" + b"x"))
        if isinstance(turn, Refused):
            assert number < 80
            return
    raise AssertionError("fragments went on and on")


def test_a_flight_in_place_of_an_acknowledgement_is_refused() -> None:
    made = pki.chain("rsa")
    server = tls_server(made.moon).begin(USER, 0)
    assert isinstance(server, Say)
    hello = tls_peer(made.carol).receive(server.octets)
    assert isinstance(hello, Say)
    first = server.following(hello.octets)
    assert isinstance(first, Say)
    assert isinstance(first.following(flight(1, b"\0something")), Refused)


def trusting(turn: Turn) -> Say[Turn]:
    """What is said next by who trusts the other's certificate."""
    while isinstance(turn, Trust):
        turn = turn.then(None)
    assert isinstance(turn, Say)
    return turn


def renegotiating(begun: Turn, peer: Peer, extra: bytes) -> Turn:
    """The server's turn after a peer that says `extra` where it should acknowledge the last flight."""
    turn = begun
    following: Callable[[bytes], Turn] = peer.receive
    while True:
        turn = trusting(turn)
        answer = trusting(following(turn.octets))
        following = answer.following
        packet = Packet.decode(answer.octets)
        request = Packet.decode(turn.octets)
        last = packet.data == b"\0" and not (request.data and request.data[0] & 0x40)
        if packet.type == EapType.TLS and last:
            return turn.following(flight(packet.identifier, b"\0" + extra))
        turn = turn.following(answer.octets)


def test_renegotiation_is_refused(version: str) -> None:
    """A new ClientHello after the handshake, where an empty response has to stand."""
    hello = tls.TlsEnd(credential(pki.chain("ecdsa").carol), server=False).step(b"")
    begun, peer = ends()
    refused = renegotiating(begun, peer, hello)
    assert isinstance(refused, Refused)
    assert "after the handshake" in refused.why


def test_early_success_within_tls_is_refused(version: str) -> None:
    """EAP-Success before the server's Finished or, in TLS 1.3, its commitment."""
    begun, peer = ends()
    turn = begun
    following: Callable[[bytes], Turn] = peer.receive
    for _ in range(3):
        turn = trusting(turn)
        answer = trusting(following(turn.octets))
        early = answer.following(Packet(Code.SUCCESS, 0).encode())
        assert isinstance(early, Refused)
        assert "early" in early.why
        turn, following = turn.following(answer.octets), answer.following


def test_first_request_must_be_a_start() -> None:
    peer = tls_peer(pki.chain("ecdsa").carol)
    turn = peer.receive(Packet(Code.REQUEST, 0, EapType.TLS, b"\0hello").encode())
    assert isinstance(turn, Refused)
    assert "no start" in turn.why


def test_a_private_key_is_read_once_for_many_conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    """To check an RSA key takes a hundred times as long as a handshake."""
    tls.CONTEXTS.clear()
    made = [0]
    original = SSL.Context

    class Counted(original):  # type: ignore[misc,valid-type]
        def __init__(self, method: int) -> None:
            super().__init__(method)
            made[0] += 1

    monkeypatch.setattr(SSL, "Context", Counted)
    for _ in range(3):
        assert isinstance(talk(*ends("rsa")).server, Accepted)
    assert made[0] == 2, "one an end"
    for number in range(tls.MOST_CONTEXTS + 1):
        entity = pki.chain("ecdsa").issue(f"user {number}")
        tls.TlsEnd(tls.TlsCredential(entity.chain, Secret(entity.pkcs8)), server=True)
    assert isinstance(talk(*ends("rsa")).server, Accepted)
    tls.CONTEXTS.clear()
