"""Tests a running lab: pings both ways, path MTU discovery with DF, throughput."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ikepy.lab import measure, topology
from ikepy.lab.bed import Lab
from ikepy.lab.measure import Iperf
from ikepy.lab.netns import LabError
from ikepy.lab.topology import address

_FULL = topology.SEGMENT_MTU
_PAUSE = 0.02  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Result:
    """One check, its outcome and whether that is as expected."""

    ok: bool
    what: str
    detail: str


def attempt(what: str, lab: Lab, check: Callable[[Lab], list[Result]]) -> list[Result]:
    """The check's results, or one that tells why it could not go on."""
    try:
        return check(lab)
    except LabError as error:
        return [Result(False, what, str(error))]


def seconds_until(conditions: Sequence[Callable[[], bool]], patience: float) -> list[float | None]:
    """The seconds from now until each holds for the first time; None for one that did not. They are looked at
    in turn; one that raises LabError (something is not there yet) does not hold."""
    begin = time.monotonic()
    found: list[float | None] = [None] * len(conditions)
    while None in found and time.monotonic() < begin + patience:
        for number, condition in enumerate(conditions):
            if found[number] is None and _holds(condition):
                found[number] = time.monotonic() - begin
        time.sleep(_PAUSE)
    return found


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except LabError:
        return False


def timed(what: str, seconds: float | None, within: float) -> Result:
    """The result of a wait that is to take `within` seconds at most. None: in vain."""
    if seconds is None:
        return Result(False, what, "no")
    return Result(seconds <= within, what, f"after {seconds:.2f} s")


def pings(lab: Lab) -> list[Result]:
    """Every pod and the site to each other, and both ends of the VTI, all at once."""
    pairs = [(source, target, to) for source, target, to in _paths(lab)]
    found = measure.pings([(lab.nodes[source], to) for source, _, to in pairs])
    return [
        Result(ping.ok, f"{source} to {target} ({to})", str(ping))
        for (source, target, to), ping in zip(pairs, found, strict=True)
    ]


def _paths(lab: Lab) -> Iterator[tuple[str, str, str]]:
    """(from, to, the address to ping)."""
    families = [(topology.SEGMENT, topology.SITE, topology.VTI)]
    if lab.options.ipv6:
        families.append((topology.SEGMENT6, topology.SITE6, topology.VTI6))
    for segment, site, vti in families:
        for pod in topology.PODS:
            yield pod, "site", address(site["site"])
            yield "site", pod, address(segment[pod])
        yield "cgw", "c4 through L4", address(vti["c4"])
        yield "c4", "cgw through L4", address(vti["cgw"])


def mtu(lab: Lab) -> list[Result]:
    """A full-size packet with DF must get an ICMP error with the VTI's MTU; one of that size must pass."""
    targets = [topology.SITE] + ([topology.SITE6] if lab.options.ipv6 else [])
    return [_mtu(lab, address(target["site"])) for target in targets]


def _mtu(lab: Lab, target: str) -> Result:
    what = f"{_FULL} bytes with DF, pod1 to {target}"
    pod = lab.nodes["pod1"]
    right = measure.device_mtu(lab.nodes["cgw"], lab.cgw.device)
    learned = measure.learned_mtu(measure.ping_with_df(pod, target, _FULL))
    if learned is None:
        return Result(False, what, f"no MTU came back; {lab.cgw.device} has {right}")
    if learned != right:
        return Result(False, what, f"told MTU {learned}, but {lab.cgw.device} has {right}")
    # The first reply may exceed the MTU of the return path, which the site learns from it.
    measure.ping_with_df(pod, target, right)
    fitting = measure.parse_ping(measure.ping_with_df(pod, target, right, count=3), 3)
    return Result(
        fitting.ok, what, f"told MTU {learned}, as {lab.cgw.device} has; {learned} bytes: {fitting}"
    )


def throughput(lab: Lab, seconds: int) -> list[Result]:
    """One TCP flow each way between pod1 and the site."""
    target = address((topology.SITE6 if lab.options.ipv6 else topology.SITE)["site"])
    results = []
    with Iperf(lab.nodes["site"]) as iperf:
        for reverse, what in ((False, "pod1 to site"), (True, "site to pod1")):
            try:
                rate = iperf.tcp(lab.nodes["pod1"], target, seconds, reverse=reverse)
            except LabError as error:
                results.append(Result(False, what, str(error)))
            else:
                results.append(Result(rate > 0, what, f"{rate:.0f} Mbit/s over {seconds} s"))
    return results
