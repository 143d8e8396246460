"""Conversations of our two ends, by every method, and how they are refused (RFC 3748)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ikepy.crypto.secret import Secret
from ikepy.eap.methods.mschapv2 import Mschapv2Peer, Mschapv2Server
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.eap.passwords import Password
from ikepy.eap.peer import Peer
from ikepy.eap.server import Server, ask_identity
from ikepy.eap.turns import Accepted, Refused, Say, Turn

from .talk import (
    ALICE,
    USER,
    Talk,
    counting,
    md5_peer,
    md5_server,
    mschapv2_peer,
    mschapv2_server,
    passwords,
    talk,
)

METHODS = pytest.mark.parametrize(
    ("server", "peer"), [(md5_server, md5_peer), (mschapv2_server, mschapv2_peer)], ids=["md5", "mschapv2"]
)
AnyServer = Callable[..., Server]
AnyPeer = Callable[..., Peer]


def refusal(done: Talk) -> str:
    """Why the server refuses; the peer is refused, too."""
    assert isinstance(done.server, Refused)
    assert isinstance(done.peer, Refused)
    return done.server.why


@METHODS
@pytest.mark.parametrize("twice", [False, True])
def test_both_ends_agree(server: AnyServer, peer: AnyPeer, twice: bool) -> None:
    done = talk(ask_identity(7, server().begin), peer(), twice=twice)
    assert isinstance(done.server, Accepted)
    assert isinstance(done.peer, Accepted)
    assert done.server.user == USER
    assert len(set(done.msks)) <= 1
    assert [one.identifier for one in done.said[:4:2]] == [7, 8]


def test_mschapv2_makes_a_key_and_md5_none() -> None:
    ours, theirs = talk(ask_identity(0, mschapv2_server().begin), mschapv2_peer()).msks
    assert ours == theirs
    assert len(ours) == 64
    assert talk(ask_identity(0, md5_server().begin), md5_peer()).msks == []


def test_identity_known_from_ike_is_not_asked_for() -> None:
    done = talk(mschapv2_server().begin(USER, 255), mschapv2_peer())
    assert isinstance(done.server, Accepted)
    assert [one.identifier for one in done.said] == [255, 255, 0, 0, 1]


@METHODS
def test_unknown_and_wrong_users_look_the_same(server: AnyServer, peer: AnyPeer) -> None:
    wrong = talk(ask_identity(0, server(ALICE).begin), peer("a guess"))
    unknown = talk(ask_identity(0, server(passwords()).begin), peer("a guess"))
    assert "a wrong password" in refusal(wrong)
    assert "no password is configured" in refusal(unknown)
    assert wrong.packets[0] == unknown.packets[0]
    shape = [
        [(one.code, one.identifier, one.type, len(one.data)) for one in each.said]
        for each in (wrong, unknown)
    ]
    assert shape[0] == shape[1]


@METHODS
def test_unknown_users_cost_the_same_hashes(
    server: AnyServer, peer: AnyPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    from ikepy.crypto import mschapv2
    from ikepy.eap.methods import md5

    calls: list[str] = []

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            calls.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(mschapv2, "nt_response", counted("response", mschapv2.nt_response))
    monkeypatch.setattr(mschapv2, "nt_hash", counted("hash", mschapv2.nt_hash))
    monkeypatch.setattr(md5, "md5", counted("md5", hashlib.md5))
    counts = []
    for known in (ALICE, passwords()):
        calls.clear()
        talk(ask_identity(0, server(known).begin), peer("a guess"))
        counts.append(sorted(calls))
    assert counts[0].count("response") + counts[0].count("md5") == 2, "one an end"
    assert counts[0].count("response") == counts[1].count("response")
    assert counts[0].count("md5") == counts[1].count("md5")


def test_nt_hash_serves_mschapv2_and_not_md5() -> None:
    hash = Password(Secret(bytes.fromhex("44EBBA8D5312B8D611474411F56989AE")), hashed=True)  # of "clientPass"
    server = Server((Mschapv2Server(lambda user: hash, counting()),))
    assert isinstance(talk(ask_identity(0, server.begin), mschapv2_peer("clientPass")).server, Accepted)
    assert "takes the password" in refusal(
        talk(ask_identity(0, md5_server(lambda user: hash).begin), md5_peer("clientPass"))
    )


def test_server_that_does_not_know_the_password_is_refused() -> None:
    """A peer takes no success from one that only relays or guesses."""
    impostor = Server((Mschapv2Server(lambda user: Password(Secret(b"a guess")), counting()),))
    peer = mschapv2_peer()
    first = impostor.begin(USER, 0)
    assert isinstance(first, Say)
    answer = peer.receive(first.octets)
    assert isinstance(answer, Say)
    text = b"S=" + b"0" * 40 + b" M=Welcome"
    success = bytes([3, 0]) + (4 + len(text)).to_bytes(2, "big") + text
    last = answer.following(Packet(Code.REQUEST, 1, EapType.MSCHAPV2, success).encode())
    assert isinstance(last, Refused)
    assert "does not know our password" in last.why


def test_another_name_in_the_response_is_refused() -> None:
    """The EAP identity is the user: MS-CHAPv2's name must be the same."""
    both = passwords(alice="open sesame", bob="open sesame")
    peer = Peer(USER, (Mschapv2Peer(Password(Secret(b"open sesame")), "bob@example.org", counting()),))
    assert "answers as" in refusal(talk(ask_identity(0, mschapv2_server(both).begin), peer))


