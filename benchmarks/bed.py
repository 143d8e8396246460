"""Host, gateway, gateway, host: ours, strongSwan's userspace ESP, or no tunnel at all between the gateways.

Everything runs on one machine: both gateways, both ends of what is measured, and the kernel share its CPUs.
strongSwan's kernel-libipsec knows no ESP without UDP, so that ours is encapsulated too unless said otherwise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.setting import Setting
from ikepy.lab import gateway, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.measure import Iperf, device_mtu, ping
from ikepy.lab.netns import LabError, Namespace
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan

T = TypeVar("T")

SUITE = "aes128gcm16"
CONGESTION = "cubic"  # of TCP: Linux's own default, whatever this machine's is
WARM_UP = 20  # pings: a tunnel that has just come up may still be starting its workers

OURS, THEIRS, NONE = "ikepy", "strongSwan", "no tunnel"
BOTH = (OURS, THEIRS)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One that is up. `kind` is OURS, THEIRS or NONE; `mtu` that of its device, in bytes."""

    kind: str
    bed: Pair
    mtu: int


def in_turn(
    setting: Setting, measure: Callable[[Tunnel], T], kinds: Sequence[str] = BOTH
) -> dict[str, list[T]]:
    """What `measure` finds in each of `setting.rounds` rounds with each kind, by kind.

    The kinds take turns, and each tunnel is set up anew. Raises LabError.
    """
    found: dict[str, list[T]] = {kind: [] for kind in kinds}
    with hosts(setting) as (bed, directory):
        for count in range(1, setting.rounds + 1):
            for kind in kinds:
                setting.say(f"  round {count} of {setting.rounds}: {kind}")
                with tunnel(kind, bed, directory) as one:
                    found[kind].append(measure(one))
    return found


@contextmanager
def hosts(setting: Setting) -> Iterator[tuple[Pair, Path]]:
    """The four namespaces with nothing between them yet, and a directory for the gateways' files."""
    with Pair(setting.prefix) as bed, tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory:
        yield bed, Path(directory)


def iperf(node: Namespace, port: int = 5201) -> Iperf:
    """An iperf3 server whose TCP has the same congestion control on every machine."""
    return Iperf(node, port=port, congestion=CONGESTION)


@contextmanager
def tunnel(
    kind: str, bed: Pair, directory: Path, *, suite: str = SUITE, encap: bool = True
) -> Iterator[Tunnel]:
    """One of a kind between the gateways, warmed up. LabError if it carries nothing."""
    if kind == NONE:
        made = direct(bed)
    elif kind == OURS:
        made = ours(bed, directory, suite, encap)
    else:
        made = theirs(bed, directory, suite)
    with made as device:
        warm_up = ping(bed.left_host, pair.RIGHT_HOST, count=WARM_UP, interval=0.01)
        if not warm_up.received:
            raise LabError(f"{kind} does not carry pings: {warm_up}")
        yield Tunnel(kind, bed, device_mtu(bed.left, device))


@contextmanager
def direct(bed: Pair) -> Iterator[str]:
    """Plain routes from gateway to gateway; the device's name."""
    routes = (
        (bed.left, f"{pair.RIGHT_NET} via {pair.RIGHT}"),
        (bed.right, f"{pair.LEFT_NET} via {pair.LEFT}"),
    )
    for node, route in routes:
        node.ip(f"route add {route}")
    try:
        yield "eth0"
    finally:
        for node, route in routes:
            node.ip(f"route del {route}")


@contextmanager
def ours(bed: Pair, directory: Path, suite: str, encap: bool) -> Iterator[str]:
    """ikepy on both gateways; its device's name."""
    extra = "encap = true" if encap else ""
    connection = gateway.Connection(
        local_addrs=(pair.LEFT,),
        remote_addrs=(pair.RIGHT,),
        esp_proposals=(suite,),
        routes=(pair.RIGHT_NET,),
        extra=extra,
    )
    peer = gateway.Connection(
        local_addrs=(pair.RIGHT,),
        remote_addrs=(pair.LEFT,),
        local_id=connection.remote_id,
        remote_id=connection.local_id,
        esp_proposals=(suite,),
        routes=(pair.LEFT_NET,),
        extra=extra,
    )
    with Gateway(bed.left, directory / "left") as left, Gateway(bed.right, directory / "right") as right:
        right.start(peer)
        left.start(connection)
        left.initiate()
        yield connection.device


@contextmanager
def theirs(bed: Pair, directory: Path, suite: str) -> Iterator[str]:
    """strongSwan on both gateways; its device's name."""
    connection = strongswan.Connection(
        local_addrs=pair.LEFT,
        remote_addrs=pair.RIGHT,
        local_id="gwa",
        remote_id="gwb",
        local_ts=pair.LEFT_NET,
        remote_ts=pair.RIGHT_NET,
        esp_proposals=suite,
    )
    peer = strongswan.Connection(
        local_addrs=pair.RIGHT,
        remote_addrs=pair.LEFT,
        local_ts=pair.RIGHT_NET,
        remote_ts=pair.LEFT_NET,
        esp_proposals=suite,
    )
    left, right = StrongSwan(bed.left, directory / "left"), StrongSwan(bed.right, directory / "right")
    try:
        right.start(peer)
        left.start(connection)
        left.initiate()
        yield StrongSwan.device
    finally:
        left.stop()
        right.stop()
