"""Quick crash detection: a gateway restarts, and its peer believes it at once (RFC 6290)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.crypto.crash_token import crash_token
from ikepy.crypto.secret import Secret
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Effect, Send
from ikepy.sa.api.events import IkeDown
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks.liveness import Liveness
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader, decode_message, encode_message
from ikepy.wire.payloads import NotifyPayload

from .network import ADDRESS_A, DELAY, Network, Options, assert_joined
from .test_established import do, ike_sa

SECRET, OTHER = Secret(b"\1" * 32), Secret(b"\2" * 32)
DOWN = Options(child='close_action = "none"')


def established(makers: str = "b", options: Options | None = None) -> Network:
    net = Network(options)
    for name in makers:
        net.site(name).restart_keys.crash = (SECRET,)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(2)
    assert net.a.outcomes[1].ok
    net.ladder.clear()
    return net


def asks(net: Network, name: str = "a") -> None:
    """An end checks that its peer is alive."""
    do(net, name, Liveness())


def told(net: Network, sa: IkeSa, *tokens: bytes) -> bytes:
    """An unprotected message that says that the peer does not know an IKE_SA of a's."""
    header = IkeHeader(
        sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, HeaderFlag.RESPONSE, sa.window.next_request
    )
    notifies = [NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, one, 1) for one in tokens]
    return encode_message(header, [NotifyPayload(NotifyType.INVALID_IKE_SPI), *notifies])


def test_a_gateway_restarts_and_is_back_within_two_round_trips() -> None:
    net = established()
    old = ike_sa(net, "a").spi_i
    net.b.restart()
    begins = net.now
    asks(net)
    net.run(1.5 * DELAY + DELAY)
    assert net.ladder[:3] == [
        "a -> b INFORMATIONAL request 2",
        "b -> a INFORMATIONAL response 2",
        "a -> b IKE_SA_INIT request 0",
    ], "within one round trip it knows, and begins"
    assert net.now - begins < 3 * DELAY
    net.run(4 * DELAY)
    assert ike_sa(net, "a").spi_i != old
    assert_joined(net)
    (ended,) = (event for event in net.a.events if isinstance(event, IkeDown))
    assert ended.end.name == "LOST_BY_PEER"


def test_without_keys_that_outlive_the_crash_nothing_is_said() -> None:
    net = established(makers="")
    net.b.restart()
    asks(net)
    net.run(1)
    assert not any("IKE_SA_INIT" in line for line in net.ladder)
    (sa,) = net.a.manager.list_sas(net.now)
    assert sa.state == "ESTABLISHED"


def test_other_keys_than_before_make_other_tokens() -> None:
    net = established()
    net.b.restart_keys.crash = (OTHER,)
    net.b.restart()
    asks(net)
    net.run(1)
    assert not any("IKE_SA_INIT" in line for line in net.ladder)


def test_a_key_that_was_replaced_is_known_for_three_more() -> None:
    net = established()
    more = tuple(Secret(bytes([number]) * 32) for number in (3, 4, 5))
    net.b.restart_keys.crash = (*more, SECRET)
    net.b.restart()
    # A question that is long enough: no answer is much longer.
    do(net, "a", SendNotify(NotifyPayload(40000, bytes(128))))
    net.run(1)
    assert_joined(net)
    assert ike_sa(net, "a").crash_tokens == (
        crash_token(more[0], ike_sa(net, "a").spi_i, ike_sa(net, "a").spi_r),
    )


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("crashes", ["a", "b"])
def test_after_a_rekey_there_is_a_new_token(who: str, crashes: str) -> None:
    net = established("ab")
    before = {name: ike_sa(net, name).crash_tokens for name in "ab"}
    net.command(who, Rekey(ike="ab"))
    net.run(2)
    for name in "ab":
        assert len(ike_sa(net, name).crash_tokens) == 1
        assert ike_sa(net, name).crash_tokens != before[name]
    net.site(crashes).restart()
    asks(net, "b" if crashes == "a" else "a")
    net.run(1)
    if crashes == "b":
        assert_joined(net)
    else:  # the gateway does not begin anew
        assert net.b.manager.idle


def test_a_client_that_restarts_is_forgotten_at_once() -> None:
    net = established("a")
    net.a.restart()
    asks(net, "b")
    net.run(1)
    assert net.b.manager.idle, "and nothing is begun towards it: it begins itself"
    assert not net.b.plane.inbound


def test_where_the_child_waits_for_packets_it_is_set_up_all_the_same() -> None:
    net = established("b", Options(child='start_action = "trap"'))
    net.b.restart()
    asks(net)
    net.run(1)
    assert_joined(net)


def test_esp_that_the_restarted_gateway_does_not_know_leads_there_too() -> None:
    """Its INVALID_SPI makes the peer ask, and the answer has the token."""
    net = established()
    sa = ike_sa(net, "a")
    net.b.restart()
    header = IkeHeader(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, 0, 0)
    net.inject("a", sa.path, encode_message(header, [NotifyPayload(NotifyType.INVALID_SPI, bytes(4))]))
    net.run(1)
    assert_joined(net)


