"""Which addresses are exempted from other people's routes, by which way, until when; with a fake kernel."""

from __future__ import annotations

import errno
from io import StringIO
from ipaddress import ip_address, ip_network

import pytest

from ikepy.daemon import log
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.exemptions import Exemptions
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.sa.api.path import Address, Endpoint, Path
from tests.unit.daemon.fakes import NETS, PATH, SUITE, FakeNetwork, FakeTun, config
from tun.rtnetlink import BestRoute, Hop

PEER = ip_address("192.0.2.2")
ELSEWHERE = ip_address("198.51.100.9")
GATEWAY = Hop(1, ip_address("192.0.2.254"))
BESIDE = Hop(2, ip_address("203.0.113.1"))
ALL = ip_network("0.0.0.0/0")


class Bed:
    """One connection's device; `route` says what the kernel's best route to the peer is."""

    def __init__(self) -> None:
        self.network = FakeNetwork()
        self.devices = DeviceTable(config(), 1, FakeTun, self.network)
        self.devices.open()
        self.device: VtiDevice = self.devices.of("a")
        self.into = Hop(self.device.tun.index)
        self.route(GATEWAY)
        self.written = StringIO()
        log.set_up("info", self.written)
        self.exemptions = Exemptions(self.devices, self.network, RouteCheck(self.network, lambda: ["vti-a"]))
        self.look()

    def route(self, *hops: Hop) -> None:
        self.network.best[PEER] = BestRoute(ALL, hops[0].device, False, 0, hops)

    def look(self) -> dict[Address, Hop]:
        self.exemptions.check(self.device)
        return dict(self.network.exemptions)

    def lines(self) -> list[str]:
        """Of the log, after all."""
        log.close()
        self.devices.close()
        return self.written.getvalue().splitlines()


def test_the_last_known_way_where_the_only_route_was_replaced() -> None:
    bed = Bed()
    bed.route(bed.into)
    assert [bed.look(), bed.look()] == [{PEER: GATEWAY}] * 2
    bed.route(GATEWAY)
    assert bed.look() == {}
    first, last = bed.lines()
    assert "the route to 0.0.0.0/0 into vti-a covers the peer's own address 192.0.2.2" in first
    assert "192.0.2.2 is led into no tunnel any more" in last


def test_the_next_best_route_before_the_last_known_one() -> None:
    """The narrowest, then that of the best metric, through whichever device."""
    bed = Bed()
    bed.network.outside = [1, 2, bed.into.device]
    bed.network.through[PEER, 1] = BestRoute(ALL, 1, False, 200, (GATEWAY,))
    bed.network.through[PEER, 2] = BestRoute(ALL, 2, False, 100, (BESIDE,))
    bed.route(bed.into)
    assert bed.look() == {PEER: BESIDE}
    narrow = ip_network("192.0.2.0/24")
    bed.network.through[PEER, 1] = BestRoute(narrow, 1, False, 200, (GATEWAY,))
    assert bed.look() == {PEER: GATEWAY}
    bed.lines()


def test_one_of_several_next_hops_is_enough() -> None:
    bed = Bed()
    bed.route(GATEWAY, bed.into)
    bed.network.through[PEER, 1] = BestRoute(ALL, None, False, 0, (bed.into, GATEWAY))
    assert bed.look() == {PEER: GATEWAY}
    bed.lines()


def test_without_any_way_it_is_told_once() -> None:
    bed = Bed()
    bed.route(bed.into)
    bed.network.outside = [2]  # that of the last known way is gone
    assert [bed.look(), bed.look()] == [{}, {}]
    assert bed.exemptions.led_inside(PEER), "whoever sees packets there is to tell of it"
    bed.network.outside = [1]
    assert not bed.exemptions.led_inside(PEER)
    assert bed.network.exemptions == {PEER: GATEWAY}
    first, second = bed.lines()
    assert "the routes lead 192.0.2.2 into vti-a" in first
    assert "go through 192.0.2.254 on" in second


def test_a_rule_before_ours_is_named() -> None:
    bed = Bed()
    bed.route(bed.into)
    bed.network.outlets[PEER] = "vti-a"
    assert [bed.look(), bed.look()] == [{}, {}]
    (line,) = bed.lines()
    assert "a rule of a preference below 5 is in the way" in line


def test_a_peer_that_moves_is_followed() -> None:
    """The address where it is now, as long as there is a child; the configured one always."""
    bed = Bed()
    path = Path(PATH.local, Endpoint(ELSEWHERE, 4500))
    bed.devices.child_up(1, "a", NETS, path, True, SUITE)
    bed.network.best[ELSEWHERE] = BestRoute(ALL, 1, False, 0, (GATEWAY,))
    bed.look()
    for address in (PEER, ELSEWHERE):
        bed.network.best[address] = BestRoute(ALL, bed.into.device, False, 0, (bed.into,))
    assert bed.look() == {PEER: GATEWAY, ELSEWHERE: GATEWAY}
    bed.devices.child_down(1, "a")
    assert bed.look() == {PEER: GATEWAY}
    bed.exemptions.close()
    assert not bed.network.exemptions
    bed.lines()


def test_a_route_that_cannot_be_asked_for_ends_no_exemption(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed()
    bed.route(bed.into)
    assert bed.look() == {PEER: GATEWAY}
    with monkeypatch.context() as patch:
        patch.setattr(bed.network, "best_route", _no_descriptor)
        with pytest.raises(OSError, match="Too many"):
            bed.look()
        assert not bed.exemptions.led_inside(PEER)
    assert bed.network.exemptions == {PEER: GATEWAY}
    bed.route(GATEWAY)
    assert bed.look() == {}
    bed.lines()


@pytest.mark.parametrize("removed", [False, True])
def test_a_peer_that_could_not_be_asked_for_may_go(monkeypatch: pytest.MonkeyPatch, removed: bool) -> None:
    """Its child ends, or its connection goes, before a question gets an answer."""
    bed = Bed()
    bed.devices.child_up(1, "a", NETS, Path(PATH.local, Endpoint(ELSEWHERE, 4500)), True, SUITE)
    with monkeypatch.context() as patch:
        patch.setattr(bed.network, "best_route", _no_descriptor)
        with pytest.raises(OSError, match="Too many"):
            bed.look()
    if removed:
        bed.exemptions.forget(bed.device)
    else:
        bed.devices.child_down(1, "a")
        assert bed.look() == {}
    bed.lines()


def _no_descriptor(*asked: object) -> BestRoute | None:
    raise OSError(errno.EMFILE, "Too many open files")
