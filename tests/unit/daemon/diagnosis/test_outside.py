"""Packets outside the selectors, out and in: which, how many, whose configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest

from esp.packet.selectors import Selector
from ikepy.config.model import Connection
from ikepy.daemon.bus.daemon_events import PacketWithoutSa
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.snapshot import InstalledChild
from ikepy.daemon.diagnosis import outside
from ikepy.daemon.diagnosis.diagnose import RECENT
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.history import Dropped, History, Unmatched
from ikepy.sa.api.events import ChildUp

from .bed import BOTH, CHILD, DEVICE, NOTHING, SA, Bed, codes, connection, every

SOURCE = "10.1.0.1"


def event(destination: str, source: str = SOURCE, count: int = 1) -> PacketWithoutSa:
    return PacketWithoutSa("a", "vti-a", count, ip_address(source), ip_address(destination), 6)


def child(
    name: str = "net",
    local: str = "10.1.0.0/24",
    remote: str = "10.2.0.0/24",
    *,
    ports: bool = True,
    drops: int = 0,
) -> InstalledChild:
    there = Selector.of(remote) if ports else Selector.of(remote, 6, 80, 80)
    sa = replace(CHILD, name=name, ts_local=(Selector.of(local),), ts_remote=(there,))
    return InstalledChild(sa, "vti-a", replace(NOTHING, drops={"selectors": drops}))


def going_out(
    last: PacketWithoutSa,
    installed: Sequence[InstalledChild],
    config: Connection | None = None,
    sent: bool = True,
) -> list[Finding]:
    config, by_name = config or connection(), {one.sa.name: one for one in installed}
    return list(outside.going_out(Unmatched(1.0, 3, last), config, by_name, DEVICE, sent=sent))


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (event("10.9.0.1"), "10.9.0.1 is in no remote_ts."),
        (
            event("10.2.0.9", "10.8.0.1"),
            "10.8.0.1 is in no local_ts. The route 10.2.0.0/24 leads it into vti-a.",
        ),
        (event("10.9.0.1", "10.8.0.1"), "10.8.0.1 is in no local_ts and 10.9.0.1 is in no remote_ts."),
    ],
)
def test_ours(packet: PacketWithoutSa, why: str) -> None:
    (told,) = going_out(packet, [child()])
    assert (told.code, told.severity, told.at) == (Code.OUTSIDE_SELECTORS_OUT, Severity.WARNING, 1.0)
    assert told.what == (
        f"3 packets that came into vti-a were dropped: outside the selectors of its children; the last one "
        f"{packet.packet}."
    )
    assert told.why == why
    assert told.ours == ("10.1.0.0/24 === 10.2.0.0/24",)
    (told,) = going_out(packet, [child()], sent=False)
    assert told.severity is Severity.ERROR


def test_the_peers() -> None:
    (told,) = going_out(event("10.2.0.200"), [child(remote="10.2.0.0/25")])
    assert "the peer has taken less than we asked for" in told.why
    assert "the peer's configuration" in told.do


def test_a_child_that_is_down() -> None:
    keys = {"local_ts": ["10.1.0.0/24"], "remote_ts": ["10.7.0.0/24"], "esp_proposals": ["aes128gcm16"]}
    children = {
        "net": {"name": "net", **keys, "remote_ts": ["10.2.0.0/24"]},
        "more": {"name": "more", **keys},
    }
    (told,) = going_out(event("10.7.0.1"), [child()], connection(children=children))
    assert told.why == "more would carry it, and is not up."


def test_ports_and_what_came_too_early() -> None:
    (told,) = going_out(event("10.2.0.1"), [child(ports=False)])
    assert told.why == "The ports, or the ICMP type, are outside those of net."
    assert not going_out(event("10.2.0.1"), [child()]), "it came before the child was up"
    assert not going_out(event("10.9.0.1"), []), "that no child is up says all"


def test_addresses_that_the_configuration_leaves_open() -> None:
    config = connection(child={"local_ts": ["dynamic"]})
    (told,) = going_out(event("10.2.0.9", "192.0.2.77"), [child(local="192.0.2.1/32")], config)
    assert "the peer has taken less" in told.why


def test_they_are_counted_until_a_child_comes_up() -> None:
    bus, history = EventBus(), History(lambda: 7.0)
    history.listen(bus)
    for number in (1, 20):
        bus.publish(event("10.9.0.1", count=number))
    assert history.of("a").unmatched == Unmatched(7.0, 21, event("10.9.0.1", count=20))
    bus.publish(ChildUp(SA, CHILD))
    assert history.of("a").unmatched is None


def test_in_the_diagnosis() -> None:
    bed = Bed()
    bed.happens(ChildUp(SA, CHILD))
    bed.history.note_unmatched(event("10.9.0.1"))
    assert codes(bed.diagnosis(up=True)) == [Code.OUTSIDE_SELECTORS_OUT], "and not that nothing was sent"
    (told,) = every(bed.diagnosis(up=True, counters=BOTH))
    assert told.severity is Severity.WARNING
    bed.now += RECENT + 1
    assert Code.OUTSIDE_SELECTORS_OUT not in codes(bed.diagnosis(up=True))


PACKETS: Mapping[int, str] = {  # from 10.9.0.1 to 10.1.0.1; from fd09::1 to fd01::1
    4: "4500001c00000000400600000a0900010a010001",
    6: f"6000000000000640fd09{'0' * 27}1fd01{'0' * 27}1",
}


def coming_in(last: bytes | None, *installed: InstalledChild, config: Connection | None = None) -> Finding:
    by_name = {one.sa.name: one for one in installed}
    dropped = None if last is None else Dropped(1.0, 1, last)
    (told,) = outside.coming_in(installed[0], dropped, config or connection(), by_name)
    return told


@pytest.mark.parametrize("version", PACKETS)
def test_from_the_peer(version: int) -> None:
    told = coming_in(bytes.fromhex(PACKETS[version]), child(drops=1))
    assert told.what.startswith(
        "1 packet of the peer was dropped: outside the selectors of net, the last one"
    )
    assert f"{'10.9.0.1' if version == 4 else 'fd09::1'} is in no remote_ts" in told.why
    assert not list(outside.coming_in(child(), None, connection(), {}))


def test_from_the_peer_under_another_sa() -> None:
    told = coming_in(bytes.fromhex(PACKETS[4]), child(drops=2), child("other", remote="10.9.0.0/24"))
    assert told.why.startswith("other permits it: the peer sends it under the SA of net")


def test_from_the_peer_that_agreed_to_less() -> None:
    config = connection(child={"remote_ts": ["10.0.0.0/8"]})
    told = coming_in(bytes.fromhex(PACKETS[4]), child(drops=2), config=config)
    assert told.why == "Our configuration permits it; the peer agreed to less than it sends."


@pytest.mark.parametrize("start", [None, b"", b"\x45", b"\x60" * 30])
def test_a_packet_that_is_not_known(start: bytes | None) -> None:
    assert "mend the peer's configuration" in coming_in(start, child(drops=2)).do
