"""Devices: MTU from the uplink and the suite's overhead, routes, carrier, and nothing half-applied."""

from __future__ import annotations

from io import StringIO
from ipaddress import ip_address, ip_network

import pytest

from esp.packet.selectors import Selector
from esp.sa.suites import inner_mtu, suite_for
from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.device.devices import FITS, DeviceTable
from ikepy.daemon.device.mtu import suites_of
from ikepy.daemon.errors import StartError
from ikepy.sa.api.path import Endpoint, Path
from tests.unit.daemon.fakes import NETS, PATH, SUITE, FakeNetwork, FakeTun, config, connection
from tun.rtnetlink import BestRoute

CBC = suite_for(12, 256, 12)


class Bed:
    def __init__(self, configuration: Config, workers: int = 2) -> None:
        self.network = FakeNetwork()
        self.tuns: dict[str, FakeTun] = {}
        self.config = configuration
        self.now = 0.0
        self.devices = DeviceTable(configuration, workers, self.make, self.network, clock=lambda: self.now)

    def make(self, name: str) -> FakeTun:
        if name in self.tuns:
            raise OSError(16, f"cannot make {name}: a device of that name exists already")
        self.tuns[name] = FakeTun(name)
        return self.tuns[name]

    def open(self) -> Bed:
        self.devices.open()
        return self

    def __enter__(self) -> Bed:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.devices.close()

    def up(self, child_id: int = 1, ts: tuple[Selector, ...] = NETS, encap: bool = False) -> None:
        self.devices.child_up(child_id, "a", ts, PATH, encap, SUITE)


def test_before_a_child_the_largest_overhead_is_assumed() -> None:
    with Bed(config()) as bed:
        assert bed.network.mtus["vti-a"] == inner_mtu(1500, 4, True, CBC)


@pytest.mark.parametrize("encap", [False, True])
def test_a_child_sets_the_mtu_that_its_suite_leaves(encap: bool) -> None:
    with Bed(config()) as bed:
        bed.up(encap=encap)
        assert bed.network.mtus["vti-a"] == inner_mtu(1500, 4, encap, SUITE)


def test_the_kernel_is_asked_once_for_children_of_one_path() -> None:
    with Bed(config(child={"remote_ts": ["10.2.0.0/24"]})) as bed:
        before = bed.network.uplinks_asked
        for child_id in range(1, 100):
            bed.up(child_id)
        assert bed.network.uplinks_asked == before + 1
        bed.network.uplink = 1400
        bed.devices.refit(bed.devices.of("a"))
        assert bed.network.mtus["vti-a"] == inner_mtu(1400, 4, False, SUITE), "when told of other routes"
        bed.network.uplink = 1300
        bed.now = FITS
        bed.up(100)
        assert bed.network.mtus["vti-a"] == inner_mtu(1300, 4, False, SUITE), "and after a while"
        bed.up(101, encap=True)
        assert bed.network.mtus["vti-a"] == inner_mtu(1300, 4, True, SUITE), "and for another overhead"


def test_a_configured_mtu_stays() -> None:
    with Bed(config({"mtu": 1400, "mss_clamp": True})) as bed:
        bed.up()
        assert bed.network.mtus["vti-a"] == 1400
        assert bed.devices.of("a").mss == (1360, 1340)


def test_whoever_clamps_the_mss_is_told_of_another_mtu() -> None:
    told: list[tuple[int, int]] = []
    with Bed(config({"mss_clamp": True})) as bed:
        bed.devices.mtu_changed = lambda device: told.append(device.mss)
        bed.up()
        bed.network.uplink = 1400
        bed.devices.refit(bed.devices.of("a"))
        bed.devices.refit(bed.devices.of("a"))
    assert told == [
        (inner_mtu(uplink, 4, False, SUITE) - 40, max(inner_mtu(uplink, 4, False, SUITE), 1280) - 60)
        for uplink in (1500, 1400)
    ]


def test_ipv6_inside_never_goes_below_its_least_mtu() -> None:
    with Bed(config()) as bed:
        bed.network.uplink = 1280
        bed.up()
        assert bed.network.mtus["vti-a"] == 1280
    with Bed(config(child={"remote_ts": ["10.2.0.0/24"]})) as bed:
        bed.network.uplink = 1280
        bed.up()
        assert bed.network.mtus["vti-a"] == inner_mtu(1280, 4, False, SUITE)


