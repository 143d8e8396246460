"""Runs of the simulation by their seeds: gateways in virtual time over a network that loses, repeats and
delays.

The simulation is one of the tests, and so only where the sources are. It runs in a process of its own, which
is ended when it takes too long.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import OrderedDict
from pathlib import Path

from ikepy.dissect.ike import dissect_ike
from ikepy.dissect.render.as_json import node_value
from ikepy.web.window import NotThereError, RefusedError

ROOT = Path(__file__).resolve().parents[3]  # of the sources
SECONDS = 60.0  # for one run
WAIT = 5.0  # seconds that one answer waits for it
KEPT = 4  # runs
MOST = 10**10  # seeds
_SEED = re.compile(r"\d{1,10}")


class Simulation:
    """Answers pages: `run` by a seed, `message` by a seed and a step. One run is at work at a time."""

    def __init__(self) -> None:
        self._runs: OrderedDict[int, dict[str, object]] = OrderedDict()
        self._at_work: tuple[int, asyncio.Task[dict[str, object]]] | None = None

    @property
    def available(self) -> bool:
        """Whether the sources are here."""
        return (ROOT / "tests" / "simulation" / "__main__.py").exists()

    async def close(self) -> None:
        """End what is at work."""
        if self._at_work is not None:
            self._at_work[1].cancel()
            await asyncio.gather(self._at_work[1], return_exceptions=True)

    async def run(self, rest: str) -> object:
        """The steps of a seed's run, without the octets of messages; `running` instead, where it takes
        longer than an answer may: ask again. Raises NotThereError, RefusedError."""
        run = await self._run(rest)
        if run is None:
            return {"running": True}
        steps = run["steps"]
        assert isinstance(steps, list)
        return {**run, "steps": [{key: one[key] for key in one if key != "octets"} for one in steps]}

    async def message(self, rest: str) -> object:
        """The message of a step: "SEED/STEP". Raises NotThereError."""
        seed, _, number = rest.partition("/")
        run = await self._run(seed)
        steps = [] if run is None else run["steps"]
        assert isinstance(steps, list)
        if not _SEED.fullmatch(number) or int(number) >= len(steps) or "octets" not in steps[int(number)]:
            raise NotThereError("there is no such message")
        octets = bytes.fromhex(steps[int(number)]["octets"])
        layer = dissect_ike(octets)
        return {
            "summary": layer.node.value,
            "problems": list(layer.problems),
            "layers": [{"name": layer.name, "octets": octets.hex(), "node": node_value(layer.node)}],
        }

    async def _run(self, seed: str) -> dict[str, object] | None:
        """None: it is at work."""
        if not self.available:
            raise NotThereError("the simulation belongs to the tests: it needs the sources (a git clone)")
        if not _SEED.fullmatch(seed):
            raise RefusedError(f"a seed is a number below {MOST:,}")
        number = int(seed)
        if number in self._runs:
            return self._runs[number]
        if self._at_work is not None and self._at_work[0] != number and self._at_work[1].done():
            self._at_work[1].exception()  # the page that asked for it has gone: nobody wants to know
            self._at_work = None
        if self._at_work is None:
            self._at_work = number, asyncio.create_task(self._kept(number))
        if self._at_work[0] != number:
            raise RefusedError(f"the run of seed {self._at_work[0]} is at work still")
        task = self._at_work[1]
        await asyncio.wait([task], timeout=WAIT)
        if not task.done():
            return None
        if self._at_work is not None and self._at_work[1] is task:  # else another page was here first
            self._at_work = None
        return task.result()

    async def _kept(self, number: int) -> dict[str, object]:
        """What a run says, which is kept also if nobody waits for it any more. Raises RefusedError."""
        run = self._runs[number] = await _told(number)
        if len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        return run


async def _told(seed: int) -> dict[str, object]:
    """What a run says of itself. Raises RefusedError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulation", str(seed), "--json"),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        raise RefusedError(f"the run of seed {seed} takes longer than {SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = err.decode(errors="replace").strip().splitlines()[-1:]
        raise RefusedError(f"the simulation does not run here: {' '.join(last)}")
    found: dict[str, object] = json.loads(out)
    return found
