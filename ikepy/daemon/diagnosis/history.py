"""Keeps what `ikepy status` needs of the past: by connection and child how the last tries ended, and why.

A connection may have many IKE_SAs at once, of many peers: it is up while one of them is. Bounded: a fixed
number of facts a connection and child of the configuration, a few of each SA that is up, and the last refused
strangers. Times are on the monotonic clock.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ikepy.config.identity import Identity
from ikepy.daemon.bus.daemon_events import ConnectionRemoved, PacketWithoutSa
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.bus.given_up import given_up
from ikepy.daemon.net.icmp_errors import IcmpError
from ikepy.sa.api.ends import End, Failure
from ikepy.sa.api.events import (
    EVENTS,
    ChildDown,
    ChildExpired,
    ChildRekeyed,
    ChildRekeyFailed,
    ChildSetUpFailed,
    ChildUp,
    Event,
    IkeDown,
    IkeMoved,
    IkeRekeyed,
    IkeRekeyFailed,
    IkeSetUpFailed,
    IkeUp,
    LocalAddressGone,
    PacketRefused,
    ResponseIgnored,
    RetransmissionsEnded,
    Retransmitted,
)
from ikepy.sa.api.path import Address, Path
from ikepy.sa.api.snapshot import IkeSaSnapshot

MOST_ENDS = 16  # ends of a connection's IKE_SAs, and pauses, that are kept
PAUSE = 2  # retransmissions that are more than a lost packet
MOST_STRANGERS = 16  # addresses whose refused requests are kept
LOST = frozenset({End.RESTARTED, End.LOST_BY_PEER})  # the peer had lost it before it ended

Who = tuple[Identity | None, str]  # a peer's identity, and its user's by EAP

E = TypeVar("E", covariant=True)


@dataclass(frozen=True, slots=True)
class Try:
    """An IKE_SA that did not come up. `sa` None: refused before there was one."""

    at: float
    path: Path
    end: End
    failure: Failure | None
    sa: IkeSaSnapshot | None
    text: str


@dataclass(slots=True)
class Standing:
    """An IKE_SA that is up. `since`: over its rekeys; None: begun before. `peer`: where it is."""

    since: float | None
    who: Who
    peer: Address


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an IKE_SA that took the tunnel down. `lived`: seconds, over all its rekeys; None: begun
    before."""

    at: float
    end: End
    failure: Failure | None
    lived: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """The peer answered nothing for so many seconds until `at`, and then went on."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Dated(Generic[E]):
    """An event, and when it came."""

    at: float
    event: E


@dataclass(frozen=True, slots=True)
class Dropped:
    """Packets that a child's selectors do not permit. `start`: the first octets of the last one."""

    at: float
    count: int
    start: bytes


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Packets that came into a connection's device, and that none of its children may carry."""

    at: float
    count: int
    last: PacketWithoutSa


@dataclass(slots=True)
class ChildHistory:
    """One configured child. `up_since`: over its rekeys; None while no CHILD_SA has its traffic."""

    up: set[int] = field(default_factory=set)  # the child_ids of those that have it
    up_since: float | None = None
    down_since: float | None = None
    failed: Dated[ChildSetUpFailed] | None = None  # until it is up
    rekey_failed: Dated[ChildRekeyFailed] | None = None  # until a rekey succeeds, or it ends unexpired
    expired_at: float | None = None  # until it is up
    dropped: Dropped | None = None


@dataclass(slots=True)
class ConnectionHistory:
    """One connection. `up_since`: None while no IKE_SA is up. `tries`: those of ours in a row that came to
    nothing, since `failing_since`."""

    up: dict[int, Standing] = field(default_factory=dict)  # by ike_id
    up_since: float | None = None  # without an interruption
    down_since: float | None = None
    tries: int = 0
    failing_since: float | None = None
    own_try: Try | None = None  # until it is up
    ignored: Dated[ResponseIgnored] | None = None  # a response to the IKE_SA_INIT of the try under way
    own_ignored: Dated[ResponseIgnored] | None = None  # the same of `own_try`
    refused: Try | None = None  # the peer's request, or one that looks like the peer's
    offer_refused: Dated[ChildSetUpFailed] | None = None  # the peer's request for a child
    rekey_failed: Dated[IkeRekeyFailed] | None = None  # as of a child
    retransmitted: Dated[Retransmitted] | None = None  # until an answer comes
    icmp: Dated[IcmpError] | None = None  # a hint, which anybody can forge; until an answer comes
    own_icmp: Dated[IcmpError] | None = None  # the same of `own_try`
    esp_icmp: Dated[IcmpError] | None = None  # of packets to a peer; until that is up anew
    moved: Dated[IkeMoved] | None = None
    unmatched: Unmatched | None = None  # since a child came up last
    address_gone: tuple[float, Address] | None = None
    ends: deque[Ended] = field(default_factory=lambda: deque(maxlen=MOST_ENDS))
    pauses: deque[Pause] = field(default_factory=lambda: deque(maxlen=MOST_ENDS))
    children: dict[str, ChildHistory] = field(default_factory=dict)

    def child(self, name: str) -> ChildHistory:
        """That of a child, which it makes if there is none: for names of the configuration only."""
        return self.children.setdefault(name, ChildHistory())


