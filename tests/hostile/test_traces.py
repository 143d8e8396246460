"""What is dropped leaves a count and a line that says what it means, and the line names who it was."""

from __future__ import annotations

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Level, Log, Send
from ikepy.sa.api.log_source import Peer
from ikepy.sa.api.path import Endpoint, Path
from ikepy.wire.constants import ExchangeType, HeaderFlag, PayloadType
from tests.exchange.network import ADDRESS_A, ADDRESS_B, Network, assert_joined
from tests.hostile.attacker import (
    NONCE,
    STRANGER,
    HalfOpenAttacker,
    assert_unharmed,
    chain,
    init_parts,
    message,
    path_from,
    target,
)


def trace(net: Network, data: bytes) -> tuple[dict[str, int], list[Log]]:
    """What was counted because of a datagram to b, and the lines at info."""
    before = net.b.manager.counters()
    effects = net.inject("b", path_from(), data)
    after = net.b.manager.counters()
    counted = {reason: after[reason] - before[reason] for reason in after if after[reason] != before[reason]}
    return counted, [one for one in effects if isinstance(one, Log) and one.level is not Level.DEBUG]


CASES = {
    "IKEv1": (
        message(PayloadType.NONE, bytes(60), version=0x10, exchange=2),
        "IKEv1 messages",
        "dropped IKEv1: only IKEv2 is spoken here, the peer has to be set to it",
    ),
    "a higher major version": (
        message(*chain(*init_parts()), version=0x30),
        "messages of a higher major version",
        "dropped IKE version 3.0: only IKEv2 is spoken here",
    ),
    "a payload that does not fit": (
        message(*chain(*init_parts(), length=4000)),
        "malformed IKE_SA_INIT requests",
        "dropped a malformed IKE_SA_INIT request: a payload does not fit",
    ),
    "no nonce": (
        message(*chain(*init_parts()[:2])),
        "malformed IKE_SA_INIT requests",
        "dropped a malformed IKE_SA_INIT request: no nonce",
    ),
    "no SA payload": (
        message(*chain(*init_parts()[1:])),
        "refused IKE_SA_INIT requests",
        None,
    ),
    "a malformed response": (
        message(PayloadType.SA, bytes(7), flags=HeaderFlag.RESPONSE),
        "unacceptable IKE_SA_INIT responses",
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_strangers_send(name: str) -> None:
    data, reason, text = CASES[name]
    net = target()
    counted, lines = trace(net, data)
    assert counted == {reason: 1}
    (line,) = lines
    assert text is None or line.text == text
    assert (line.subject, line.source) == (f"{STRANGER}[500]", STRANGER), "so it can be summed up"
    assert line.kind
    assert_unharmed(net)


def test_a_refused_one() -> None:
    net = target()
    counted, (line,) = trace(net, message(*chain(*init_parts("aes256-sha512-x25519"))))
    assert counted == {"refused IKE_SA_INIT requests": 1}
    assert line.kind == "NO_PROPOSAL_CHOSEN"
    assert line.source == STRANGER


@pytest.mark.parametrize("exchange", [ExchangeType.IKE_AUTH, ExchangeType.INFORMATIONAL, 99])
def test_a_response_of_another_exchange(exchange: int) -> None:
    net = target()
    net.script = lambda line, nth, data: [1.0]
    request = next(
        effect.data
        for effect in net.a.manager.request(Initiate("ab", "net", ticket=1), net.now)
        if isinstance(effect, Send)
    )
    forged = message(
        *chain((PayloadType.NONCE, NONCE)), spi_i=request[:8], spi_r=b"\6" * 8, exchange=exchange, flags=0x20
    )
    effects = net.inject("a", Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500)), forged)
    (line,) = [one for one in effects if isinstance(one, Log)]
    assert line.text.startswith("dropped a response of exchange ")
    assert line.text.endswith(" where IKE_SA_INIT is awaited")
    assert net.a.manager.counters()["responses of another exchange type"] == 1


@pytest.mark.parametrize(
    "part",
    [(PayloadType.NONCE, NONCE), (PayloadType.NOTIFY, b"\0\0\0\x11\0\x0e")],
    ids=["no SA payload", "a group that was not offered"],
)
def test_forged_answers_to_our_first_request(part: tuple[int, bytes]) -> None:
    """Whoever has seen its SPI sends as many as he likes: the lines can be summed up."""
    net = target()
    net.script = lambda line, nth, data: [1.0]
    net.command("a", Initiate("ab", "net"))
    (sa,) = net.a.manager.list_sas(net.now)
    for _ in range(3):
        forged = message(*chain(part), spi_i=sa.spi_i, spi_r=b"\6" * 8, flags=HeaderFlag.RESPONSE)
        effects = net.inject("a", Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500)), forged)
        (line,) = [one for one in effects if isinstance(one, Log)]
        assert line.text.startswith("ignored an IKE_SA_INIT response: ")
        assert (line.kind, line.source) == ("ignored response", ADDRESS_B)
    net.run(6)
    assert_joined(net)


@pytest.mark.parametrize("kind", [PayloadType.VENDOR_ID, PayloadType.NOTIFY])
@pytest.mark.parametrize("exchange", [ExchangeType.INFORMATIONAL, ExchangeType.IKE_AUTH, 99])
def test_a_long_message_without_protection_is_not_looked_into(exchange: int, kind: int) -> None:
    """Under the SPIs of an IKE_SA that stands, which anybody can read on the way."""
    net = target()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (sa,) = net.b.manager.list_sas(net.now)
    body = bytes.fromhex("00000004") if kind == PayloadType.NOTIFY else b""  # INVALID_IKE_SPI

    def forged(count: int) -> bytes:
        parts = chain(*[(kind, body)] * count)
        return message(*parts, spi_i=sa.spi_i, spi_r=sa.spi_r, exchange=exchange, message_id=2)

    counted, lines = trace(net, forged(100))
    assert counted == {"malformed messages": 1}
    assert not lines
    counted, _ = trace(net, forged(2))
    assert not counted, "a short one may be what RFC 7296 2.21.4 has"
    net.run(1)
    assert_joined(net)


def test_lines_about_those_who_are_not_authenticated_can_be_summed_up() -> None:
    net = target()
    HalfOpenAttacker(net)
    net.run(40)
    lines = [one for one in net.b.logs if one.level is not Level.DEBUG]
    assert [one.kind for one in lines] == ["initiates an IKE_SA", "timed out"]
    assert {one.source for one in lines} == {STRANGER}
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (line,) = [one for one in net.b.logs if "established" in one.text]
    assert (line.kind, line.source) == ("IKE_SA established", Peer("ab", "gwa")), "a peer's is its own"
