"""Public values that are worth nothing: b says so before it has computed anything (RFC 6989 2)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from ikepy.config.proposals import parse
from ikepy.crypto.kex import modp, registry
from ikepy.crypto.kex.diffie_hellman import Derive, DiffieHellman
from ikepy.crypto.kex.modp_groups import GROUPS
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.wire.constants import ExchangeType, KeGroup, NotifyType, PayloadType, ProtocolId
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from tests.exchange.network import Network
from tests.key_exchanges import begin

from .attacker import HalfOpenAttacker, chain, child_payloads, init_parts, message, send, target

GROUP = KeGroup.MODP_3072
SUITE = "aes128gcm16-prfsha256-modp3072"
SIZE, PRIME = GROUPS[GROUP].size, GROUPS[GROUP].prime
BAD = {
    "empty": b"",
    "one octet": b"\2",
    "one octet less": b"\2" * (SIZE - 1),
    "one octet more": bytes(1) + b"\2" * SIZE,
    "zeros": bytes(SIZE),
    "1": (1).to_bytes(SIZE, "big"),
    "p - 1": (PRIME - 1).to_bytes(SIZE, "big"),
    "p": PRIME.to_bytes(SIZE, "big"),
    "ones": b"\xff" * SIZE,
}
NONCE = bytes(32)


@pytest.fixture
def computed() -> Iterator[list[int]]:
    """The groups of the key pairs that are computed from now on."""
    groups: list[int] = []

    def counting(method: DiffieHellman, private: bytes) -> tuple[bytes, Derive]:
        groups.append(method.id)
        return method.key_pair(private)

    counted = [replace(method, key_pair=partial(counting, method)) for method in modp.METHODS]
    with registry.registered(*counted):
        yield groups


def network() -> Network:
    return target(proposals=f'["{SUITE}"]', esp_proposals='["aes128gcm16-modp3072"]')


@pytest.mark.parametrize("public", BAD.values(), ids=BAD.keys())
def test_ike_sa_init(computed: list[int], public: bytes) -> None:
    net = network()
    request = message(*chain(*init_parts(SUITE, public=public)))
    computed.clear()  # the attacker's own
    (answer,) = send(net, request)
    refusal = query.error(decode_message(answer).payloads)
    assert refusal is not None
    assert refusal.notify == NotifyType.INVALID_SYNTAX
    assert not computed


def ike_offer(public: bytes) -> list[Payload]:
    offered = proposals.numbered(parse(SUITE, ProtocolId.IKE), b"\7" * 8)
    return [SaPayload(offered), NoncePayload(NONCE), KePayload(GROUP, public)]


def child_offer(public: bytes) -> list[Payload]:
    (offer,) = proposals.numbered(parse("aes128gcm16-modp3072", ProtocolId.ESP), b"\0\0\x43\x21")
    _, *selectors = child_payloads()
    return [SaPayload((offer,)), NoncePayload(NONCE), KePayload(GROUP, public), *selectors]


def child_rekey_offer(public: bytes) -> list[Payload]:
    return [NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.ESP, b"\0\0\x12\x34"), *child_offer(public)]


REQUESTS = {"IKE rekey": ike_offer, "child": child_offer, "child rekey": child_rekey_offer}


@pytest.mark.parametrize("public", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("offer", REQUESTS.values(), ids=REQUESTS.keys())
def test_create_child_sa(computed: list[int], offer: Callable[[bytes], list[Payload]], public: bytes) -> None:
    attacker = HalfOpenAttacker(network(), SUITE)
    attacker.establish()
    computed.clear()
    answer = attacker.ask(ExchangeType.CREATE_CHILD_SA, 2, offer(public))
    assert answer is not None
    refusal = query.error(answer)
    assert refusal is not None
    assert refusal.notify == NotifyType.INVALID_SYNTAX
    assert not computed


@pytest.mark.parametrize("offer", REQUESTS.values(), ids=REQUESTS.keys())
def test_the_same_request_with_a_good_value(offer: Callable[[bytes], list[Payload]]) -> None:
    """What is refused above is refused for its value."""
    attacker = HalfOpenAttacker(network(), SUITE)
    attacker.establish()
    public = begin(GROUP, random.Random(5).randbytes).public
    answer = attacker.ask(ExchangeType.CREATE_CHILD_SA, 2, offer(public))
    assert answer is not None
    assert query.error(answer) is None
    assert query.must(answer, KePayload).type == PayloadType.KE
