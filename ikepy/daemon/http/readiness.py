"""Whether the daemon does its work: /readyz, by `daemon.http.ready`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ikepy.config.fields import Ready
from ikepy.daemon.control.snapshot import Snapshot
from ikepy.sa.api.snapshot import ChildWait, Waiting

MOST_NAMED = 20  # children in an answer


@dataclass(frozen=True, slots=True)
class Readiness:
    """`text`: why it is or is not ready, a line a child."""

    ready: bool
    text: str


def wanted(snapshot: Snapshot) -> Iterator[tuple[str, str, ChildWait | None]]:
    """Connection, name and state of each child that is configured to be up all the time."""
    for connection in snapshot.connections:
        waits = {wait.child: wait for wait in connection.children}
        for child in connection.config.children.values():
            if child.start_action == "start":
                yield connection.config.name, child.name, waits.get(child.name)


def is_up(wait: ChildWait | None) -> bool:
    return wait is not None and wait.waiting is Waiting.NOTHING


def readiness(snapshot: Snapshot, condition: Ready) -> Readiness:
    """By a snapshot with its connections."""
    children = list(wanted(snapshot))
    down = [(name, child, wait) for name, child, wait in children if not is_up(wait)]
    up = len(children) - len(down)
    ready = condition == "none" or not down or (condition == "any" and up > 0)
    lines = [f"{'ready' if ready else 'not ready'}: {up} of {len(children)} children are up"]
    for name, child, wait in down[:MOST_NAMED]:
        lines.append(f"{name}/{child} {_state(wait)}")
    if len(down) > MOST_NAMED:
        lines.append(f"and {len(down) - MOST_NAMED} more")
    return Readiness(ready, "\n".join(lines) + "\n")


def _state(wait: ChildWait | None) -> str:
    if wait is None:
        return "is not known yet"
    return f"waits for {wait.waiting.value}" + (f": {wait.reason}" if wait.reason else "")
