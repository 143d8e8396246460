"""A fault of ours costs one IKE_SA and nothing else, and what it leaves in workers and devices goes, too."""

from __future__ import annotations

import asyncio
from ipaddress import ip_interface, ip_network

import pytest

from esp.ipc import messages
from ikepy.daemon.effects import runner
from ikepy.daemon.effects.runner import LOST, EffectsRunner
from ikepy.sa.api.commands import Terminate
from ikepy.sa.api.effects import ActivateOutbound, Effect, LookUp, Send, SetNetworkSettings
from ikepy.sa.api.network_settings import NetworkSettings
from tests.unit.daemon.fakes import PATH, FakeMachine, ike_info, inbound
from tests.unit.daemon.fakes import outbound as install_outbound

from .test_runner import Bed, run


def test_a_fault_tears_down_one_ike_sa_and_the_rest_isrun() -> None:
    def scenario(bed: Bed) -> None:
        bed.machine.sas = [ike_info(7, 1), ike_info(8, 2)]
        bed.notes.broken = messages.AddInboundSa
        bed.runner.start()

    bed = run(scenario, {"start": [inbound(), Send(PATH, b"\x02")]})
    assert bed.notes.lines == [f"send 02 {PATH}"]
    ends = f"request {Terminate(ike_id=7, force=True, fault=True)}"
    assert bed.machine.calls == ["start", ends, "recover"]


def test_a_fault_while_tearing_down_is_the_end_of_it() -> None:
    def scenario(bed: Bed) -> None:
        bed.machine.sas = [ike_info(7, 1)]
        bed.notes.broken = messages.AddInboundSa
        bed.runner.start()

    bed = run(scenario, {"start": [inbound()], "request": [inbound()]})
    assert len(bed.machine.calls) == 3


def test_what_the_machine_waits_for_and_nobody_does_is_given_up_after_a_fault() -> None:
    """The job, or the look-up, was among the effects of the call that failed."""

    def scenario(bed: Bed) -> None:
        bed.runner.look_up = lambda effect: None
        bed.runner.start()
        bed.machine.jobs = {3, 4}
        bed.notes.broken = messages.ActivateOutboundSa
        bed.runner.tick()

    start: list[Effect] = [inbound(), LookUp(3, ())]
    bed = run(scenario, {"start": start, "tick": [ActivateOutbound(1)]})
    assert bed.machine.calls == ["start", "tick", "recover", f"complete 4 {LOST}"]


def test_what_the_machine_has_no_more_goes_after_a_fault() -> None:
    """As the call that failed has lost its effects. What nobody has installed the machine hears of."""
    settings = NetworkSettings((ip_interface("10.7.0.5/32"),), (ip_network("10.8.0.0/16"),))

    def scenario(bed: Bed) -> None:
        bed.runner.start()
        assert bed.children.spis and "10.8.0.0/16" in bed.routes
        bed.machine.children = lambda: {9}
        bed.notes.broken = messages.ActivateOutboundSa
        bed.runner.tick()
        assert not bed.children.spis
        assert bed.notes.lines[-1] == "worker 0 RemoveSaPair"
        assert bed.machine.calls[2:] == ["recover", "request ChildrenLost(child_ids=(9,))"]
        assert (bed.carrier, bed.routes) == (False, set())

    start: list[Effect] = [inbound(), install_outbound(), SetNetworkSettings("a", 3, settings)]
    run(scenario, {"start": start, "tick": [ActivateOutbound(1)]})


def test_a_fault_in_the_machine_is_blamed_on_the_messages_ike_sa() -> None:
    def broken(call: str) -> list[Effect]:
        if call.startswith("receive"):
            raise ZeroDivisionError("a bug")
        return []

    async def inside() -> FakeMachine:
        bed = Bed()
        machine = FakeMachine(broken)
        machine.sas = [ike_info(7), ike_info(8)]
        runner = EffectsRunner(machine, bed.notes, bed.notes, bed.devices, bed.children)
        runner.receive(bytes([8] * 8 + [108] * 8) + b"rest", PATH)
        runner.receive(b"of nobody's", PATH)
        runner.stop()
        bed.devices.close()
        return machine

    machine = asyncio.run(inside())
    requests = [call for call in machine.calls if call.startswith("request")]
    assert requests == [f"request {Terminate(ike_id=8, force=True, fault=True)}"]


def test_a_machine_that_always_fails_is_no_busy_loop() -> None:
    def broken(call: str) -> list[Effect]:
        raise ZeroDivisionError("a bug")

    async def inside() -> list[str]:
        bed = Bed()
        machine = FakeMachine(broken)
        machine.deadline = 0.0
        runner = EffectsRunner(machine, bed.notes, bed.notes, bed.devices, bed.children)
        runner.start()
        await asyncio.sleep(0.1)
        runner.stop()
        bed.devices.close()
        return machine.calls

    assert asyncio.run(inside()) == ["start", "recover"]


def faulty(bed: Bed, times: int) -> None:
    bed.notes.broken = messages.ActivateOutboundSa
    bed.runner.start()
    for _ in range(times):
        bed.runner.receive(b"of nobody's", PATH)


FAULTY: dict[str, list[Effect]] = {"start": [inbound()], "receive": [ActivateOutbound(1)]}


def test_many_faults_have_all_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knows how to trigger one can do so a thousand times a second."""
    monkeypatch.setattr(runner, "FAULT_PAUSE", 3600.0)
    bed = run(lambda bed: faulty(bed, 100), FAULTY)
    assert bed.machine.calls.count("recover") == 1


def test_after_the_last_of_many_faults_all_is_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FAULT_PAUSE", 0.05)

    async def inside() -> None:
        bed = Bed(FAULTY)
        faulty(bed, 3)
        async with asyncio.timeout(10):
            while bed.machine.calls.count("recover") < 2:  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0.005)
        bed.runner.stop()
        bed.devices.close()

    asyncio.run(inside())
