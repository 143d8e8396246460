"""When the daemon is ready, and what it says of what it waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.config.fields import Ready
from ikepy.config.model import Connection
from ikepy.daemon.control.snapshot import ConnectionState, DaemonState, Snapshot
from ikepy.daemon.http.readiness import MOST_NAMED, readiness
from ikepy.sa.api.snapshot import ChildWait, Waiting
from tests.unit.daemon.fakes import connection


def snapshot(*waits: Waiting | None, action: str = "start") -> Snapshot:
    """One connection each, whose child waits for this; None: the machine does not know it yet."""
    states = []
    for number, waiting in enumerate(waits):
        name = f"c{number}"
        config = Connection.model_validate(connection(name, child={"start_action": action}))
        known = () if waiting is None else (ChildWait(name, "net", waiting),)
        states.append(ConnectionState(config, known))
    return Snapshot(0.0, 0.0, DaemonState("1", 0.0), connections=tuple(states))


UP, RETRY = Waiting.NOTHING, Waiting.RETRY


@pytest.mark.parametrize(
    ("waits", "condition", "ready"),
    [
        ((), "all", True),
        ((UP, UP), "all", True),
        ((UP, RETRY), "all", False),
        ((UP, None), "all", False),
        ((), "any", True),
        ((UP, RETRY), "any", True),
        ((RETRY, None), "any", False),
        ((RETRY, RETRY), "none", True),
    ],
)
def test_conditions(waits: tuple[Waiting | None, ...], condition: Ready, ready: bool) -> None:
    judged = readiness(snapshot(*waits), condition)
    assert judged.ready is ready
    assert judged.text.startswith("ready: " if ready else "not ready: ")


@pytest.mark.parametrize("action", ["none", "trap"])
def test_only_children_that_are_to_be_up_count(action: str) -> None:
    assert readiness(snapshot(RETRY, action=action), "all").ready


def test_it_says_what_is_waited_for() -> None:
    judged = readiness(snapshot(UP, RETRY, None), "all")
    assert judged.text == (
        "not ready: 1 of 3 children are up\nc1/net waits for its next try\nc2/net is not known yet\n"
    )


def test_a_thousand_do_not_make_a_long_answer() -> None:
    text = readiness(snapshot(*[RETRY] * 100), "all").text
    assert len(text.splitlines()) == MOST_NAMED + 2
    assert text.endswith("and 80 more\n")


def test_what_stands_in_the_way_of_an_address_is_said() -> None:
    seen = snapshot(Waiting.ADDRESS)
    (state,) = seen.connections
    wait = replace(state.children[0], reason="192.0.2.1 is not an address of this machine yet")
    judged = readiness(replace(seen, connections=(replace(state, children=(wait,)),)), "all")
    assert "c0/net waits for an address: 192.0.2.1 is not an address of this machine yet" in judged.text
