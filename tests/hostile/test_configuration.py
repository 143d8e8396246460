"""A peer with credentials at a gateway with pools: hostile configuration payloads (RFC 7296 3.15)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from ikepy.sa.message import query
from ikepy.wire import attributes
from ikepy.wire.constants import CfgType, ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import encode_payloads
from ikepy.wire.payloads import Attribute, CpPayload, Payload, SaPayload
from tests.exchange.network import Network

from .attacker import HalfOpenAttacker, target

POOL = '[pools.p]\naddrs = "10.3.0.0/29"\ndns = ["10.8.0.53"]\n'
MOST = 256  # attributes of a payload


def gateway() -> Network:
    """b has pools."""
    return target(remote_ts='["dynamic"]', connection='pools = ["p"]', more=POOL, remote_id="%any")


def ask(payload: Payload) -> tuple[Network, tuple[Payload, ...]]:
    """b, and its answer to an IKE_AUTH that is good but for this CP."""
    net = gateway()
    attacker = HalfOpenAttacker(net)
    identity, mac, *child = attacker.auth_payloads()
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, [identity, mac, payload, *child])
    assert answer is not None
    return net, answer


def leases(net: Network) -> list[str]:
    return [str(one.address) for one in net.b.manager.leases()]


def address(value: bytes = b"") -> Attribute:
    return Attribute(1, value)


@pytest.mark.parametrize(
    "attributes",
    [
        [address()] * MOST,
        [address(bytes([10, 3, 0, last])) for last in range(256)],
        [address(b"\1"), address(b"\1" * 5), address(b"x" * 60000)],
        [address(bytes(4)), address(b"\xff" * 4), address(b"\x7f\0\0\1")],
        [address(), *(Attribute(type, b"\xff" * 3) for type in range(2, 30))],
        [address(), *(Attribute(type) for type in range(30000, 30000 + MOST - 1))],
        [address(), Attribute(14, b"\0" * 65000)],
    ],
    ids=["many", "each", "sizes", "no hosts", "no values", "unknown", "long"],
)
def test_whatever_is_asked_one_address_is_given(attributes: Sequence[Attribute]) -> None:
    net, answer = ask(CpPayload(CfgType.REQUEST, tuple(attributes)))
    reply = query.must(answer, CpPayload)
    assert reply.cfg_type == CfgType.REPLY
    given = [one.value for one in reply.attributes if one.type == 1]
    assert len(given) == 1
    assert leases(net) == [str(ip_address(given[0]))]
    (child,) = net.b.manager.list_sas(net.now)[0].children
    assert [str(one) for one in child.ts_remote] == [f"{leases(net)[0]}/32"]


@pytest.mark.parametrize("cfg_type", [0, CfgType.REPLY, CfgType.SET, CfgType.ACK, 5, 255])
def test_what_is_no_request_gets_nothing(cfg_type: int) -> None:
    net, answer = ask(CpPayload(cfg_type, (address(),)))
    assert query.maybe(answer, CpPayload) is None
    assert query.maybe(answer, SaPayload) is None
    assert query.notify(answer, NotifyType.FAILED_CP_REQUIRED) is not None
    assert leases(net) == []


def test_more_attributes_than_are_read_end_the_ike_sa() -> None:
    net = gateway()
    attacker = HalfOpenAttacker(net)
    first, plain = encode_payloads(attacker.auth_payloads())
    body = b"\1\0\0\0" + b"\0\1\0\0" * (MOST + 1)
    data = bytes([first, 0]) + (4 + len(body)).to_bytes(2, "big") + body + plain
    answer = attacker.ask_raw(ExchangeType.IKE_AUTH, 1, PayloadType.CP, data)
    assert answer is not None
    assert query.notify(answer, NotifyType.INVALID_SYNTAX) is not None
    assert leases(net) == []
    assert not net.b.manager.ike_sas


def test_a_wrong_secret_gets_no_address() -> None:
    net = gateway()
    attacker = HalfOpenAttacker(net)
    identity, mac, *child = attacker.auth_payloads(secret=b"a guess")
    asked = CpPayload(CfgType.REQUEST, (address(),))
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, [identity, mac, asked, *child])
    assert answer is not None
    assert query.maybe(answer, CpPayload) is None
    assert leases(net) == []


def test_an_identity_without_end_is_not_kept() -> None:
    net = gateway()
    attacker = HalfOpenAttacker(net)
    identity, mac, *child = attacker.auth_payloads(identity=b"x" * 2000)
    asked = CpPayload(CfgType.REQUEST, (address(),))
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, [identity, mac, asked, *child])
    assert answer is not None
    assert query.notify(answer, NotifyType.INTERNAL_ADDRESS_FAILURE) is not None
    assert leases(net) == []


def test_requests_without_end_in_one_ike_sa_change_nothing() -> None:
    """In INFORMATIONAL, where it is told each time what it has."""
    net = gateway()
    attacker = HalfOpenAttacker(net)
    identity, mac, *child = attacker.auth_payloads()
    asked = CpPayload(CfgType.REQUEST, (address(),))
    attacker.ask(ExchangeType.IKE_AUTH, 1, [identity, mac, asked, *child])
    for message_id in range(2, 40):
        answer = attacker.ask(ExchangeType.INFORMATIONAL, message_id, [asked])
        assert answer is not None
        given = query.maybe(answer, CpPayload)
        assert given is not None
        assert given.attributes[0] == attributes.of_internal_address(ip_address("10.3.0.1"))
    assert leases(net) == ["10.3.0.1"]
