"""Tickets that are forged, cut, stolen, presented twice, or without end (RFC 5723 9)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import query
from ikepy.sa.tasks.liveness import Liveness
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, Message, decode_message, encode_message
from ikepy.wire.payloads import NoncePayload, NotifyPayload, Payload
from tests.exchange.network import ADDRESS_A, ADDRESS_B, Network, assert_joined
from tests.exchange.test_established import do, ike_sa
from tests.exchange.test_redirect import notifies, recorded
from tests.exchange.test_resumption import IN_FULL, RESUMED, RESUMES, crash, established

STRANGER = Path(Endpoint(ADDRESS_B, 500), Endpoint(IPv4Address("203.0.113.9"), 500))
SEEN = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))


def first(number: int = 1) -> IkeHeader:
    spi_i = number.to_bytes(8, "big")
    return IkeHeader(spi_i, bytes(8), ExchangeType.IKE_SESSION_RESUME, HeaderFlag.INITIATOR, 0)


def resume(net: Network, ticket: bytes, *, number: int = 1, path: Path = SEEN) -> list[Message]:
    """What b answers to an IKE_SESSION_RESUME with this ticket."""
    header = first(number)
    payloads: list[Payload] = [NoncePayload(bytes(32)), NotifyPayload(NotifyType.TICKET_OPAQUE, ticket)]
    sent = net.inject("b", path, encode_message(header, payloads))
    return [decode_message(one.data) for one in sent if isinstance(one, Send)]


def resumed(net: Network) -> tuple[bytes, list[bytes]]:
    """b is killed, and a resumes. Gives the ticket, as somebody sees it on the way, and what else passed."""
    net.run(15)
    seen: list[bytes] = []
    net.script = recorded(seen)
    net.b.restart()
    do(net, "a", Liveness())
    net.run(1)
    request = next(one for one in seen if one[18] == ExchangeType.IKE_SESSION_RESUME)
    (ticket,) = (one.data for one in notifies(request) if one.notify == NotifyType.TICKET_OPAQUE)
    return ticket, seen


def is_refused(answers: list[Message]) -> bool:
    (answer,) = answers
    told = [one.notify for one in answer.payloads if isinstance(one, NotifyPayload)]
    return told == [NotifyType.TICKET_NACK] and answer.header.spi_r == bytes(8)


def test_a_ticket_that_was_used_is_refused() -> None:
    net = established()
    ticket, _ = resumed(net)
    sa = ike_sa(net, "b")
    assert is_refused(resume(net, ticket))
    (elsewhere,) = resume(net, ticket, path=STRANGER, number=2)
    assert elsewhere.header.spi_r == bytes(8)
    assert ike_sa(net, "b") is sa


def test_whoever_steals_one_that_is_good_gets_nowhere() -> None:
    """It has a half-open IKE_SA, whose keys it does not know; the owner's ticket is not used by that."""
    net = established()
    net.script = lambda line, nth, data: []
    net.b.restart()
    ticket = net.a.manager.ike_sas[0].registry.tickets.take(
        net.a.config.connections["ab"], ADDRESS_B, net.now
    )
    assert ticket is not None
    net.a.manager.ike_sas[0].registry.tickets.put(ticket)
    (answer,) = resume(net, ticket.data)
    assert answer.header.spi_r != bytes(8)
    assert not any(sa.established for sa in net.b.manager.ike_sas)
    net.script = lambda line, nth, data: [0.01]
    do(net, "a", Liveness())
    net.run(1)
    assert any(sa.resumed for sa in net.b.manager.list_sas(net.now))
    net.run(60)
    assert len(net.b.manager.list_sas(net.now)) == 1, "the thief's has timed out"
    assert_joined(net)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 36, 37, 52, 53, 100, 4096, 8000])
def test_one_that_is_made_up(size: int) -> None:
    net = established()
    assert is_refused(resume(net, bytes(size)))
    assert is_refused(resume(net, (b"\1key1" + bytes(size))[:size], number=2))


def test_one_that_is_altered_or_cut() -> None:
    net = established()
    ticket = net.a.manager.ike_sas[0].registry.tickets.take(
        net.a.config.connections["ab"], ADDRESS_B, net.now
    )
    assert ticket is not None
    data = ticket.data
    net.b.restart()
    for number, at in enumerate(range(0, len(data), 11)):
        altered = data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]
        path = replace(SEEN, remote=Endpoint(IPv4Address(f"198.51.100.{number + 1}"), 500))
        assert not [sa for sa in net.b.manager.ike_sas if sa.has_keys]
        for one in (altered, data[:at]):
            answers = resume(net, one, number=2 * number + (one is altered) + 1, path=path)
            (answer,) = answers
            assert answer.header.spi_r == bytes(8)


