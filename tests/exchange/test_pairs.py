"""Children that carry a part of what is configured: one pair each, asked for by packets (RFC 7296 2.9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from esp.packet.selectors import Selector
from ikepy.config.model import Child
from ikepy.errors import PeerError
from ikepy.sa.api.commands import Acquire, ChildrenLost, Initiate, Rekey, Terminate
from ikepy.sa.exchange import child_negotiation
from ikepy.sa.exchange.child_negotiation import ChildChoice
from ikepy.sa.message import query
from ikepy.sa.negotiation.traffic_selectors import from_payload
from ikepy.sa.negotiation.ts_request import Pair, Selectors, TsRequest, is_partial
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.payloads import Payload

from .network import Network, Options, assert_joined

LEFT, RIGHT = ("10.1.0.0/24", "10.1.1.0/24"), ("10.2.0.0/24", "10.2.1.0/24")
SHORT = "rekey_time = 0"

# One child with two networks a side, and a peer that has a child for each of two pairs.
WIDE = Options(local_ts=f'["{LEFT[0]}", "{LEFT[1]}"]', remote_ts=f'["{RIGHT[0]}", "{RIGHT[1]}"]', child=SHORT)
MIRRORED = Options(local_ts=WIDE.remote_ts, remote_ts=WIDE.local_ts, child=SHORT)
TRAP = replace(WIDE, child=f'{SHORT}\nstart_action = "trap"')
PAIRS = Options(
    local_ts=f'["{RIGHT[0]}"]',
    remote_ts=f'["{LEFT[0]}"]',
    child=SHORT,
    more=f"""
