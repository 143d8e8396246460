"""Configuration payloads outside IKE_AUTH: with a further child, in INFORMATIONAL (RFC 7296 2.19, 2.20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest

from esp.packet.selectors import Selector
from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Effect
from ikepy.sa.message import query
from ikepy.sa.state.address_pools import AddressPools
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.tasks.create_exchange import CreateExchange
from ikepy.wire import attributes
from ikepy.wire.constants import CfgType, ConfigAttribute, ExchangeType, NotifyType
from ikepy.wire.payloads import Attribute, CpPayload, Payload

from .network import Network, Options, assert_joined
from .test_established import do, ike_sa
from .test_virtual_addresses import CLIENT, GATEWAY, connected, leases

Type = ConfigAttribute
ADDRESS = Attribute(attributes.ADDRESS[4])
VERSION = Attribute(Type.APPLICATION_VERSION)
ASKS = replace(CLIENT, connection='childless = "force"', local_ts='["0.0.0.0/0"]')
GIVES = replace(GATEWAY, connection='pools = ["users"]\nchildless = "force"')


class Configure(Task[IkeSa]):
    """Sends a configuration payload in INFORMATIONAL, and keeps the answer."""

    kind = TaskKind.NOTIFY
    exchange = ExchangeType.INFORMATIONAL
    answer: Sequence[Payload]

    def __init__(self, cfg_type: CfgType, *asked: Attribute) -> None:
        self._payload = CpPayload(cfg_type, asked)

    def about(self, sa: IkeSa) -> frozenset[str]:
        return frozenset()

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return [self._payload]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        self.answer = payloads
        return []


def asked(net: Network, who: str, cfg_type: CfgType, *attributes: Attribute) -> list[Payload]:
    task = Configure(cfg_type, *attributes)
    do(net, who, task)
    net.run(1)
    return list(task.answer)


def childless() -> Network:
    net = Network(ASKS, GIVES)
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    return net


def test_an_address_that_was_not_asked_for_in_time() -> None:
    """It is how a client mends FAILED_CP_REQUIRED (2.19)."""
    net = childless()
    assert any("FAILED_CP_REQUIRED" in text for text in net.a.errors())
    (reply,) = asked(net, "a", CfgType.REQUEST, ADDRESS)
    assert isinstance(reply, CpPayload)
    assert reply.cfg_type == CfgType.REPLY
    assert attributes.of_internal_address(ip_address("10.3.0.1")) in reply.attributes
    assert Attribute(attributes.DNS[4], ip_address("10.8.0.53").packed) in reply.attributes
    assert leases(net) == [("10.3.0.1", "gwa", True)]
    assert net.b.plane.networks[ike_sa(net, "b").ike_id].leases == (ip_address("10.3.0.1"),)
    assert asked(net, "a", CfgType.REQUEST, ADDRESS) == [reply], "it has it already"
    net.command("a", Initiate("ab", "net", ticket=3))
    net.run(2)
    assert net.a.outcomes[3].ok
    assert_joined(net)


def test_an_address_with_a_further_child(monkeypatch: pytest.MonkeyPatch) -> None:
    real = CreateExchange.payloads

    def payloads(self: CreateExchange, sa: IkeSa) -> list[Payload]:
        cp: Payload = CpPayload(CfgType.REQUEST, (ADDRESS,))
        return [cp, *real(self, sa)]

    monkeypatch.setattr(CreateExchange, "payloads", payloads)
    net = Network(ASKS, GIVES)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(2)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)
    (child,) = ike_sa(net, "b").children.values()
    assert child.ts_remote == (Selector.of("10.3.0.1/32"),)
    assert leases(net) == [("10.3.0.1", "gwa", True)]


@pytest.mark.parametrize("change", ["selectors", "pool"])
def test_no_address_without_the_child(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    real = CreateExchange.payloads
    monkeypatch.setattr(
        CreateExchange,
        "payloads",
        lambda self, sa: [CpPayload(CfgType.REQUEST, (ADDRESS,)), *real(self, sa)],
    )
    if change == "pool":
        monkeypatch.setattr(AddressPools, "choose", lambda *asked: None)
    net = Network(ASKS if change == "pool" else replace(ASKS, local_ts='["192.0.2.1/32"]'), GIVES)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(2)
    assert not net.a.outcomes[1].ok
    expected = "TS_UNACCEPTABLE" if change == "selectors" else "INTERNAL_ADDRESS_FAILURE"
    assert expected in net.a.outcomes[1].text
    assert not net.b.plane.networks
    assert [one for one in leases(net) if one[2]] == []


def test_our_version_is_nobodys_business() -> None:
    """An empty string, as the RFC has it for those who don't tell (2.20); of either end."""
    net = connected()
    for who in "ab":
        (reply,) = asked(net, who, CfgType.REQUEST, VERSION)
        assert reply == CpPayload(CfgType.REPLY, (VERSION,))


def test_what_is_known_and_unknown() -> None:
    net = connected()
    (reply,) = asked(net, "a", CfgType.REQUEST, Attribute(Type.SUPPORTED_ATTRIBUTES), Attribute(0x7001))
    assert isinstance(reply, CpPayload)
    assert attributes.of_supported() in reply.attributes
    assert all(one.type != 0x7001 for one in reply.attributes)


def test_nobody_sets_anything() -> None:
    net = connected()
    before = ike_sa(net, "b").network, ike_sa(net, "a").network
    for who in "ab":
        assert asked(net, who, CfgType.SET, attributes.of_internal_address(ip_address("10.9.9.9"))) == [
            CpPayload(CfgType.ACK)
        ]
    assert (ike_sa(net, "b").network, ike_sa(net, "a").network) == before


def test_a_gateway_gets_no_address_of_its_client() -> None:
    net = connected()
    (reply,) = asked(net, "b", CfgType.REQUEST, ADDRESS)
    assert reply == CpPayload(CfgType.REPLY)


def test_a_pool_that_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AddressPools, "choose", lambda *asked: None)
    net = childless()
    error = query.error(asked(net, "a", CfgType.REQUEST, ADDRESS))
    assert error is not None
    assert error.notify == NotifyType.INTERNAL_ADDRESS_FAILURE
    assert ike_sa(net, "b").established


def test_without_pools() -> None:
    net = Network(Options(), Options())
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    assert asked(net, "a", CfgType.REQUEST, ADDRESS) == [CpPayload(CfgType.REPLY)]
