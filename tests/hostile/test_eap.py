"""EAP by an end that keeps no rule: it costs a bounded number of rounds of IKE_AUTH, and lets nobody in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, cycle, repeat

import pytest

from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.eap.methods.tls_flights import MORE, MOST_FRAGMENTS
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.sa.api.commands import Initiate
from ikepy.sa.auth.authenticator import Authenticator, Context, Done, More, Received, Step
from ikepy.sa.auth.psk import PskProver, PskVerifier
from ikepy.sa.auth.rounds import LocalRound, RemoteRound, Rounds
from ikepy.sa.message import query
from ikepy.sa.state.auth_round import MOST_ROUNDS
from ikepy.wire.payloads import EapPayload, Payload
from tests import pki
from tests.exchange.eap_tls import Store
from tests.exchange.network import Network
from tests.exchange.test_authenticators import assert_nothing_left
from tests.exchange.test_eap import options

Line = Callable[[Packet | None], bytes]  # what is said to the other end's last packet


def packet(code: Code, type: int | None = None, data: bytes = b"", shift: int = 0) -> Line:
    """With the identifier of the other end's last packet, or another one."""
    return lambda heard: Packet(
        code, (0 if heard is None else heard.identifier + shift) % 256, type, data
    ).encode()


def raw(octets: bytes) -> Line:
    return lambda heard: octets


RESPONSE = Code.RESPONSE
IDENTITY = packet(RESPONSE, EapType.IDENTITY, b"alice@example.org")
FRAGMENT = packet(RESPONSE, EapType.TLS, bytes([MORE]) + b"x")


def _heard(message: Received) -> Packet | None:
    eap = query.maybe(message.payloads, EapPayload)
    return None if eap is None else Packet.decode(eap.data)


@dataclass(frozen=True)
class Evil:
    """Says these lines in EAP payloads, one a message, as either end."""

    lines: Iterator[Line]
    mutual: bool = True

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        return More((), self._next) if context.initiator else PskProver().prove(context, proven)

    def verify(self, context: Context, message: Received) -> Step:
        return self._next(message) if not context.initiator else PskVerifier().verify(context, message)

    def asks(self, context: Context) -> tuple[Payload, ...]:
        return ()

    def credential(self, context: Context) -> str:
        return "nothing"

    def _next(self, message: Received) -> Step:
        return More((EapPayload(next(self.lines)(_heard(message))),), self._next)


def initiator(lines: Iterator[Line]) -> Authenticator:
    evil = Evil(lines)
    return Rounds((LocalRound(AuthLocal(), evil),), (RemoteRound(AuthRemote(), PskVerifier()),))


def responder(lines: Iterator[Line]) -> Authenticator:
    evil = Evil(lines)
    return Rounds((LocalRound(AuthLocal(), PskProver()),), (RemoteRound(AuthRemote(), evil),))


def rounds(net: Network) -> int:
    """Of IKE_AUTH, whatever was sent again, or in fragments."""
    lines = {line for line in net.ladder if line.startswith("a -> b IKE_AUTH request")}
    return len({line.split()[5] for line in lines})


FROM_INITIATORS: dict[str, list[Line]] = {
    "zero length": [raw(b"")],
    "one octet": [raw(b"\x02")],
    "length zero": [raw(b"\x02\x00\x00\x00")],
    "a longer length": [raw(b"\x02\x00\xff\xff\x01x")],
    "9,000 octets": [raw(b"\x02\x00\x23\x28" + bytes(8_996))],
    "unknown code": [raw(b"\x09\x00\x00\x04")],
    "success": [packet(Code.SUCCESS)],
    "failure": [packet(Code.FAILURE)],
    "a request": [packet(Code.REQUEST, EapType.IDENTITY)],
    "another identifier": [packet(RESPONSE, EapType.IDENTITY, b"alice@example.org", shift=1)],
    "the method before the identity": [packet(RESPONSE, EapType.MSCHAPV2, b"\x03")],
    "no identity": [packet(RESPONSE, EapType.IDENTITY)],
    "a success where a response stands": [IDENTITY, packet(RESPONSE, EapType.MSCHAPV2, b"\x03")],
    "success of its own": [IDENTITY, packet(Code.SUCCESS)],
    "identity twice": [IDENTITY, IDENTITY],
    "an endless Nak": [IDENTITY, packet(RESPONSE, EapType.NAK, bytes(range(256)))],
    "no method": [IDENTITY, packet(RESPONSE, EapType.NAK, b"\0")],
}