def test_without_a_known_peer_the_outer_ip_header_is_the_longer_one() -> None:
    with Bed(config(remote_addrs=["%any"])) as bed:
        assert bed.network.mtus["vti-a"] == inner_mtu(1500, 6, True, CBC)


def test_every_suite_that_proposals_permit_is_counted() -> None:
    proposals = config(child={"esp_proposals": ["aes128-aes256-sha1-sha512", "chacha20poly1305"]})
    names = {suite.name for suite in suites_of(proposals.connections["a"].children["net"].esp_proposals)}
    assert names == {
        "AES_CBC_128/HMAC_SHA1_96",
        "AES_CBC_256/HMAC_SHA1_96",
        "AES_CBC_128/HMAC_SHA2_512_256",
        "AES_CBC_256/HMAC_SHA2_512_256",
        "CHACHA20_POLY1305",
    }


def test_negotiated_routes_stay_as_long_as_one_child_needs_them() -> None:
    with Bed(config()) as bed:
        bed.up(1)
        bed.up(2, NETS[:1])
        bed.devices.child_down(1, "a")
        assert bed.network.routes["vti-a"] == {"10.2.0.0/24"}
        bed.devices.child_down(1, "a")  # again: nothing happens
        bed.devices.child_down(2, "a")
        assert bed.network.routes["vti-a"] == set()


def test_no_route_for_everything() -> None:
    with Bed(config()) as bed:
        bed.up(1, (Selector.of("0.0.0.0/0"), Selector.of("::/0"), *NETS[:1]))
        assert bed.network.routes["vti-a"] == {"10.2.0.0/24"}


PEER = ip_address("192.0.2.2")
SIBLINGS = {"192.0.2.0/31", "192.0.2.3/32"}  # of the peer, in a network of four


def test_the_peers_own_address_is_left_out_of_what_is_negotiated() -> None:
    with Bed(config()) as bed:
        bed.up(1, (Selector.of("192.0.2.0/30"),))
        assert bed.network.routes["vti-a"] == SIBLINGS
        bed.devices.child_down(1, "a")
        assert bed.network.routes["vti-a"] == set()


def test_it_is_left_out_of_configured_routes_before_there_is_a_child() -> None:
    with Bed(config({"routes": ["192.0.2.0/30", "0.0.0.0/0"]})) as bed:
        routes = {ip_network(route) for route in bed.network.routes["vti-a"]}
        assert len(routes) == 32
        assert not any(PEER in route for route in routes)
        assert sum(route.num_addresses for route in routes) == 2**32 - 1


def test_a_peer_that_moves_is_left_out_where_it_is_now() -> None:
    moved = Path(PATH.local, Endpoint(ip_address("198.51.100.9"), 4500))
    with Bed(config({"routes": ["198.51.100.8/30"]})) as bed:
        bed.up()
        assert bed.network.routes["vti-a"] == {"198.51.100.8/30"}
        bed.devices.path_changed(bed.devices.of("a"), moved, True, SUITE)
        assert bed.network.routes["vti-a"] == {"198.51.100.8/32", "198.51.100.10/31"}


def test_another_table_is_for_rules_to_decide() -> None:
    with Bed(config({"routes": ["192.0.2.0/30"], "table": 7})) as bed:
        assert bed.network.routes["vti-a"] == {"192.0.2.0/30"}


@pytest.mark.parametrize(
    ("best", "on_link", "routes"),
    [
        ("0.0.0.0/0", False, SIBLINGS),  # behind the default gateway
        ("192.0.2.2/31", True, {"192.0.2.0/31"}),  # a narrower route than ours stays in force
        ("192.0.2.0/24", True, set()),  # our own link: the gateway may be in it, too
    ],
)
def test_what_the_uplink_leads_to_stays_there(best: str, on_link: bool, routes: set[str]) -> None:
    bed = Bed(config({"routes": ["192.0.2.0/30"]}))
    bed.network.best[PEER] = BestRoute(ip_network(best), 1, on_link)
    with bed:
        assert bed.network.routes.get("vti-a", set()) == routes
        bed.network.best[PEER] = BestRoute(ip_network("0.0.0.0/0"), 1, False)
        bed.devices.refit(bed.devices.of("a"))
        assert bed.network.routes["vti-a"] == SIBLINGS


