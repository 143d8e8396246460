"""Tests that BGP follows the tunnel: sessions and routes go with the SA, and are back with it."""

from __future__ import annotations

import time
from collections.abc import Callable

from ikepy.lab.bed import Lab
from ikepy.lab.checks import Result
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError

WITHIN = 2.0  # seconds; before Linux 6.8 the kernel takes up to one to tell of a lost carrier
PATIENCE = 20.0  # seconds for the sessions to be back
PAUSE = 0.02  # seconds between two looks


def follow(lab: Lab) -> list[Result]:
    """Delete the SA, then set it up again."""
    results = [_learned(lab, node) for node in lab.birds]
    gateway = Gateway(lab.nodes["cgw"], lab.directory / "cgw")
    gateway.terminate(ike="c4")
    seconds = _until(lambda: all(_is_down(lab, node) for node in lab.birds), PATIENCE)
    results.append(_timed("the SA is deleted: sessions and routes are gone", seconds, WITHIN))
    gateway.initiate("net")
    seconds = _until(lambda: all(lab.has_routes(node) for node in lab.birds), PATIENCE)
    results.append(_timed("it is set up again: so are they", seconds, PATIENCE))
    return results


def _learned(lab: Lab, node: str) -> Result:
    routes = ", ".join(sorted(lab.routes_by_bgp(node))) or "none"
    sessions = lab.birds[node].established()
    ok = lab.has_routes(node) and sessions == (2 if lab.options.ipv6 else 1)
    return Result(ok, f"{node}: sessions up: {sessions}", f"routes learned: {routes}")


def _is_down(lab: Lab, node: str) -> bool:
    return not lab.birds[node].established() and not lab.routes_by_bgp(node)


def _until(condition: Callable[[], bool], patience: float) -> float | None:
    """The seconds until it holds; None: it did not."""
    begin = time.monotonic()
    while time.monotonic() < begin + patience:
        try:
            if condition():
                return time.monotonic() - begin
        except LabError:
            pass  # BIRD or a device is not there yet
        time.sleep(PAUSE)
    return None


def _timed(what: str, seconds: float | None, within: float) -> Result:
    if seconds is None:
        return Result(False, what, "no")
    return Result(seconds <= within, what, f"after {seconds:.2f} s")
