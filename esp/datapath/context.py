"""What the parts of one worker's data path share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from esp.datapath.devices import Device
from esp.datapath.sa_database import SaDatabase
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import Message


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """One worker's counters, SAs and devices, and its channel to control.

    `post` sends a message to control; it returns False if the message was lost. `deferred` takes work that
    can wait until the worker is idle: it is of packets that are already sent or written.
    """

    counters: CounterBlock
    post: Callable[[Message], bool]
    database: SaDatabase = field(default_factory=SaDatabase)
    devices: dict[int, Device] = field(default_factory=dict)
    deferred: list[Callable[[], object]] = field(default_factory=list)
