"""A peer with the right secret does not decide how much is written."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from ikepy.config.proposals import parse
from ikepy.daemon.log_limit import EACH_OF_PEER, OF_PEER, LogLimit
from ikepy.sa.api.effects import Level
from ikepy.sa.api.log_source import Peer, kind_of
from ikepy.sa.negotiation import proposals
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import (
    DeletePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    TrafficSelector,
    TsPayload,
)
from tests.exchange.network import ADDRESS_A
from tests.hostile.attacker import NONCE, HalfOpenAttacker, child_payloads, target

CREATE_CHILD_SA, INFORMATIONAL = ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL
TIMES = 400
A_KIND = 3 * EACH_OF_PEER[1]  # a refusal may come with a line or two of another kind


def _spi(n: int) -> bytes:
    return struct.pack("!I", 5000 + n)


def _refused(n: int) -> list[Payload]:
    return [NoncePayload(NONCE), *child_payloads(_spi(n))[:1], *_selectors(n)]


def _selectors(n: int) -> list[Payload]:
    """None of b's, another one each time."""
    address = struct.pack("!I", (203 << 24) + n)
    one = (TrafficSelector(7, 6, n, n, address, address),)
    return [TsPayload(PayloadType.TS_I, one), TsPayload(PayloadType.TS_R, one)]


def _no_such_child(n: int) -> list[Payload]:
    return [
        NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.ESP, _spi(n)),
        NoncePayload(NONCE),
        *child_payloads(_spi(n)),
    ]


def _no_proposal(n: int) -> list[Payload]:
    unknown = proposals.numbered(parse("aes192-sha512", ProtocolId.ESP), _spi(n))
    return [SaPayload(unknown), NoncePayload(NONCE), *child_payloads(_spi(n))[1:]]


def _reports(n: int) -> list[Payload]:
    return [NotifyPayload(8000 + n, bytes(4))]


CAUSES: dict[str, tuple[int, Callable[[int], list[Payload]]]] = {
    "refused children": (CREATE_CHILD_SA, _refused),
    "rekeys of nothing": (CREATE_CHILD_SA, _no_such_child),
    "refused proposals": (CREATE_CHILD_SA, _no_proposal),
    "children": (CREATE_CHILD_SA, lambda n: [NoncePayload(NONCE), *child_payloads(_spi(n))]),
    "reports": (INFORMATIONAL, _reports),
    "deletes": (INFORMATIONAL, lambda n: [DeletePayload(ProtocolId.ESP, (_spi(n),))]),
}


def _written(attacker: HalfOpenAttacker) -> list[str]:
    limit, now = LogLimit(), attacker.net.now
    lines = [one for one in attacker.net.b.logs if one.level is not Level.DEBUG]
    for one in lines:
        assert one.source is not None, f"nobody is said to have caused: {one.text}"
    return [one.text for one in lines if one.source is not None and limit.allow(one.kind, one.source, now)]


@pytest.mark.parametrize("cause", list(CAUSES))
def test_requests_without_end(cause: str) -> None:
    exchange, payloads = CAUSES[cause]
    attacker = HalfOpenAttacker(target(), address=ADDRESS_A)
    attacker.establish()
    for n in range(2, 2 + TIMES):
        attacker.ask(exchange, n, payloads(n))
    assert len(_written(attacker)) <= A_KIND


def test_children_that_come_and_go() -> None:
    attacker = HalfOpenAttacker(target(), address=ADDRESS_A)
    attacker.establish()
    for n in range(2, 2 + TIMES, 2):
        attacker.ask(CREATE_CHILD_SA, n, [NoncePayload(NONCE), *child_payloads(_spi(n))])
        attacker.ask(INFORMATIONAL, n + 1, [DeletePayload(ProtocolId.ESP, (_spi(n),))])
    assert len(_written(attacker)) <= A_KIND


@pytest.mark.parametrize(
    "ends", [DeletePayload(ProtocolId.IKE, ()), NotifyPayload(NotifyType.INVALID_SYNTAX)]
)
def test_ike_sas_that_come_and_go(ends: Payload) -> None:
    net = target()
    for n in range(100):
        attacker = HalfOpenAttacker(net, address=ADDRESS_A, spi_i=struct.pack("!Q", n + 1))
        attacker.establish()
        attacker.ask(INFORMATIONAL, 2, [ends])
        net.run(0.2)
    written = _written(attacker)
    assert len(written) <= OF_PEER[1]
    for one in ("IKE_SA established", "IKE_SA ended"):
        assert sum(line.startswith(one) for line in written) <= EACH_OF_PEER[1]


def test_kinds_do_not_follow_what_a_peer_chooses() -> None:
    for texts in (
        ("CHILD_SA net #5 removed (deleted by the peer)", "CHILD_SA net #1234 removed (expired)"),
        ("the peer moved to 192.0.2.1[4500]", "the peer moved to 198.51.100.255[50000]"),
        ("the peer moved to 2001:db8::1[4500]", "the peer moved to fe80::abcd[4500]"),
        ("no child for c0ffee12", "no child for 00000100"),
        ("IKE_SA established, a at 192.0.2.1[500]", "IKE_SA established, b at 192.0.2.1[500]"),
    ):
        assert len({kind_of(text) for text in texts}) == 1
    assert kind_of("CHILD_SA net1 #5 removed (expired)") != kind_of("CHILD_SA net2 #5 removed (expired)")
    assert str(Peer("site", "gwa")) == "gwa"
    assert str(Peer("site")) == "site"