def test_the_answer_to_whoever_does_not_know_tokens_is_as_ever() -> None:
    net = established()
    sa = ike_sa(net, "a")
    (request,) = sa.encode(sa.header(ExchangeType.INFORMATIONAL, 2, response=False), [])
    net.b.restart()
    (answer,) = (
        one.data
        for one in net.inject("b", Path(sa.path.remote, sa.path.local), request)
        if isinstance(one, Send)
    )
    message = decode_message(answer)
    assert query.notify(message.payloads, NotifyType.INVALID_IKE_SPI) is not None
    token = query.notify(message.payloads, NotifyType.QUICK_CRASH_DETECTION)
    assert token is not None
    assert (token.protocol, token.spi) == (1, b"")
    assert message.header.message_id == 2
    assert message.header.is_response
    assert (message.header.spi_i, message.header.spi_r) == (sa.spi_i, sa.spi_r)
    assert len(answer) <= len(request) + 8


def test_it_is_believed_from_any_address_and_among_others() -> None:
    net = established()
    sa = ike_sa(net, "a")
    right = crash_token(SECRET, sa.spi_i, sa.spi_r)
    elsewhere = replace(sa.path, remote=replace(sa.path.remote, address=ADDRESS_A, port=4711))
    net.inject("a", elsewhere, told(net, sa, b"\3" * 128, b"\4" * 16, b"\5" * 64, right))
    assert ike_sa(net, "a").spi_i != sa.spi_i


def test_a_rekey_whose_response_is_late_is_no_crash() -> None:
    """The peer uses the new IKE_SA before we know of it: its token is not told (9.2)."""
    net = established("ab")
    net.script = lambda line, nth, data: [0.5] if "a -> b CREATE_CHILD_SA response" in line else [DELAY]
    net.command("b", Rekey(ike="ab"))
    net.run(0.1)
    new = net.a.manager.ike_sas[-1]
    new.enqueue(Liveness())
    net.run_effects("a", net.a.manager.proceed(new, net.now))
    net.run(20)
    assert "a -> b INFORMATIONAL request 0" in net.ladder
    assert_joined(net)
    assert not any(isinstance(event, IkeDown) for event in net.a.events)


# -- with INVALID_SPI, under no IKE SPIs (8.2; RFC 7296 1.5) ---------------------------------------


def hint(
    net: Network, spi: int, *tokens: bytes, remote: Endpoint | None = None, zero: bool = False
) -> list[Effect]:
    """Somebody tells a of ESP that it does not know, without an IKE_SA."""
    sa = ike_sa(net, "a")
    header = IkeHeader(b"random i", b"random r", ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 0)
    told = [NotifyPayload(NotifyType.INVALID_SPI, spi.to_bytes(4, "big"))]
    told += [NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, one, ProtocolId.IKE) for one in tokens]
    path = sa.path if remote is None else replace(sa.path, remote=remote)
    data = encode_message(header, told)
    return net.inject("a", path, bytes(16) + data[16:] if zero else data)


def outbound(net: Network) -> int:
    (child,) = ike_sa(net, "a").children.values()
    return child.spi_out


@pytest.mark.parametrize("zero", [False, True])
def test_a_token_with_the_spi_of_esp(zero: bool) -> None:
    net = established()
    sa = ike_sa(net, "a")
    net.b.restart()
    hint(net, outbound(net), b"\3" * 16, crash_token(SECRET, sa.spi_i, sa.spi_r), zero=zero)
    assert all(one.spi_i != sa.spi_i for one in net.a.manager.ike_sas), "forgotten without a word"
    net.run(1)
    assert_joined(net)


@pytest.mark.parametrize("tokens", [(), (b"\3" * 16,)])
def test_without_the_right_token_it_is_a_hint(tokens: tuple[bytes, ...]) -> None:
    net = established()
    net.ladder.clear()
    effects = hint(net, outbound(net), *tokens)
    assert [one for one in effects if isinstance(one, Send)], "a liveness check"
    net.run(1)
    assert [line.split(" request")[0].split(" response")[0] for line in net.ladder] == [
        "a -> b INFORMATIONAL",
        "b -> a INFORMATIONAL",
    ]
    assert ike_sa(net, "a").established


def test_hints_that_nothing_follows_from() -> None:
    net = established()
    sa = ike_sa(net, "a")
    right = crash_token(SECRET, sa.spi_i, sa.spi_r)
    other = replace(sa.path.remote, address=IPv4Address("203.0.113.9"))
    for effects in (
        hint(net, outbound(net) ^ 1, right),
        hint(net, outbound(net), right, remote=other),
    ):
        assert not [one for one in effects if isinstance(one, Send)], "nobody answers such a message"
    assert ike_sa(net, "a") is sa


def test_a_flood_of_hints_is_not_looked_at() -> None:
    net = established()
    sa = ike_sa(net, "a")
    for _ in range(20):
        hint(net, outbound(net) ^ 1)
    hint(net, outbound(net), crash_token(SECRET, sa.spi_i, sa.spi_r))
    assert ike_sa(net, "a") is sa
    net.run(5)
    hint(net, outbound(net), crash_token(SECRET, sa.spi_i, sa.spi_r))
    assert all(one.spi_i != sa.spi_i for one in net.a.manager.ike_sas)
