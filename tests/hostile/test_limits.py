"""What strangers and peers may cost is settable: cookies, blocks, sizes, counts (RFC 7296 2.6)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa.admission.cookie_path import COOKIE_RESPONSE
from ikepy.sa.api.path import Endpoint
from ikepy.sa.message import query
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import HEADER_SIZE, decode_message
from ikepy.wire.payloads import NotifyPayload, SaPayload
from tests.exchange.network import ADDRESS_A, Network
from tests.hostile.attacker import (
    NONCE,
    STRANGER,
    HalfOpenAttacker,
    assert_unharmed,
    chain,
    init_parts,
    message,
    send,
    target,
)

OTHER = IPv4Address("198.51.100.8")


def first_request(number: int, *further: tuple[int, bytes]) -> bytes:
    return message(*chain(*init_parts(), *further), spi_i=number.to_bytes(8, "big"))


def kind(replies: list[bytes]) -> str:
    """What a responder did: "nothing", "COOKIE" or "serve"."""
    if not replies:
        return "nothing"
    (reply,) = replies
    first = decode_message(reply).payloads[0]
    return "COOKIE" if isinstance(first, NotifyPayload) and first.notify == NotifyType.COOKIE else "serve"


def with_cookie(net: Network, data: bytes) -> list[bytes]:
    """Ask again as one who can receive."""
    (reply,) = send(net, data)
    cookie = reply[HEADER_SIZE + 4 :]
    parts = [(PayloadType.NOTIFY, cookie), *init_parts()]
    return send(net, message(*chain(*parts), spi_i=data[:8]))


def test_cookies_and_blocks_by_address() -> None:
    net = target()
    assert [kind(send(net, first_request(n))) for n in range(1, 5)] == ["serve", "serve", "serve", "COOKIE"]
    assert kind(send(net, first_request(9), OTHER)) == "serve", "others are not concerned"
    assert kind(with_cookie(net, first_request(4))) == "serve"
    assert kind(with_cookie(net, first_request(5))) == "serve"
    net.run(11)
    assert kind(with_cookie(net, first_request(6))) == "serve", "the others may yet go on"
    assert len(net.b.manager.list_sas(net.now)) == 7
    net.run(2)
    assert kind(with_cookie(net, first_request(7))) == "serve"
    left = [sa.spi_i[-1] for sa in net.b.manager.list_sas(net.now) if sa.path.remote.address == STRANGER]
    assert left == [2, 3, 4, 5, 6, 7], "five that have aged are too many: the oldest made room"
    net.run(31)
    assert net.b.manager.idle
    assert_unharmed(net)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("cookie_threshold_ip = 1", ["serve", "COOKIE", "COOKIE", "COOKIE"]),
        ("cookie_threshold_ip = 0", ["serve"] * 4),
        ("cookie_threshold = 2", ["serve", "serve", "COOKIE", "COOKIE"]),
    ],
)
def test_they_are_settable(settings: str, expected: list[str]) -> None:
    net = target(daemon=settings)
    assert [kind(send(net, first_request(n))) for n in range(1, 5)] == expected


def test_half_open_timeout() -> None:
    net = target(daemon="half_open_timeout = 2\ncookie_threshold_ip = 1")
    send(net, first_request(1))
    net.run(1.9)
    assert kind(send(net, first_request(2))) == "COOKIE"
    net.run(0.2)
    assert kind(send(net, first_request(3))) == "serve"


# -- the cheap answer in a flood -------------------------------------------------------------------


def crowded() -> Network:
    """Nobody from elsewhere is served without a cookie."""
    net = target(daemon="cookie_threshold = 1")
    send(net, first_request(1), OTHER)
    return net


def refuse(net: Network, data: bytes, address: IPv4Address = STRANGER) -> bytes | None:
    return net.b.manager.refuse(data, Endpoint(address, 500), net.now)


def test_the_cheap_answer_is_the_thorough_one() -> None:
    net = crowded()
    data = first_request(7)
    assert [refuse(net, data)] == send(net, data)
    assert len(data) >= COOKIE_RESPONSE
    assert kind(with_cookie(net, data)) == "serve"


def test_without_a_flood_nothing_is_refused() -> None:
    assert refuse(target(), first_request(1)) is None


def test_what_is_not_for_the_cheap_way() -> None:
    net = crowded()
    data = first_request(1)
    assert refuse(net, data, OTHER) is None, "it repeats one that was served"
    assert [refuse(net, data)] == send(net, data), "from elsewhere it is another one"
    assert refuse(net, b"") is None
    assert refuse(net, data[:-1]) is None
    for index, value in ((8, 1), (17, 0x30), (18, 35), (19, 0x20), (23, 1), (27, 0)):
        changed = bytearray(first_request(7))
        changed[index] = value
        assert refuse(net, bytes(changed)) is None


def test_a_forged_cookie_gets_another_one_the_cheap_way() -> None:
    net = crowded()
    cookie = (PayloadType.NOTIFY, bytes((0, 0, 0x40, 0x06)) + bytes(33))
    answer = refuse(net, message(*chain(cookie, *init_parts())))
    assert answer is not None
    assert kind([answer]) == "COOKIE"


def test_no_answer_is_larger_than_its_question() -> None:
    net = crowded()
    small = message(*chain((PayloadType.NONCE, NONCE[:16])))
    assert len(small) < COOKIE_RESPONSE
    assert refuse(net, small) == b""
    assert send(net, small) == []


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\0\3", b"\0\0\xff\xff" + bytes(60), bytes(200)])
def test_junk_behind_a_good_header_gets_nothing(body: bytes) -> None:
    net = crowded()
    assert refuse(net, message(PayloadType.NONCE, body)) == b""
    assert refuse(net, message(PayloadType.SA, body)) == b""
    assert_unharmed(net)


# -- sizes and counts ------------------------------------------------------------------------------


def notify(size: int) -> tuple[int, bytes]:
    return PayloadType.NOTIFY, bytes((0, 0, 0xA0, 0)) + bytes(size)


@pytest.mark.parametrize(("size", "expected"), [(9000, "serve"), (10000, "nothing")])
def test_max_packet(size: int, expected: str) -> None:
    net = target(daemon="")
    assert kind(send(net, first_request(1, notify(size)))) == expected
    assert_unharmed(net)


def test_max_packet_is_settable() -> None:
    net = target(daemon="max_packet = 1280")
    assert kind(send(net, first_request(1, notify(1300)))) == "nothing"
    net = target(daemon="max_packet = 65000")
    assert kind(send(net, first_request(1, notify(30000), notify(20000)))) == "serve"


def test_max_payloads() -> None:
    net = target(daemon="max_payloads = 8")
    few, many = (first_request(n, *[notify(1)] * n) for n in (5, 6))
    assert kind(send(net, few)) == "serve"
    assert kind(send(net, many)) == "nothing"
    assert_unharmed(net)


def test_max_proposals() -> None:
    net = target(daemon="max_proposals = 2")
    (_, offered), *others = init_parts()
    (proposal,) = decode_message(message(*chain((PayloadType.SA, offered), *others))).payloads[:1]
    assert isinstance(proposal, SaPayload)

    def offering(count: int) -> bytes:
        several = SaPayload(tuple(proposal.proposals) * count).encode()
        return message(*chain((PayloadType.SA, several), *others), spi_i=bytes([count] * 8))

    assert kind(send(net, offering(3))) == "nothing"
    assert kind(send(net, offering(2))) == "serve"


def test_an_authenticated_peer_is_told() -> None:
    attacker = HalfOpenAttacker(target(daemon="max_payloads = 8"), address=ADDRESS_A)
    attacker.establish()
    answer = attacker.ask(ExchangeType.INFORMATIONAL, 2, [NotifyPayload(40960, b"")] * 9)
    assert answer is not None
    error = query.error(answer)
    assert error is not None
    assert error.notify == NotifyType.INVALID_SYNTAX


@pytest.mark.parametrize(("total", "dropped"), [(4, False), (5, True)])
def test_max_fragments(total: int, dropped: bool) -> None:
    net = target(daemon="max_fragments = 4")
    attacker = HalfOpenAttacker(net, extra=[NotifyPayload(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED, b"")])
    data = attacker.seal_fragment(ExchangeType.IKE_AUTH, 1, 2, total, bytes(10))
    before = len(net.b.logs)
    send(net, data)
    said = [log.text for log in net.b.logs[before:]]
    assert any(f"a message of {total} fragments" in text for text in said) is dropped
