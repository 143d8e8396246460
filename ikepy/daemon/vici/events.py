"""VICI's events: what the bus delivers, in strongSwan's form, for the clients that registered for it.

An event is made only if somebody wants it, once for all, and at the moment it happens, so that a child's
counters are its last ones. A client that leaves too much unread gets no log lines meanwhile (it is told how
many), and is cut off rather than lose an event of an SA, so that it knows that it has to look again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import DAEMON_EVENTS, DaemonEvent
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.snapshot import InstalledChild
from ikepy.daemon.vici.alerts import ALARMING, alerts, text_of
from ikepy.daemon.vici.log_lines import CONTROL, THREAD, left_out, level_of, log_line
from ikepy.daemon.vici.message import Pairs, Value
from ikepy.daemon.vici.packets import ALIVE
from ikepy.daemon.vici.packets import event as packet_of
from ikepy.daemon.vici.sections import Reqids, Section, child_key, child_sa, endpoints, ike_sa
from ikepy.daemon.vici.status_sections import STATUS
from ikepy.daemon.vici.vici_client import ViciClient
from ikepy.sa.api.effects import Log
from ikepy.sa.api.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    Event,
    IkeDown,
    IkeMoved,
    IkeRekeyed,
    IkeUp,
    concerned,
)
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot

LOG = "log"
ALERT = "alert"
# Events that commands send to the client that asks; the others come by themselves.
OF_COMMANDS = (
    *("list-sa", "list-policy", "list-conn", "list-cert", "list-authority", "control-log"),
    *(ALIVE, STATUS),
)
BY_THEMSELVES = (
    LOG,
    ALERT,
    "ike-updown",
    "ike-rekey",
    "ike-update",
    "child-updown",
    "child-rekey",
)
_OF_SAS: dict[type[Event], str] = {
    IkeUp: "ike-updown",
    IkeDown: "ike-updown",
    IkeRekeyed: "ike-rekey",
    IkeMoved: "ike-update",
    ChildUp: "child-updown",
    ChildDown: "child-updown",
    ChildRekeyed: "child-rekey",
}
SUBJECT = "control"
Named = tuple[str, Pairs]


class ViciEvents:
    """The registrations of all clients. `traffic`: a child with its counters; `clock`: monotonic."""

    def __init__(
        self,
        bus: EventBus,
        traffic: Callable[[ChildSnapshot], InstalledChild],
        reqids: Reqids,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._traffic = traffic
        self._reqids = reqids
        self._clock = clock
        self._clients: dict[str, dict[ViciClient, int]] = {name: {} for name in BY_THEMSELVES}
        bus.listen((Log,), self._line)
        bus.listen(DAEMON_EVENTS, self._line)
        bus.listen(dict.fromkeys((*_OF_SAS, *ALARMING)), self._event)

    def knows(self, event: str) -> bool:
        return event in BY_THEMSELVES or event in OF_COMMANDS

    def register(self, event: str, client: ViciClient) -> None:
        """Send this client the event from now on. `event` is one that `knows` knows."""
        if event in self._clients:
            self._clients[event].setdefault(client, 0)

    def unregister(self, event: str, client: ViciClient) -> None:
        """Send it no more."""
        if event in self._clients:
            self._clients[event].pop(client, None)

    def _line(self, line: Log | DaemonEvent) -> None:
        clients = self._clients[LOG]
        if not clients or level_of(line) > CONTROL:
            return
        packet = packet_of(LOG, {**log_line(line), "thread": THREAD}.items())
        for client, missed in tuple(clients.items()):
            if not client.has_room:
                clients[client] += 1
                continue
            if missed:
                client.write(packet_of(LOG, {**left_out(missed), "thread": THREAD}.items()))
                clients[client] = 0
            client.write(packet)

    def _event(self, event: Event) -> None:
        for name, pairs in self._made_of(event):
            packet = packet_of(name, pairs)
            for client in tuple(self._clients[name]):
                if client.has_room:
                    client.write(packet)
                else:
                    log.warning(SUBJECT, f"a client that left events ({name}) unread is cut off", "control")
                    client.hang_up()
                    self.unregister(name, client)

    def _made_of(self, event: Event) -> Iterator[Named]:
        """The VICI events of an event, those that somebody wants."""
        name = _OF_SAS.get(type(event))
        now = self._clock()
        if name is not None and self._clients[name]:
            yield name, self._of_sas(event, now)
        if self._clients[ALERT]:
            sa, text = concerned(event), text_of(event)
            about: list[tuple[str, Value]] = [("msg", text)] if text else []
            if sa is not None:
                about.append((sa.connection, ike_sa(sa, now)))
            for alert in alerts(event):
                yield ALERT, [("type", alert), *about]

    def _of_sas(self, event: Event, now: float) -> Pairs:
        match event:
            case IkeUp(sa):
                return [("up", "yes"), (sa.connection, ike_sa(sa, now))]
            case IkeDown(sa):
                return [(sa.connection, ike_sa(sa, now))]
            case IkeRekeyed(old, new):
                return [(old.connection, {"old": ike_sa(old, now), "new": ike_sa(new, now)})]
            case IkeMoved(sa, old):  # charon's event comes just before the change: the SA is where it was
                before = replace(sa, path=old)
                return [*endpoints(sa.path).items(), (sa.connection, ike_sa(before, now))]
            case ChildUp(sa, child):
                return [("up", "yes"), self._with_child(sa, child, self._child(sa, child, now), now)]
            case ChildDown(sa, child):
                return [self._with_child(sa, child, self._child(sa, child, now), now)]
            case ChildRekeyed(sa, old, new):
                both: Section = {"old": self._child(sa, old, now), "new": self._child(sa, new, now)}
                return [self._with_child(sa, old, both, now)]
            case _:
                return []

    def _child(self, sa: IkeSaSnapshot, child: ChildSnapshot, now: float) -> Section:
        return child_sa(self._traffic(child), self._reqids.of(sa.connection, child.name), now)

    def _with_child(
        self, sa: IkeSaSnapshot, child: ChildSnapshot, section: Section, now: float
    ) -> tuple[str, Section]:
        return sa.connection, {**ike_sa(sa, now), "child-sas": {child_key(child): section}}
