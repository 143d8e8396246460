"""Tokens of crashes: forged, flooded, asked for by tricks (RFC 6290 9)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.crypto.crash_token import crash_token
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import query
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, decode_message, encode_message
from ikepy.wire.payloads import NotifyPayload
from tests.exchange.network import ADDRESS_B, Network
from tests.exchange.test_crash_detection import SECRET, established, told
from tests.exchange.test_established import do, ike_sa

STRANGER = Path(Endpoint(ADDRESS_B, 500), Endpoint(IPv4Address("203.0.113.9"), 4500))
SEALED = bytes((0, 0, 0, 64)) + bytes(60)  # the generic header of a payload, and what may be one


def protected(spi_i: bytes, spi_r: bytes, flags: int, *, message_id: int = 7, exchange: int = 37) -> bytes:
    """What looks like a protected message, of which nobody can say that it is none without the keys."""
    header = IkeHeader(spi_i, spi_r, exchange, flags, message_id)
    data = bytearray(encode_message(header, []) + SEALED)
    data[16] = 46  # SK
    data[24:28] = len(data).to_bytes(4, "big")
    return bytes(data)


def tokens(net: Network, data: bytes, path: Path = STRANGER) -> list[bytes]:
    """The tokens that site b answers a message with."""
    sent = [one for one in net.inject("b", path, data) if isinstance(one, Send)]
    found = [
        query.notify(decode_message(one.data).payloads, NotifyType.QUICK_CRASH_DETECTION) for one in sent
    ]
    return [one.data for one in found if one is not None]


def test_forged_tokens_end_nothing_however_many() -> None:
    net = established()
    sa = ike_sa(net, "a")
    sent = len(net.a.sent)
    for number in range(500):
        forged = [(4 * number + one).to_bytes(16, "big") for one in range(4)]
        net.inject("a", sa.path, told(net, sa, *forged))
    assert ike_sa(net, "a") is sa
    assert len(net.a.sent) <= sent + 1, "a liveness check, as for any such message"
    net.run(1)
    assert ike_sa(net, "a") is sa


def test_few_of_a_flood_are_looked_at() -> None:
    net = established()
    sa = ike_sa(net, "a")
    data = told(net, sa, bytes(16))
    assert sum(not net.a.manager.drops(data, sa.path, net.now) for _ in range(1000)) <= 20


@pytest.mark.parametrize("cut", [0, 1, 8, 15])
def test_a_part_of_a_token_is_none(cut: int) -> None:
    net = established()
    sa = ike_sa(net, "a")
    right = crash_token(SECRET, sa.spi_i, sa.spi_r)
    net.inject("a", sa.path, told(net, sa, right[:cut]))
    net.inject("a", sa.path, told(net, sa, right + b"\0"))
    assert ike_sa(net, "a") is sa


def test_a_fifth_token_is_not_looked_at() -> None:
    net = established()
    sa = ike_sa(net, "a")
    right = crash_token(SECRET, sa.spi_i, sa.spi_r)
    net.inject("a", sa.path, told(net, sa, *(bytes([one]) * 16 for one in range(4)), right))
    assert ike_sa(net, "a") is sa


def test_the_token_of_another_ike_sa_is_none_of_this() -> None:
    net = established()
    sa = ike_sa(net, "a")
    net.inject("a", sa.path, told(net, sa, crash_token(SECRET, sa.spi_r, sa.spi_i)))
    assert ike_sa(net, "a") is sa


@pytest.mark.parametrize("flags", [0, HeaderFlag.INITIATOR])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("exchange", [35, 36, 37, 38, 43])
def test_no_trick_makes_a_gateway_tell_the_token_of_an_ike_sa_that_it_has(
    flags: int, swapped: bool, exchange: int
) -> None:
    net = established()
    sa = ike_sa(net, "b")
    spis = (sa.spi_r, sa.spi_i) if swapped else (sa.spi_i, sa.spi_r)
    for path in (STRANGER, sa.path):
        assert not tokens(net, protected(*spis, flags, exchange=exchange), path)
    (answered,) = net.b.manager.list_sas(net.now)
    assert answered.spi_i == sa.spi_i


def test_the_token_of_an_ike_sa_that_is_being_set_up_is_not_told() -> None:
    net = established("b")
    half_open = net.a.manager
    assert half_open.ike_sas
    sa = ike_sa(net, "b")
    for spi in (sa.spi_r, bytes(8)):
        assert not tokens(net, protected(b"\1" * 8, spi, HeaderFlag.INITIATOR))


def test_only_what_looks_protected_and_is_a_request_is_answered_with_one() -> None:
    net = established()
    spis = b"\1" * 8, b"\2" * 8
    assert tokens(net, protected(*spis, HeaderFlag.INITIATOR))
    assert not tokens(net, protected(*spis, HeaderFlag.INITIATOR | HeaderFlag.RESPONSE))
    header = IkeHeader(*spis, ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 0)
    assert not tokens(net, encode_message(header, [NotifyPayload(NotifyType.INVALID_SPI, bytes(64))]))


def test_whoever_collects_tokens_gets_few_and_later_hardly_any() -> None:
    net = established()
    got = 0
    for number in range(1, 2000):
        got += len(tokens(net, protected(number.to_bytes(8, "big"), b"\2" * 8, HeaderFlag.INITIATOR)))
    assert got <= 101
    net.run(1000)
    later = 0
    for number in range(1, 500):
        later += len(tokens(net, protected(number.to_bytes(8, "big"), b"\3" * 8, HeaderFlag.INITIATOR)))
    assert later <= 6


@pytest.mark.parametrize("size", [0, 15, 129, 1000])
def test_a_peer_that_gives_no_token_at_all(size: int) -> None:
    net = established(makers="")
    do(net, "b", SendNotify(NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, bytes(size), 1)))
    net.run(1)
    assert not ike_sa(net, "a").crash_tokens


def test_a_peer_that_gives_ever_more_tokens() -> None:
    net = established()
    for number in range(20):
        do(net, "b", SendNotify(NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, bytes([number]) * 16, 1)))
        net.run(0.1)
    assert len(ike_sa(net, "a").crash_tokens) == 4


def test_what_was_overheard_is_worth_nothing_afterwards() -> None:
    """An eavesdropper has the token that a restarted gateway sent: its IKE_SA is gone by then."""
    net = established()
    sa = ike_sa(net, "a")
    overheard = told(net, sa, crash_token(SECRET, sa.spi_i, sa.spi_r))
    net.inject("a", sa.path, overheard)
    net.run(1)
    new = ike_sa(net, "a")
    assert new is not sa
    for path in (sa.path, replace(sa.path, remote=STRANGER.remote)):
        net.inject("a", path, overheard)
    net.run(1)
    assert ike_sa(net, "a") is new