def test_a_flood_of_them_is_asked_for_cookies_and_holds_nothing() -> None:
    net = established()
    cookies = 0
    for number in range(1, 500):
        for answer in resume(net, b"\1key1" + bytes(100), number=number, path=STRANGER):
            cookies += query.notify(answer.payloads, NotifyType.COOKIE) is not None
            assert answer.header.exchange == ExchangeType.IKE_SESSION_RESUME
    assert cookies > 400
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_no_answer_is_larger_than_the_question() -> None:
    net = established()
    data = encode_message(first(), [NoncePayload(bytes(16))])
    sent = [one for one in net.inject("b", STRANGER, data) if isinstance(one, Send)]
    (answer,) = sent
    assert len(answer.data) <= len(data)


def test_a_refusal_that_somebody_forges_costs_a_round_trip() -> None:
    """Who sees the request answers first. The client then sets up in full, and is up."""
    net = established()
    net.run(15)
    net.b.restart()
    net.ladder.clear()

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith("a -> b IKE_SESSION_RESUME"):
            request = decode_message(data).header
            forged = replace(request, flags=int(HeaderFlag.RESPONSE))
            nack = encode_message(forged, [NotifyPayload(NotifyType.TICKET_NACK)])
            later.append(nack)
        return [0.01]

    later: list[bytes] = []
    net.script = script
    do(net, "a", Liveness())
    net.run(0.021)
    assert later
    net.inject("a", Path(SEEN.remote, SEEN.local), later[0])
    net.run(2)
    assert net.ladder[2] == IN_FULL[0]
    assert "a -> b IKE_SA_INIT request 0" in net.ladder
    assert_joined(net)


@pytest.mark.parametrize("size", [0, 3, 4, 5000])
def test_a_gateway_that_gives_nonsense_for_tickets(size: int) -> None:
    net = established()
    registry = net.a.manager.ike_sas[0].registry
    registry.tickets.drop("ab")
    do(net, "b", SendNotify(NotifyPayload(NotifyType.TICKET_LT_OPAQUE, bytes(size))))
    net.run(1)
    assert registry.tickets.take(net.a.config.connections["ab"], ADDRESS_B, net.now) is None


def test_a_gateway_that_promises_a_century() -> None:
    net = established()
    do(net, "b", SendNotify(NotifyPayload(NotifyType.TICKET_LT_OPAQUE, b"\xff" * 4 + bytes(200))))
    net.run(1)
    held = net.a.manager.ike_sas[0].registry.tickets.take(net.a.config.connections["ab"], ADDRESS_B, net.now)
    assert held is not None
    assert held.expires_at <= net.now + 24 * 3600


def test_a_client_that_asks_for_tickets_without_end() -> None:
    net = established()
    for _ in range(100):
        do(net, "a", SendNotify(NotifyPayload(NotifyType.TICKET_REQUEST)))
        net.run(0.1)
    assert len(ike_sa(net, "b").resumption.granted) <= 8


def test_a_gateway_does_not_ask_its_client_for_one() -> None:
    net = established()
    net.a.restart_keys.tickets = net.b.restart_keys.tickets
    do(net, "b", SendNotify(NotifyPayload(NotifyType.TICKET_REQUEST)))
    net.run(1)
    assert not ike_sa(net, "a").resumption.granted


STRICT = """
[connections.strict]
local_addrs = ["192.0.2.2"]
remote_addrs = ["192.0.2.1"]
proposals = ["aes128gcm16-prfsha256-x25519"]
local.id = "gwb"
remote.id = "gwa"
remote.auth = "pubkey"
[connections.strict.children.net]
local_ts = ["0.0.0.0/0"]
remote_ts = ["0.0.0.0/0"]
esp_proposals = ["aes128gcm16"]
"""


def test_a_ticket_is_for_its_own_connection_whatever_is_configured_meanwhile() -> None:
    """Another one for the same peer, which fits it better and wants a certificate, comes midway."""
    gateway = replace(RESUMES, remote_addrs="192.0.2.0/24", child="")
    net = established(RESUMES, gateway)

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line == "a -> b IKE_AUTH request 1":
            net.replace_config("b", replace(gateway, more=STRICT))
        return [0.01]

    def change() -> None:
        net.script = script

    assert crash(net, change) == RESUMED
    (sa,) = net.b.manager.list_sas(net.now)
    assert (sa.connection, sa.resumed) == ("ab", True)


def test_the_exchange_is_not_the_way_around_anything_else() -> None:
    """IKE_SESSION_RESUME under an IKE_SA that is there, or with a key exchange in it, is nothing."""
    net = established()
    sa = ike_sa(net, "b")
    header = IkeHeader(sa.spi_i, sa.spi_r, ExchangeType.IKE_SESSION_RESUME, HeaderFlag.INITIATOR, 2)
    assert not [
        one
        for one in net.inject("b", SEEN, encode_message(header, [NoncePayload(bytes(32))]))
        if isinstance(one, Send)
    ]
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)
