"""Writes log lines and events to the log, at a limited rate those that peers cause; the rest is summed up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ikepy.config.fields import Subsystem
from ikepy.daemon import log, log_limit
from ikepy.daemon.bus.audit import AUDITED, Audit, fields_of_sa
from ikepy.daemon.bus.daemon_events import (
    BY_PEERS,
    DAEMON_EVENTS,
    DaemonEvent,
    fields_of,
    line_of,
    subsystem_of,
)
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.log_format import Fields
from ikepy.sa.api.effects import Level, Log
from ikepy.sa.api.events import EVENTS, Event, concerned
from ikepy.sa.api.log_source import Peer, kind_of
from ikepy.sa.api.path import Address


class LimitedLog:
    """The bus's listener that writes the log. `unlimited`: write all lines, for an operator waits for
    them."""

    def __init__(self, bus: EventBus, clock: Callable[[], float]) -> None:
        self.bus = bus
        self._clock = clock
        self.limiter = log_limit.LogLimit()
        self.unlimited = False
        self._summary: asyncio.TimerHandle | None = None  # once there is something to sum up
        self._audited = Audit(clock)
        bus.listen((Log,), self._write)
        bus.listen(EVENTS, _note)
        bus.listen(AUDITED, self._audit)
        bus.listen(DAEMON_EVENTS, self._tell_event)

    def _write(self, line: Log) -> None:
        free = line.source is None or line.level is Level.DEBUG or self.unlimited
        if free or self.permits(line.kind, line.source):
            log.log(line.level.value, line.subject, line.text, "ike", _fields(line))

    def _audit(self, event: Event) -> None:
        line = self._audited.line(event)
        if line is not None and (self.unlimited or self.permits(line.kind, line.source)):
            log.log(logging.INFO, "audit", line.text, "audit", line.fields)

    def _tell_event(self, event: DaemonEvent) -> None:
        about = subsystem_of(event), fields_of(event)
        if isinstance(event, BY_PEERS):
            self.tell(*line_of(event), *about)
        else:
            log.log(*line_of(event), *about)

    def tell(
        self,
        level: int,
        subject: str,
        text: str,
        subsystem: Subsystem = "device",
        fields: Fields | None = None,
    ) -> None:
        """Write a line on something that a peer caused, unless there were too many lines on that."""
        if self.unlimited or self.permits(kind_of(text), Peer(subject)):
            log.log(level, subject, text, subsystem, fields)

    def permits(self, kind: str, source: Address | Peer | None) -> bool:
        """Whether a line of this kind is to be written now; else it is counted for the summary."""
        if source is None or self.limiter.allow(kind, source, self._clock()):
            return True
        if self._summary is None:
            self._summary = asyncio.get_running_loop().call_later(log_limit.PERIOD, self._sum_up)
        return False

    def close(self) -> None:
        """Write the last summary."""
        if self._summary is not None:
            self._summary.cancel()
            self._sum_up()

    def _sum_up(self) -> None:
        self._summary = None
        for subject, text in self.limiter.sums():
            log.info(subject, text, "ike")


def _fields(line: Log) -> Fields:
    """What a line of the machine's is about, for JSON."""
    if line.sa is not None:
        return fields_of_sa(line.sa)
    return {"connection": line.source.connection} if isinstance(line.source, Peer) else {}


def _note(event: Event) -> None:
    """Write a debug line that an event of the machine's was published; it has log lines of its own."""
    if not log.writes(logging.DEBUG, "ike"):
        return
    sa = concerned(event)
    subject = "strangers" if sa is None else f"{sa.connection} #{sa.ike_id}"
    log.debug(subject, f"event {type(event).__name__}", "ike")
