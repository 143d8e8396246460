"""Tells RADIUS servers who comes and goes, and what each user has carried (RFC 2866, 2869 2.1).

A session is a tunnel of a user whom EAP has let in: it begins when its IKE_SA is up, goes on over rekeys, and
ends with the last of them, or with the daemon. Requests leave from threads of their own and wait for nobody;
too many of them are dropped, and said.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ikepy.config.radius import Radius
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ConfigReloaded
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.effects.children import Child, ChildTable
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.daemon.effects.waiting_jobs import WaitingJobs
from ikepy.daemon.farewell import within
from ikepy.daemon.interfaces import Counters
from ikepy.daemon.radius import attributes
from ikepy.daemon.radius.answers import Client
from ikepy.daemon.radius.attributes import Attributes, number
from ikepy.sa.api.effects import Compute, Rank
from ikepy.sa.api.ends import End
from ikepy.sa.api.events import ChildRekeyed, ChildUp, IkeDown, IkeRekeyed, IkeUp
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot

START, STOP, INTERIM = 1, 2, 3
ACCT_STATUS_TYPE, ACCT_INPUT_OCTETS, ACCT_OUTPUT_OCTETS, ACCT_SESSION_ID, ACCT_AUTHENTIC = 40, 42, 43, 44, 45
ACCT_SESSION_TIME, ACCT_INPUT_PACKETS, ACCT_OUTPUT_PACKETS, ACCT_TERMINATE_CAUSE = 46, 47, 48, 49
ACCT_INPUT_GIGAWORDS, ACCT_OUTPUT_GIGAWORDS, EVENT_TIMESTAMP = 52, 53, 55
BY_RADIUS = 1
# RFC 2866 5.10: user request, lost service, session timeout, admin reset, NAS error.
CAUSES = {
    End.DELETED_BY_PEER: 1,
    End.TIMEOUT: 2,
    End.RESTARTED: 2,
    End.LOST_BY_PEER: 2,
    End.EXPIRED: 5,
    End.DELETED: 6,
    End.FAULT: 9,
}
OTHER_CAUSE = 10  # NAS request
REBOOT = 7  # admin reboot
MOST_WAITING = 1024  # requests
PATIENCE = 3.0  # seconds for those that are under way when the daemon ends
SUBJECT = "radius"


@dataclass(slots=True)
class Session:
    """`began`: monotonic seconds. `told`: its begin was sent; `unheard`: no server has taken that. `past`:
    what children carried that are gone; `children`: by child_id."""

    id: str
    sa: IkeSaSnapshot
    began: float
    told: bool = False
    unheard: bool = False
    past: Traffic = field(default_factory=Traffic)
    children: set[int] = field(default_factory=set)
    interval: float = 0  # seconds until the next report, from the last one on
    timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Report no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Accounting:
    """Listens to the daemon's events. `client`: what asks, None while no server is configured."""

    def __init__(
        self, bus: EventBus, client: Callable[[], Client | None], children: ChildTable, counters: Counters
    ) -> None:
        self._client = client
        self._children = children
        self._counters = counters
        self._sessions: dict[int, Session] = {}  # by ike_id
        self._owners: dict[int, Session] = {}  # by child_id
        self._boot = f"{int(time.time()):08x}{secrets.token_hex(2)}"
        self._loop = asyncio.get_running_loop()
        self._jobs = WaitingJobs(self._in_loop)
        self._sending: dict[int, tuple[Session, int]] = {}  # whom requests tell of, and the status, by ticket
        self._tickets = itertools.count(1)
        self._all_sent = asyncio.Event()
        self._lost = 0  # requests in a row that no server has answered, or for which there was no room
        bus.listen((IkeUp,), self._up)
        bus.listen((ChildUp,), lambda event: self._has_child(event.sa, event.child))
        bus.listen((ChildRekeyed,), lambda event: self._has_child(event.sa, event.new))
        bus.listen((IkeRekeyed,), self._rekeyed)
        bus.listen((IkeDown,), self._down)
        bus.listen((ConfigReloaded,), self._reloaded)

    def removing(self, child: Child) -> None:
        """Note what a child has carried that is being removed, while its counters stand."""
        session = self._owners.pop(child.child_id, None)
        if session is not None:
            session.children.discard(child.child_id)
            session.past = self._with(session.past, child)

    async def stop(self, hurry: asyncio.Event) -> None:
        """End the sessions there are still, and send no more; what is under way has a few seconds, until
        `hurry`."""
        for ike_id in tuple(self._sessions):
            self._end(ike_id, REBOOT)
        if self._sending:
            await within(PATIENCE, hurry, self._all_sent.wait())
        self._jobs.close()

    # -- events ------------------------------------------------------------------------------------

    def _up(self, event: IkeUp) -> None:
        sa = event.sa
        if sa.initiator or not sa.eap_id:
            return
        session = Session(f"{self._boot}-{sa.ike_id}", sa, time.monotonic())
        self._sessions[sa.ike_id] = session
        self._account(session)

    def _has_child(self, sa: IkeSaSnapshot, child: ChildSnapshot) -> None:
        """The session's figures are this child's, too; one that it replaces counts on until `removing`."""
        session = self._sessions.get(sa.ike_id)
        if session is not None:
            session.children.add(child.child_id)
            self._owners[child.child_id] = session

    def _rekeyed(self, event: IkeRekeyed) -> None:
        session = self._sessions.pop(event.old.ike_id, None)
        if session is not None:
            session.sa = event.new
            self._sessions[event.new.ike_id] = session

    def _down(self, event: IkeDown) -> None:
        self._end(event.sa.ike_id, CAUSES.get(event.end, OTHER_CAUSE))

    def _reloaded(self, event: ConfigReloaded) -> None:
        """There may be accounting now, or another interval."""
        for session in self._sessions.values():
            self._account(session)

    def _end(self, ike_id: int, cause: int) -> None:
        session = self._sessions.pop(ike_id, None)
        if session is None:
            return
        session.cancel()
        if session.told:
            self._send(session, STOP, [(ACCT_TERMINATE_CAUSE, number(cause))])
        for child_id in session.children:
            self._owners.pop(child_id, None)

    def _account(self, session: Session) -> None:
        """Tell that it has begun, if no server has heard it, and report after the interval that the
        configuration, or else the server, says."""
        settings = self._settings
        if settings is not None and (session.unheard or not session.told):
            session.told, session.unheard = True, False
            self._send(session, START)
        interval = 0 if settings is None else settings.accounting_interval or session.sa.granted.interim
        if session.timer is not None and interval == session.interval:
            return
        session.cancel()
        if interval:
            session.interval = interval
            session.timer = asyncio.get_running_loop().call_later(interval, self._interim, session)

    def _interim(self, session: Session) -> None:
        session.timer = None
        try:
            self._send(session, INTERIM)
        finally:  # also where there is no room for a thread that sends: the next one may get out
            self._account(session)

    # -- requests ----------------------------------------------------------------------------------

    @property
    def _settings(self) -> Radius | None:
        """Those of a daemon that is to account; None: it is not."""
        client = self._client()
        return client.settings if client is not None and client.settings.accounting else None

    def _with(self, traffic: Traffic, child: Child) -> Traffic:
        block = self._counters(child.device.slot)
        return traffic if block is None else traffic.plus(block.of_child(child.counter, child.child_id))

    def _carried(self, session: Session) -> Traffic:
        traffic = session.past
        for child_id in session.children:
            child = self._children.get(child_id)
            if child is not None:
                traffic = self._with(traffic, child)
        return traffic

    def _send(self, session: Session, status: int, more: Attributes | None = None) -> None:
        client, settings = self._client(), self._settings
        if client is None or settings is None:
            return
        if len(self._sending) >= MOST_WAITING:
            self._note_lost(session, status, "too much waits already")
            return
        request = [*self._request(settings, session, status), *(more or [])]
        ticket = next(self._tickets)
        self._sending[ticket] = session, status
        self._all_sent.clear()
        job = partial(client.account, request)
        self._jobs.submit(Compute(ticket, job, 0.0, Rank.ESTABLISHED, session.id, waits=True))

    def _in_loop(self, job: Compute, result: object) -> None:
        """Called in a thread, perhaps after the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._sent, job.ticket, result)

    def _sent(self, ticket: int, result: object) -> None:
        session, status = self._sending.pop(ticket)
        if isinstance(result, Exception):
            self._note_lost(session, status, str(result))
        elif self._lost:
            log.warning(SUBJECT, f"accounting goes on; requests that were lost: {self._lost:,}")
            self._lost = 0
        if not self._sending:
            self._all_sent.set()

    def _note_lost(self, session: Session, status: int, why: str) -> None:
        """The first one is told: thousands of users may have interim reports. A begin is sent again with the
        next report or reload."""
        session.unheard = session.unheard or status == START
        if not self._lost:
            log.warning(SUBJECT, f"accounting of {session.sa.eap_id!a}: {why}; further ones are counted")
        self._lost += 1

    def _request(self, settings: Radius, session: Session, status: int) -> Attributes:
        sa, granted = session.sa, session.sa.granted
        since = time.monotonic() - session.began if status == START else 0  # it may be sent late
        found: Attributes = [
            (ACCT_STATUS_TYPE, number(status)),
            (ACCT_SESSION_ID, attributes.text(session.id)),
            (ACCT_AUTHENTIC, number(BY_RADIUS)),
            (EVENT_TIMESTAMP, number(int(time.time() - since) & 0xFFFFFFFF)),
            (attributes.USER_NAME, attributes.text(granted.user or sa.eap_id)),
            *attributes.of_nas(settings, sa.ike_id, sa.connection, sa.path),
            *((attributes.framed(one), one.packed) for one in granted.addresses),
            *((attributes.CLASS, one) for one in granted.classes),
        ]
        return found if status == START else [*found, *self._figures(session)]

    def _figures(self, session: Session) -> Attributes:
        """Input is what came from the user (RFC 2866 5.3); counters of 64 bits in two halves."""
        carried = self._carried(session)
        return [
            (ACCT_SESSION_TIME, number(int(time.monotonic() - session.began))),
            (ACCT_INPUT_OCTETS, number(carried.in_bytes & 0xFFFFFFFF)),
            (ACCT_OUTPUT_OCTETS, number(carried.out_bytes & 0xFFFFFFFF)),
            (ACCT_INPUT_GIGAWORDS, number(carried.in_bytes >> 32 & 0xFFFFFFFF)),
            (ACCT_OUTPUT_GIGAWORDS, number(carried.out_bytes >> 32 & 0xFFFFFFFF)),
            (ACCT_INPUT_PACKETS, number(carried.in_packets & 0xFFFFFFFF)),
            (ACCT_OUTPUT_PACKETS, number(carried.out_packets & 0xFFFFFFFF)),
        ]
