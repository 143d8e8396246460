"""Two tunnels on two devices, a worker each: do they carry more together than one alone?

Between two pairs of addresses of the same gateways: tunnels between one pair share a worker. On two CPUs,
which both gateways, both hosts and the kernel share, one tunnel fills the machine already; this shows what a
second worker costs or brings there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks import bed, usage
from benchmarks.report import Row
from benchmarks.setting import Setting
from ikepy.lab import gateway, pair
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair

WORKERS = 2
FIRST_PORT = 5201
OUTER = {"1": (pair.LEFT, "192.0.2.101"), "2": (pair.RIGHT, "192.0.2.102")}  # by side and tunnel
HALVES = (("10.{}.0.0/25", "10.{}.0.10"), ("10.{}.0.128/25", "10.{}.0.130"))  # network and host, by tunnel


def rows(setting: Setting) -> list[Row]:
    """Both at once, beside one of them."""
    alone: list[float] = []
    together: list[float] = []
    with bed.hosts(setting) as (hosts, directory):
        hosts.left_host.ip("addr add 10.1.0.130/24 dev eth0")
        hosts.right_host.ip("addr add 10.2.0.130/24 dev eth0")
        hosts.left.ip(f"addr add {OUTER['1'][1]}/24 dev eth0")
        hosts.right.ip(f"addr add {OUTER['2'][1]}/24 dev eth0")
        for count in range(1, setting.rounds + 1):
            setting.say(f"  round {count} of {setting.rounds}: {WORKERS} workers")
            one, both = _figures(setting.seconds, hosts, directory)
            alone.append(one)
            together.append(both)
    return [
        Row("TCP, one tunnel of two, two workers", "Mbit/s", alone),
        Row(
            "TCP, two tunnels at once, two workers, in sum",
            "Mbit/s",
            together,
            beside=alone,
            beside_what="own one of two",
        ),
    ]


def _figures(seconds: int, hosts: Pair, directory: Path) -> tuple[float, float]:
    """One round: Mbit/s of the first tunnel alone, and of both together. Raises LabError."""
    with ExitStack() as stack:
        left = stack.enter_context(Gateway(hosts.left, directory / "left"))
        right = stack.enter_context(Gateway(hosts.right, directory / "right"))
        right.start(configuration("2"))
        left.start(configuration("1"))
        for tunnel in range(len(HALVES)):
            left.initiate(f"net{tunnel}")
        if len(usage.workers(hosts.left)) != WORKERS:
            raise LabError(f"not {WORKERS} workers run, but {len(usage.workers(hosts.left))}")
        servers = [
            stack.enter_context(bed.iperf(hosts.right_host, port=FIRST_PORT + tunnel))
            for tunnel in range(len(HALVES))
        ]

        def flow(tunnel: int) -> float:
            source, target = (HALVES[tunnel][1].format(side) for side in OUTER)
            return servers[tunnel].tcp(hosts.left_host, target, seconds, source=source)

        alone = flow(0)
        with ThreadPoolExecutor(len(HALVES)) as pool:
            return alone, sum(pool.map(flow, range(len(HALVES))))


def configuration(side: str) -> str:
    """The TOML file of one gateway: two connections, each with a device of its own."""
    other_side = next(one for one in OUTER if one != side)
    connections = [
        gateway.Connection(
            name=f"net{tunnel}",
            child=f"net{tunnel}",
            local_addrs=(OUTER[side][tunnel],),
            remote_addrs=(OUTER[other_side][tunnel],),
            local_id=f"gw{side}-{tunnel}",
            remote_id=f"gw{other_side}-{tunnel}",
            esp_proposals=(bed.SUITE,),
            device=f"vti{tunnel}",
            routes=(network.format(other_side),),
            extra="encap = true",
        )
        for tunnel, (network, _) in enumerate(HALVES)
    ]
    return gateway.document(connections, daemon=f"workers = {WORKERS}")
