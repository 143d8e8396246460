"""A device whose connection is configured anew while children use it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest

from ikepy.config.model import Connection
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.interfaces import Mended
from tests.unit.daemon.fakes import NETS, PATH, SUITE, FakeNetwork, FakeTun, config
from tun.netlink import RouteError
from tun.network import DeviceGone


class Bed:
    """One device with a child that sends through it."""

    def __init__(self) -> None:
        self.network = FakeNetwork()
        self.tuns: list[FakeTun] = []
        self.taken: set[str] = set()
        self.devices = DeviceTable(config(), 2, self._create, self.network)
        self.devices.open()
        self.devices.child_up(1, "a", NETS, PATH, False, SUITE)

    def _create(self, name: str) -> FakeTun:
        if name in self.taken:
            raise OSError(16, f"cannot make {name}: a device of that name exists already")
        self.tuns.append(FakeTun(name))
        return self.tuns[-1]

    def reconfigure(self, vti: dict[str, Any] | None = None, child: dict[str, Any] | None = None) -> None:
        self.devices.reconfigure(self.devices.of("a"), only(vti, child))


def only(
    vti: dict[str, Any] | None = None, child: dict[str, Any] | None = None, name: str = "a"
) -> Connection:
    found = config(vti, child).connections["a"]
    return found if name == "a" else found.model_copy(update={"name": name})


@pytest.fixture
def bed() -> Iterator[Bed]:
    one = Bed()
    yield one
    one.devices.close()


def test_a_device_for_which_there_are_no_descriptors_takes_no_place(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would count for its worker for ever."""

    def uplink_mtu(remote: object, local: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(bed.network, "uplink_mtu", uplink_mtu)
        with pytest.raises(OSError, match="too many open files"):
            bed.devices.add(only({"name": "vti-b"}, name="b"))
    assert bed.devices.find("b") is None
    slots = []
    for number, name in enumerate("bcd"):  # with peers of their own
        one = only({"name": f"vti-{name}"}, name=name)
        remote = (IPv4Address(f"203.0.113.{number}"),)
        slots.append(bed.devices.add(one.model_copy(update={"remote_addrs": remote})).slot)
    assert slots == [1, 0, 1]


def test_routes_are_the_configured_ones_now_and_the_negotiated_ones_again(bed: Bed) -> None:
    negotiated = {"10.2.0.0/24", "fd02::/64"}
    assert bed.network.routes["vti-a"] == negotiated
    bed.reconfigure({"routes": ["10.9.0.0/16"]})
    assert bed.network.routes["vti-a"] == {"10.9.0.0/16"}
    bed.reconfigure()
    assert bed.network.routes["vti-a"] == negotiated
    bed.devices.child_down(1, "a")
    assert not bed.network.routes["vti-a"]


def test_routes_move_to_another_table_and_metric(bed: Bed) -> None:
    bed.reconfigure({"table": 77, "metric": 5})
    assert {(route.table, route.metric) for route in bed.network.table["vti-a"]} == {(77, 5)}
    assert len(bed.network.table["vti-a"]) == 2
    bed.devices.child_down(1, "a")
    assert not bed.network.table["vti-a"]


def test_the_mtu_is_the_configured_one_now_and_the_fitting_one_again(bed: Bed) -> None:
    fitting = bed.network.mtus["vti-a"]
    told: list[int] = []
    bed.devices.mtu_changed = lambda device: told.append(device.mtu)
    bed.reconfigure({"mtu": 1300})
    assert bed.network.mtus["vti-a"] == 1300
    bed.reconfigure()
    assert bed.network.mtus["vti-a"] == fitting
    assert told == [1300, fitting]


def test_addresses_that_are_not_configured_any_more_are_removed(bed: Bed) -> None:
    bed.reconfigure({"addresses": ["169.254.1.1/30", "169.254.2.1/30"]})
    assert not bed.network.removed
    bed.reconfigure({"addresses": ["169.254.2.1/30"]})
    assert bed.network.removed == ["169.254.1.1/30"]


def test_a_device_is_renamed(bed: Bed) -> None:
    bed.reconfigure({"name": "other"})
    assert bed.tuns[0].name == "other"
    assert len(bed.tuns) == 1


def test_a_trap_has_carrier_without_a_child(bed: Bed) -> None:
    bed.devices.child_down(1, "a")
    assert bed.tuns[0].carrier is False
    bed.reconfigure(child={"start_action": "trap"})
    assert bed.tuns[0].carrier is True
    assert bed.network.routes["vti-a"] == {"10.2.0.0/24", "fd02::/64"}
    bed.reconfigure()
    assert bed.tuns[0].carrier is False
    assert not bed.network.routes["vti-a"]


def elsewhere(name: str, peer: str) -> Connection:
    return only({"name": f"vti-{name}"}, name=name).model_copy(update={"remote_addrs": (ip_address(peer),)})


def test_numbers_are_never_given_twice_and_slots_to_the_least_loaded(bed: Bed) -> None:
    b = bed.devices.add(elsewhere("b", "192.0.2.3"))
    assert (b.device_id, b.slot) == (2, 1)
    bed.devices.remove(bed.devices.of("a"))
    assert bed.tuns[0].closed
    assert bed.devices.find("a") is None
    c = bed.devices.add(elsewhere("c", "192.0.2.4"))
    assert (c.device_id, c.slot) == (3, 0)
    assert bed.devices.slot_of("b") == 1


def test_a_connection_comes_to_the_worker_of_its_peers_other_ones(bed: Bed) -> None:
    """As their addresses are now; what is there stays where it is."""
    assert bed.devices.add(only({"name": "vti-b"}, name="b")).slot == 0
    assert bed.devices.add(elsewhere("c", "192.0.2.3")).slot == 1
    bed.devices.of("a").connection = elsewhere("a", "192.0.2.3")
    assert bed.devices.slot_of("a") == 0
    bed.devices.remove(bed.devices.of("b"))
    assert bed.devices.add(elsewhere("d", "192.0.2.2")).slot == 0, "by least load: nobody is there any more"
    bed.devices.remove(bed.devices.of("c"))
    assert bed.devices.add(elsewhere("e", "192.0.2.3")).slot == 0, "a is there now"


def test_who_wants_the_same_route_has_it_when_the_first_one_is_removed(bed: Bed) -> None:
    b = bed.devices.add(only({"name": "vti-b", "routes": ["10.2.0.0/24"]}, name="b"))
    assert not bed.network.routes["vti-b"], "b can't carry packets, a can"
    bed.network.table["vti-a"].clear()  # as the kernel does with the device
    bed.devices.remove(bed.devices.of("a"))
    assert bed.network.routes["vti-b"] == {"10.2.0.0/24"}
    assert not b.gone


def test_who_wants_the_same_route_has_it_alone_while_the_other_one_waits_for_its_peer(bed: Bed) -> None:
    a, b = bed.devices.of("a"), bed.devices.add(only({"name": "vti-b"}, name="b"))
    bed.devices.child_up(2, "b", NETS, PATH, False, SUITE)
    assert bed.network.routes["vti-a"] == bed.network.routes["vti-b"]
    bed.devices.leave(a, True)
    assert bed.network.routes == {"vti-a": set(), "vti-b": {"10.2.0.0/24", "fd02::/64"}}
    bed.devices.leave(a, False)
    bed.devices.child_down(2, "b")
    assert bed.network.routes == {"vti-a": {"10.2.0.0/24", "fd02::/64"}, "vti-b": set()}
    assert not b.gone


def test_a_device_that_could_not_be_made_is_made_with_all_that_belongs_to_it(bed: Bed) -> None:
    bed.taken = {"vti-b"}
    b = bed.devices.add(only({"name": "vti-b", "routes": ["10.9.0.0/16"]}, name="b"))
    assert b.gone
    assert "vti-b" in b.lacks
    assert b.tun.fd < 0
    bed.taken = set()
    bed.devices.make_again(b)
    assert bed.network.routes["vti-b"] == {"10.9.0.0/16"}
    assert not b.lacks


def test_a_device_that_was_deleted_and_is_to_be_renamed_is_found_gone(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise OSError(errno.ENXIO, f"cannot rename vti-a to {name}: no such device")

    monkeypatch.setattr(bed.tuns[0], "rename", fail)
    for _ in range(2):
        with pytest.raises(DeviceGone):
            bed.reconfigure({"name": "other"})
    bed.network.table["vti-a"].clear()  # as the kernel did with the device
    bed.devices.lost(bed.devices.of("a"))
    bed.devices.make_again(bed.devices.of("a"))
    assert bed.tuns[1].name == "other"


def test_one_that_cannot_make_way_does_not_keep_the_others_from_it(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bed.devices.add(only({"name": "vti-b"}, name="b"))

    def fail(name: str) -> None:
        raise OSError(errno.ENXIO, f"cannot rename vti-a to {name}: no such device")

    monkeypatch.setattr(bed.tuns[0], "rename", fail)
    bed.devices.make_way({"a": "vti-b", "b": "vti-a"})
    assert b.tun.name == "ikepy-2"


def test_a_device_that_could_be_made_and_not_be_set_up_is_made_from_the_beginning(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bed.network, "mend", Refuses())
        b = bed.devices.add(only({"name": "vti-b"}, name="b"))
    assert b.gone
    assert bed.tuns[1].closed
    assert bed.devices.names() == {"vti-a"}
    bed.devices.make_again(b)
    assert not b.gone
    assert bed.devices.names() == {"vti-a", "vti-b"}


class Refuses:
    """A kernel that has no memory to answer."""

    def __call__(self, *_: object, **__: object) -> Mended:
        raise RouteError("cannot see what it is now", errno.ENOBUFS)
