"""`message.fragments`: edges of sizes, numbers and times, and what is refused (RFC 7383 2.5 and 2.6)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import IntegrityError, PeerError, WireError
from ikepy.sa.message import fragments
from ikepy.sa.message.fragments import TIMEOUT, OpenedMessage, Reassembly
from ikepy.wire.constants import Encr, ExchangeType, HeaderFlag, Integ, NotifyType
from ikepy.wire.message import (
    MAX_FRAGMENTS,
    IkeHeader,
    Message,
    decode_message,
    encode_payloads,
    fragment_prefix,
)
from ikepy.wire.payloads import NotifyPayload, Payload, SkfPayload, VendorIdPayload

REQUEST = IkeHeader(b"initiate", b"responds", ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 7)
RESPONSE = replace(REQUEST, flags=REQUEST.flags | HeaderFlag.RESPONSE)
RANDOM = random.Random("fragments").randbytes
PAYLOADS: list[Payload] = [VendorIdPayload(bytes(range(256)) * 4)]
LIMIT = 200


def gcm() -> SkCipher:
    return SkCipher(Encr.AES_GCM_16, 128, None, Secret(bytes(20)), Secret(b""))


def cbc() -> SkCipher:
    return SkCipher(Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128, Secret(bytes(16)), Secret(bytes(32)))


def cut(header: IkeHeader = REQUEST, limit: int | None = LIMIT) -> tuple[bytes, ...]:
    return fragments.seal(header, PAYLOADS, gcm(), RANDOM, limit)


def give(
    reassembly: Reassembly, data: bytes, now: float = 0.0, *, limit: int = 65000, most: int = MAX_FRAGMENTS
) -> OpenedMessage | None:
    return reassembly.open(data, decode_message(data), gcm(), now, negotiated=True, limit=limit, most=most)


def fragment(number: int, total: int, text: bytes, header: IkeHeader = REQUEST) -> bytes:
    cipher = gcm()
    first, _ = encode_payloads(PAYLOADS)
    prefix = fragment_prefix(header, first, number, total, cipher.body_length(len(text)))
    return cipher.seal(prefix, text, RANDOM)


@pytest.mark.parametrize(
    ("packet", "address", "octets"),
    [(0, "192.0.2.1", 544), (0, "fd00::1", 1228), (1280, "192.0.2.1", 1248), (1500, "fd00::1", 1448)],
)
def test_octets_of_a_message(packet: int, address: str, octets: int) -> None:
    remote = IPv6Address(address) if ":" in address else IPv4Address(address)
    assert fragments.message_limit(packet, remote) == octets


@pytest.mark.parametrize("make", [gcm, cbc])
def test_a_message_that_just_fits_is_not_cut(make: Callable[[], SkCipher]) -> None:
    (whole,) = fragments.seal(REQUEST, PAYLOADS, make(), RANDOM, None)
    assert len(fragments.seal(REQUEST, PAYLOADS, make(), RANDOM, len(whole))) == 1
    several = fragments.seal(REQUEST, PAYLOADS, make(), RANDOM, len(whole) - 1)
    assert len(several) == 2
    assert len(fragments.seal(REQUEST, [], make(), RANDOM, 28 + 4 + make().body_length(0))) == 1


@pytest.mark.parametrize("make", [gcm, cbc])
@pytest.mark.parametrize("limit", range(100, 140))
def test_fragments_are_as_long_as_they_may_be(make: Callable[[], SkCipher], limit: int) -> None:
    cipher = make()
    datagrams = fragments.seal(REQUEST, PAYLOADS, cipher, RANDOM, limit)
    block = 16 if make is cbc else 1
    assert {len(one) for one in datagrams[:-1]} == {len(datagrams[0])}
    assert limit - block < len(datagrams[0]) <= limit
    assert 36 + cipher.body_length(1) <= len(datagrams[-1]) <= limit


def test_a_tiny_limit_gives_no_more_fragments_than_the_peer_takes() -> None:
    datagrams = cut(limit=1)
    assert len(datagrams) <= MAX_FRAGMENTS
    assert len({len(one) for one in datagrams[:-1]}) == 1
    reassembly = Reassembly()
    found = [one for data in datagrams if (one := give(reassembly, data))]
    assert [one.payloads() for one in found] == [tuple(PAYLOADS)]


@pytest.mark.parametrize("header", [REQUEST, RESPONSE])
def test_put_together_in_any_order(header: IkeHeader) -> None:
    datagrams = cut(header)
    assert len(datagrams) > 3
    for order in (datagrams, datagrams[::-1], datagrams[1:] + datagrams[:1]):
        reassembly = Reassembly()
        *before, last = [give(reassembly, data) for data in order]
        assert before == [None] * (len(datagrams) - 1)
        assert last is not None
        assert last.payloads() == tuple(PAYLOADS)
        assert last.payloads() is last.payloads(), "read once, though a handler may start over"
        assert last.datagram == datagrams[0]
        assert not last.too_long
        assert reassembly.deadline is None


def test_a_fragment_that_is_known_is_not_decrypted_again() -> None:
    reassembly = Reassembly()
    first, second, *_ = cut()
    assert give(reassembly, first) is None
    assert give(reassembly, first[:-1] + b"?") is None
    with pytest.raises(IntegrityError):
        give(reassembly, second[:-1] + bytes([second[-1] ^ 1]))
    assert give(reassembly, second) is None


def test_requests_and_responses_are_apart() -> None:
    reassembly = Reassembly()
    ours, theirs = cut(REQUEST), cut(RESPONSE)
    for one, other in zip(ours[:-1], theirs[:-1], strict=True):
        assert give(reassembly, one) is None
        assert give(reassembly, other) is None
    for whole in (give(reassembly, ours[-1]), give(reassembly, theirs[-1])):
        assert whole is not None
        assert whole.payloads() == tuple(PAYLOADS)


def test_a_whole_message_ends_the_collection() -> None:
    reassembly = Reassembly()
    assert give(reassembly, cut()[0]) is None
    (whole,) = cut(limit=None)
    found = give(reassembly, whole)
    assert found is not None
    assert found.datagram == whole
    assert reassembly.deadline is None


def test_another_cut_of_the_message() -> None:
    """A peer that sends smaller fragments begins anew; larger ones are late (2.6)."""
    coarse, fine = cut(limit=400), cut(limit=200)
    reassembly = Reassembly()
    assert give(reassembly, coarse[0]) is None
    assert give(reassembly, fine[0]) is None
    with pytest.raises(WireError, match=f"one of {len(coarse)} fragments, where {len(fine)} are awaited"):
        give(reassembly, coarse[1])
    *_, last = [give(reassembly, data) for data in fine[1:]]
    assert last is not None
    assert last.payloads() == tuple(PAYLOADS)


def test_two_exchanges_under_one_message_id() -> None:
    reassembly = Reassembly()
    assert give(reassembly, fragment(1, 3, b"x")) is None
    other = replace(REQUEST, exchange=ExchangeType.CREATE_CHILD_SA)
    with pytest.raises(WireError, match="two kinds of exchanges"):
        give(reassembly, fragment(2, 3, b"x", other))


@pytest.mark.parametrize(("total", "dropped"), [(4, False), (5, True)])
def test_how_many_there_may_be(total: int, dropped: bool) -> None:
    data = fragment(1, total, b"x")
    if not dropped:
        assert give(Reassembly(), data, most=4) is None
        return
    with pytest.raises(WireError, match=f"a message of {total} fragments"):
        give(Reassembly(), data, most=4)


@pytest.mark.parametrize(("size", "too_long"), [(10, False), (11, True)])
def test_how_much_they_may_hold(size: int, too_long: bool) -> None:
    reassembly = Reassembly()
    assert give(reassembly, fragment(1, 2, bytes(10)), limit=20) is None
    last = fragment(2, 2, bytes(size))
    found = give(reassembly, last, limit=20)
    assert found is not None
    assert found.too_long is too_long
    assert reassembly.deadline is None
    if too_long:
        assert found.datagram == last
        with pytest.raises(PeerError, match="too long") as caught:
            found.payloads()
        assert (caught.value.notify, caught.value.fatal) == (NotifyType.INVALID_SYNTAX, True)


def test_too_much_is_known_before_all_are_there() -> None:
    reassembly = Reassembly()
    assert give(reassembly, fragment(2, 9, bytes(20)), limit=20) is None
    found = give(reassembly, fragment(3, 9, bytes(1)), limit=20)
    assert found is not None
    assert found.too_long


def test_the_default_limits() -> None:
    reassembly = Reassembly()
    datagrams = cut()
    found = [reassembly.open(data, decode_message(data), gcm(), 0.0, negotiated=True) for data in datagrams]
    assert found[-1] is not None


def test_incomplete_messages_are_forgotten_in_time() -> None:
    reassembly = Reassembly()
    assert reassembly.deadline is None
    give(reassembly, fragment(1, 2, b"x"), 100.0)
    give(reassembly, fragment(1, 2, b"x", RESPONSE), 110.0)
    give(reassembly, fragment(2, 3, b"x", replace(RESPONSE, message_id=8)), 105.0)
    assert reassembly.deadline == 100.0 + TIMEOUT
    reassembly.expire(100.0 + TIMEOUT - 0.1)
    assert reassembly.deadline == 100.0 + TIMEOUT
    reassembly.expire(100.0 + TIMEOUT)
    assert reassembly.deadline == 105.0 + TIMEOUT
    assert give(reassembly, fragment(2, 2, b"y"), 161.0) is None, "the first one is gone"
    reassembly.forget()
    assert reassembly.deadline is None


def test_later_fragments_do_not_prolong_it() -> None:
    reassembly = Reassembly()
    give(reassembly, fragment(1, 3, b"x"), 100.0)
    give(reassembly, fragment(2, 3, b"x"), 130.0)
    assert reassembly.deadline == 100.0 + TIMEOUT


def test_what_is_no_fragment_and_what_may_not_be_one() -> None:
    data = fragment(1, 2, b"x")
    message = decode_message(data)
    found = fragments.fragment_of(message, negotiated=True)
    assert isinstance(found, SkfPayload)
    assert (found.number, found.total) == (1, 2)
    with pytest.raises(WireError, match="not negotiated"):
        fragments.fragment_of(message, negotiated=False)
    with pytest.raises(WireError, match="in front of a fragment"):
        in_front = (NotifyPayload(NotifyType.COOKIE), *message.payloads)
        fragments.fragment_of(replace(message, payloads=in_front), negotiated=True)
    (whole,) = cut(limit=None)
    assert fragments.fragment_of(decode_message(whole), negotiated=False) is None
    assert fragments.fragment_of(Message(REQUEST, ()), negotiated=False) is None
