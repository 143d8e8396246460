"""The signer's end of the pair, with whatever comes in: an answer a request, or the end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from ikepy.crypto.schemes import Scheme
from ikepy.daemon.signer import signer_main
from ikepy.daemon.signer.keys import Keys
from ikepy.daemon.signer.messages import (
    MAX_FIELDS,
    MAX_MESSAGE,
    Answer,
    Done,
    Loaded,
    LoadKey,
    LoadToken,
    Refused,
    Sign,
    Signed,
    Unload,
    decode,
    encode,
)
from ikepy.daemon.signer.module_threads import MOST_MODULES, MOST_OF_MODULE
from tests.pki import chain

PATIENCE = 20.0
MANY = 500  # requests: several times what is read ahead
MOON = chain("ed25519").moon


class Peer:
    """Control's end, and the other one, served in a thread."""

    def __init__(self) -> None:
        self.sock, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(PATIENCE)
        self._thread = threading.Thread(target=signer_main.serve, args=(self._theirs, Keys()))
        self._thread.start()

    def ask(self, request: Any, *fds: int) -> Any:
        self.send(request, *fds)
        return self.receive()

    def send(self, request: Any, *fds: int) -> None:
        socket.send_fds(self.sock, [encode(request)], list(fds))

    def receive(self) -> Any:
        return decode(self.sock.recv(MAX_MESSAGE), *get_args(Answer))

    def ends(self) -> bool:
        self._thread.join(PATIENCE)
        return not self._thread.is_alive()

    def close(self) -> None:
        self.sock.close()
        assert self.ends()
        self._theirs.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def test_requests_are_answered(peer: Peer, tmp_path: Path) -> None:
    loaded = peer.ask(LoadKey(7, "any", b"", MOON.pkcs8))
    assert loaded == Loaded(7, MOON.key_id, MOON.spki, ())
    assert isinstance(peer.ask(Sign(8, MOON.key_id, "ed25519", b"octets")), Signed)
    assert peer.ask(Unload(9, MOON.key_id)) == Done(9)
    assert isinstance(peer.ask(Sign(10, MOON.key_id, "ed25519", b"octets")), Refused)
    path = tmp_path / "key"
    path.write_bytes(MOON.pkcs8_pem)
    with path.open("rb") as file:
        assert isinstance(peer.ask(LoadKey(11, "any", b"", b""), file.fileno()), Loaded)


class Token:
    """A key that signs nothing until it is let go."""

    certificates = ()

    def __init__(self, kind: str = "ecdsa") -> None:
        self.public_key = chain(kind).moon.spki
        self.gate = threading.Event()

    def sign(self, scheme: Scheme, octets: bytes) -> bytes:
        self.gate.wait(PATIENCE)
        return b"signature"


