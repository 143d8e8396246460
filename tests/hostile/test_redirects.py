"""Redirects that nobody authenticates, or that an authenticated gateway sends without end (RFC 5685 11)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate, RedirectClients, Rekey
from ikepy.sa.exchange import redirecting
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import HeaderFlag, NotifyType
from ikepy.wire.message import decode_message, encode_message
from ikepy.wire.payloads import NotifyPayload, Payload
from ikepy.wire.redirect import encode_gateway
from tests.exchange.network import ADDRESS_B, Network, Options
from tests.exchange.test_established import do, ike_sa
from tests.exchange.test_redirect import (
    BOTH,
    CLIENT,
    OTHER,
    SERVES,
    answer_with_redirect,
    assert_at,
    last_request,
    log,
)

FOLLOWS = Options(connection='redirect = "follow"')
VICTIM = IPv4Address("203.0.113.9")


def begun(client: Options = FOLLOWS) -> Network:
    """Site a has sent its IKE_SA_INIT, and the gateway's answer is late."""
    net = Network(client, replace(SERVES, local_addrs=BOTH))
    net.script = lambda line, nth, data: [0.5] if line.startswith("b -> a IKE_SA_INIT") else [0.01]
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(0.1)
    return net


@pytest.mark.parametrize("nonce", [b"", bytes(16), bytes(32), bytes(256)])
def test_a_wrong_nonce_is_not_believed_and_the_true_answer_counts(nonce: bytes) -> None:
    net = begun()
    for _ in range(20):
        answer_with_redirect(net, VICTIM, nonce)
    net.run(2)
    assert net.a.outcomes[1].ok
    assert_at(net, ADDRESS_B)
    assert {path.remote.address for path in net.a.sent} == {ADDRESS_B}, "nobody else hears of us"


@pytest.mark.parametrize("there", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.2"])
def test_with_the_right_nonce_to_where_no_gateway_can_be(there: str) -> None:
    net = begun()
    answer_with_redirect(net, IPv4Address(there))
    net.run(2)
    assert net.a.outcomes[1].ok
    assert_at(net, ADDRESS_B)


def test_with_the_right_nonce_to_where_the_policy_does_not_let_us_go() -> None:
    net = begun(CLIENT)
    answer_with_redirect(net, VICTIM)
    net.run(2)
    assert_at(net, ADDRESS_B)


def test_whoever_sees_our_messages_can_delay_us_but_not_for_ever() -> None:
    """It answers each of our requests before the gateway does, and sends us to where nobody is."""
    net = Network(Options(connection='redirect = "follow"\nkeyingtries = 0'), SERVES)
    net.gone = {VICTIM}
    net.script = lambda line, nth, data: [0.5] if line.startswith("b -> a IKE_SA_INIT") else [0.01]
    net.command("a", Initiate("ab", "net"))
    followed = 0
    for _ in range(400):
        begins = [sa for sa in net.a.manager.ike_sas if not sa.established]
        if begins and net.a.sent[-1].remote.address != VICTIM:
            before = len(net.a.sent)
            answer_with_redirect(net, VICTIM)
            followed += len(net.a.sent) > before
        net.run(0.3)
    net.run(600)
    assert followed <= 10
    assert_at(net, ADDRESS_B)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1",
        b"\1\4",
        b"\1\4\1\2\3",
        b"\1\xff" + bytes(300),
        b"\3\0",
        b"\3\4\0\0\0\0",
        b"\3\3../",
        b"\7\4aaaa",
    ],
)
def test_a_malformed_one(data: bytes) -> None:
    net = begun()
    request = decode_message(last_request(net))
    header = replace(request.header, spi_r=bytes(8), flags=int(HeaderFlag.RESPONSE))
    forged: list[Payload] = [NotifyPayload(NotifyType.REDIRECT, data)]
    net.inject("a", net.a.sent[-1], encode_message(header, forged))
    net.run(2)
    assert_at(net, ADDRESS_B)


def test_an_authenticated_gateway_that_sends_us_on_and_on() -> None:
    net = begun(replace(CLIENT, connection='redirect = "follow"'))
    net.run(2)
    for number in range(40):
        there = OTHER if number % 2 else ADDRESS_B
        net.command("b", RedirectClients((ike_sa(net, "b").ike_id,), there))
        net.run(2)
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") <= 6, "five times, and then no more"
    assert "once too often" in log(net)
    assert len(net.a.manager.list_sas(net.now)) == 1
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_a_redirect_with_a_nonce_in_an_established_one_is_ignored() -> None:
    net = begun()
    net.run(2)
    sent = len(net.a.sent)
    do(net, "b", SendNotify(NotifyPayload(NotifyType.REDIRECT, encode_gateway(OTHER, bytes(32)))))
    net.run(2)
    assert len(net.a.sent) == sent + 1, "an acknowledgement, no more"
    assert_at(net, ADDRESS_B)


def test_redirects_without_end_do_not_fill_the_log() -> None:
    net = begun()
    net.run(2)
    lines = len(net.a.logs)
    for _ in range(100):
        do(net, "b", SendNotify(NotifyPayload(NotifyType.REDIRECT, b"\7")))
    assert len(net.a.logs) <= lines + 3


def test_a_client_cannot_send_its_gateway_anywhere() -> None:
    net = begun()
    net.run(2)
    do(net, "a", SendNotify(NotifyPayload(NotifyType.REDIRECT, encode_gateway(VICTIM))))
    net.run(5)
    assert VICTIM not in {path.remote.address for path in net.b.sent}
    assert_at(net, ADDRESS_B)


@pytest.mark.parametrize("command", [Initiate("ab", "net"), Rekey(ike="ab")])
def test_a_client_that_was_sent_away_gets_nothing_more(
    command: Initiate | Rekey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a child nor, by a rekey, an IKE_SA without an end."""
    monkeypatch.setattr(redirecting, "told", lambda *_, **__: None)  # it does not want to go
    net = Network(CLIENT, replace(SERVES, connection=f'redirect_to = "{OTHER}"'))
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    before = {sa.ike_id for sa in net.b.manager.list_sas(net.now)}
    net.command("a", command)
    net.run(2)
    assert "a -> b CREATE_CHILD_SA request 2" in net.ladder
    assert not net.b.plane.inbound
    assert {sa.ike_id for sa in net.b.manager.list_sas(net.now)} <= before
