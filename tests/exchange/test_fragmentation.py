"""Messages in fragments: set-up, loss, repetition, disorder, finer fragments, strangers (RFC 7383)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Initiate, Terminate
from ikepy.sa.api.effects import Effect, Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.driver import clock
from ikepy.sa.message import fragments
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks.liveness import Liveness
from ikepy.wire.constants import ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.message import IkeHeader, encode_message, encode_payloads, fragment_prefix
from ikepy.wire.payloads import NotifyPayload, Payload, SkfPayload, VendorIdPayload

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, assert_joined, duplicate, lose
from .rekeying_peer import RekeyIke
from .test_established import do, established, ike_sa

A_TO_B = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
B_TO_A = Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500))
LIMIT = 256 - 20 - 8 - 4

NETS = "[" + ", ".join(f'"10.{n}.0.0/16"' for n in range(8)) + "]"
SMALL = Options(local_ts=NETS, remote_ts=NETS, daemon="fragment_size = 256")
NO, ACCEPT = (
    replace(SMALL, connection='fragmentation = "no"'),
    replace(SMALL, connection='fragmentation="accept"'),
)

INIT = ["a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"]
REQUEST = [f"a -> b IKE_AUTH request 1 {n}/3" for n in (1, 2, 3)]
RESPONSE = [f"b -> a IKE_AUTH response 1 {n}/3" for n in (1, 2, 3)]
CHILD_REQUEST = [f"a -> b CREATE_CHILD_SA request 3 {n}/3" for n in (1, 2, 3)]
CHILD_RESPONSE = [f"b -> a CREATE_CHILD_SA response 3 {n}/3" for n in (1, 2, 3)]

MANY: list[Payload] = [NotifyPayload(40000 + n, bytes(100)) for n in range(8)]  # means nothing to anybody


def set_up(a: Options = SMALL, b: Options = SMALL) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    return net


def sealed(
    sa: IkeSa, exchange: ExchangeType, message_id: int, limit: int | None, *, response: bool = False
) -> tuple[bytes, ...]:
    """A long message of `sa`'s, cut to `limit`; the machine itself does not know of it."""
    flags = HeaderFlag.INITIATOR if sa.initiator else HeaderFlag(0)
    if response:
        flags |= HeaderFlag.RESPONSE
    header = IkeHeader(sa.spi_i, sa.spi_r, exchange, flags, message_id)
    return fragments.seal(header, MANY, sa.keys.cipher_out, random.Random(1).randbytes, limit)


def fragment(
    sa: IkeSa, number: int, total: int, *, content: bytes = b"x", exchange: int = 37, message_id: int = 2
) -> bytes:
    """Any fragment that the initiator can make of a request."""
    header = IkeHeader(sa.spi_i, sa.spi_r, exchange, HeaderFlag.INITIATOR, message_id)
    cipher = sa.keys.cipher_out
    prefix = fragment_prefix(header, PayloadType.NOTIFY, number, total, cipher.body_length(len(content)))
    return cipher.seal(prefix, content, sa.registry.entropy.random)


def sends(effects: Sequence[Effect]) -> list[bytes]:
    return [effect.data for effect in effects if isinstance(effect, Send)]


def into_b(net: Network, datagrams: Sequence[bytes]) -> list[bytes]:
    """What b sends when it gets these."""
    return [data for one in datagrams for data in sends(net.inject("b", A_TO_B, one))]


# -- both ends behave ------------------------------------------------------------------------------


def test_set_up() -> None:
    net = set_up()
    sizes: list[int] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        sizes.append(len(data) if "AUTH" in line else 0)
        return [DELAY]

    net.script = script
    net.run(2)
    assert net.ladder == [*INIT, *REQUEST, *RESPONSE]
    assert max(sizes) == LIMIT
    assert_joined(net)


def test_a_child() -> None:
    net = established(SMALL, SMALL)
    net.command("a", Terminate(child="net"))
    net.run(1)
    net.ladder.clear()
    net.command("a", Initiate("ab", "net", ticket=2))
    net.run(1)
    assert net.ladder == [*CHILD_REQUEST, *CHILD_RESPONSE]
    assert_joined(net)


def test_what_fits_is_sent_whole() -> None:
    net = established()
    assert ike_sa(net, "a").fragmentation
    assert ike_sa(net, "b").fragmentation
    net = Network(SMALL, SMALL)
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    net.ladder.clear()
    do(net, "a", Liveness())
    net.run(1)
    assert net.ladder == ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"]


