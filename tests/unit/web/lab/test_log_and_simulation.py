"""The gateways' logs as they grow, and the simulation's runs."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
import time
from pathlib import Path

import pytest

from ikepy.web.lab import simulation
from ikepy.web.lab.gateway_log import GatewayLog, line
from ikepy.web.lab.simulation import Simulation
from ikepy.web.window import NotThereError, RefusedError


def test_a_line_of_our_log() -> None:
    found = line("cgw", "2026-11-29 09:12:33,123 INFO    c4 #1: IKE_SA established, a at b")
    assert found is not None
    assert (found.node, found.level, found.subject) == ("cgw", "info", "c4 #1")
    assert found.text == "IKE_SA established, a at b"
    assert time.strftime("%H:%M:%S", time.localtime(found.time)) == "09:12:33"


@pytest.mark.parametrize("text", ["", "Traceback", "2026-11-29 INFO x: y", "2026-11-29 09:12:33,123 INFO"])
def test_other_lines(text: str) -> None:
    assert line("cgw", text) is None


def test_lines_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    log = GatewayLog("c4", path)
    assert log.new() == []
    path.write_text("2026-11-29 09:12:33,123 INFO    a: one\n2026-11-29 09:12:34,0")
    assert [one.text for one in log.new()] == ["one"]
    with path.open("a") as file:
        file.write("00 INFO    a: two\n")
    assert [one.text for one in log.new()] == ["two"]
    path.write_text("2026-11-29 09:12:35,000 INFO    a: anew\n")
    assert [one.text for one in log.new()] == ["anew"]


def test_a_run_and_one_of_its_messages() -> None:
    async def both() -> tuple[object, object, object]:
        runs = Simulation()
        run: object = {"running": True}
        while isinstance(run, dict) and run.get("running"):
            run = await runs.run("7")
        assert isinstance(run, dict)
        place = next(number for number, step in enumerate(run["steps"]) if "to" in step)
        with pytest.raises(NotThereError):
            await runs.message("7/999999")
        return run, place, await runs.message(f"7/{place}")

    run, place, message = asyncio.run(both())
    assert isinstance(run, dict)
    assert isinstance(message, dict)
    assert run["seed"] == 7
    assert run["error"] == ""
    step = run["steps"][place]
    assert step["sas"].keys() == {"a", "b"}
    assert "octets" not in step
    assert message["summary"].startswith(f"{step['exchange']} request 0")


def test_a_run_that_takes_longer_than_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "WAIT", 0.01)

    async def scenario() -> None:
        runs = Simulation()
        assert await runs.run("8") == {"running": True}
        with pytest.raises(RefusedError, match="seed 8 is at work"):
            await runs.run("9")
        await runs.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("well", [True, False])
def test_a_page_that_has_gone_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, well: bool) -> None:
    """Its run is kept, where there is one."""
    monkeypatch.setattr(simulation, "WAIT", 0.0)
    if not well:
        monkeypatch.setattr(sys, "executable", shutil.which("false"))

    async def scenario() -> None:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(told))
        runs = Simulation()
        assert await runs.run("8") == {"running": True}
        refused = True
        while refused:
            try:
                assert await runs.run("9") == {"running": True}
                refused = False
            except RefusedError as error:
                assert str(error) == "the run of seed 8 is at work still"
                await asyncio.sleep(0.05)
        if well:
            found = await runs.run("8")
            assert isinstance(found, dict) and found["seed"] == 8
        await runs.close()
        del runs
        gc.collect()
        assert not faults

    asyncio.run(asyncio.wait_for(scenario(), 2 * simulation.SECONDS))


@pytest.mark.parametrize("seed", ["", "x", "-1", "7; true", "1" * 11])
def test_no_seed(seed: str) -> None:
    with pytest.raises(RefusedError):
        asyncio.run(Simulation().run(seed))