def test_a_domain_before_the_name_counts_for_nothing_in_the_hash() -> None:
    known = Password(Secret(b"open sesame"))
    server = Server((Mschapv2Server(lambda user: known, counting()),))
    assert isinstance(
        talk(ask_identity(0, server.begin), mschapv2_peer(user="OFFICE\\alice")).server, Accepted
    )


# -- choice of the method --------------------------------------------------------------------------


def test_nak_leads_to_another_method() -> None:
    server = Server((*md5_server().methods, *mschapv2_server().methods))
    done = talk(ask_identity(0, server.begin), mschapv2_peer())
    assert isinstance(done.server, Accepted)
    assert done.server.method == EapType.MSCHAPV2
    assert done.said[3] == Packet(Code.RESPONSE, 1, EapType.NAK, bytes([EapType.MSCHAPV2]))


def test_nak_for_what_we_have_not_is_refused() -> None:
    assert "it wants EAP-MSCHAPV2 in place of EAP-MD5" in refusal(
        talk(ask_identity(0, md5_server().begin), mschapv2_peer())
    )


def test_same_method_does_not_come_twice() -> None:
    server = Server((*md5_server().methods, *mschapv2_server().methods))
    turn: Turn = server.begin(USER, 0)
    for number, wanted in enumerate((EapType.MSCHAPV2, EapType.MD5)):
        assert isinstance(turn, Say)
        turn = turn.following(Packet(Code.RESPONSE, number, EapType.NAK, bytes([wanted])).encode())
    assert isinstance(turn, Refused)


def test_peer_refuses_methods_without_end() -> None:
    turn: Turn = mschapv2_peer().receive(Packet(Code.REQUEST, 0, EapType.MD5, b"\x01x").encode())
    for number in (1, 2):
        assert isinstance(turn, Say)
        turn = turn.following(Packet(Code.REQUEST, number, EapType.GTC, b"?").encode())
    assert isinstance(turn, Refused)


# -- hostile ---------------------------------------------------------------------------------------


def after_identity(peer: Peer) -> Say[Turn]:
    turn = peer.receive(Packet(Code.REQUEST, 0, EapType.IDENTITY).encode())
    assert isinstance(turn, Say)
    return turn


