"""OCSP responses in IKE_AUTH (RFC 4806): who asks for them, who sends them, and what goes on without them.

Both ends are the daemon's own store. One of them can fetch; the other is told by what the first sends, or not
at all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha1

import pytest
from cryptography.x509.ocsp import OCSPCertStatus

from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.crl import crl
from ikepy.crypto.x509.path import Anchors
from ikepy.daemon.credentials.fetcher import Fetcher, Places, ask_libc
from ikepy.daemon.credentials.known import Known
from ikepy.daemon.credentials.revocation_check import AtHand, RevocationCheck
from ikepy.daemon.credentials.store import Store
from ikepy.sa.api.commands import Initiate
from ikepy.wire.constants import CertEncoding
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import CertReqPayload
from tests.pki import Entity, chain
from tests.raw_http import RawServer, answer, serving
from tests.unit.crypto.x509.test_ocsp import response

from .credentials import KeyOf, Memory
from .network import Network, assert_joined, deliver_all
from .test_pubkey import PUBKEY, A, B, memories, told

PKI = chain()
STRICT = f'{PUBKEY}\nrevocation = "strict"'


class End:
    """A store that has a certificate. `hosts`: whom it wanted to ask."""

    def __init__(self, own: Entity, *, fetches: bool) -> None:
        self.hosts: list[str] = []
        self._fetches = fetches
        self.store = Store(RevocationCheck(Fetcher(self._resolve), bytes), KeyOf(own))
        self.store.known = Known(
            (certificate(own.der),),
            Anchors([certificate(PKI.root.der), certificate(PKI.ca.der)]),
            hand=AtHand(crls=(crl(PKI.crl(root=True)),)),
        )

    def _resolve(self, host: str, port: int) -> Places:
        self.hosts.append(host)
        if not self._fetches:
            raise OSError("there is no network")
        return ask_libc(host, port)


def certified(server: RawServer, name: str) -> Entity:
    return PKI.issue(name, san=(f"{name}.example.org",), ocsp=(server.uri(),))


def brought_up(a: End, b: End, ours: str, theirs: str, sender: str) -> Network:
    """`ours`, `theirs`: `ocsp` of the sender and of the other end, which is strict."""
    words = {"a": ours, "b": theirs} if sender == "a" else {"a": theirs, "b": ours}
    remotes = {"a": PUBKEY, "b": STRICT} if sender == "a" else {"a": STRICT, "b": PUBKEY}
    net = Network(
        replace(A, connection=f'ocsp = "{words["a"]}"', remote=remotes["a"]),
        replace(B, connection=f'ocsp = "{words["b"]}"', remote=remotes["b"]),
        credentials=(a.store, b.store),
    )
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    return net


def ends(server: RawServer, sender: str) -> tuple[End, End, End]:
    """a, b, and the one of them that does not send."""
    a = End(certified(server, "moon") if sender == "a" else PKI.moon, fetches=sender == "a")
    b = End(certified(server, "sun") if sender == "b" else PKI.sun, fetches=sender == "b")
    return a, b, (b if sender == "a" else a)


def own(of: End) -> Entity:
    assert isinstance(of.store.keys, KeyOf)
    return of.store.keys.of


@pytest.mark.parametrize("sender", ["a", "b"])
@pytest.mark.parametrize(
    ("ours", "theirs", "sent"),
    [
        ("reply", "request", True),
        ("both", "both", True),
        ("reply", "reply", False),
        ("never", "request", False),
        ("request", "both", False),
    ],
)
def test_a_response_is_sent_to_who_asks(sender: str, ours: str, theirs: str, sent: bool) -> None:
    with serving(answer(b"")) as server:
        a, b, other = ends(server, sender)
        server.serve = answer(response(own(a if sender == "a" else b)))
        net = brought_up(a, b, ours, theirs, sender)
        assert bool(other.hosts) is not sent
        assert bool(server.requests) is sent
    if sent:
        assert_joined(net)
    else:
        assert not net.site(sender).plane.inbound


def test_one_that_is_kept_is_sent_again() -> None:
    with serving(answer(b"")) as server:
        a, b, _ = ends(server, "a")
        server.serve = answer(response(own(a)))
        for _ in range(3):
            assert_joined(brought_up(a, b, "reply", "request", "a"))
        assert len(server.requests) == 1


def test_one_that_says_revoked_is_sent_too() -> None:
    with serving(answer(b"")) as server:
        a, b, other = ends(server, "a")
        server.serve = answer(response(own(a), status=OCSPCertStatus.REVOKED))
        net = brought_up(a, b, "reply", "request", "a")
        assert not other.hosts
    assert "revoked (superseded" in told(net, "b")


@pytest.mark.parametrize(
    "serve",
    [
        answer(b"", status="500 no"),
        answer(b"text"),
        answer(response(PKI.sun)),
        answer(response(age=timedelta(9), life=timedelta(1))),
        lambda sock, _: sock.close(),
    ],
)
def test_none_is_to_be_had(serve: Callable[..., None]) -> None:
    """The peer hears nothing of it, and the responder is left in peace for a minute."""
    with serving(serve) as server:
        a = End(certified(server, "moon"), fetches=True)
        b = memories(PKI)[1]
        for _ in range(2):
            net = Network(A, replace(B, connection='ocsp = "request"'), credentials=(a.store, b))
            net.command("a", Initiate("ab", "net", ticket=1))
            net.run(1.0)
            assert_joined(net)
            assert not b.shown[-1].ocsp
        assert len(server.requests) == 1


def test_a_responder_that_never_answers() -> None:
    def serve(sock: socket.socket, _: bytes) -> None:
        sock.recv(1)  # until the client gives up

    with serving(serve) as server:
        check = RevocationCheck(Fetcher(seconds=0.3), bytes)
        one = certificate(certified(server, "moon").der)
        assert check.responses(one, certificate(PKI.ca.der), AtHand(), 0.0) == ()


def requests(asks: str, memory: Memory | Store) -> list[CertReqPayload]:
    """What b's IKE_SA_INIT asks for."""
    datagrams: list[bytes] = []

    def keep(line: str, nth: int, data: bytes) -> list[float]:
        datagrams.append(data)
        return deliver_all(line, nth, data)

    net = Network(A, replace(B, connection=asks), credentials=(memories(PKI)[0], memory))
    net.script = keep
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    return [one for one in decode_message(datagrams[1]).payloads if isinstance(one, CertReqPayload)]


def test_what_is_asked_for() -> None:
    b = End(PKI.sun, fetches=False)
    assert [one.encoding for one in requests("", b.store)] == [CertEncoding.X509_SIGNATURE]
    assert requests('ocsp = "request"', b.store)[1:] == [CertReqPayload(CertEncoding.OCSP, b"")]
    assert requests('ocsp = "request"\nsend_certreq = false', b.store) == []
    hand = AtHand(responders=(certificate(PKI.carol.der),))
    b.store.known = replace(b.store.known, hand=hand)
    named = CertReqPayload(CertEncoding.OCSP, sha1(PKI.carol.spki).digest())
    assert requests('ocsp = "both"', b.store)[1:] == [named]