@pytest.mark.parametrize(
    ("a", "b", "request_in", "response_in"),
    [
        (SMALL, NO, 1, 1),
        (NO, SMALL, 1, 1),
        (NO, NO, 1, 1),
        (SMALL, ACCEPT, 3, 1),
        (ACCEPT, SMALL, 1, 3),
        (ACCEPT, ACCEPT, 1, 1),
    ],
    ids=["yes-no", "no-yes", "no-no", "yes-accept", "accept-yes", "accept-accept"],
)
def test_who_may_and_will(a: Options, b: Options, request_in: int, response_in: int) -> None:
    net = set_up(a, b)
    net.run(2)
    assert len([line for line in net.ladder if "AUTH request" in line]) == request_in
    assert len([line for line in net.ladder if "AUTH response" in line]) == response_in
    assert_joined(net)


def test_it_outlives_a_rekey_of_the_ike_sa() -> None:
    net = established(SMALL, SMALL)
    do(net, "b", RekeyIke())
    net.run(2)
    assert ike_sa(net, "a").fragmentation
    assert ike_sa(net, "b").fragmentation


# -- the network does not --------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [*REQUEST, *RESPONSE])
def test_a_fragment_is_lost(lost: str) -> None:
    net = set_up()
    net.script = lose(lost)
    net.run(20)
    assert net.a.outcomes[1].ok
    assert_joined(net)
    # A fragment that is repeated is answered once: by its number 1 (RFC 7383 2.6.1).
    response = RESPONSE if lost in REQUEST else RESPONSE * 2
    again = [line for line in net.ladder if "AUTH response" in line]
    assert again == response
    assert [line for line in net.ladder if "AUTH request" in line] == REQUEST * 2


@pytest.mark.parametrize("repeated", [*REQUEST, *RESPONSE])
def test_a_fragment_comes_twice(repeated: str) -> None:
    net = set_up()
    net.script = duplicate(repeated)
    net.run(20)
    assert_joined(net)
    assert [line for line in net.ladder if "AUTH request" in line] == REQUEST
    answers = [line for line in net.ladder if "AUTH response" in line]
    assert answers == (RESPONSE * 2 if repeated == REQUEST[0] else RESPONSE)


@pytest.mark.parametrize("late", [*REQUEST, *RESPONSE])
def test_a_fragment_is_late(late: str) -> None:
    net = set_up()
    net.script = lambda line, nth, data: [0.5 if line == late else DELAY]
    net.run(20)
    assert_joined(net)
    assert net.ladder == [*INIT, *REQUEST, *RESPONSE]


def test_everything_backwards() -> None:
    net = set_up()
    net.script = lambda line, nth, data: [1.0 - 0.1 * data[33] if "AUTH" in line else DELAY]
    net.run(20)
    assert_joined(net)


@pytest.mark.parametrize("seed", range(20))
def test_a_bad_network(seed: int) -> None:
    """A third is lost, a third comes twice, all of it at any time."""
    chance = random.Random(seed)
    net = set_up()

    def script(line: str, nth: int, data: bytes) -> list[float]:
        return [chance.uniform(0.01, 1) for _ in range(chance.randrange(3))]

    net.script = script
    net.run(4)
    net.script = lambda line, nth, data: [DELAY]
    net.run(200)
    assert net.a.outcomes[1].ok, net.ladder
    assert_joined(net)


def test_every_request_is_given_up_in_the_end() -> None:
    net = set_up()
    net.script = lambda line, nth, data: [] if line == RESPONSE[1] else [DELAY]
    net.run(400)
    assert not net.a.outcomes[1].ok
    assert net.a.manager.idle


def test_the_refusal_of_a_dead_ike_sa_is_repeated_for_the_first_fragment() -> None:
    net = set_up(SMALL, replace(SMALL, secret="another"))
    refusals: list[bytes] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line == "b -> a IKE_AUTH response 1" and data[16] == PayloadType.SK:
            refusals.append(data)
        return [] if len(refusals) == 1 and line.startswith("b") else [DELAY]

    net.script = script
    net.run(20)
    assert len(refusals) == 2
    assert refusals[0] == refusals[1]
    assert not net.a.outcomes[1].ok
    assert net.a.manager.idle


# -- finer fragments, sent anew --------------------------------------------------------------------


