"""IKE_INTERMEDIATE from strangers: without need, without end, without what it is for (RFC 9242, 9370)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Send
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod, ExchangeType, KeGroup, NotifyType, PayloadType
from ikepy.wire.payloads import AuthPayload, KePayload, NoncePayload, NotifyPayload, Payload
from tests.exchange.network import Network
from tests.exchange.tampering import answer_otherwise
from tests.key_exchanges import begin

from .attacker import GCM, HalfOpenAttacker, assert_unharmed, child_payloads, target

HYBRID = f"{GCM}-ke1_mlkem768"
SUPPORTED = NotifyPayload(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)
INTERMEDIATE = ExchangeType.IKE_INTERMEDIATE
PUBLIC = begin(KeGroup.ML_KEM_768, Random(3).randbytes).public


def half_open(suite: str = HYBRID) -> tuple[Network, HalfOpenAttacker]:
    net = target(proposals=f'["{suite}"]')
    return net, HalfOpenAttacker(net, suite, extra=[SUPPORTED])


def good() -> list[Payload]:
    return [KePayload(KeGroup.ML_KEM_768, PUBLIC)]


def states(net: Network) -> list[str]:
    return [one.state for one in net.b.manager.list_sas(net.now)]


def test_the_exchange_that_was_agreed_on_is_answered_once() -> None:
    net, attacker = half_open()
    answer = attacker.ask(INTERMEDIATE, 1, good())
    assert answer is not None
    assert isinstance(answer[0], KePayload)
    for message_id in range(2, 102):
        assert attacker.ask(INTERMEDIATE, message_id, good()) is None, "under keys that are none any more"
    assert states(net) == ["CONNECTING"]
    net.run(60)
    assert_unharmed(net)


def test_a_repetition_gets_the_same_answer_and_another_request_in_its_place_no_other() -> None:
    net, attacker = half_open()
    computed = len(net.computed)
    first = attacker.ask(INTERMEDIATE, 1, good())
    other = [KePayload(KeGroup.ML_KEM_768, begin(KeGroup.ML_KEM_768, Random(4).randbytes).public)]
    for _ in range(50):
        again = attacker.ask(INTERMEDIATE, 1, other)
        assert again in (first, None)
    assert len(net.computed) - computed <= 1
    assert_unharmed(net)


def test_without_the_exchange_there_is_no_ike_auth() -> None:
    net, attacker = half_open()
    assert attacker.ask(ExchangeType.IKE_AUTH, 1, attacker.auth_payloads()) is None
    assert states(net) == ["CONNECTING"], "with the right secret, too"
    assert_unharmed(net)


def test_where_none_was_agreed_on_there_is_none() -> None:
    net, attacker = half_open(GCM)
    for message_id in (1, 2, 1):
        assert attacker.ask(INTERMEDIATE, message_id, good()) is None
        assert attacker.ask(INTERMEDIATE, message_id, []) is None
    attacker.establish()
    assert_unharmed(net)


@pytest.mark.parametrize("payloads", [[], good(), [NotifyPayload(40000, bytes(100))]])
def test_after_ike_auth_it_is_refused(payloads: Sequence[Payload]) -> None:
    net, attacker = half_open(GCM)
    attacker.establish()
    answer = attacker.ask(INTERMEDIATE, 2, payloads)
    assert answer is not None
    error = query.error(answer)
    assert error is not None
    assert error.notify == NotifyType.INVALID_SYNTAX
    assert not isinstance(answer[0], KePayload)
    net.run(300)
    assert_unharmed(net)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [NoncePayload(bytes(32))],
        [KePayload(KeGroup.ML_KEM_768, b"")],
        [KePayload(KeGroup.ML_KEM_768, PUBLIC[:-1])],
        [KePayload(KeGroup.ML_KEM_768, PUBLIC + b"\0")],
        [KePayload(KeGroup.ML_KEM_768, b"\xff" * len(PUBLIC))],  # coefficients that are not reduced
        [KePayload(KeGroup.ML_KEM_1024, PUBLIC)],
        [KePayload(KeGroup.CURVE_25519, bytes(32))],
        [KePayload(KeGroup.NONE, b"")],
        [*good(), *good()],
        [AuthPayload(AuthMethod.SHARED_KEY_MIC, bytes(32))],
        [*good(), *child_payloads()],
    ],
)
def test_a_key_exchange_that_is_none(payloads: Sequence[Payload]) -> None:
    net, attacker = half_open()
    answer = attacker.ask(INTERMEDIATE, 1, payloads)
    assert answer is None or query.error(answer) is not None
    net.run(1)
    assert states(net) == [], "it has ended at once, and holds nothing"
    assert_unharmed(net)


def test_fragments_that_never_end() -> None:
    net, attacker = half_open()
    (sa,) = net.b.manager.ike_sas
    sa.fragmentation = True
    for number in range(2, 255):
        effects = net.inject("b", sa.path, attacker.seal_fragment(INTERMEDIATE, 1, number, 255, bytes(60)))
        assert not [one for one in effects if isinstance(one, Send)]
    net.run(60)
    assert states(net) == []
    assert_unharmed(net)


def test_an_identity_before_its_time() -> None:
    net, attacker = half_open()
    identity = [one for one in attacker.auth_payloads() if one.type == PayloadType.ID_I]
    answer = attacker.ask(INTERMEDIATE, 1, [*identity, *good()])
    assert answer is None or query.error(answer) is not None
    assert "ESTABLISHED" not in states(net)


def in_ke(change: Callable[[KePayload], Sequence[Payload]]) -> Callable[[Sequence[Payload]], list[Payload]]:
    """What a response has instead of its KE."""
    return lambda payloads: [
        new for one in payloads for new in (change(one) if isinstance(one, KePayload) else (one,))
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda ke: (), "no KePayload in the message"),
        (lambda ke: (ke, ke), "2 payloads KE"),
        (lambda ke: (KePayload(ke.group, b""),), "wrong length"),
        (lambda ke: (KePayload(ke.group, ke.data[:-1]),), "wrong length"),
        (lambda ke: (KePayload(ke.group, ke.data + b"\0"),), "wrong length"),
        (lambda ke: (KePayload(ke.group, PUBLIC),), "wrong length"),
        (lambda ke: (KePayload(KeGroup.ML_KEM_1024, ke.data),), "not the one it chose"),
        (lambda ke: (KePayload(KeGroup.CURVE_25519, bytes(32)),), "not the one it chose"),
    ],
    ids=["none", "two", "empty", "short", "long", "a key", "another set", "another method"],
)
def test_a_gateway_that_gives_no_ciphertext(
    change: Callable[[KePayload], Sequence[Payload]], why: str
) -> None:
    """It hears no identity of ours, and the next attempt comes through."""
    net = target(proposals=f'["{HYBRID}"]')
    line = "b -> a IKE_INTERMEDIATE response 1"
    answer_otherwise(net, line, lambda: net.command("a", Initiate("ab", "net", ticket=1)), in_ke(change))
    net.run(1)
    assert not net.a.outcomes[1].ok
    assert why in net.a.outcomes[1].text
    assert not [one for one in net.ladder if one.startswith("a -> b IKE_AUTH")]
    assert not net.a.manager.ike_sas
    net.run(300)
    assert_unharmed(net)
