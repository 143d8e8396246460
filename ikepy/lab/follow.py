"""Tests that what hangs on the tunnel follows it: it goes with the SA, and is back with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ikepy.lab import pod, topology
from ikepy.lab.bed import Lab
from ikepy.lab.checks import Result, seconds_until, timed

WITHIN = 2.0  # seconds; before Linux 6.8 the kernel takes up to one to tell of a lost carrier
PATIENCE = 20.0  # seconds for everything to be back


@dataclass(frozen=True, slots=True)
class Follower:
    """What hangs on the tunnel: words for its going and its return, and whether it is gone or there."""

    goes: str
    returns: str
    is_gone: Callable[[], bool]
    is_there: Callable[[], bool]


def follow(lab: Lab) -> list[Result]:
    """Delete the SA, then set it up again."""
    results = [_learned(lab, node) for node in lab.birds]
    gateway = lab.gateway("cgw")
    found = list(_followers(lab))
    gateway.terminate(ike="c4")
    gone = seconds_until([one.is_gone for one in found], PATIENCE)
    results += [
        timed(f"the SA is deleted: {one.goes}", seconds, WITHIN)
        for one, seconds in zip(found, gone, strict=True)
    ]
    gateway.initiate("net")
    back = seconds_until([one.is_there for one in found], PATIENCE)
    results += [
        timed(f"it is set up again: {one.returns}", seconds, PATIENCE)
        for one, seconds in zip(found, back, strict=True)
    ]
    return results


def _followers(lab: Lab) -> Iterator[Follower]:
    cgw, pods = lab.nodes["cgw"], [lab.nodes[name] for name in topology.PODS]
    yield Follower(
        "sessions and routes are gone",
        "sessions and routes are back",
        lambda: all(_is_down(lab, node) for node in lab.birds),
        lambda: all(lab.has_routes(node) for node in lab.birds),
    )
    if lab.options.pod:
        yield Follower(
            "the pods' routes are withdrawn",
            "the pods have their routes",
            lambda: not any(pod.advertised(one) for one in pods),
            lambda: all(pod.takes_all(one) for one in pods),
        )
        yield Follower(
            "/readyz says that it is not ready",
            "/readyz says that it is ready",
            lambda: pod.get(cgw, "/readyz")[0] == 503,
            lambda: pod.get(cgw, "/readyz")[0] == 200,
        )


def _learned(lab: Lab, node: str) -> Result:
    routes = ", ".join(sorted(lab.routes_by_bgp(node))) or "none"
    sessions = lab.birds[node].established()
    ok = lab.has_routes(node) and sessions == (2 if lab.options.ipv6 else 1)
    return Result(ok, f"{node}: sessions up: {sessions}", f"routes learned: {routes}")


def _is_down(lab: Lab, node: str) -> bool:
    return not lab.birds[node].established() and not lab.routes_by_bgp(node)
