"""A stranger in an IKE_AUTH of several rounds, and of one with slow steps: nobody gets in without a proof."""

from __future__ import annotations

from random import Random

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.auth.authenticator import Authenticator
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod, ExchangeType, IdType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.message import encode_payloads
from ikepy.wire.payloads import (
    AuthPayload,
    DeletePayload,
    EapPayload,
    IdPayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    UnknownPayload,
)
from tests.exchange.methods import ChallengeResponse, Signature
from tests.exchange.network import Network, Options, assert_joined

from .attacker import NONCE, HalfOpenAttacker, child_payloads, send

ROUNDS = ChallengeResponse()
EXCHANGES = [ExchangeType.IKE_AUTH] * 8 + [
    ExchangeType.INFORMATIONAL,
    ExchangeType.CREATE_CHILD_SA,
    ExchangeType.IKE_INTERMEDIATE,
    ExchangeType.IKE_SA_INIT,
]


def identity(random: Random) -> IdPayload:
    return IdPayload(PayloadType.ID_I, IdType.FQDN, random.choice([b"gwa", b"gwa", b"gwx"]), bytes(3))


def anything(random: Random) -> Payload:
    return random.choice(
        [
            identity(random),
            IdPayload(PayloadType.ID_R, IdType.FQDN, b"gwb", bytes(3)),
            EapPayload(bytes(random.choice([0, 1, 16, 5000]))),
            AuthPayload(AuthMethod.SHARED_KEY_MIC, bytes(32)),
            AuthPayload(AuthMethod.DIGITAL_SIGNATURE, bytes(64)),
            *child_payloads(),
            DeletePayload(ProtocolId.IKE, ()),
            NotifyPayload(NotifyType.AUTHENTICATION_FAILED),
            NotifyPayload(NotifyType.INITIAL_CONTACT),
            NotifyPayload(NotifyType.SET_WINDOW_SIZE, bytes((0, 0, 0, 64))),
            NoncePayload(NONCE),
            UnknownPayload(200, random.random() < 0.5, b"?"),
        ]
    )


def siege(net: Network, random: Random) -> int:
    """A stranger who knows how the first round goes, and the answer to a challenge, but no more. How many
    rounds it came through."""
    attacker = HalfOpenAttacker(net)
    usual: list[Payload] = [identity(random), *child_payloads()]
    expected, rounds = 1, 0
    for _ in range(random.randint(1, 12)):
        payloads = list(usual) if random.random() < 0.75 else []
        if not payloads or random.random() < 0.3:
            payloads += [anything(random) for _ in range(random.randint(0, 3))]
        message_id = random.choice([expected] * 8 + [expected - 1, expected + 1, (1 << 32) - 1])
        data = attacker.seal(random.choice(EXCHANGES), message_id, *encode_payloads(payloads))
        replies = send(net, data)
        net.run(random.choice([0.0, 0.005, 0.5]))
        if net.b.manager.idle:  # it has ended the IKE_SA
            break
        answer = attacker.opened(replies or send(net, data), message_id)  # or what came later
        assert "ESTABLISHED" not in [one.state for one in net.b.manager.list_sas(net.now)]
        if answer is not None and message_id == expected:
            expected += 1
            eap = query.maybe(answer, EapPayload)
            rounds += eap is not None
            usual = [] if eap is None else [EapPayload(ROUNDS.respond_to(eap.data))]
    return rounds


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "method",
    [ROUNDS, ChallengeResponse(computes=True), Signature()],
    ids=["rounds", "slow rounds", "signatures"],
)
def test_no_order_of_messages_lets_a_stranger_in(method: Authenticator, seed: int) -> None:
    random, most = Random(seed), 0
    for _ in range(20):
        net = Network(None, Options(remote_addrs="%any"), methods=(method, method))
        most = max(most, siege(net, random))
        net.run(60)
        assert net.b.manager.idle
        assert not net.b.plane.inbound
        net.command("a", Initiate("ab", "net"))
        net.run(5)
        assert_joined(net)
    assert most >= 1 or not isinstance(method, ChallengeResponse)