def test_too_many_peers_in_one_network() -> None:
    peers = [f"10.{number}.0.1" for number in range(200)]
    with Bed(config({"routes": ["0.0.0.0/0", "10.0.0.0/15"]}, remote_addrs=peers)) as bed:
        routes = {ip_network(route) for route in bed.network.routes["vti-a"]}
        assert not any(ip_address(peer) in route for peer in peers for route in routes)
        assert sum(route.num_addresses for route in routes) == 2**17 - 2


def test_a_peer_cannot_ask_for_routes_without_end() -> None:
    ranges = tuple(Selector(6, first, first + 2**100) for first in range(1, 2000, 7))
    with Bed(config()) as bed:
        bed.up(1, ranges)
        assert len(bed.network.routes["vti-a"]) == 256


def test_a_route_that_cannot_be_added_is_no_reason_to_lose_the_child() -> None:
    with Bed(config()) as bed:
        bed.network.refused = {"10.2.0.0/24"}
        bed.up()
        assert bed.network.routes["vti-a"] == {"fd02::/64"}
        bed.devices.child_down(1, "a")
        assert bed.network.routes["vti-a"] == set()
        assert bed.tuns["vti-a"].carrier is False


def test_configured_routes_stay_with_the_device() -> None:
    with Bed(config({"routes": ["10.9.0.0/16"]})) as bed:
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16"}
        bed.up()
        bed.devices.child_down(1, "a")
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16"}


@pytest.mark.parametrize("key", ["start_action", "close_action", "dpd_action"])
def test_a_trap_has_carrier_and_its_routes_always(key: str) -> None:
    with Bed(config(child={key: "trap"})) as bed:
        seen = [(bed.tuns["vti-a"].carrier, set(bed.network.routes["vti-a"]))]
        bed.up()
        seen.append((bed.tuns["vti-a"].carrier, set(bed.network.routes["vti-a"])))
        bed.devices.child_down(1, "a")
        seen.append((bed.tuns["vti-a"].carrier, set(bed.network.routes["vti-a"])))
        assert seen == [(True, {"10.2.0.0/24", "fd02::/64"})] * 3


def test_slots_are_given_round_robin() -> None:
    connections = {name: connection(name, remote_addrs=[f"{name}.example"]) for name in "abc"}
    with Bed(Config.model_validate({"connections": connections})) as bed:
        assert [device.slot for device in bed.devices] == [0, 1, 0]
        assert [bed.devices.slot_of(name) for name in "abc"] == [0, 1, 0]
        assert [device.device_id for device in bed.devices] == [1, 2, 3]


def test_an_error_leaves_no_device_behind() -> None:
    bed = Bed(Config.model_validate({"connections": {name: connection(name) for name in "ab"}}))
    bed.tuns["vti-b"] = theirs = FakeTun("vti-b")
    with pytest.raises(StartError, match=r"^connections\.b\.vti\.name: cannot make vti-b: a device of that"):
        bed.open()
    assert bed.tuns["vti-a"].closed
    assert not theirs.closed
    theirs.close()


def test_a_route_of_somebody_elses_is_waited_for() -> None:
    bed = Bed(config({"routes": ["10.9.0.0/16"]}))
    bed.network.refused = {"10.9.0.0/16"}
    written = StringIO()
    log.set_up("info", written)
    with bed:
        for _ in range(2):
            assert bed.devices.mend(bed.devices.of("a")).refused
        log.close()
        assert written.getvalue().count("10.9.0.0/16: there is one already; it is tried again") == 1
        assert bed.devices.of("a").unmet
        bed.network.refused.clear()
        bed.devices.mend(bed.devices.of("a"))
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16"}
        assert not bed.devices.of("a").unmet


def test_the_outer_version_counts() -> None:
    path = Path(Endpoint(ip_address("2001:db8::1"), 500), Endpoint(ip_address("2001:db8::2"), 500))
    with Bed(config()) as bed:
        bed.devices.child_up(1, "a", NETS, path, False, SUITE)
        assert bed.network.mtus["vti-a"] == inner_mtu(1500, 6, False, SUITE)