def test_a_token_that_hangs_holds_up_nothing_else(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    token, key_id = Token(), chain("ecdsa").moon.key_id
    monkeypatch.setattr("ikepy.daemon.signer.token.open_key", lambda *_: token)
    peer.ask(LoadKey(0, "any", b"", MOON.pkcs8))
    assert peer.ask(LoadToken(0, "/module", "", "00", b"")).key_id == key_id
    try:
        for ticket in range(1, MOST_OF_MODULE + 1):
            peer.send(Sign(ticket, key_id, "ecdsa-sha256", b"octets"))
        assert isinstance(peer.ask(Sign(1000, MOON.key_id, "ed25519", b"octets")), Signed)
        refused = peer.ask(Sign(1001, key_id, "ecdsa-sha256", b"octets"))
        assert isinstance(refused, Refused) and refused.ticket == 1001
    finally:
        token.gate.set()
    answers = [peer.receive() for _ in range(MOST_OF_MODULE)]
    assert all(one.signature == b"signature" for one in answers)
    assert isinstance(peer.ask(Sign(1002, key_id, "ecdsa-sha256", b"octets")), Signed)


def test_a_module_that_hangs_holds_up_no_other_one(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    hung, good = Token(), Token("ed448")
    good.gate.set()
    tokens = {"/hung": hung, "/good": good}

    def open_key(module: str, *_: object) -> Token:
        if module not in tokens:
            raise ValueError("there is no such module")
        return tokens[module]

    monkeypatch.setattr("ikepy.daemon.signer.token.open_key", open_key)
    hung_id, good_id = (peer.ask(LoadToken(0, module, "", "00", b"")).key_id for module in tokens)
    try:
        for ticket in range(1, MOST_OF_MODULE + 1):
            peer.send(Sign(ticket, hung_id, "ecdsa-sha256", b"octets"))
        for number in range(2 * MOST_MODULES):  # each of them takes another one's place
            assert isinstance(peer.ask(LoadToken(1000, f"/{number}", "", "00", b"")), Refused)
            assert peer.ask(Sign(1001, good_id, "ed448", b"octets")) == Signed(1001, b"signature")
        assert isinstance(peer.ask(Sign(1002, hung_id, "ecdsa-sha256", b"octets")), Refused)
    finally:
        hung.gate.set()
    assert {peer.receive().ticket for _ in range(MOST_OF_MODULE)} == set(range(1, MOST_OF_MODULE + 1))


def test_a_token_with_more_than_a_message_holds_is_refused(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Token()
    monkeypatch.setattr(token, "certificates", (chain("ecdsa").moon.der,) * (MAX_FIELDS + 1))
    monkeypatch.setattr("ikepy.daemon.signer.token.open_key", lambda *_: token)
    answer = peer.ask(LoadToken(7, "/module", "", "00", b""))
    assert isinstance(answer, Refused) and answer.ticket == 7


@pytest.mark.parametrize(
    "request_",
    [
        LoadKey(1, "any", b"", b""),
        LoadKey(1, "no such kind", b"", b"\x30\x03\x02\x01\x00"),
        LoadKey(1, "pkcs12", b"\xff\xfe", bytes(1000)),
        LoadToken(1, "/dev/null", "", "00", b""),
        LoadToken(1, "/dev/null", "many", "zz", b"\xff"),
        Sign(1, "", "", b""),
        Sign(1, MOON.key_id, "rsa-sha256", b"octets"),
        Sign(1, MOON.key_id, "no such scheme", b"octets"),
    ],
    ids=lambda one: f"{type(one).__name__} {one.ticket}" if hasattr(one, "ticket") else None,
)
def test_what_can_not_be_done_is_refused_in_words(peer: Peer, request_: Any) -> None:
    peer.ask(LoadKey(0, "any", b"", MOON.pkcs8))
    answer = peer.ask(request_)
    assert isinstance(answer, Refused) and answer.ticket == 1 and answer.why.isprintable()
    assert isinstance(peer.ask(Sign(2, MOON.key_id, "ed25519", b"octets")), Signed)


@pytest.mark.parametrize(
    "octets",
    [
        b"\0",
        b"\xff" * 40,
        encode(Done(1)),
        encode(Signed(1, b"x")),
        bytes(MAX_MESSAGE),
        encode(Unload(1, "a")) + b"\0",
    ],
    ids=["short", "noise", "an answer", "another answer", "long", "too much"],
)
def test_nonsense_ends_it(peer: Peer, octets: bytes) -> None:
    peer.sock.sendall(octets)
    assert peer.ends()


def test_descriptors_that_nobody_asked_for_are_closed(peer: Peer) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Path("/dev/null").open("rb") as null:
        for _ in range(20):
            assert isinstance(peer.ask(Sign(1, "", "", b""), *[null.fileno()] * 4), Refused)
            assert peer.ask(Unload(2, "")) == Done(2)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_who_reads_no_answers_is_not_read_any_more(peer: Peer) -> None:
    """Requests stay in the pair, which is bounded; none is lost."""
    peer.ask(LoadKey(0, "any", b"", MOON.pkcs8))
    octets = bytes(20000)

    def flood() -> None:
        for ticket in range(1, MANY + 1):
            peer.send(Sign(ticket, MOON.key_id, "ed25519", octets))

    sender = threading.Thread(target=flood)
    sender.start()
    sender.join(0.5)
    answers = [peer.receive() for _ in range(MANY)]
    sender.join(PATIENCE)
    assert {one.ticket for one in answers} == set(range(1, MANY + 1))
    assert all(isinstance(one, Signed) for one in answers)
