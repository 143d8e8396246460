"""Several targets at once, each in a process of its own, and what became of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLACK = 300  # seconds for imports, the seeds, and a machine with other work
LEFT = ("crash-", "timeout-", "oom-", "leak-")  # how the names of inputs begin that libFuzzer keeps


@dataclass(frozen=True, slots=True)
class Result:
    """One target's run. `coverage`: edges of the instrumented modules; `output`: its words, if it failed."""

    target: str
    seconds: int
    executions: int
    coverage: int
    crashes: tuple[Path, ...]
    output: str

    @property
    def ok(self) -> bool:
        return not self.crashes and not self.output

    def __str__(self) -> str:
        rate = self.executions / self.seconds
        text = f"{self.target:<10} {self.executions:>11,} executions ({rate:,.0f}/s), {self.coverage:,} edges"
        found = ", ".join(map(str, self.crashes)) or ("failed" if self.output else "no crash")
        return f"{text}, {found}"


def run(targets: Sequence[str], seconds: int, directory: Path, jobs: int) -> Iterator[Result]:
    """Fuzz each target for so long, `jobs` at a time; inputs that break one are left in `directory`."""
    with ThreadPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(_one, name, seconds, directory) for name in targets]):
            yield future.result()


def _one(name: str, seconds: int, directory: Path) -> Result:
    command = [
        sys.executable, "-m", "tests.fuzz.one", name, f"-max_total_time={seconds}",
        "-rss_limit_mb=1024", "-timeout=10", "-print_final_stats=1", f"-artifact_prefix={directory}/{name}-",
    ]  # fmt: skip
    before = set(directory.glob(f"{name}-*"))
    timeout = seconds + SLACK
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=timeout, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", said)
    edges = re.findall(r"\bcov: (\d+)", said)
    crashes = tuple(
        sorted(
            path
            for path in set(directory.glob(f"{name}-*")) - before
            if path.name.removeprefix(f"{name}-").startswith(LEFT)
        )
    )
    failed = done.returncode != 0 or not runs
    return Result(
        target=name,
        seconds=seconds,
        executions=int(runs[-1]) if runs else 0,
        coverage=max(map(int, edges), default=0),
        crashes=crashes,
        output=said[-4000:] if failed else "",
    )
