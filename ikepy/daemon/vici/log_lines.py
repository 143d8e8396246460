"""Log lines as charon's `log` and `control-log` events: its subsystems ("groups") and levels."""

from __future__ import annotations

import logging
import re

from ikepy.daemon.bus import daemon_events
from ikepy.daemon.bus.daemon_events import DaemonEvent, line_of
from ikepy.daemon.vici.message import Value
from ikepy.sa.api.effects import Log

AUDIT, CONTROL, DETAIL = 0, 1, 2  # charon's levels: SAs and what is wrong, what is done, details
DEFAULT_LEVEL = CONTROL
THREAD = "0"  # charon's lines name the thread; control has one
_SUBJECT = re.compile(r"(?P<name>\S+) #(?P<number>\d+)")
_GROUPS: tuple[tuple[str, tuple[type[DaemonEvent], ...]], ...] = (
    ("DMN", (daemon_events.DaemonStarted, daemon_events.DaemonEnding)),
    (
        "ESP",
        (
            daemon_events.WorkerStarted,
            daemon_events.WorkerDied,
            daemon_events.WorkerUnserved,
            daemon_events.WorkerServed,
            daemon_events.WorkerFault,
            daemon_events.ChildNotInstalled,
        ),
    ),
    (
        "NET",
        (
            daemon_events.AddressGone,
            daemon_events.AddressBack,
            daemon_events.ListeningBegun,
            daemon_events.ListeningFailed,
            daemon_events.ListeningEnded,
        ),
    ),
)
OTHER_GROUP = "KNL"  # devices and routes: the kernel's


def level_of(line: Log | DaemonEvent) -> int:
    """charon's level of a line."""
    level = line.level.value if isinstance(line, Log) else line_of(line)[0]
    return AUDIT if level > logging.INFO else DETAIL if level < logging.INFO else CONTROL


def log_line(line: Log | DaemonEvent) -> dict[str, Value]:
    """The elements of a line's event, `thread` excepted."""
    if isinstance(line, Log):
        group, subject, text = "IKE", line.subject, line.text
    else:
        group = next((name for name, kinds in _GROUPS if isinstance(line, kinds)), OTHER_GROUP)
        _, subject, text = line_of(line)
    elements: dict[str, Value] = {"group": group, "level": level_of(line)}
    found = _SUBJECT.fullmatch(subject)
    if found:
        elements |= {"ikesa-name": found["name"], "ikesa-uniqueid": found["number"]}
    elif isinstance(line, Log):
        elements["ikesa-name"] = subject
    return {**elements, "msg": text if found else f"{subject}: {text}"}


def left_out(count: int) -> dict[str, Value]:
    """What stands for lines that the client was too slow for."""
    return {"group": "LIB", "level": AUDIT, "msg": f"{count} lines are left out"}