class History:
    """Listens to the bus, and keeps the facts. `clock`: monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.since = clock()
        self.connections: dict[str, ConnectionHistory] = {}
        self.strangers: OrderedDict[Address, Try] = OrderedDict()

    def listen(self, bus: EventBus) -> None:
        bus.listen(EVENTS, self.note)
        bus.listen((ConnectionRemoved,), self._forget)
        bus.listen((PacketWithoutSa,), self.note_unmatched)

    def _forget(self, event: ConnectionRemoved) -> None:
        self.connections.pop(event.connection, None)

    def note_unmatched(self, event: PacketWithoutSa) -> None:
        of = self.connections.setdefault(event.connection, ConnectionHistory())
        count = event.count + (0 if of.unmatched is None else of.unmatched.count)
        of.unmatched = Unmatched(self._clock(), count, event)

    def note_icmp(self, error: IcmpError) -> None:
        """Keep the last one with each connection that waits for an answer from there, or did in vain; of ESP,
        with each whose peer is there."""
        for of in self.connections.values():
            if not error.remote.port:
                if any(one.peer == error.remote.address for one in of.up.values()):
                    of.esp_icmp = Dated(self._clock(), error)
            elif of.retransmitted is not None and of.retransmitted.event.sa.path.remote == error.remote:
                of.icmp = Dated(self._clock(), error)
            elif of.own_try is not None and of.own_try.path.remote == error.remote:
                of.own_icmp = Dated(self._clock(), error)  # it may come late: ARP takes seconds to fail

    def of(self, connection: str) -> ConnectionHistory:
        """A connection's, to be read: an empty one if nothing has happened."""
        return self.connections.get(connection) or ConnectionHistory()

    def note(self, event: Event) -> None:
        now = self._clock()
        if isinstance(event, IkeSetUpFailed) and event.sa is None:
            self._note_stranger(event, now)
            return
        sa = event.old if isinstance(event, IkeRekeyed) else event.sa
        if sa is None:
            return
        of = self.connections.setdefault(sa.connection, ConnectionHistory())
        if isinstance(event, ChildUp | ChildRekeyed | ChildDown | ChildRekeyFailed | ChildExpired):
            _note_child(of, event, now)
        elif isinstance(event, ChildSetUpFailed):
            if event.name:
                of.child(event.name).failed = Dated(now, event)
            else:
                of.offer_refused = Dated(now, event)
        elif isinstance(event, PacketRefused):
            child = of.child(event.child.name)
            count = 1 if child.dropped is None else child.dropped.count + 1
            child.dropped = Dropped(now, count, event.start)
        else:
            _note_ike(of, event, now)

    def _note_stranger(self, event: IkeSetUpFailed, now: float) -> None:
        remote = event.path.remote.address
        self.strangers.pop(remote, None)
        self.strangers[remote] = Try(now, event.path, event.end, event.failure, None, event.text)
        if len(self.strangers) > MOST_STRANGERS:
            self.strangers.popitem(last=False)


def _note_child(
    of: ConnectionHistory,
    event: ChildUp | ChildRekeyed | ChildDown | ChildRekeyFailed | ChildExpired,
    now: float,
) -> None:
    match event:
        case ChildUp(child=child):
            mine = of.child(child.name)
            mine.up.add(child.child_id)
            mine.up_since, mine.down_since = now if mine.up_since is None else mine.up_since, None
            mine.failed, mine.rekey_failed, mine.expired_at = None, None, None
            of.offer_refused, of.unmatched = None, None
        case ChildRekeyed(old=old, new=child):
            mine = of.child(child.name)
            mine.up.discard(old.child_id)
            mine.up.add(child.child_id)
            mine.rekey_failed = None
        case ChildDown(child=child):
            mine = of.child(child.name)
            mine.up.discard(child.child_id)
            failed = mine.rekey_failed
            if (
                failed is not None
                and failed.event.child.child_id == child.child_id
                and mine.expired_at is None
            ):
                mine.rekey_failed = None
            if not mine.up:
                mine.up_since, mine.down_since = None, now
        case ChildRekeyFailed(child=child):
            of.child(child.name).rekey_failed = Dated(now, event)
        case ChildExpired(child=child):
            of.child(child.name).expired_at = now


