"""What workers' counters tell the machine: the watch over volume limits, and when ESP came in."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from ikepy.config.toml_source import parse
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.effects.children import Child, ChildTable
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.events import traffic_limits
from ikepy.daemon.events.traffic_limits import EspHeard, TrafficWatch, is_limited
from tests.property.datapath_bed import DatapathBed
from tests.unit.daemon.fakes import FakeMachine, FakeNetwork, FakeTun, Notes, config
from tests.unit.daemon.in_loop import in_loop
from tests.unit.esp.bed import GCM
from tests.unit.tun.plain import UDP, Flow, Packet

CONFIG = """
[connections.a.children.net]
{line}
[secrets.ike]
secret = "x"
"""


@pytest.mark.parametrize(
    ("line", "limited"),
    [("", False), ("rekey_bytes = 1", True), ("life_packets = 5", True), ("rekey_time = 60", False)],
)
def test_which_children_are_watched(line: str, limited: bool) -> None:
    child = parse(CONFIG.format(line=line)).connections["a"].children["net"]
    assert is_limited(child) == limited


@pytest.mark.parametrize("step", [-3600, 0, 3600])
@pytest.mark.parametrize(("count", "alone"), [(1, True), (1, False), (20, False)])
def test_when_esp_came_in_whatever_the_clock_says(
    monkeypatch: pytest.MonkeyPatch, step: int, count: int, alone: bool
) -> None:
    """Else a peer that is gone would be there for as long as the clock was set back."""
    packet, clock = Packet(Flow(protocol=UDP), bytes(400)), time.time
    devices = DeviceTable(config(), 1, FakeTun, FakeNetwork())
    devices.open()
    children = ChildTable(1, 1)
    children.add(1, devices.of("a"), GCM, "net")
    with DatapathBed(GCM) as bed:
        heard = EspHeard(children, lambda slot: bed.counters)
        bed.counters.clear(0, 1)
        assert (heard(1), heard(2)) == (None, None)
        bed.alone = alone
        begin = int(time.monotonic())
        bed.arrive(bed.sender().seal_batch([packet.octets()] * count))
        for _ in range(count):
            bed.kernel.send(packet.frame(0))
        bed.read_all()
        monkeypatch.setattr(time, "time", lambda: clock() + step)
        found, sa = heard(1), bed.counters.sa(0)
        assert (sa.in_packets, sa.out_packets) == (count, count)
        assert found is not None
        assert begin <= found <= time.monotonic()
        assert begin <= sa.out_last <= time.monotonic()
    devices.close()


@in_loop
async def test_a_fault_costs_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_limits, "INTERVAL", 0.01)
    monkeypatch.setattr(asyncio.get_running_loop(), "call_exception_handler", lambda context: None)
    looks, third = 0, asyncio.Event()

    class Faulty(ChildTable):
        def __iter__(self) -> Iterator[Child]:
            nonlocal looks
            looks += 1
            if looks == 3:
                third.set()
            raise ValueError

    settings, notes = config(child={"rekey_bytes": 1000}), Notes()
    devices, children = DeviceTable(settings, 1, FakeTun, FakeNetwork()), Faulty(1, 4)
    runner = EffectsRunner(FakeMachine(), notes, notes, devices, children)
    watch = TrafficWatch(settings, runner, children, lambda slot: None)
    watch.start()
    async with asyncio.timeout(20):
        await third.wait()
    watch.stop()
    runner.stop()