@pytest.mark.parametrize("word", ["eap-mschapv2", "eap-dynamic"])
@pytest.mark.parametrize("name", FROM_INITIATORS)
def test_an_initiator_without_rules_is_refused(name: str, word: str) -> None:
    a, b = options(word)
    lines = chain(FROM_INITIATORS[name], repeat(raw(b"")))
    net = Network(a, b, methods=(initiator(lines), None))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(60)
    assert not net.a.outcomes[1].ok
    assert rounds(net) <= 4
    assert net.b.errors()
    assert_nothing_left(net)


def tls_gateway(lines: Iterator[Line]) -> Network:
    made = pki.chain("ecdsa")
    a, b = options("eap-tls")
    stores = (Store(made.carol, {}), Store(made.moon, {}))
    net = Network(a, b, methods=(initiator(lines), None), credentials=stores)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(60)
    return net


def test_fragments_that_never_end_are_ended() -> None:
    net = tls_gateway(chain([IDENTITY], repeat(FRAGMENT)))
    assert not net.a.outcomes[1].ok
    assert rounds(net) <= min(MOST_ROUNDS, MOST_FRAGMENTS + 2)
    assert_nothing_left(net)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\x20", bytes([MORE]), b"\x80\xff\xff\xff\xffx", b"\0" + bytes(1500)]
)
def test_bad_flights_of_tls_are_refused(data: bytes) -> None:
    net = tls_gateway(chain([IDENTITY], repeat(packet(RESPONSE, EapType.TLS, data))))
    assert not net.a.outcomes[1].ok
    assert rounds(net) <= 5
    assert_nothing_left(net)


REQUEST = Code.REQUEST
FROM_RESPONDERS: dict[str, list[Line]] = {
    "early success": [packet(Code.SUCCESS)],
    "success after the identity": [packet(REQUEST, EapType.IDENTITY), packet(Code.SUCCESS, shift=1)],
    "success after a challenge": [
        packet(REQUEST, EapType.MSCHAPV2, b"\x01\x00\x00\x16\x10" + bytes(16) + b"x"),
        packet(Code.SUCCESS),
    ],
    "a success that proves nothing": [
        packet(REQUEST, EapType.MSCHAPV2, b"\x01\x00\x00\x16\x10" + bytes(16) + b"x"),
        packet(REQUEST, EapType.MSCHAPV2, b"\x03\x00\x00\x2eS=" + b"0" * 40, shift=1),
    ],
    "zero length": [raw(b"")],
    "a response": [packet(RESPONSE, EapType.IDENTITY, b"x")],
    "identity again and again": [
        packet(REQUEST, EapType.IDENTITY),
        packet(REQUEST, EapType.IDENTITY, shift=1),
    ],
}


@pytest.mark.parametrize("name", FROM_RESPONDERS)
def test_a_responder_without_rules_is_refused(name: str) -> None:
    a, b = options("eap-mschapv2")
    lines = chain(FROM_RESPONDERS[name], repeat(packet(Code.SUCCESS)))
    net = Network(a, replace(b, remote=""), methods=(None, responder(lines)))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(60)
    assert not net.a.outcomes[1].ok
    assert rounds(net) <= 4
    assert_nothing_left(net)


def test_notifications_without_end_are_ended() -> None:
    a, b = options("eap-mschapv2")
    texts = cycle([packet(REQUEST, EapType.NOTIFICATION, b"wait", shift=number) for number in (1, 2, 3)])
    net = Network(a, replace(b, remote=""), methods=(None, responder(texts)))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(60)
    assert not net.a.outcomes[1].ok
    assert rounds(net) <= MOST_ROUNDS
    assert_nothing_left(net)
