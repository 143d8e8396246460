"""Log lines as charon's `log` and `control-log` events: its subsystems ("groups") and levels."""

from __future__ import annotations

import logging

from ikepy.config.fields import Subsystem
from ikepy.daemon.bus.daemon_events import DaemonEvent, line_of, subsystem_of
from ikepy.daemon.vici.message import Value
from ikepy.sa.api.effects import Log

AUDIT, CONTROL, DETAIL = 0, 1, 2  # charon's levels: SAs and what is wrong, what is done, details
DEFAULT_LEVEL = CONTROL
THREAD = "0"  # charon's lines name the thread; control has one
# charon's names of what the log calls subsystems; a device is the kernel's.
_GROUPS: dict[Subsystem, str] = {
    "config": "CFG",
    "daemon": "DMN",
    "esp": "ESP",
    "net": "NET",
    "device": "KNL",
}


def level_of(line: Log | DaemonEvent) -> int:
    """charon's level of a line."""
    level = line.level.value if isinstance(line, Log) else line_of(line)[0]
    return AUDIT if level > logging.INFO else DETAIL if level < logging.INFO else CONTROL


def log_line(line: Log | DaemonEvent) -> dict[str, Value]:
    """The elements of a line's event, `thread` excepted."""
    if isinstance(line, Log):
        elements: dict[str, Value] = {"group": "IKE", "level": level_of(line), "ikesa-name": line.subject}
        if line.sa is not None:
            elements |= {"ikesa-name": line.sa.connection, "ikesa-uniqueid": str(line.sa.ike_id)}
            return {**elements, "msg": line.text}
        return {**elements, "msg": f"{line.subject}: {line.text}"}
    _, subject, text = line_of(line)
    return {"group": _GROUPS[subsystem_of(line)], "level": level_of(line), "msg": f"{subject}: {text}"}


def left_out(count: int) -> dict[str, Value]:
    """What stands for lines that the client was too slow for."""
    return {"group": "LIB", "level": AUDIT, "msg": f"{count} lines are left out"}
