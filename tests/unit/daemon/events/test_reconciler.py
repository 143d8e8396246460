"""Devices that others change, with a fake kernel: what is looked at, and what is told."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from io import StringIO
from ipaddress import ip_network

import pytest

from ikepy.daemon import log, supervision
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.exemptions import Exemptions
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.events import backoff, reconciler
from ikepy.daemon.events.reconciler import Reconciler
from ikepy.daemon.interfaces import Mended, Tun
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.sa.api.commands import Initiate, Terminate
from tests.unit.daemon.fakes import NETS, PATH, SUITE, FakeMachine, FakeNetwork, FakeTun, Notes, config
from tun.rtnetlink import BestRoute, Hop
from tun.state import DeviceState
from tun.watch import Changes, Link

ALL = ip_network("0.0.0.0/0")


class Bed:
    """One device with an installed child; `taken`: its name is another device's."""

    def __init__(self) -> None:
        self.network = FakeNetwork()
        self.machine = FakeMachine()
        self.tuns: list[FakeTun] = []
        self.taken = False
        self.replaced: list[VtiDevice] = []
        self.devices = DeviceTable(config(child={"start_action": "start"}), 1, self._create, self.network)
        self.devices.open()
        notes = Notes()
        runner = EffectsRunner(self.machine, notes, notes, self.devices, ChildTable(1, 4))
        exemptions = Exemptions(self.devices, self.network, RouteCheck(self.network, lambda: ["vti-a"]))
        self.reconciler = Reconciler(self.devices, runner, self.replaced.append, exemptions)
        self.devices.peers_changed = self.reconciler.peers_changed
        self.devices.child_up(1, "a", NETS, PATH, False, SUITE)
        self.device = self.devices.of("a")

    def _create(self, name: str) -> FakeTun:
        if self.taken:
            raise OSError(16, f"cannot make {name}: a device of that name exists already")
        self.tuns.append(FakeTun(name))
        return self.tuns[-1]

    def event(self, *, about: int | None = None, gone: bool = False) -> None:
        index = self.device.tun.index if about is None else about
        self.reconciler.changed(Changes(frozenset({index}), gone))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def run(scenario: Callable[[Bed], Awaitable[None]]) -> list[str]:
    """The lines of the log."""
    written = StringIO()

    async def inside() -> None:
        bed = Bed()
        bed.reconciler.start()
        try:
            await scenario(bed)
        finally:
            await bed.reconciler.stop()
            bed.devices.close()
            assert all(tun.closed for tun in bed.tuns)

    log.set_up("info", written)
    try:
        asyncio.run(inside())
    finally:
        log.close()
    return written.getvalue().splitlines()


def test_a_route_comes_back_and_is_told() -> None:
    async def scenario(bed: Bed) -> None:
        routes = set(bed.network.table["vti-a"])
        bed.network.table["vti-a"].clear()
        bed.event()
        await bed.until(lambda: bed.network.table["vti-a"] == routes)

    (line,) = run(scenario)
    missing = ", ".join(f"the route to {one} through it was missing" for one in ("10.2.0.0/24", "fd02::/64"))
    assert f"a: vti-a was changed by others: {missing}; restored" in line


def test_events_of_other_devices_are_none_of_ours() -> None:
    async def scenario(bed: Bed) -> None:
        bed.network.table["vti-a"].clear()
        bed.event(about=2, gone=True)
        await asyncio.sleep(0.1)
        assert not bed.network.table["vti-a"]

    assert run(scenario) == []


def test_a_link_that_is_as_it_is_to_be_needs_no_look() -> None:
    """Our own changes of carrier and MTU come back as events, a thousand of them when all tunnels come up."""

    async def scenario(bed: Bed) -> None:
        index, routes = bed.device.tun.index, set(bed.network.table["vti-a"])
        bed.network.table["vti-a"].clear()
        bed.reconciler.changed(Changes(links={index: Link(True, bed.device.mtu)}))
        await asyncio.sleep(0.1)
        assert not bed.network.table["vti-a"], "nobody has looked"
        bed.reconciler.changed(Changes(links={index: Link(False, bed.device.mtu)}))
        await bed.until(lambda: bed.network.table["vti-a"] == routes)

    run(scenario)


