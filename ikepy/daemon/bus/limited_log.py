"""Writes log lines and events to the log, at a limited rate those that peers cause; the rest is summed up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ikepy.daemon import log, log_limit
from ikepy.daemon.bus.daemon_events import BY_PEERS, DAEMON_EVENTS, DaemonEvent, line_of
from ikepy.daemon.bus.event_bus import EventBus
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
        bus.listen((Log,), self._write)
        bus.listen(EVENTS, _note)
        bus.listen(DAEMON_EVENTS, self._tell_event)

    def _write(self, line: Log) -> None:
        free = line.source is None or line.level is Level.DEBUG or self.unlimited
        if free or self.permits(line.kind, line.source):
            log.log(line.level.value, line.subject, line.text)

    def _tell_event(self, event: DaemonEvent) -> None:
        if isinstance(event, BY_PEERS):
            self.tell(*line_of(event))
        else:
            log.log(*line_of(event))

    def tell(self, level: int, subject: str, text: str) -> None:
        """Write a line on something that a peer caused, unless there were too many lines on that."""
        if self.unlimited or self.permits(kind_of(text), Peer(subject)):
            log.log(level, subject, text)

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
            log.info(subject, text)


def _note(event: Event) -> None:
    """Write a debug line that an event of the machine's was published; it has log lines of its own."""
    if not log.LOGGER.isEnabledFor(logging.DEBUG):
        return
    sa = concerned(event)
    subject = "strangers" if sa is None else f"{sa.connection} #{sa.ike_id}"
    log.debug(subject, f"event {type(event).__name__}")
