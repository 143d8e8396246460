"""Users in the gateway's EAP who are none: nobody gets in, nothing lasts, and nobody learns who is known."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.message import query
from ikepy.wire.constants import ExchangeType, IdType, NotifyType, PayloadType
from ikepy.wire.payloads import EapPayload, IdPayload, NotifyPayload, Payload
from tests.exchange.network import ADDRESS_A, Network, assert_joined
from tests.exchange.test_eap import options

from .attacker import HalfOpenAttacker, child_payloads

MOST_ROUNDS = 60  # of an IKE_AUTH: far below what would cost anything
REQUEST, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4
IDENTITY, NAK, MD5, TLS, MSCHAPV2 = 1, 3, 4, 13, 26


def eap(code: int, identifier: int, type: int | None = None, data: bytes = b"") -> bytes:
    body = (b"" if type is None else bytes([type])) + data
    return bytes([code, identifier]) + (4 + len(body)).to_bytes(2, "big") + body


def gateway(word: str = "eap-mschapv2") -> Network:
    a, b = options(word)
    return Network(a, b)


def begun(net: Network) -> tuple[HalfOpenAttacker, bytes]:
    """A stranger from the honest user's own network who is asked who it is."""
    attacker = HalfOpenAttacker(net, address=ADDRESS_A, port=4711)
    first: list[Payload] = [IdPayload(PayloadType.ID_I, IdType.FQDN, b"gwa", bytes(3)), *child_payloads()]
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, first)
    assert answer is not None
    asked = query.maybe(answer, EapPayload)
    assert asked is not None
    return attacker, asked.data


def is_over(answer: Sequence[Payload] | None) -> bool:
    if answer is None:
        return True
    error = query.error(answer)
    return error is not None and error.notify == NotifyType.AUTHENTICATION_FAILED


def assert_let_in(net: Network) -> None:
    """Nobody else is in, nothing is left of them, and the honest user gets in."""
    assert "ESTABLISHED" not in [one.state for one in net.b.manager.list_sas(net.now)]
    net.run(60)
    assert net.b.manager.idle
    net.command("a", Initiate("ab", "net"))
    net.run(5)
    assert_joined(net)


@pytest.mark.parametrize("word", ["eap-md5", "eap-mschapv2"])
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\2",
        bytes(4),
        eap(SUCCESS, 1),
        eap(FAILURE, 1),
        eap(REQUEST, 1, IDENTITY),
        eap(RESPONSE, 1),
        eap(RESPONSE, 99, IDENTITY, b"alice@example.org"),
        eap(RESPONSE, 1, NAK),
        eap(RESPONSE, 1, NAK, bytes(200)),
        eap(RESPONSE, 1, MD5, bytes(17)),
        eap(RESPONSE, 1, TLS, b"\xc0\xff\xff\xff\xff"),
        eap(RESPONSE, 1, MSCHAPV2, b"\x03"),
        eap(RESPONSE, 1, 254, bytes(3000)),
        b"\2\1\xff\xff\1" + bytes(100),  # longer than it is
        b"\2\1\0\1\1",
    ],
)
def test_what_is_no_answer_ends_it(word: str, said: bytes) -> None:
    net = gateway(word)
    attacker, asked = begun(net)
    said = said[:1] + asked[1:2] + said[2:] if said[1:2] == b"\1" else said
    number = 2
    answer = attacker.ask(ExchangeType.IKE_AUTH, number, [EapPayload(said)])
    while not is_over(answer) and number < MOST_ROUNDS:
        number += 1
        answer = attacker.ask(ExchangeType.IKE_AUTH, number, [EapPayload(said)])
    assert number < MOST_ROUNDS, "it comes to an end"
    assert_let_in(net)


@pytest.mark.parametrize("seed", range(6))
def test_answers_without_end(seed: int) -> None:
    """Each has the identifier that was asked with, and says something else."""
    chance = Random(seed)
    net = gateway()
    attacker, asked = begun(net)
    number, answer = 1, None
    types = [IDENTITY, NAK, MD5, TLS, MSCHAPV2, 21, 254, 255]
    while number < MOST_ROUNDS:
        number += 1
        data = chance.randbytes(chance.choice([0, 1, 5, 49, 54, 200]))
        said = eap(RESPONSE, asked[1], chance.choice(types), data)
        answer = attacker.ask(ExchangeType.IKE_AUTH, number, [EapPayload(said)])
        if is_over(answer):
            break
        assert answer is not None
        told = query.maybe(answer, EapPayload)
        assert told is not None
        assert told.data[0] != SUCCESS
        asked = told.data
    assert number < MOST_ROUNDS
    assert_let_in(net)


def test_a_round_without_eap_is_none() -> None:
    net = gateway()
    attacker, _ = begun(net)
    answer = attacker.ask(ExchangeType.IKE_AUTH, 2, [NotifyPayload(NotifyType.INITIAL_CONTACT)])
    assert is_over(answer)
    assert_let_in(net)


def test_users_known_and_unknown_hear_the_same() -> None:
    heard = []
    for user in (b"alice@example.org", b"nobody@example.org", b"a" * 1000, b"\0", "ä".encode()):
        net = gateway("eap-md5")
        attacker, asked = begun(net)
        said = eap(RESPONSE, asked[1], IDENTITY, user)
        answer = attacker.ask(ExchangeType.IKE_AUTH, 2, [EapPayload(said)])
        kinds = []
        number = 2
        while not is_over(answer) and number < MOST_ROUNDS:
            assert answer is not None
            told = query.maybe(answer, EapPayload)
            assert told is not None
            kinds.append((told.data[0], told.data[4:5], len(told.data)))
            number += 1
            wrong = eap(RESPONSE, told.data[1], MD5, b"\x10" + bytes(16))
            answer = attacker.ask(ExchangeType.IKE_AUTH, number, [EapPayload(wrong)])
        heard.append((tuple(kinds), number))
    known, unknown, *names_that_nobody_can_have, foreign = heard
    assert known[0], "a password was asked for"
    assert known == unknown == foreign, "a known user with a wrong password, and those that there are not"
    assert names_that_nobody_can_have == [((), 2)] * 2, "they are refused at once"
