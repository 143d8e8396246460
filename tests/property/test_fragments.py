"""Cut and put together again is the same, whatever size, limit, cipher and order (RFC 7383)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.algorithms import encr_key_size, integ_key_size
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import IntegrityError, PeerError, WireError
from ikepy.sa.message import fragments
from ikepy.sa.message.fragments import OpenedMessage, Reassembly
from ikepy.wire.constants import Encr, ExchangeType, HeaderFlag, Integ, PayloadType
from ikepy.wire.message import MAX_FRAGMENTS, IkeHeader, decode_message, fragment_prefix
from ikepy.wire.payloads import Payload, SkfPayload, VendorIdPayload

ALGORITHMS = [
    (Encr.AES_GCM_16, 128, None),
    (Encr.AES_GCM_8, 256, None),
    (Encr.CHACHA20_POLY1305, None, None),
    (Encr.AES_CBC, 128, Integ.HMAC_SHA1_96),
    (Encr.AES_CBC, 256, Integ.HMAC_SHA2_512_256),
]
REQUEST = IkeHeader(b"initiate", b"responds", ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 7)
RANDOM = random.Random("fragments").randbytes

ciphers = st.sampled_from(ALGORITHMS)
packets = st.sampled_from([0, 1280]) | st.integers(256, 2000)
messages = st.lists(st.binary(max_size=1500).map(VendorIdPayload), max_size=12)


def pair(algorithm: tuple[int, int | None, int | None]) -> tuple[SkCipher, SkCipher]:
    """Both ends of one direction."""
    encr, bits, integ = algorithm
    keys = Secret(bytes(range(encr_key_size(encr, bits)))), Secret(bytes(integ_key_size(integ)))
    return SkCipher(encr, bits, integ, *keys), SkCipher(encr, bits, integ, *keys)


def limit_of(packet: int) -> int:
    return fragments.message_limit(packet, IPv4Address("192.0.2.1"))


def taken(
    reassembly: Reassembly, cipher: SkCipher, datagrams: Sequence[bytes], now: float = 0.0
) -> list[OpenedMessage]:
    """What comes out; datagrams that are dropped are just that."""
    found: list[OpenedMessage] = []
    for data in datagrams:
        try:
            one = reassembly.open(data, decode_message(data), cipher, now, negotiated=True)
        except (WireError, IntegrityError):
            continue
        if one is not None:
            found.append(one)
    return found


@given(ciphers, messages, packets)
def test_cut(algorithm: tuple[int, int | None, int | None], payloads: list[Payload], packet: int) -> None:
    """No datagram is longer than it may be, all but the last as long as they can be; the numbers count up."""
    cipher, _ = pair(algorithm)
    limit = limit_of(packet)
    datagrams = fragments.seal(REQUEST, payloads, cipher, RANDOM, limit)
    assert all(len(data) <= limit for data in datagrams)
    last = [decode_message(data).payloads[-1] for data in datagrams]
    if len(datagrams) > 1:
        skf = [p for p in last if isinstance(p, SkfPayload)]
        assert [(p.number, p.total) for p in skf] == [(n, len(last)) for n in range(1, len(last) + 1)]
        assert {p.first for p in skf[1:]} == {PayloadType.NONE}
        assert limit - min(len(data) for data in datagrams[:-1]) < 16, "less than a block of room is left"
        (whole,) = fragments.seal(REQUEST, payloads, cipher, RANDOM, None)
        assert len(whole) > limit, "it would have fitted"


@given(ciphers, messages, packets, st.randoms(use_true_random=False), st.integers(0, 2))
def test_in_any_order_and_repeated(
    algorithm: tuple[int, int | None, int | None],
    payloads: list[Payload],
    packet: int,
    chance: random.Random,
    copies: int,
) -> None:
    out, into = pair(algorithm)
    datagrams = list(fragments.seal(REQUEST, payloads, out, RANDOM, limit_of(packet)))
    chance.shuffle(datagrams)
    reassembly = Reassembly()
    early = datagrams[:-1] * (copies + 1)
    chance.shuffle(early)
    assert not taken(reassembly, into, early)
    (opened,) = taken(reassembly, into, datagrams[-1:])
    assert opened.payloads() == tuple(payloads)
    assert reassembly.deadline is None


@given(messages, st.integers(256, 700), st.integers(1, 300), st.randoms(use_true_random=False))
def test_finer_fragments_replace_coarse_ones(
    payloads: list[Payload], packet: int, larger: int, chance: random.Random
) -> None:
    """Whatever has come of the coarse set, in whatever order they mix: it is the message that comes out."""
    out, into = pair(ALGORITHMS[0])
    coarse = list(fragments.seal(REQUEST, payloads, out, RANDOM, limit_of(packet + larger)))
    fine = list(fragments.seal(REQUEST, payloads, out, RANDOM, limit_of(packet)))
    chance.shuffle(coarse)
    mixed = coarse[:-1] + fine
    chance.shuffle(mixed)
    found = taken(Reassembly(), into, mixed if len(coarse) > 1 else fine)
    assert found[0].payloads() == tuple(payloads)


@given(st.integers(40000, 60000), st.integers(256, 300))
def test_never_more_fragments_than_a_peer_takes(size: int, packet: int) -> None:
    out, into = pair(ALGORITHMS[0])
    payloads: list[Payload] = [VendorIdPayload(RANDOM(size))]
    datagrams = fragments.seal(REQUEST, payloads, out, RANDOM, limit_of(packet))
    assert len(datagrams) <= MAX_FRAGMENTS
    (opened,) = taken(Reassembly(), into, datagrams)
    assert opened.payloads() == tuple(payloads)


numbers = st.integers(1, 6) | st.integers(1, 65535)


@given(st.lists(st.tuples(numbers, numbers, st.integers(0, 255), st.binary(max_size=300)), max_size=30))
def test_any_fragments_of_a_peer_with_the_keys(made: list[tuple[int, int, int, bytes]]) -> None:
    """At most `limit` octets are kept, and what comes out is payloads or one of the declared errors."""
    out, into = pair(ALGORITHMS[0])
    reassembly = Reassembly()
    for number, total, first, content in made:
        if number > total:
            continue
        prefix = fragment_prefix(REQUEST, first, number, total, out.body_length(len(content)))
        data = out.seal(prefix, content, RANDOM)
        try:
            opened = reassembly.open(data, decode_message(data), into, 0.0, negotiated=True, limit=500)
        except WireError:
            continue
        if opened is None:
            continue
        assert len(opened.plaintext) <= 500
        try:
            opened.payloads()
        except PeerError as error:
            assert opened.too_long
            assert error.fatal
        except WireError:
            assert not opened.too_long


@given(st.data())
def test_an_incomplete_message_is_forgotten_in_time(data: st.DataObject) -> None:
    out, into = pair(ALGORITHMS[0])
    payloads: list[Payload] = [VendorIdPayload(bytes(1000))]
    datagrams = fragments.seal(REQUEST, payloads, out, RANDOM, 300)
    kept = data.draw(st.lists(st.sampled_from(datagrams), min_size=1, max_size=len(datagrams) - 1))
    reassembly = Reassembly()
    assert not taken(reassembly, into, kept, now=5.0)
    assert reassembly.deadline == 5.0 + fragments.TIMEOUT
    reassembly.expire(5.0 + fragments.TIMEOUT)
    assert reassembly.deadline is None
