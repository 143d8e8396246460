"""What the ends tell each other beside: INVALID_SELECTORS (RFC 4301 5.2), TFC padding (RFC 7296 1.3.1)."""

from __future__ import annotations

import pytest

from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Effect, Level, Log
from ikepy.sa.api.events import PacketRefused
from ikepy.sa.exchange import child_negotiation
from ikepy.sa.exchange.child_negotiation import ChildOffer
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload
from tests.unit.esp.packets import ipv4, ipv6

from .network import Network, Options, assert_joined


def established(a: Options | None = None, b: Options | None = None) -> Network:
    net = Network(a, b or Options())
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    net.ladder.clear()
    return net


def refuse(net: Network, name: str, start: bytes) -> list[Effect]:
    """One end's data plane has dropped a packet of the peer's."""
    site = net.site(name)
    (child_id,) = site.plane.inbound
    effects = site.manager.not_permitted(child_id, start, net.now)
    net.run_effects(name, effects)
    return effects


def warnings(net: Network, name: str) -> list[str]:
    return [log.text for log in net.site(name).logs if log.level is Level.WARNING]


@pytest.mark.parametrize("start", [ipv4(protocol=17)[:64], ipv6()[:64], b"", b"\x45junk"])
def test_a_packet_outside_the_selectors_is_told_and_logged_and_nothing_else(start: bytes) -> None:
    net = established()
    refuse(net, "b", start)
    net.run(1)
    assert net.ladder == ["b -> a INFORMATIONAL request 0", "a -> b INFORMATIONAL response 0"]
    (text,) = warnings(net, "a")
    assert "under net #1 (INVALID_SELECTORS)" in text
    if len(start) > 20:
        assert " -> " in text
    assert_joined(net)


def test_it_is_told_now_and_then_only() -> None:
    net = established()
    for _ in range(50):
        refuse(net, "b", ipv4())
        net.run(1)
    assert 2 <= net.ladder.count("a -> b INFORMATIONAL response 0") + len(net.ladder) // 2 <= 8
    assert len(warnings(net, "a")) <= 7


def test_it_need_not_be_told() -> None:
    net = established(Options(), Options(daemon="invalid_selectors = false"))
    effects = refuse(net, "b", ipv4())
    net.run(1)
    assert [type(effect) for effect in effects] == [PacketRefused, Log]
    assert not net.ladder
    (text,) = warnings(net, "b")
    assert text == "net #1: dropped 10.1.0.1 -> 10.2.0.1, protocol 253, which its selectors do not permit"


def test_of_a_child_that_is_gone() -> None:
    net = established()
    assert not net.b.manager.not_permitted(99, ipv4(), net.now)


# TFC padding


def padding(net: Network) -> list[int | str]:
    """What a's and b's outbound SAs are padded to."""
    return [sa.tfc_padding for site in (net.a, net.b) for sa in site.plane.outbound.values()]


def test_tfc_padding_for_those_who_ask() -> None:
    net = established(Options(child="tfc_padding = 1000"), Options(child='tfc_padding = "mtu"'))
    assert padding(net) == [1000, "mtu"]
    net.command("b", Rekey(child="net"))
    net.run(10)
    assert padding(net) == [1000, "mtu"], "after a rekey as well"
    assert padding(established()) == [0, 0]


@pytest.mark.parametrize("refusing", ["initiator", "responder"])
def test_a_peer_that_takes_no_tfc_padding_gets_none(refusing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notify in one direction's message is for that direction alone (RFC 7296 1.3.1)."""
    kind = ChildOffer if refusing == "initiator" else child_negotiation.ChildChoice
    payloads = kind.payloads

    def with_refusal(self: object, *rest: int) -> list[Payload]:
        return [*payloads(self, *rest), NotifyPayload(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED)]  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "payloads", with_refusal)
    tfc = Options(child="tfc_padding = 1000")
    assert padding(established(tfc, tfc)) == ([1000, 0] if refusing == "initiator" else [0, 1000])