def test_a_request_in_finer_fragments() -> None:
    net = established(SMALL, SMALL)
    coarse = sealed(ike_sa(net, "a"), ExchangeType.INFORMATIONAL, 2, 600)
    fine = sealed(ike_sa(net, "a"), ExchangeType.INFORMATIONAL, 2, 300)
    assert (len(coarse), len(fine)) == (2, 4)
    assert not into_b(net, coarse[:1])
    assert not into_b(net, fine[:3])
    assert not into_b(net, coarse), "the coarse ones count no longer"
    assert len(into_b(net, fine[3:])) == 1
    # Of either kind, only the first fragment is answered now.
    assert len(into_b(net, fine)) == 1
    assert len(into_b(net, coarse)) == 1


def test_a_response_in_finer_fragments() -> None:
    net = established(SMALL, SMALL)
    a, b = ike_sa(net, "a"), ike_sa(net, "b")
    net.script = lambda line, nth, data: []
    do(net, "a", Liveness())
    coarse = sealed(b, ExchangeType.INFORMATIONAL, 2, 600, response=True)
    fine = sealed(b, ExchangeType.INFORMATIONAL, 2, 300, response=True)
    for data in (coarse[1], *fine[1:], *coarse):
        net.inject("a", B_TO_A, data)
    assert a.tasks.current is not None
    net.inject("a", B_TO_A, fine[0])
    assert a.tasks.current is None


def test_a_request_in_fragments_then_whole() -> None:
    net = established(SMALL, SMALL)
    parts = sealed(ike_sa(net, "a"), ExchangeType.INFORMATIONAL, 2, 300)
    (whole,) = sealed(ike_sa(net, "a"), ExchangeType.INFORMATIONAL, 2, None)
    assert not into_b(net, parts[:3])
    assert len(into_b(net, [whole])) == 1
    assert not into_b(net, parts[3:])
    assert len(into_b(net, sealed(ike_sa(net, "a"), ExchangeType.INFORMATIONAL, 3, 300))) == 1


def test_a_request_that_never_gets_whole_is_forgotten() -> None:
    net = established(SMALL, SMALL)
    parts = sealed(ike_sa(net, "a"), ExchangeType.INFORMATIONAL, 2, 300)
    assert not into_b(net, parts[:3])
    net.run(fragments.TIMEOUT + 1)
    assert not into_b(net, parts[3:])
    assert ike_sa(net, "b").established


# -- the peer does not -----------------------------------------------------------------------------


def test_too_much_from_an_established_peer_ends_the_ike_sa() -> None:
    net = established(SMALL, SMALL)
    a = ike_sa(net, "a")
    for number in range(1, 8):
        assert not into_b(net, [fragment(a, number, 255, content=bytes(9000))])
    assert len(into_b(net, [fragment(a, 8, 255, content=bytes(9000))])) == 1
    assert net.b.manager.idle
    assert not net.b.plane.inbound


def test_too_much_from_a_stranger() -> None:
    """It has agreed on keys, no more: it may say less than an established peer."""
    net = set_up()
    net.script = lambda line, nth, data: [] if line in REQUEST else [DELAY]
    net.run(1)
    a = ike_sa(net, "a")
    big = [
        fragment(a, n, 3, content=bytes(8000), exchange=ExchangeType.IKE_AUTH, message_id=1)
        for n in (1, 2, 3)
    ]
    assert not into_b(net, big[:2])
    assert len(into_b(net, big[2:])) == 1
    assert net.b.manager.idle


@pytest.mark.parametrize("total", [256, 65535])
def test_too_many_fragments_are_not_even_kept(total: int) -> None:
    net = established(SMALL, SMALL)
    a = ike_sa(net, "a")
    assert not into_b(net, [fragment(a, n, total) for n in range(1, 257)])
    assert len(into_b(net, sealed(a, ExchangeType.INFORMATIONAL, 2, 300))) == 1


def test_fragments_of_two_exchanges() -> None:
    net = established(SMALL, SMALL)
    a = ike_sa(net, "a")
    assert not into_b(net, [fragment(a, 1, 2), fragment(a, 2, 2, exchange=ExchangeType.CREATE_CHILD_SA)])
    assert len(into_b(net, [fragment(a, 2, 2)])) == 1  # INVALID_SYNTAX
    assert net.b.manager.idle


