"""Round trips: what a tunnel adds to them, and how long they are beside TCP flows."""

from __future__ import annotations

import math
import re
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks.bed import NONE, OURS, THEIRS, Tunnel, in_turn, iperf
from benchmarks.report import Row, Target
from benchmarks.setting import Setting
from ikepy.lab import pair
from ikepy.lab.netns import LabError, Namespace

MANY = 8  # flows
INTERVAL = 0.01  # seconds between two pings
IDLE, QUICK_IDLE = 3.0, 1.0  # seconds of pings without other traffic
SETTLE = 1.0  # seconds in which the flow gets up to speed; as long before its end the pings end too

_TIME = re.compile(r"time=([\d.]+) ms")


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds: the median without other traffic, the 99th percentile beside one TCP flow and many."""

    idle: float
    loaded: float
    crowded: float


def rows(setting: Setting) -> list[Row]:
    """Idle, added by the tunnel, and beside a flow."""
    found = in_turn(setting, partial(_figures, setting), kinds=(NONE, OURS, THEIRS))
    bare = [one.idle for one in found[NONE]]
    idle = {kind: [one.idle for one in figures] for kind, figures in found.items()}
    added = {
        kind: [one - none for one, none in zip(values, bare, strict=True)] for kind, values in idle.items()
    }
    loaded = {kind: [one.loaded for one in figures] for kind, figures in found.items()}
    crowded = {kind: [one.crowded for one in figures] for kind, figures in found.items()}
    without = f"{statistics.median(bare):.2f} without a tunnel"
    return [
        Row("RTT, idle, median", "ms", idle[OURS], idle[THEIRS], aim=without),
        Row("RTT added, idle", "ms", added[OURS], added[THEIRS], Target(1, at_most=True)),
        Row(
            "RTT beside a TCP flow, 99th percentile",
            "ms",
            loaded[OURS],
            loaded[THEIRS],
            Target(5, at_most=True, of_figure=True),
        ),
        Row(f"RTT beside {MANY} TCP flows, 99th percentile", "ms", crowded[OURS], crowded[THEIRS]),
    ]


def _figures(setting: Setting, tunnel: Tunnel) -> Figures:
    """One round's. Raises LabError when nothing comes back."""
    left = tunnel.bed.left_host
    idle = percentile(round_trips(left, QUICK_IDLE if setting.quick else IDLE), 50)
    if tunnel.kind == NONE:
        return Figures(idle, 0.0, 0.0)
    loaded, crowded = (percentile(_beside(setting, tunnel, flows), 99) for flows in (1, MANY))
    return Figures(idle, loaded, crowded)


def _beside(setting: Setting, tunnel: Tunnel, flows: int) -> list[float]:
    """The round trips beside so many TCP flows."""
    left, seconds = tunnel.bed.left_host, math.ceil(setting.seconds + 2 * SETTLE)
    with iperf(tunnel.bed.right_host) as server, ThreadPoolExecutor(1) as pool:
        work = pool.submit(partial(server.tcp, left, pair.RIGHT_HOST, seconds, flows=flows))
        round_trips(left, SETTLE)
        found = round_trips(left, setting.seconds)
        work.result()
    return found


def round_trips(node: Namespace, seconds: float) -> list[float]:
    """Milliseconds, one a ping; those that did not come back are infinite. LabError when none did."""
    count = max(round(seconds / INTERVAL), 1)
    words = f"ping -n -c {count} -i {INTERVAL} -W 2 {pair.RIGHT_HOST}".split()
    found = parse(node.run(*words, timeout=seconds + 30))
    return found + [math.inf] * (count - len(found))


def parse(text: str) -> list[float]:
    """The round trips that ping prints, in milliseconds."""
    found = [float(time) for time in _TIME.findall(text)]
    if not found:
        raise LabError(f"no ping came back: {text.strip()}")
    return found


def percentile(values: list[float], share: float) -> float:
    """The smallest of the values that `share` per cent of them do not exceed (nearest rank)."""
    return sorted(values)[max(math.ceil(len(values) * share / 100), 1) - 1]
