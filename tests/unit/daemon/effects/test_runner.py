"""Effects are run in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from ipaddress import ip_interface, ip_network

from esp.ipc import messages
from esp.packet.headers import flow_of
from esp.packet.selectors import Selector
from esp.sa.suites import inner_mtu
from ikepy.daemon import log
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.effects.waiting_clients import ENDING, FAULT
from ikepy.daemon.log_limit import EACH_OF_PEER
from ikepy.sa.api.commands import Acquire, ChildrenLost, Initiate, Rekey, Terminate
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Compute,
    Effect,
    Level,
    Log,
    Outcome,
    Rank,
    RemoveChild,
    RemoveOutbound,
    Send,
    SendKeepalive,
    SetNetworkSettings,
    UpdatePath,
)
from ikepy.sa.api.events import IkeUp
from ikepy.sa.api.log_source import Peer
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from ikepy.sa.api.path import Endpoint
from tests.unit.daemon.fakes import (
    PATH,
    SUITE,
    FakeMachine,
    FakeNetwork,
    FakeTun,
    Notes,
    config,
    ike_info,
    inbound,
)
from tests.unit.daemon.fakes import outbound as install_outbound
from tests.unit.esp.packets import ipv4


class Bed:
    """A runner among fakes; `answers` gives the machine's effects by how a call's description begins."""

    def __init__(self, answers: dict[str, list[Effect]] | None = None) -> None:
        self.answers = answers or {}
        self.machine = FakeMachine(self._answer)
        self.notes = Notes()
        self.network = FakeNetwork()
        self.tuns: list[FakeTun] = []
        self.devices = DeviceTable(config(), 2, self._create, self.network)
        self.devices.open()
        self.children = ChildTable(2, 4)
        self.machine.children = lambda: [child.child_id for child in self.children]
        self.runner = EffectsRunner(self.machine, self.notes, self.notes, self.devices, self.children)

    def _create(self, name: str) -> FakeTun:
        self.tuns.append(FakeTun(name))
        return self.tuns[-1]

    def _answer(self, call: str) -> list[Effect]:
        for beginning, effects in self.answers.items():
            if call.startswith(beginning):
                return effects
        return []

    @property
    def carrier(self) -> bool | None:
        return self.tuns[0].carrier

    @property
    def routes(self) -> set[str]:
        return self.network.routes.get("vti-a", set())


def run(scenario: Callable[[Bed], None], answers: dict[str, list[Effect]] | None = None) -> Bed:
    async def inside() -> Bed:
        bed = Bed(answers)
        try:
            scenario(bed)
        finally:
            bed.runner.stop()
            bed.devices.close()
        return bed

    return asyncio.run(inside())


def test_a_responder_installs_before_it_answers() -> None:
    effects: list[Effect] = [inbound(), install_outbound(), Send(PATH, b"\x01"), SendKeepalive(PATH)]
    bed = run(lambda bed: bed.runner.receive(b"\xff", PATH), {"receive ff": effects})
    assert bed.notes.lines == [
        "worker 0 AddInboundSa",
        "worker 0 AddOutboundSa",
        f"send 01 {PATH}",
        f"keepalive {PATH}",
    ]


def test_what_the_worker_gets() -> None:
    bed = run(lambda bed: bed.runner.start(), {"start": [inbound(), install_outbound()]})
    message = bed.notes.messages[0]
    assert isinstance(message, messages.AddInboundSa)
    assert (message.child_id, message.device_id, message.spi, message.replay_window) == (1, 1, 0x1000, 64)
    assert (message.local_address, message.remote_port) == (PATH.local.address, 500)
    assert len(message.keys) == message.suite.key_length
    other = bed.notes.messages[1]
    assert isinstance(other, messages.AddOutboundSa)
    assert other.slot == message.slot


def test_sas_that_go_on_from_elsewhere_say_so_to_the_worker() -> None:
    effects: list[Effect] = [
        replace(inbound(), replay_top=1 << 40),
        replace(install_outbound(), last_sequence=1 << 41),
    ]
    bed = run(lambda bed: bed.runner.start(), {"start": effects})
    into, out = bed.notes.messages
    assert isinstance(into, messages.AddInboundSa) and isinstance(out, messages.AddOutboundSa)
    assert (into.replay_top, out.last_sequence) == (1 << 40, 1 << 41)


def test_what_an_ike_sa_gives_its_device() -> None:
    settings = NetworkSettings((ip_interface("10.7.0.5/32"),), (ip_network("10.8.0.0/16"),))
    come: list[Effect] = [SetNetworkSettings("a", 3, settings)]
    seen: list[set[str]] = []

    def scenario(bed: Bed) -> None:
        bed.runner.start()
        seen.append(set(bed.routes))
        bed.answers = {"tick": [SetNetworkSettings("a", 3, NO_SETTINGS)]}
        bed.runner.tick()
        seen.append(set(bed.routes))

    bed = run(scenario, {"start": come})
    assert seen == [{"10.8.0.0/16"}, set()]
    assert bed.network.removed == ["10.7.0.5/32"]


def test_tfc_padding_never_exceeds_the_mtu() -> None:
    """And it follows the MTU when the path changes."""

    def scenario(bed: Bed) -> None:
        bed.runner.start()
        bed.network.uplink = 1400
        bed.answers = {"tick": [UpdatePath(2, PATH, True)]}
        bed.runner.tick()

    more: list[Effect] = [
        replace(install_outbound(2), tfc_padding="mtu"),
        replace(install_outbound(3), tfc_padding=100),
        replace(install_outbound(4), tfc_padding=9000),
    ]
    bed = run(scenario, {"start": more})
    *installed, moved = bed.notes.messages
    mtu = inner_mtu(1500, 4, False, SUITE)
    assert [m.tfc_padding for m in installed if isinstance(m, messages.AddOutboundSa)] == [mtu, 100, mtu]
    assert isinstance(moved, messages.UpdateSaPath)
    assert moved.tfc_padding == inner_mtu(1400, 4, True, SUITE)


def test_tfc_padding_follows_the_mtu_alone_too() -> None:
    """As when the route to the peer leads through another uplink."""

    def scenario(bed: Bed) -> None:
        bed.runner.start()
        bed.devices.mtu_changed = bed.runner.mtu_changed
        for bed.network.uplink in (1400, 1600):
            bed.devices.refit(bed.devices.of("a"))

    more: list[Effect] = [
        install_outbound(2),
        replace(install_outbound(3), tfc_padding="mtu"),
        replace(install_outbound(4), tfc_padding=1500),
    ]
    bed = run(scenario, {"start": more})
    assert bed.notes.messages[3:] == [
        messages.SetTfcPadding(child_id, min(longest, inner_mtu(uplink, 4, False, SUITE)))
        for uplink in (1400, 1600)
        for child_id, longest in ((3, 65535), (4, 1500))
    ]


def test_routes_for_what_further_children_are_to_carry() -> None:
    trapped = replace(install_outbound(), trapped=(Selector.of("10.3.0.0/24"),))
    seen: list[set[str]] = []

    def scenario(bed: Bed) -> None:
        bed.runner.start()
        seen.append(bed.routes)

    bed = run(scenario, {"start": [trapped]})
    assert seen == [{"10.2.0.0/24", "fd02::/64", "10.3.0.0/24"}]
    (message,) = bed.notes.messages
    assert isinstance(message, messages.AddOutboundSa)
    assert message.trap


def test_carrier_and_routes_exactly_while_a_child_can_send() -> None:
    def scenario(bed: Bed) -> None:
        assert (bed.carrier, bed.routes) == (False, set())
        bed.runner.start()
        assert (bed.carrier, bed.routes) == (True, {"10.2.0.0/24", "fd02::/64"})
        bed.answers = {"tick": [inbound(2, 0x1002), install_outbound(2), RemoveOutbound(1)]}
        bed.runner.tick()
        assert (bed.carrier, bed.routes) == (True, {"10.2.0.0/24", "fd02::/64"})
        bed.answers = {"tick": [RemoveChild(1)]}
        bed.runner.tick()
        assert bed.carrier is True
        bed.answers = {"tick": [RemoveChild(2)]}
        bed.runner.tick()
        assert (bed.carrier, bed.routes) == (False, set())

    run(scenario, {"start": [inbound(), install_outbound()]})


def test_messages_of_a_child_go_to_its_worker_only_while_it_is_known() -> None:
    moved = PATH.with_ports(4500, 4501)

    def scenario(bed: Bed) -> None:
        bed.runner.start()
        bed.answers = {
            "tick": [
                ActivateOutbound(1),
                UpdatePath(1, moved, True),
                RemoveChild(1),
                ActivateOutbound(1),
                UpdatePath(1, moved, True),
                RemoveOutbound(1),
                RemoveChild(1),
            ]
        }
        bed.runner.tick()

    bed = run(scenario, {"start": [inbound(), install_outbound()]})
    assert [line.split()[-1] for line in bed.notes.lines[2:]] == [
        "ActivateOutboundSa",
        "UpdateSaPath",
        "RemoveSaPair",
    ]
    assert bed.machine.calls[-1] == "tick"  # nothing was torn down


def test_the_live_spis_are_those_installed() -> None:
    def scenario(bed: Bed) -> None:
        bed.runner.start()
        assert set(bed.children.spis) == {0x1000}
        bed.answers = {"tick": [RemoveChild(1)]}
        bed.runner.tick()
        assert not bed.children.spis

    run(scenario, {"start": [inbound()]})


def test_a_lost_worker_takes_its_children_from_the_device() -> None:
    def scenario(bed: Bed) -> None:
        bed.runner.start()
        bed.runner.children_lost(bed.children.of_slot(0))
        assert (bed.carrier, bed.routes, set(bed.children.spis)) == (False, set(), set())

    bed = run(scenario, {"start": [inbound(), install_outbound()]})
    assert bed.machine.calls[-1] == "request ChildrenLost(child_ids=(1,))"


def test_outcomes_and_log_reach_those_who_wait() -> None:
    seen: list[str] = []

    async def inside() -> Outcome:
        log = Log(Level.INFO, "a #1", "up")
        event = IkeUp(ike_info(1))
        bed = Bed({"request Initiate": [log, event, Outcome(3, True, "done"), Outcome(99, True, "nobody's")]})
        future = bed.runner.waiting.expect(3)
        bed.runner.bus.listen((Log,), lambda entry: seen.append(entry.text))
        bed.runner.request(Initiate("a", "net", 3))
        bed.runner.stop()
        bed.devices.close()
        return await asyncio.wait_for(future, 1)

    assert asyncio.run(inside()) == Outcome(3, True, "done")
    assert seen == ["up"]


def test_whoever_waits_for_a_command_is_told_of_a_fault_and_of_the_end() -> None:
    """Nobody waits for ever for what will not be."""

    def broken(call: str) -> list[Effect]:
        if call.startswith("request Rekey"):
            raise ZeroDivisionError("a bug")
        return []

    async def inside() -> list[Outcome]:
        bed = Bed()
        runner = EffectsRunner(FakeMachine(broken), bed.notes, bed.notes, bed.devices, bed.children)
        futures = [runner.waiting.expect(ticket) for ticket in range(1, 4)]
        runner.request(Rekey(ike="a", ticket=1))
        assert futures[0].done()
        runner.request(Initiate("a", "net", 2))
        assert not futures[1].done()
        runner.stop()
        runner.request(Terminate(ike="a", ticket=3))
        bed.devices.close()
        return [await asyncio.wait_for(one, 1) for one in futures]

    assert asyncio.run(inside()) == [
        Outcome(1, False, FAULT),
        Outcome(2, False, ENDING),
        Outcome(3, False, ENDING),
    ]


def test_a_job_is_done_beside_and_its_result_given_back() -> None:
    """Also that it failed: for what is a fault of ours the IKE_SA is to blame which waits for it."""

    def fail() -> None:
        raise ZeroDivisionError("a bug")

    def broken(call: str) -> list[Effect]:
        if call == "start":
            return [Compute(1, lambda: 6 * 7, 0.01, Rank.OURS), Compute(2, fail, 0.01, Rank.OURS)]
        if call.startswith("complete 2"):
            raise ZeroDivisionError(call)
        return []

    async def inside() -> list[str]:
        bed = Bed()
        machine = FakeMachine(broken)
        machine.ticking = 8
        machine.sas = [ike_info(8)]
        runner = EffectsRunner(machine, bed.notes, bed.notes, bed.devices, bed.children)
        runner.start()
        async with asyncio.timeout(5):
            while len(machine.calls) < 4:  # noqa: ASYNC110  a fake has no event
                await asyncio.sleep(0.001)
        runner.stop()
        bed.devices.close()
        return machine.calls

    calls = asyncio.run(inside())
    assert sorted(calls[:3]) == ["complete 1 42", "complete 2 a bug", "start"]
    assert calls[3].startswith("request Terminate(ike=None, child=None, ike_id=8")


def test_idle_follows_the_machine_and_ticks_follow_the_deadline() -> None:
    async def inside() -> list[str]:
        bed = Bed()
        bed.machine.sas = [ike_info(1)]
        bed.machine.deadline = asyncio.get_running_loop().time()
        bed.runner.peer_moved(1, Endpoint(PATH.remote.address, 4501))
        assert not bed.runner.idle.is_set()
        bed.machine.sas = []
        bed.machine.deadline = asyncio.get_running_loop().time() + 0.02
        await asyncio.wait_for(bed.runner.idle.wait(), 1)
        bed.runner.stop()
        bed.runner.request(Acquire("a", *flow_of(ipv4()).selectors()))
        bed.devices.close()
        return bed.machine.calls

    calls = asyncio.run(inside())
    assert calls[0] == "peer_moved 1 192.0.2.2[4501]"
    assert set(calls[1:]) == {"tick"}  # what comes after the stop is dropped


def test_a_worker_without_room_costs_one_child() -> None:
    """No other SA, no traceback: the machine hears that the child is lost, once, after all that it wanted."""
    effects: list[Effect] = []
    for child_id in range(1, 6):  # of four that there is room for
        effects += [inbound(child_id), install_outbound(child_id)]

    def scenario(bed: Bed) -> None:
        bed.runner.receive(b"\xff", PATH)

    bed = run(scenario, {"receive ff": [*effects, Send(PATH, b"\x01")]})
    assert [line for line in bed.notes.lines if "boundSa" in line] == [
        "worker 0 AddInboundSa",
        "worker 0 AddOutboundSa",
    ] * 4
    assert f"send 01 {PATH}" in bed.notes.lines
    assert [call for call in bed.machine.calls if call.startswith("request")] == [
        f"request {ChildrenLost((5,))}"
    ]


REFUSED = Log(Level.ERROR, "a #1", "NO_ADDITIONAL_SAS: too many", "NO_ADDITIONAL_SAS", Peer("a", "gwa"))


def _logged(scenario: Callable[[Bed], None], answers: dict[str, list[Effect]]) -> list[str]:
    """The lines that come of it."""
    stream = StringIO()
    log.set_up("info", stream)
    try:
        run(scenario, answers)
    finally:
        log.close()
    return stream.getvalue().splitlines()


def test_lines_of_a_peer_are_summed_up() -> None:
    def scenario(bed: Bed) -> None:
        for _ in range(1000):
            bed.runner.receive(b"\xff", PATH)

    lines = _logged(scenario, {"receive ff": [REFUSED]})
    most = EACH_OF_PEER[1] + 5  # should this take long
    assert EACH_OF_PEER[1] < len(lines) <= most
    assert "more from gwa" in lines[-1]


def test_what_an_operator_asks_for_is_written_whatever_a_peer_has_used_up() -> None:
    def scenario(bed: Bed) -> None:
        for _ in range(1000):
            bed.runner.receive(b"\xff", PATH)
        bed.runner.request(Initiate("a", "net"))
        bed.runner.waiting.expect(7)
        bed.runner.receive(b"\xee", PATH)
        bed.runner.receive(b"\xee", PATH)  # nobody waits any more

    done = replace(REFUSED, text="it came of the command")
    answers: dict[str, list[Effect]] = {
        "receive ff": [REFUSED],
        "receive ee": [done, Outcome(7, True, "up")],
        "request Initiate": [replace(REFUSED, text="the command itself")],
    }
    text = "\n".join(_logged(scenario, answers))
    assert text.count("the command itself") == text.count("it came of the command") == 1


def test_what_devices_and_workers_say_because_of_a_peer_is_summed_up_too() -> None:
    """And faults of ours, with their tracebacks."""

    def scenario(bed: Bed) -> None:
        bed.devices.tell(40, "a", "no room for #1")
        for n in range(1000):
            bed.devices.tell(40, "a", f"no room for #{n}")

    lines = _logged(scenario, {})
    assert len(lines) <= EACH_OF_PEER[1] + 5

    def faulty(bed: Bed) -> None:
        bed.notes.send_keepalive = None  # type: ignore[method-assign, assignment]
        for _ in range(1000):
            bed.runner.receive(b"\xff", PATH)

    lines = _logged(faulty, {"receive ff": [SendKeepalive(PATH)]})
    assert 1 < len(lines) <= EACH_OF_PEER[1] + 5
