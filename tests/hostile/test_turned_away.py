"""What strangers get before anything of theirs is decoded, each with what is counted of it (RFC 7296 2.6)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa.admission.cookie_path import COOKIE_RESPONSE
from ikepy.sa.admission.queued_inits import PATIENCE
from ikepy.sa.api.commands import Initiate, Shutdown
from ikepy.sa.api.effects import Level, Log, Send
from ikepy.sa.api.path import Endpoint
from ikepy.sa.setup.init_admission import OTHERS, InitAdmission
from ikepy.sa.state.forgery_limit import REPEATS
from ikepy.sa.state.ike_sa import Registry
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import HEADER_SIZE, decode_message
from ikepy.wire.payloads import NotifyPayload
from tests.exchange.network import ADDRESS_A, Network, Options, SeededEntropy, assert_joined
from tests.hostile.attacker import (
    NONCE,
    STRANGER,
    HalfOpenAttacker,
    chain,
    init_parts,
    message,
    path_from,
    send,
    target,
)
from tests.hostile.test_limits import OTHER, first_request, kind, refuse, with_cookie


def counted(net: Network) -> dict[str, int]:
    """What b has counted, without what it has not."""
    return {reason: number for reason, number in net.b.manager.counters().items() if number}


def half_open(net: Network) -> int:
    return len(net.b.manager.ike_sas)


# -- a request that comes in -----------------------------------------------------------------------


def test_what_was_let_in_is_served_and_no_longer_waits() -> None:
    """It counts once: as waiting, then as half-open. With the one that comes behind it there are two."""
    net = target(daemon="cookie_threshold = 2")
    assert refuse(net, first_request(1)) is None
    assert kind(send(net, first_request(1))) == "serve", "it has been asked already whether it may come in"
    assert refuse(net, first_request(2), OTHER) is None
    assert kind(send(net, first_request(2), OTHER)) == "serve"
    assert kind(send(net, first_request(3))) == "COOKIE"
    assert counted(net) == {"cookies asked for": 1}


def test_what_comes_without_having_been_asked_counts_as_well() -> None:
    net = target(daemon="cookie_threshold = 2")
    assert [kind(send(net, first_request(n))) for n in (1, 2, 3)] == ["serve", "serve", "COOKIE"]
    net = target(daemon="cookie_threshold_ip = 2")
    answers = [
        kind(send(net, first_request(n), where)) for n, where in ((1, OTHER), (2, STRANGER), (3, OTHER))
    ]
    assert answers == ["serve"] * 3
    assert kind(send(net, first_request(4), OTHER)) == "COOKIE"


def test_a_request_that_waits_is_not_let_in_twice() -> None:
    net = target(daemon="cookie_threshold = 2")
    data = first_request(1)
    assert refuse(net, data) is None
    assert [refuse(net, data) for _ in range(3)] == [b""] * 3
    assert refuse(net, first_request(2), OTHER) is None, "one waits, not four"
    assert counted(net) == {}
    net.now += PATIENCE
    assert refuse(net, data) is None, "it was lost on the way"


def test_one_that_waits_from_another_port_is_another_one() -> None:
    net = target()
    data = first_request(1)
    assert refuse(net, data) is None
    assert net.b.manager.refuse(data, Endpoint(STRANGER, 1024), net.now) is None


def test_requests_that_wait_count_for_their_own_address_only() -> None:
    net = target(daemon="cookie_threshold_ip = 2")
    assert [refuse(net, first_request(n)) for n in (1, 2)] == [None, None]
    assert kind([refuse(net, first_request(3)) or b""]) == "COOKIE"
    assert refuse(net, first_request(4), OTHER) is None


# -- a request that was served and comes again -----------------------------------------------------


def test_a_repeated_request_gets_its_answer_a_few_times_a_second() -> None:
    net = target()
    data = first_request(1)
    (answer,) = send(net, data)
    heard = [refuse(net, data) for _ in range(int(REPEATS) + 5)]
    assert heard == [None] * int(REPEATS) + [b""] * 5
    assert counted(net) == {"messages under SPIs of ours that are forged or repeated": 5}
    assert send(net, data) == [answer]
    net.now += 1.0
    assert refuse(net, data) is None
    assert half_open(net) == 1


def test_the_answer_is_sent_again_until_ike_auth() -> None:
    net = target()
    peer = HalfOpenAttacker(net)
    assert send(net, peer.request) == [peer.response]
    peer.establish()
    assert send(net, peer.request) == []
    assert half_open(net) == 1


def test_another_request_with_the_same_spi_is_judged_as_any_other() -> None:
    net = target(daemon="cookie_threshold = 1")
    send(net, first_request(1))
    other = first_request(1, (PayloadType.VENDOR_ID, b"another"))
    assert kind([refuse(net, other) or b""]) == "COOKIE"
    assert kind(send(net, other)) == "COOKIE"


# -- what is no first request ----------------------------------------------------------------------


def unknown(size: int = HEADER_SIZE) -> bytes:
    data = message(
        0, b"", exchange=ExchangeType.INFORMATIONAL, spi_i=b"\1" * 8, spi_r=b"\2" * 8, message_id=7
    )
    return data[:size].ljust(size, b"\0")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (unknown(), "messages for no IKE_SA"),
        (unknown(200), "messages for no IKE_SA"),
        (unknown(HEADER_SIZE - 1), "malformed messages"),
        (b"", "malformed messages"),
    ],
    ids=["header", "long", "short", "empty"],
)
def test_of_what_is_for_no_ike_sa_a_little_is_looked_at_each_second(data: bytes, reason: str) -> None:
    net = target()
    heard = [refuse(net, data) for _ in range(int(OTHERS) + 7)]
    assert heard == [None] * int(OTHERS) + [b""] * 7
    assert counted(net) == {reason: 7}
    net.now += 0.5
    assert [refuse(net, data) for _ in range(51)] == [None] * 50 + [b""]


def test_what_is_for_one_of_ours_is_always_looked_at() -> None:
    net = target()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (sa,) = net.b.manager.ike_sas
    data = message(0, b"", exchange=ExchangeType.INFORMATIONAL, spi_i=sa.spi_i, spi_r=sa.spi_r, message_id=7)
    assert [refuse(net, data) for _ in range(2 * int(OTHERS))] == [None] * 2 * int(OTHERS)
    assert counted(net) == {}


def test_while_we_end_nothing_is_judged_and_nothing_begun() -> None:
    net = target(daemon="cookie_threshold = 1")
    send(net, first_request(1), OTHER)
    net.command("b", Shutdown())
    for data in (first_request(2), first_request(1)[:40], unknown()):
        assert [refuse(net, data) for _ in range(200)] == [None] * 200
    assert send(net, first_request(2)) == []


# -- malformed -------------------------------------------------------------------------------------

NO_NONCE = [(PayloadType.VENDOR_ID, bytes(100))]


def malformed(number: int) -> bytes:
    return message(*chain(*NO_NONCE), spi_i=number.to_bytes(8, "big"))


def test_a_malformed_request_is_looked_at_as_long_as_its_address_is_served() -> None:
    """It counts like one that is half-open, and leaves its trace where it is decoded."""
    net = target(daemon="cookie_threshold_ip = 2")
    assert [refuse(net, malformed(n)) for n in (1, 2, 3, 4)] == [None, None, b"", b""]
    assert counted(net) == {"malformed IKE_SA_INIT requests": 2}
    assert kind([refuse(net, first_request(5)) or b""]) == "COOKIE"
    assert refuse(net, first_request(5), OTHER) is None


# -- cookies ---------------------------------------------------------------------------------------


def crowded() -> Network:
    net = target(daemon="cookie_threshold = 1")
    send(net, first_request(1), OTHER)
    return net


def test_each_cookie_that_is_asked_for_is_counted() -> None:
    net = crowded()
    for number in range(2, 5):
        assert kind([refuse(net, first_request(number)) or b""]) == "COOKIE"
    assert counted(net) == {"cookies asked for": 3}
    assert half_open(net) == 1


def test_a_request_as_short_as_the_answer_is_answered_and_a_shorter_one_is_not() -> None:
    net = crowded()
    nonce = (PayloadType.NONCE, NONCE[:16])
    fill = COOKIE_RESPONSE - HEADER_SIZE - 4 - 16 - 4
    just, short = (
        message(*chain((PayloadType.VENDOR_ID, bytes(size)), nonce), spi_i=b"\3" * 8)
        for size in (fill, fill - 1)
    )
    assert len(just) == COOKIE_RESPONSE
    assert refuse(net, short) == b""
    assert counted(net) == {}
    assert kind([refuse(net, just) or b""]) == "COOKIE"


def test_a_cookie_is_good_for_its_own_spi_nonce_and_address_only() -> None:
    net = crowded()
    (answer,) = send(net, first_request(7))
    cookie = (PayloadType.NOTIFY, answer[HEADER_SIZE + 4 :])

    def shown(number: int, nonce: bytes = NONCE) -> bytes:
        sa, ke, _ = init_parts()
        return message(*chain(cookie, sa, ke, (PayloadType.NONCE, nonce)), spi_i=number.to_bytes(8, "big"))

    assert kind([refuse(net, shown(8)) or b""]) == "COOKIE"
    assert kind([refuse(net, shown(7, NONCE[::-1])) or b""]) == "COOKIE"
    assert kind([refuse(net, shown(7), OTHER) or b""]) == "COOKIE"
    assert refuse(net, shown(7)) is None
    assert kind(send(net, shown(7))) == "serve"


# -- refusals --------------------------------------------------------------------------------------


def refusal(net: Network, data: bytes, address: IPv4Address = STRANGER) -> tuple[NotifyType | None, Log]:
    """The error that b answers, and the line of its log."""
    effects = net.inject("b", path_from(address), data)
    (log,) = [one for one in effects if isinstance(one, Log)]
    answers = [decode_message(one.data) for one in effects if isinstance(one, Send)]
    if not answers:
        return None, log
    (answer,) = answers
    (notify,) = answer.payloads
    assert isinstance(notify, NotifyPayload)
    assert answer.header.spi_i == data[:8]
    return NotifyType(notify.notify), log


def test_an_address_that_no_connection_has_is_refused_and_told() -> None:
    net = Network()
    notify, log = refusal(net, first_request(1))
    assert notify == NotifyType.NO_PROPOSAL_CHOSEN
    text = f"NO_PROPOSAL_CHOSEN: no connection has 192.0.2.2 in local_addrs and {STRANGER} in remote_addrs"
    expected = Log(Level.INFO, f"{STRANGER}[500]", text, "NO_PROPOSAL_CHOSEN", STRANGER)
    assert log == expected
    refusal(net, first_request(2))
    assert counted(net) == {"refused IKE_SA_INIT requests": 2}
    assert half_open(net) == 0


def test_a_refusal_that_is_larger_than_its_question_is_not_sent() -> None:
    net = Network()
    small = message(*chain((PayloadType.NONCE, NONCE[:16])), spi_i=b"\3" * 8)
    assert len(small) > HEADER_SIZE + 8
    notify, _ = refusal(net, small)
    assert notify == NotifyType.NO_PROPOSAL_CHOSEN, "it fits"


def test_a_malformed_one_is_told_and_not_answered() -> None:
    net = target(daemon="max_payloads = 8")
    further = [(int(PayloadType.VENDOR_ID), b"")] * 6
    notify, log = refusal(net, first_request(1, *further))
    assert notify is None
    assert (log.level, log.subject, log.kind, log.source) == (
        Level.INFO,
        f"{STRANGER}[500]",
        "malformed",
        STRANGER,
    )
    assert log.text == "dropped a malformed IKE_SA_INIT: 9 payloads, 8 are permitted"
    refusal(net, first_request(2, *further))
    assert counted(net) == {"malformed IKE_SA_INIT requests": 2}


@pytest.mark.parametrize("what", ["refused", "malformed"])
def test_what_is_refused_before_a_key_exchange_costs_no_key_exchange(what: str) -> None:
    """Of a budget that has 20 ms for 2 s, requests that would cost 8 ms each take 1 ms."""
    net = target(daemon="strangers_cpu = 1\ncookie_threshold_ip = 0\ncookie_threshold = 0")
    suite = "aes256gcm16-prfsha384-modp4096"
    sa, ke, nonce = init_parts(suite)
    parts = [sa, ke, nonce] if what == "refused" else [sa, ke, nonce, *[sa] * 70]
    served = 0
    for number in range(1, 9):
        data = message(*chain(*parts), spi_i=number.to_bytes(8, "big"))
        where = IPv4Address((10 << 24) + (number << 8))
        served += any(isinstance(one, Log) for one in net.inject("b", path_from(where), data))
    assert served == 8


# -- what a peer that proves itself is given -------------------------------------------------------


def test_whoever_authenticates_gives_its_share_back() -> None:
    """Of a budget that has 20 ms for 2 s."""
    suite = "aes128gcm16-prfsha256-modp2048"
    net = target(
        proposals=f'["{suite}"]',
        daemon="strangers_cpu = 1\ncookie_threshold_ip = 0",
        connection='unique = "never"',
    )
    for number in range(1, 20):
        HalfOpenAttacker(net, suite, OTHER, spi_i=number.to_bytes(8, "big")).establish()
    assert "IKE_SA_INIT requests beyond the CPU budget" not in counted(net)


def test_whoever_does_not_authenticate_soon_gets_no_more() -> None:
    """Each request that shows its cookie is served or counted."""
    suite = "aes128gcm16-prfsha256-modp2048"
    net = target(proposals=f'["{suite}"]', daemon="strangers_cpu = 1\ncookie_threshold_ip = 1")
    parts = init_parts(suite)
    for number in range(1, 20):
        data = message(*chain(*parts), spi_i=number.to_bytes(8, "big"))
        (answer,) = send(net, data, OTHER) or [b""]
        if answer and kind([answer]) == "COOKIE":
            shown = [(int(PayloadType.NOTIFY), answer[HEADER_SIZE + 4 :]), *parts]
            send(net, message(*chain(*shown), spi_i=data[:8]), OTHER)
    over = counted(net)["IKE_SA_INIT requests beyond the CPU budget"]
    assert over >= 10
    assert over + half_open(net) == 19


def test_a_request_that_nobody_has_asked_about_is_charged_when_it_is_worked_on() -> None:
    """`receive` always asks; whoever does not gets no key exchange for nothing."""
    config = target(daemon="strangers_cpu = 1\ncookie_threshold_ip = 0\ncookie_threshold = 0").b.config
    registry = Registry(config, SeededEntropy("x"))
    admission = InitAdmission(registry)
    path = path_from(OTHER)
    for number in range(1, 30):
        data = first_request(number)
        sa, effects = admission.accept(data, decode_message(data), path, 0.0)
        assert sa is not None
        assert any(isinstance(one, Send) for one in effects)
    data = first_request(99)
    answers = admission.turn_away(data, decode_message(data).header, path, 0.0)
    assert answers is not None
    (answer,) = answers
    assert isinstance(answer, Send)
    assert kind([answer.data]) == "COOKIE"


def test_each_half_open_one_that_makes_room_is_counted() -> None:
    net = target(daemon="init_limit_half_open = 2\ncookie_threshold_ip = 0")
    for number in range(1, 6):
        send(net, first_request(number))
    assert counted(net) == {"half-open IKE_SAs that made room": 3}
    assert [sa.spi_i[-1] for sa in net.b.manager.ike_sas] == [4, 5]
    assert kind(with_cookie(crowded(), first_request(9))) == "serve"


def test_a_stranger_is_matched_with_the_connection_that_names_it() -> None:
    """And not with the first that takes anybody."""
    more = """
[connections.named]
local_addrs = ["192.0.2.2"]
remote_addrs = ["192.0.2.1"]
proposals = ["aes128gcm16-prfsha256-x25519"]
[connections.named.local]
id = "gwb"
[connections.named.remote]
id = "gwa"
[connections.named.children.net]
esp_proposals = ["aes128gcm16"]
"""
    net = Network(Options(), Options(remote_addrs="%any", more=more))
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)
    (sa,) = net.b.manager.ike_sas
    assert (sa.connection.name, sa.path.remote.address) == ("named", ADDRESS_A)
    assert not sa.initiator