def test_what_waits_for_room_is_looked_at_when_there_may_be_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 60.0)
    monkeypatch.setattr(backoff, "LONGEST", 60.0)

    async def scenario(bed: Bed) -> None:
        bed.network.table["vti-a"].clear()
        bed.network.refused = {"10.2.0.0/24"}
        bed.event()
        await bed.until(lambda: bed.device.unmet)
        bed.network.refused = set()
        bed.event(about=2, gone=True)
        async with asyncio.timeout(10):  # less than the first pause
            await bed.until(lambda: not bed.device.unmet)

    assert sum("it is tried again" in line for line in run(scenario)) == 1


@pytest.mark.parametrize("question", ["best_route", "uplink_mtu"])
def test_what_there_are_no_descriptors_for_is_done_later(
    question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the device and by the exemptions alike; that is told once."""
    monkeypatch.setattr(reconciler, "RETRY", 0.02)
    asked = 0

    def none_left(*arguments: object) -> None:
        nonlocal asked
        asked += 1
        raise OSError(errno.EMFILE, "Too many open files")

    async def scenario(bed: Bed) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(bed.network, question, none_left)
            bed.reconciler.refit()
            await bed.until(lambda: asked > (2 if question == "best_route" else 0))
        bed.network.table["vti-a"].clear()
        bed.event()
        await bed.until(lambda: bed.network.table["vti-a"])
        into = Hop(bed.device.tun.index)
        bed.network.best[PATH.remote.address] = BestRoute(ALL, into.device, False, 0, (into,))
        bed.network.through[PATH.remote.address, 1] = BestRoute(ALL, 1, False, 0, (Hop(1),))
        bed.event()
        await bed.until(lambda: bed.network.exemptions)

    told = [line for line in run(scenario) if "Too many open files" in line]
    assert len(told) == 1


def test_a_fault_with_one_device_does_not_end_the_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST", 0.02)
    faults = [ValueError("a fault")]

    async def scenario(bed: Bed) -> None:
        mend = bed.network.mend

        def faulty(tun: Tun, desired: DeviceState, *, new: bool = False) -> Mended:
            if faults:
                raise faults.pop()
            return mend(tun, desired, new=new)

        monkeypatch.setattr(bed.network, "mend", faulty)
        bed.network.table["vti-a"].clear()
        bed.event()
        await bed.until(lambda: bed.network.table["vti-a"])
        assert not faults

    assert any('"mend devices" begins again in 0.02 s: ValueError: a fault' in one for one in run(scenario))


def test_a_deleted_device_is_made_again_and_given_to_its_worker() -> None:
    async def scenario(bed: Bed) -> None:
        first, routes = bed.tuns[0], set(bed.network.table["vti-a"])
        bed.network.deleted.add(first.index)
        bed.reconciler.suspect(bed.device)
        await bed.until(lambda: bed.replaced == [bed.device])
        assert first.closed
        assert bed.device.tun is bed.tuns[1]
        assert bed.tuns[1].carrier is True
        assert bed.network.table["vti-a"] == routes
        assert bed.machine.calls == [], "its SAs stay"

    (line,) = run(scenario)
    assert "vti-a was deleted by others: made again with all that belongs to it, its SAs stay" in line


def test_a_device_that_cannot_be_made_again_costs_its_sas_until_it_can() -> None:
    async def scenario(bed: Bed) -> None:
        bed.taken = True
        bed.network.deleted.add(bed.tuns[0].index)
        bed.event()
        await bed.until(lambda: bed.machine.calls)
        assert bed.machine.calls == [f"request {Terminate(ike='a')}"]
        assert bed.device.gone
        bed.devices.child_down(1, "a")  # as the machine asks
        bed.taken = False
        bed.event(about=2, gone=True)
        await bed.until(lambda: len(bed.machine.calls) == 2)
        assert bed.machine.calls[1] == f"request {Initiate('a', 'net')}"
        assert bed.replaced == [bed.device]

    lost, again = run(scenario)
    assert "can't be made again: " in lost
    assert "vti-a is there again" in again


def test_a_device_that_is_down_is_left_alone_and_told_once() -> None:
    async def scenario(bed: Bed) -> None:
        routes = set(bed.network.table["vti-a"])
        bed.network.up["vti-a"] = False
        bed.network.table["vti-a"].clear()
        for _ in range(2):
            bed.event()
            await asyncio.sleep(0.05)
        assert not bed.network.up["vti-a"]
        assert not bed.network.table["vti-a"]
        bed.network.up["vti-a"] = True
        bed.event()
        await bed.until(lambda: bed.network.table["vti-a"] == routes)

    down, up = run(scenario)
    assert "vti-a was taken down by others and stays so" in down
    assert "vti-a is up again: the route to 10.2.0.0/24 through it was missing, " in up