@METHODS
def test_early_success_is_refused(server: AnyServer, peer: AnyPeer) -> None:
    success = Packet(Code.SUCCESS, 0).encode()
    for turn in (peer().receive(success), after_identity(peer()).following(success)):
        assert isinstance(turn, Refused)
        assert "early EAP-Success" in turn.why


def test_success_after_half_of_mschapv2_is_early() -> None:
    begun = mschapv2_server().begin(USER, 0)
    assert isinstance(begun, Say)
    answer = mschapv2_peer().receive(begun.octets)
    assert isinstance(answer, Say)
    last = answer.following(Packet(Code.SUCCESS, 0).encode())
    assert isinstance(last, Refused)
    assert "early" in last.why


OUT_OF_ORDER = [
    Packet(Code.REQUEST, 1, EapType.IDENTITY),  # twice
    Packet(Code.RESPONSE, 1, EapType.MSCHAPV2, b"x"),
    Packet(Code.REQUEST, 1, EapType.MSCHAPV2, b""),
    Packet(Code.REQUEST, 1, EapType.MSCHAPV2, b"\x03\x01\x00\x04"),  # success first
    Packet(Code.REQUEST, 1, EapType.MSCHAPV2, b"\x01\x01\x00\x05\x00"),
    Packet(Code.FAILURE, 1),
]


@pytest.mark.parametrize("packet", OUT_OF_ORDER, ids=str)
def test_peer_refuses_what_is_out_of_order(packet: Packet) -> None:
    assert isinstance(after_identity(mschapv2_peer()).following(packet.encode()), Refused)


@pytest.mark.parametrize(
    "octets", [b"", b"\x01", b"\x01\x00\x00\x04", b"\x05\x00\x00\x05\x01", b"\x01\x00\x00\x06\x01"]
)
def test_malformed_packets_are_refused_by_both_ends(octets: bytes) -> None:
    assert isinstance(mschapv2_peer().receive(octets), Refused)
    begun = ask_identity(0, mschapv2_server().begin)
    assert isinstance(begun, Say)
    assert isinstance(begun.following(octets), Refused)


def test_repeated_request_is_refused() -> None:
    request = Packet(Code.REQUEST, 0, EapType.NOTIFICATION, b"hello").encode()
    turn = mschapv2_peer().receive(request)
    assert isinstance(turn, Say)
    assert isinstance(turn.following(request), Refused)


BAD_RESPONSES = [
    Packet(Code.RESPONSE, 9, EapType.MSCHAPV2, b"x"),  # of another request
    Packet(Code.REQUEST, 1, EapType.MSCHAPV2, b"x"),
    Packet(Code.SUCCESS, 1),
    Packet(Code.RESPONSE, 1, EapType.MSCHAPV2, b""),
    Packet(Code.RESPONSE, 1, EapType.MSCHAPV2, b"\x02\x01\xff\xff"),
    Packet(Code.RESPONSE, 1, EapType.MSCHAPV2, b"\x03"),
    Packet(Code.RESPONSE, 1, EapType.IDENTITY, b"bob"),
    Packet(Code.RESPONSE, 1, EapType.NAK, b""),
    Packet(Code.RESPONSE, 1, EapType.EXPANDED, bytes(7)),
]


@pytest.mark.parametrize("packet", BAD_RESPONSES, ids=str)
def test_server_refuses_what_is_out_of_order(packet: Packet) -> None:
    turn = mschapv2_server().begin(USER, 1)
    assert isinstance(turn, Say)
    refused = turn.following(packet.encode())
    assert isinstance(refused, Refused)


@pytest.mark.parametrize("name", [b"", b"x" * 254, b"\xff\xfe", b"\0NAK", b"a\nb"])
def test_bad_identities_are_refused(name: bytes) -> None:
    turn = ask_identity(0, mschapv2_server().begin)
    assert isinstance(turn, Say)
    assert isinstance(turn.following(Packet(Code.RESPONSE, 0, EapType.IDENTITY, name).encode()), Refused)
