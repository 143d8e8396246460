"""The daemon's events have one log line each."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import get_type_hints

import pytest

from ikepy.daemon.bus.daemon_events import (
    BY_PEERS,
    DAEMON_EVENTS,
    DaemonEvent,
    DeviceDeleted,
    DeviceRestored,
    WorkerDied,
    WorkerUnserved,
    line_of,
)
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.bus.limited_log import LimitedLog

VALUES: dict[object, object] = {
    int: 3,
    float: 1.5,
    str: "x",
    bool: True,
    str | None: None,
    tuple[str, ...]: ("t0", "t1"),
}


def example(kind: type[DaemonEvent]) -> DaemonEvent:
    values = {name: VALUES.get(hint, IPv4Address("192.0.2.1")) for name, hint in get_type_hints(kind).items()}
    if "addresses" in values:
        values["addresses"] = (IPv4Address("192.0.2.1"),)
    return kind(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", DAEMON_EVENTS)
def test_every_event_has_a_line(kind: type[DaemonEvent]) -> None:
    level, subject, text = line_of(example(kind))
    assert level >= 20 and subject and text.isprintable()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (WorkerDied(0, -9, 1.24), "ended with signal 9 after 1.2 s; it is replaced, its SAs are gone"),
        (WorkerDied(0, 1, 3.0), "ended with status 1 after 3.0 s; it is replaced, its SAs are gone"),
        (
            WorkerUnserved(0, tuple(f"t{number}" for number in range(7))),
            "is not there: t0, t1, t2, t3, t4 and 2 more carry nothing and have no carrier, and children are "
            "refused, until it can be started",
        ),
        (
            DeviceRestored("a", "t0", tuple("vwxyz")),
            "t0 was changed by others: v, w, x, y and 1 more; restored",
        ),
        (DeviceRestored("a", "t0", ("v",), was_down=True), "t0 is up again: v; restored"),
        (
            DeviceDeleted("a", "t0", None, carried=True),
            "t0 was deleted by others: made again with all that belongs to it, its SAs stay",
        ),
        (
            DeviceDeleted("a", "t0", "no", carried=True),
            "t0 was deleted by others and can't be made again: no; its SAs are deleted, "
            "and it is tried again",
        ),
    ],
)
def test_lines(event: DaemonEvent, text: str) -> None:
    assert line_of(event)[2] == text


def test_what_peers_bring_about_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    """And what they can't is not."""
    bus = EventBus()
    written = LimitedLog(bus, lambda: 0.0)
    written.permits = lambda kind, source: False  # type: ignore[method-assign]
    with caplog.at_level("INFO", "ikepy"):
        for kind in DAEMON_EVENTS:
            bus.publish(example(kind))
    assert len(caplog.records) == len(DAEMON_EVENTS) - len(BY_PEERS)