[connections.ab.children.second]
local_ts = ["{RIGHT[1]}"]
remote_ts = ["{LEFT[1]}"]
esp_proposals = ["aes128gcm16"]
{SHORT}
""",
)


def tcp(source: str, destination: str) -> Acquire:
    """A packet from port 1000 to port 443."""
    ports = ((6, 1000, 1000), (6, 443, 443))
    ours, theirs = (Selector.of(f"{a}/32", *p) for a, p in zip((source, destination), ports, strict=True))
    return Acquire("ab", ours, theirs)


FIRST, SECOND = tcp("10.1.0.5", "10.2.0.9"), tcp("10.1.1.5", "10.2.1.9")


def carried(net: Network, name: str = "a") -> set[tuple[str, str]]:
    """What each child of one end sends, as text."""
    return {
        (" ".join(map(str, sa.ts_local)), " ".join(map(str, sa.ts_remote)))
        for sa in net.site(name).plane.outbound.values()
    }


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], list[str]]]:
    """TSi and TSr of every offer that a responder sees."""
    seen: list[tuple[list[str], list[str]]] = []

    def watch(choose: Callable[..., ChildChoice]) -> Callable[..., ChildChoice]:
        def watched(sa: IkeSa, payloads: Sequence[Payload], **rest: bool | Child | None) -> ChildChoice:
            seen.append((_texts(payloads, PayloadType.TS_I), _texts(payloads, PayloadType.TS_R)))
            return choose(sa, payloads, **rest)

        return watched

    monkeypatch.setattr(child_negotiation, "choose", watch(child_negotiation.choose))
    return seen


def _texts(payloads: Sequence[Payload], type: PayloadType) -> list[str]:
    return list(map(str, from_payload(query.selectors(payloads, type))))


@pytest.fixture
def single_pairs(monkeypatch: pytest.MonkeyPatch, offers: list[object]) -> list[bool]:
    """Responders take single pairs only; with True in the list, of addresses."""
    hosts: list[bool] = []
    choose = child_negotiation.choose

    def strict(sa: IkeSa, payloads: Sequence[Payload], **rest: object) -> ChildChoice:
        sides = [from_payload(query.selectors(payloads, t)) for t in (PayloadType.TS_I, PayloadType.TS_R)]
        choice = choose(sa, payloads, **rest)  # type: ignore[arg-type]
        if any(len(side) > 1 or (hosts and side[0].first != side[0].last) for side in sides):
            raise PeerError(NotifyType.SINGLE_PAIR_REQUIRED, "one pair a child")
        return choice

    monkeypatch.setattr(child_negotiation, "choose", strict)
    return hosts


def test_the_packet_stands_first(offers: list[tuple[list[str], list[str]]]) -> None:
    """a -> b: TSi 10.1.0.5[tcp/1000] 10.1.0.0/24 ...; b takes it all."""
    net = Network(TRAP, MIRRORED)
    net.command("a", FIRST)
    net.run(1)
    assert offers == [(["10.1.0.5/32[tcp/1000]", *LEFT], ["10.2.0.9/32[tcp/443]", *RIGHT])]
    assert carried(net) == {(" ".join(LEFT), " ".join(RIGHT))}
    assert_joined(net)


def test_the_narrowest_trap_is_the_one_that_comes_up() -> None:
    trap = 'start_action = "trap"\n'
    ten = '["10.0.0.0/8"]'
    narrow = 'local_ts = ["10.1.0.0/24"]\nremote_ts = ["10.2.0.0/24"]\n'
    more = f"[connections.ab.children.narrow]\n{narrow}{trap}"
    net = Network(Options(local_ts=ten, remote_ts=ten, child=trap, more=more), Options())
    net.command("a", FIRST)
    net.run(1)
    assert carried(net) == {("10.1.0.0/24", "10.2.0.0/24")}
    net.command("a", tcp("10.9.0.1", "10.8.0.1"))
    net.run(1)
    assert carried(net) == {("10.1.0.0/24", "10.2.0.0/24"), ("10.0.0.0/8", "10.0.0.0/8")}


def test_ports_that_the_child_does_not_have_bring_nothing_up() -> None:
    trap = Options(remote_ts='["10.2.0.0/24[tcp/80]"]', child='start_action = "trap"')
    net = Network(trap, Options())
    net.command("a", FIRST)
    net.run(1)
    assert not net.ladder


def test_a_peer_that_narrows_to_one_pair_gets_the_others_on_demand(
    offers: list[tuple[list[str], list[str]]],
) -> None:
    """IKE_AUTH: everything, narrowed to the first pair. Then a packet of the second: CREATE_CHILD_SA."""
    net = Network(WIDE, PAIRS)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].ok
    assert carried(net) == {(LEFT[0], RIGHT[0])}
    (first,) = net.a.plane.outbound.values()
    assert list(map(str, first.trapped)) == list(RIGHT), "the rest is asked for when it is needed"
    assert any("permits other selectors" in log.text for log in net.a.logs)  # ADDITIONAL_TS_POSSIBLE
    net.ladder.clear()
    net.command("a", SECOND)
    net.run(1)
    assert net.ladder == ["a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA response 2"]
    assert offers[-1] == (["10.1.1.5/32[tcp/1000]", LEFT[1]], ["10.2.1.9/32[tcp/443]", RIGHT[1]])
    assert carried(net) == {(LEFT[0], RIGHT[0]), (LEFT[1], RIGHT[1])}
    assert_joined(net, 2)
    net.command("a", FIRST)
    net.command("a", SECOND)
    net.run(1)
    assert len(net.ladder) == 2, "both are carried"


def test_the_packet_decides_which_pair_is_the_first() -> None:
    net = Network(TRAP, PAIRS)
    net.command("a", SECOND)
    net.run(1)
    assert carried(net) == {(LEFT[1], RIGHT[1])}
    assert_joined(net)


def test_a_pair_that_the_peer_does_not_have_is_not_asked_for_time_and_again() -> None:
    """10.1.0.0/24 === 10.2.1.0/24 is in our configuration and in none of the peer's."""
    net = Network(WIDE, PAIRS)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.ladder.clear()
    for _ in range(120):
        net.command("a", tcp("10.1.0.5", "10.2.1.9"))
        net.run(1)
    assert 2 <= sum("CREATE_CHILD_SA request" in line for line in net.ladder) <= 8
    assert carried(net) == {(LEFT[0], RIGHT[0])}
    net.run(10)
    assert_joined(net)


@pytest.mark.parametrize("who", ["a", "b"])
def test_each_pair_is_rekeyed_as_what_it_is(who: str) -> None:
    net = Network(WIDE, PAIRS)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.command("a", SECOND)
    net.run(1)
    before = carried(net)
    for child_id in list(net.site(who).plane.inbound):
        net.command(who, Rekey(child_id=child_id))
        net.run(10)
    assert carried(net) == before
    assert_joined(net, 2)
    net.command("a", ChildrenLost(tuple(net.a.plane.inbound)))
    net.run(10)
    assert carried(net) == before
    assert_joined(net, 2)