def test_the_first_payload_is_what_fragment_1_says() -> None:
    net = established(SMALL, SMALL)
    a = ike_sa(net, "a")
    header = IkeHeader(a.spi_i, a.spi_r, ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 2)
    first, chain = encode_payloads(MANY)
    half, cipher = len(chain) // 2, a.keys.cipher_out
    for number, part in ((2, chain[half:]), (1, chain[:half])):
        prefix = bytearray(fragment_prefix(header, first, number, 2, cipher.body_length(len(part))))
        if number == 2:
            prefix[28] = PayloadType.DELETE
        answers = into_b(net, [cipher.seal(bytes(prefix), part, a.registry.entropy.random)])
    assert len(answers) == 1
    assert ike_sa(net, "b").established


def test_not_negotiated() -> None:
    net = established(NO, SMALL)
    a = ike_sa(net, "a")
    parts = sealed(a, ExchangeType.INFORMATIONAL, 2, 300)
    assert not into_b(net, parts)
    (whole,) = sealed(a, ExchangeType.INFORMATIONAL, 2, None)
    assert len(into_b(net, [whole])) == 1
    assert not into_b(net, parts), "nor is it a repetition"


# -- strangers -------------------------------------------------------------------------------------


def forged(sa: IkeSa, number: int, total: int, front: Sequence[Payload] = ()) -> bytes:
    """What somebody makes who saw the IKE_SA's SPIs."""
    header = IkeHeader(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 2)
    body = bytes([number]) * 80
    return encode_message(header, [*front, SkfPayload(PayloadType.NOTIFY, number, total, body)])


def test_forged_fragments_change_nothing() -> None:
    """Neither before nor between the true ones; nor do they take a place, or make the set start over."""
    net = established(SMALL, SMALL)
    a, b = ike_sa(net, "a"), ike_sa(net, "b")
    parts = sealed(a, ExchangeType.INFORMATIONAL, 2, 300)
    before, deadline = b.snapshot(), clock.deadline(b)
    answers: list[bytes] = []
    for true in parts:
        for number, total in ((1, 4), (2, 4), (4, 4), (1, 255), (255, 255), (1, 1)):
            assert not into_b(net, [forged(a, number, total)])
        assert b.snapshot() == before
        assert answers or true is not parts[0] or clock.deadline(b) == deadline
        answers += into_b(net, [true])
    assert len(answers) == 1


def test_bits_of_true_fragments_flipped() -> None:
    net = established(SMALL, SMALL)
    parts = sealed(ike_sa(net, "a"), ExchangeType.INFORMATIONAL, 2, 300)
    for position in range(16, len(parts[0])):
        changed = bytearray(parts[0])
        changed[position] ^= 1
        assert not into_b(net, [bytes(changed)])
    assert len(into_b(net, parts)) == 1


@pytest.mark.parametrize(("number", "total"), [(0, 1), (0, 0), (2, 1), (65535, 1)])
def test_impossible_numbers(number: int, total: int) -> None:
    net = established(SMALL, SMALL)
    data = bytearray(forged(ike_sa(net, "a"), 1, 1))
    data[32:36] = number.to_bytes(2, "big") + total.to_bytes(2, "big")
    assert not into_b(net, [bytes(data)])


def test_unprotected_payloads_in_front() -> None:
    """Nobody sends such a message (RFC 7383 2.5.3), not even with a true fragment in it."""
    net = established(SMALL, SMALL)
    a = ike_sa(net, "a")
    for count in (1, 100):
        assert not into_b(net, [forged(a, 1, 2, [VendorIdPayload(b"x")] * count)])
    header = IkeHeader(a.spi_i, a.spi_r, ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 2)
    cipher = a.keys.cipher_out
    outer = encode_message(header, [VendorIdPayload(b"x"), SkfPayload(0, 1, 1, bytes(cipher.body_length(0)))])
    data = cipher.seal(outer[: -cipher.body_length(0)], b"", a.registry.entropy.random)
    assert not into_b(net, [data])
    assert ike_sa(net, "b").established


def test_old_fragments_replayed() -> None:
    old: list[bytes] = []
    net = set_up()

    def script(line: str, nth: int, data: bytes) -> list[float]:
        old.append(data)
        return [DELAY]

    net.script = script
    net.run(2)
    net.script = lambda line, nth, data: [DELAY]
    do(net, "a", Liveness())
    net.run(1)
    before = ike_sa(net, "b").snapshot()
    assert not into_b(net, [data for data in old if data[18] == ExchangeType.IKE_AUTH and data[19] & 0x08])
    assert ike_sa(net, "b").snapshot() == before
