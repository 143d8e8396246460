"""Log lines as charon's events: groups, levels, whose they are."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.daemon.bus.daemon_events import (
    AddressGone,
    DaemonEnding,
    DaemonEvent,
    DeviceUp,
    WorkerDied,
    WorkerStarted,
)
from ikepy.daemon.vici.log_lines import AUDIT, CONTROL, DETAIL, left_out, level_of, log_line
from ikepy.sa.api.effects import Level, Log
from ikepy.sa.api.log_source import NamedSa


@pytest.mark.parametrize(
    ("event", "group", "level", "words"),
    [
        (WorkerStarted(1, 77), "ESP", CONTROL, "worker 1: started, pid 77"),
        (WorkerDied(1, -9, 2.0), "ESP", AUDIT, "worker 1: ended with signal 9"),
        (AddressGone(ip_address("192.0.2.1")), "NET", AUDIT, "net: our address 192.0.2.1"),
        (DeviceUp("ab", "vti0"), "KNL", AUDIT, "ab: vti0 is up again"),
        (DaemonEnding("SIGTERM", False), "DMN", CONTROL, "daemon: SIGTERM: ending"),
    ],
)
def test_the_daemons_own(event: DaemonEvent, group: str, level: int, words: str) -> None:
    line = log_line(event)
    assert (line["group"], line["level"]) == (group, level)
    assert str(line["msg"]).startswith(words)
    assert "ikesa-name" not in line


SA = NamedSa("site-b", 3, bytes(8), bytes(8))


@pytest.mark.parametrize(
    ("line", "elements"),
    [
        (
            Log(Level.INFO, "site-b #3", "it rains", sa=SA),
            {"ikesa-name": "site-b", "ikesa-uniqueid": "3", "msg": "it rains"},
        ),
        (Log(Level.INFO, "site-b", "it rains"), {"ikesa-name": "site-b", "msg": "site-b: it rains"}),
    ],
)
def test_the_machines(line: Log, elements: dict[str, str]) -> None:
    assert log_line(line) == {"group": "IKE", "level": CONTROL, **elements}


def test_levels() -> None:
    levels = {level: level_of(Log(level, "ab", "")) for level in Level}
    assert levels == {
        Level.DEBUG: DETAIL,
        Level.INFO: CONTROL,
        Level.WARNING: AUDIT,
        Level.ERROR: AUDIT,
    }
    assert left_out(7)["msg"] == "7 lines are left out"