def test_close_action_brings_back_the_pair_that_was_closed() -> None:
    again = replace(WIDE, child=f'{SHORT}\nclose_action = "start"')
    net = Network(again, PAIRS)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.command("a", SECOND)
    net.run(20)
    net.command("b", Terminate(child="second"))
    net.run(10)
    assert carried(net) == {(LEFT[0], RIGHT[0]), (LEFT[1], RIGHT[1])}
    assert_joined(net, 2)


@pytest.mark.parametrize("childless", [False, True])
def test_single_pair_required(childless: bool, single_pairs: list[bool]) -> None:
    """In IKE_AUTH, and in CREATE_CHILD_SA: the first pair is asked for, the others when they are needed."""
    extra = 'childless = "prefer"' if childless else ""
    net = Network(replace(WIDE, connection=extra), MIRRORED)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert carried(net) == {(LEFT[0], RIGHT[0])}
    net.command("a", SECOND)
    net.run(1)
    assert carried(net) == {(LEFT[0], RIGHT[0]), (LEFT[1], RIGHT[1])}
    assert_joined(net, 2)


def test_single_pair_of_addresses(single_pairs: list[bool]) -> None:
    """Nothing but host to host: the packet's addresses, for every packet of another host a child."""
    single_pairs.append(True)
    net = Network(TRAP, MIRRORED)
    net.command("a", FIRST)
    net.run(1)
    assert carried(net) == {("10.1.0.5/32", "10.2.0.9/32")}
    net.run(10)
    net.command("a", tcp("10.1.0.5", "10.2.0.10"))
    net.run(1)
    assert carried(net) == {("10.1.0.5/32", "10.2.0.9/32"), ("10.1.0.5/32", "10.2.0.10/32")}
    assert_joined(net, 2)


def test_single_pair_without_a_packet_to_tell_which(single_pairs: list[bool]) -> None:
    single_pairs.append(True)
    net = Network(WIDE, MIRRORED)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert not net.a.outcomes[1].ok
    assert "SINGLE_PAIR_REQUIRED" in net.a.outcomes[1].text
    assert net.ladder.count("a -> b CREATE_CHILD_SA request 2") == 1
    assert not net.a.plane.inbound


def test_a_peer_may_ask_for_one_pair_after_the_other() -> None:
    """b's children are pairs of a's one child: a takes both, and knows that it could have more."""
    net = Network(WIDE, PAIRS)
    net.command("b", Initiate("ab", "net"))
    net.run(1)
    net.command("b", Initiate("ab", "second"))
    net.run(1)
    assert carried(net) == {(LEFT[0], RIGHT[0]), (LEFT[1], RIGHT[1])}
    assert all(sa.trapped for sa in net.a.plane.outbound.values())
    assert_joined(net, 2)


def of(local: str, remote: str) -> Selectors:
    return Selectors(*(tuple(map(Selector.of, side.split())) for side in (local, remote)))


def test_a_wildcard_that_is_narrowed_is_no_part() -> None:
    everything = of("0.0.0.0/0 ::/0", "0.0.0.0/0 ::/0")
    assert not is_partial(everything, of("10.1.0.0/24", "10.2.0.0/24"), more=False)
    assert is_partial(everything, of("10.1.0.0/24", "10.2.0.0/24"), more=True)
    assert not is_partial(everything, everything, more=True)
    two = of("10.1.0.0/24 10.1.1.0/24", "10.2.0.0/24")
    assert is_partial(two, of("10.1.0.0/24", "10.2.0.0/24"), more=False)
    assert not is_partial(two, of("10.1.0.0/25 10.1.1.0/25", "10.2.0.0/24"), more=False)


def test_narrower_and_narrower() -> None:
    own = of("10.1.0.0/24 fd00::/64", "fd01::/64 10.2.0.0/24")
    pair = TsRequest().narrower(own)
    assert pair is not None
    assert pair.offer(own) == of("10.1.0.0/24", "10.2.0.0/24"), "of one version"
    assert pair.narrower(own) is None
    packet = Pair(Selector.of("fd00::5/128", 6, 1, 1), Selector.of("fd01::6/128", 6, 2, 2))
    pair = TsRequest(packet).narrower(own)
    assert pair is not None
    assert pair.offer(own) == of("fd00::/64", "fd01::/64")
    hosts = pair.narrower(own)
    assert hosts is not None
    assert hosts.offer(own) == of("fd00::5/128", "fd01::6/128")
    assert hosts.narrower(own) is None
