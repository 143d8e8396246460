"""TCP through a tunnel: one flow, eight, and both directions at once; what the gateways spend on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from benchmarks import usage
from benchmarks.bed import OURS, THEIRS, Tunnel, in_turn, iperf
from benchmarks.report import Row, Target
from benchmarks.setting import Setting
from ikepy.lab import pair
from ikepy.lab.netns import Namespace

FLOWS = 8


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one round. Rates in Mbit/s; CPU seconds for 10^9 bytes of payload in one flow; memory in MiB.

    `worker` and `control` are the highest resident memory of any process of that kind; strongSwan has one
    process, which is `worker` here.
    """

    one: float
    eight: float
    both: float
    sender: float
    receiver: float
    worker: float
    control: float
    mtu: int


def rows(setting: Setting) -> list[Row]:
    """Rates, CPU seconds and memory."""
    found = in_turn(setting, partial(_figures, setting.seconds))

    def both(name: str) -> tuple[list[float], list[float]]:
        return _column(found[OURS], name), _column(found[THEIRS], name)

    one = _column(found[OURS], "one")
    memory = Target(150, at_most=True, of_figure=True)
    return [
        Row("MTU of the tunnel", "bytes", *both("mtu")),
        Row("TCP, one flow", "Mbit/s", *both("one"), Target(8), aim="aim 3,500 Mbit/s"),
        Row("TCP, eight flows", "Mbit/s", *both("eight"), Target(1), one, "own one flow"),
        Row("TCP, both directions at once, in sum", "Mbit/s", *both("both"), Target(1), one, "own one flow"),
        Row("CPU of the sending gateway for 1 GB", "s", *both("sender")),
        Row("CPU of the receiving gateway for 1 GB", "s", *both("receiver")),
        Row("memory of a worker (theirs: charon), peak", "MiB", *both("worker"), memory),
        Row("memory of the control process, peak", "MiB", _column(found[OURS], "control")),
    ]


def _column(figures: list[Figures], name: str) -> list[float]:
    return [float(getattr(one, name)) for one in figures]


def _figures(seconds: int, tunnel: Tunnel) -> Figures:
    """One round's. Raises LabError."""
    bed = tunnel.bed
    gateways = (bed.left, bed.right)
    with iperf(bed.right_host) as server:
        before = [usage.cpu_seconds(node.pids()) for node in gateways]
        one = server.tcp(bed.left_host, pair.RIGHT_HOST, seconds)
        spent = [usage.cpu_seconds(node.pids()) - cpu for node, cpu in zip(gateways, before, strict=True)]
        eight = server.tcp(bed.left_host, pair.RIGHT_HOST, seconds, flows=FLOWS)
        both = server.tcp_both(bed.left_host, pair.RIGHT_HOST, seconds)
    gigabytes = one * seconds / 8e3
    worker, control = memory(gateways)
    return Figures(one, eight, both, spent[0] / gigabytes, spent[1] / gigabytes, worker, control, tunnel.mtu)


def memory(gateways: tuple[Namespace, ...]) -> tuple[float, float]:
    """The highest peak, in MiB, of any worker (strongSwan: of charon) and of any control process."""
    pids = [pid for node in gateways for pid in node.pids()]
    workers = [pid for pid in pids if usage.is_worker(pid)]
    others = [usage.peak(pid) for pid in pids if pid not in workers]
    return max(map(usage.peak, workers or pids)), max(others, default=0.0)