def _note_ike(of: ConnectionHistory, event: Event, now: float) -> None:
    match event:
        case IkeUp(sa):
            _note_up(of, sa, now)
        case IkeRekeyed(old, new):
            of.rekey_failed = None
            before = of.up.pop(old.ike_id, None)
            of.up[new.ike_id] = _standing(new, None if before is None else before.since)
        case IkeDown():
            _note_down(of, event, now)
        case IkeSetUpFailed(sa=sa) if sa is not None and given_up(event):
            of.ignored = None
            _waits_no_more(of, sa)
        case IkeSetUpFailed(sa, path, end, failure, text) if sa is not None:
            failed = Try(now, path, end, failure, sa, text)
            if not sa.initiator:
                of.refused = failed
                return
            of.own_try, of.tries = failed, of.tries + 1
            of.own_ignored, of.ignored = of.ignored, None
            of.own_icmp = (of.icmp if _waits(of, sa) else None) or of.own_icmp
            of.failing_since = now if of.failing_since is None else of.failing_since
            _waits_no_more(of, sa)
        case IkeRekeyFailed():
            of.rekey_failed = Dated(now, event)
        case ResponseIgnored():
            of.ignored = Dated(now, event)
        case Retransmitted():
            of.retransmitted = Dated(now, event)
        case RetransmissionsEnded(sa, _, attempt):
            sent = of.retransmitted if _waits(of, sa) else None
            if sent is not None and sa.established_at is not None and attempt >= PAUSE:
                of.pauses.append(Pause(now, now - sent.event.sa.heard_at))
            _waits_no_more(of, sa)
        case IkeMoved(sa):
            if sa.ike_id in of.up:
                of.up[sa.ike_id].peer = sa.path.remote.address
            of.moved = Dated(now, event)
        case LocalAddressGone(address=address, back=back):
            of.address_gone = None if back else (now, address)
        case _:  # IkeExpired: its IkeDown follows
            pass


def _note_up(of: ConnectionHistory, sa: IkeSaSnapshot, now: float) -> None:
    of.up[sa.ike_id] = _standing(sa, now)
    of.up_since, of.down_since = now if of.up_since is None else of.up_since, None
    of.tries, of.failing_since = 0, None
    of.own_try, of.refused, of.ignored, of.offer_refused = None, None, None, None
    of.rekey_failed, of.address_gone, of.own_icmp = None, None, None
    if of.esp_icmp is not None and of.esp_icmp.event.remote.address == sa.path.remote.address:
        of.esp_icmp = None
    _waits_no_more(of, sa)


def _note_down(of: ConnectionHistory, event: IkeDown, now: float) -> None:
    """It is an end of the connection only where this interrupts the tunnel: not where another IKE_SA goes on
    with it, as at a reauthentication, or other users have theirs."""
    sa = event.sa
    _waits_no_more(of, sa)
    failed = of.rekey_failed
    if failed is not None and failed.event.sa.ike_id == sa.ike_id and event.end is not End.EXPIRED:
        of.rekey_failed = None
    ended = of.up.pop(sa.ike_id, None)
    others = of.up.values()
    # A peer that has lost its SAs begins anew before the old one ends here.
    if not others or (event.end in LOST and all(one.who == _who(sa) for one in others)):
        lived = None if ended is None or ended.since is None else now - ended.since
        of.ends.append(Ended(now, event.end, event.failure, lived))
        of.up_since, of.down_since = (now, None) if others else (None, now)


def _waits(of: ConnectionHistory, sa: IkeSaSnapshot) -> bool:
    """Whether it is this IKE_SA whose request was retransmitted last, and waits for its answer."""
    return of.retransmitted is not None and of.retransmitted.event.sa.ike_id == sa.ike_id


def _waits_no_more(of: ConnectionHistory, sa: IkeSaSnapshot) -> None:
    """No request of this IKE_SA waits for an answer; one of another's may."""
    if _waits(of, sa):
        of.retransmitted, of.icmp = None, None


def _standing(sa: IkeSaSnapshot, since: float | None) -> Standing:
    return Standing(since, _who(sa), sa.path.remote.address)


def _who(sa: IkeSaSnapshot) -> Who:
    return sa.remote_id, sa.eap_id
