"""Transport mode between two machines: notify, selectors, refusals, rekeys, a NAT (RFC 7296 2.23.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address

import pytest

from esp.packet.selectors import Selector
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.path import Endpoint
from ikepy.sa.negotiation.traffic_selectors import to_payload
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.payloads import Payload

from .network import Network, Options, assert_joined
from .tampering import answer_otherwise

GRE = Options(
    local_ts='["0.0.0.0/0[gre]"]', remote_ts='["0.0.0.0/0[gre]"]', child='mode = "transport"\nrekey_time = 0'
)
TUNNEL = replace(GRE, child="rekey_time = 0")
OUTER = IPv4Address("198.51.100.9")  # as which B sees A behind a NAT


def up(net: Network) -> None:
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)


def carried(net: Network, name: str) -> tuple[str, str, bool]:
    """What the only child of one end carries, and whether in transport mode."""
    (inbound,) = net.site(name).plane.inbound.values()
    (outbound,) = net.site(name).plane.outbound.values()
    assert inbound.transport == outbound.transport
    assert (inbound.ts_local, inbound.ts_remote) == (outbound.ts_local, outbound.ts_remote)
    return (
        " ".join(map(str, inbound.ts_local)),
        " ".join(map(str, inbound.ts_remote)),
        inbound.transport,
    )


def test_both_ends_agree() -> None:
    """Of wide selectors IKE's own addresses are negotiated."""
    net = Network(GRE)
    up(net)
    assert net.a.outcomes[1].ok
    assert carried(net, "a") == ("192.0.2.1/32[47]", "192.0.2.2/32[47]", True)
    assert carried(net, "b") == ("192.0.2.2/32[47]", "192.0.2.1/32[47]", True)
    assert_joined(net, 1)


@pytest.mark.parametrize("by", ["a", "b"])
def test_a_rekey_keeps_the_mode(by: str) -> None:
    net = Network(GRE)
    up(net)
    before = {sa.spi for sa in net.site(by).plane.outbound.values()}
    net.command(by, Rekey(child="net", ticket=2))
    net.run(60)
    assert net.site(by).outcomes[2].ok
    assert before.isdisjoint({sa.spi for sa in net.site(by).plane.outbound.values()})
    assert carried(net, "a")[2] and carried(net, "b")[2]
    assert_joined(net, 1)


def test_a_peer_that_declines_is_refused() -> None:
    """It may choose tunnel mode; we do without then, and it deletes its half."""
    net = Network(GRE, TUNNEL)
    up(net)
    assert not net.a.outcomes[1].ok
    assert "declines transport mode" in net.a.outcomes[1].text
    assert not net.a.plane.inbound
    net.run(60)
    assert not net.b.plane.inbound


def test_a_peer_that_does_not_ask_is_refused() -> None:
    net = Network(TUNNEL, GRE)
    up(net)
    assert not net.a.outcomes[1].ok
    assert NotifyType.NO_PROPOSAL_CHOSEN.name in net.a.outcomes[1].text
    assert not net.a.plane.inbound and not net.b.plane.inbound
    assert any("asks for tunnel mode" in text for text in net.b.errors())


@pytest.mark.parametrize(
    "theirs",
    [
        (Selector.of("192.0.2.0/24", 47),),
        (Selector.of("192.0.2.2/32", 47), Selector.of("192.0.2.3/32", 47)),
        (Selector.of("192.0.2.3/32", 47),),
        (Selector.of("192.0.2.2/32", 17),),
        (Selector.of("2001:db8::2/128", 47),),
    ],
    ids=["a range", "two addresses", "another one", "another protocol", "another version"],
)
@pytest.mark.parametrize("nat", [False, True], ids=["", "NAT"])
def test_selectors_that_we_did_not_offer(theirs: tuple[Selector, ...], nat: bool) -> None:
    """Nothing is installed, and the peer's half is deleted; a NAT of ours excuses nothing of the peer's."""
    net = Network(GRE, replace(GRE, remote_addrs="%any"))
    if nat:
        net.nat_to_a = Endpoint(OUTER, 40500)
    act = partial(net.command, "a", Initiate("ab", "net", ticket=1))
    answer_otherwise(net, "b -> a IKE_AUTH response 1", act, partial(_with_ts, theirs))
    net.run(60)
    assert not net.a.outcomes[1].ok
    assert not net.a.plane.inbound and not net.b.plane.inbound


def _with_ts(theirs: tuple[Selector, ...], payloads: Sequence[Payload]) -> Sequence[Payload]:
    return [to_payload(PayloadType.TS_R, theirs) if one.type is PayloadType.TS_R else one for one in payloads]


def test_behind_a_nat_each_end_has_the_addresses_that_it_knows() -> None:
    net = Network(GRE, replace(GRE, remote_addrs="%any"))
    net.nat_to_a = Endpoint(OUTER, 40500)
    up(net)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert carried(net, "a") == ("192.0.2.1/32[47]", "192.0.2.2/32[47]", True)
    assert carried(net, "b") == ("192.0.2.2/32[47]", f"{OUTER}/32[47]", True)
    net.command("b", Rekey(child="net", ticket=2))
    net.run(60)
    assert net.b.outcomes[2].ok, net.b.outcomes[2].text
    assert carried(net, "a")[:2] == ("192.0.2.1/32[47]", "192.0.2.2/32[47]")
    assert carried(net, "b")[:2] == ("192.0.2.2/32[47]", f"{OUTER}/32[47]")
