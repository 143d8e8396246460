"""BGP through the tunnel, by a real BIRD at both ends: it follows the SA by the device's carrier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from ikepy.lab.bird import Bgp, Bird
from ikepy.lab.netns import Namespace as LabNamespace
from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, Side, configuration, has_carrier, ping
from tests.netns.namespaces import wait_until

pytestmark = [pytest.mark.root, pytest.mark.bird]

WITHIN = 4.0  # seconds from the SA's end to that of the session and its routes; 0.1 on an idle machine
INNER = {LEFT: "fd00:10::1", RIGHT: "fd00:10::2"}
NUMBERS = {LEFT: 65001, RIGHT: 65002}


def other(side: Side) -> Side:
    return RIGHT if side is LEFT else LEFT


def gateway_config(side: Side, child: str) -> str:
    """No routes: BGP brings them. The device has an address of each family."""
    text = configuration(side, other(side), vti="routes = []", child=child)
    peer = other(side)
    text = text.replace(f'["{side.vti}/30"]', f'["{side.vti}/30", "{INNER[side]}/126"]')
    return text.replace(f'peers = ["{peer.vti}"]', f'peers = ["{peer.vti}", "{INNER[peer]}"]')


def bgp(side: Side) -> Bgp:
    peer = other(side)
    sessions = ((side.vti, peer.vti), (INNER[side], INNER[peer]))
    return Bgp(side.vti, NUMBERS[side], NUMBERS[peer], ("lo",), sessions)


@pytest.fixture
def birds(pair: Pair, tmp_path: Path) -> Iterator[tuple[Bird, Bird]]:
    """Both gateways and their BIRDs; no tunnel yet."""
    found = []
    with ExitStack() as stack:
        for gateway, side in zip(pair, (LEFT, RIGHT), strict=True):
            gateway.start(gateway_config(side, 'start_action = "none"'))
            bird = Bird(LabNamespace(gateway.namespace.name), tmp_path / f"bird-{side.identity}")
            stack.callback(bird.stop)
            bird.start(bgp(side))
            found.append(bird)
        yield found[0], found[1]


def learned(gateway: Gateway) -> set[str]:
    """The networks that the kernel has of BIRD."""
    routes = [
        route
        for family in ("-4", "-6")
        for route in json.loads(gateway.namespace.ip("-j", family, "route", "show", "proto", "bird") or "[]")
    ]
    return {route["dst"] for route in routes if route.get("dev") == "vti0"}


def is_down(gateway: Gateway, bird: Bird) -> bool:
    return not bird.established() and not learned(gateway)


def test_sessions_and_routes_follow_the_sa(pair: Pair, birds: tuple[Bird, Bird]) -> None:
    left, right = birds
    wait_until(lambda: left.running and "tunnel6" in left.ask("show protocols"), "BIRD answers")
    assert left.established() == right.established() == 0

    pair.left.ask("initiate", child="net", timeout=10)
    everything = {LEFT: set(LEFT.networks), RIGHT: set(RIGHT.networks)}
    wait_until(lambda: learned(pair.left) >= everything[RIGHT], "the left one has routes", 20)
    wait_until(lambda: learned(pair.right) >= everything[LEFT], "the right one has routes", 20)
    assert left.established() == right.established() == 2
    assert ping(pair.left.namespace, LEFT, RIGHT)
    assert ping(pair.left.namespace, LEFT, RIGHT, version=6)

    # A rekey is no end.
    pair.left.ask("rekey", child="net", timeout=10)
    assert left.established() == right.established() == 2
    assert learned(pair.left) >= everything[RIGHT]

    # The SA dies: no carrier, no session, no routes, though the hold time is 30 s.
    pair.right.ask("terminate", ike="tunnel", timeout=10)
    for gateway, bird in zip(pair, birds, strict=True):
        wait_until(partial(is_down, gateway, bird), "its sessions and routes are gone", WITHIN)
        assert not has_carrier(gateway.namespace)

    # It is back, and so are they.
    pair.left.ask("initiate", child="net", timeout=10)
    wait_until(lambda: learned(pair.left) >= everything[RIGHT], "the left one has routes again", 20)
    wait_until(lambda: learned(pair.right) >= everything[LEFT], "the right one has routes again", 20)
    assert ping(pair.left.namespace, LEFT, RIGHT)
