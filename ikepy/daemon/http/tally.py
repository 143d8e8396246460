"""Counts events since the daemon's start: handshakes by outcome, rekeys, retransmissions, ends.

Keys are names of the configuration and words of ours: no peer can make new ones.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import dataclass, field, fields
from typing import TypeVar

from ikepy.daemon.bus.daemon_events import ConfigRefused, ConfigReloaded, ConnectionRemoved
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.sa.api.ends import (
    AuthenticationFailure,
    Failure,
    HalfOpenLimit,
    KeyExchangeMismatch,
    Party,
    ProposalMismatch,
    SelectorMismatch,
    Silence,
)
from ikepy.sa.api.events import (
    EVENTS,
    ChildDown,
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
    Retransmitted,
)

K = TypeVar("K", bound=tuple[str, ...])
OfIke = Counter[tuple[str, str]]  # connection, outcome or reason
OfChild = Counter[tuple[str, str, str]]  # connection, child, outcome or reason

DONE = "done"
ESTABLISHED = "established"
INSTALLED = "installed"
REFUSED = "refused"


@dataclass(slots=True)
class Tally:
    """The counts. Connection "": a stranger's request, which was refused before it could be told whose."""

    handshakes: OfIke = field(default_factory=Counter)
    ike_rekeys: OfIke = field(default_factory=Counter)
    ike_ends: OfIke = field(default_factory=Counter)
    moves: OfIke = field(default_factory=Counter)
    retransmissions: Counter[str] = field(default_factory=Counter)
    child_set_ups: OfChild = field(default_factory=Counter)
    child_rekeys: OfChild = field(default_factory=Counter)
    child_ends: OfChild = field(default_factory=Counter)
    reloads: Counter[str] = field(default_factory=Counter)  # of the configuration, by outcome
    reload_refused: bool = False  # the last one

    def listen(self, bus: EventBus) -> None:
        """Count what the bus carries from now on; what was counted for a removed connection is forgotten."""
        bus.listen(EVENTS, self.count)
        bus.listen((ConnectionRemoved,), self._forget)
        bus.listen((ConfigReloaded,), lambda _: self._reloaded(DONE))
        bus.listen((ConfigRefused,), lambda _: self._reloaded(REFUSED))

    def _reloaded(self, outcome: str) -> None:
        self.reloads[outcome] += 1
        self.reload_refused = outcome == REFUSED

    def _forget(self, event: ConnectionRemoved) -> None:
        self.retransmissions.pop(event.connection, None)
        for counts in (self.handshakes, self.ike_rekeys, self.ike_ends, self.moves):
            _forget(counts, event.connection)
        for of_child in (self.child_set_ups, self.child_rekeys, self.child_ends):
            _forget(of_child, event.connection)

    def copy(self) -> Tally:
        """The counts as they are now, for another thread."""
        return Tally(*(copy(getattr(self, one.name)) for one in fields(self)))

    def count(self, event: Event) -> None:
        match event:
            case IkeUp(sa):
                self.handshakes[sa.connection, ESTABLISHED] += 1
            case IkeSetUpFailed(sa=sa, end=end, failure=failure):
                connection = "" if sa is None else sa.connection
                self.handshakes[connection, outcome(failure) or end.name.lower()] += 1
            case IkeRekeyed(old=sa):
                self.ike_rekeys[sa.connection, DONE] += 1
            case IkeRekeyFailed(sa=sa, failure=failure):
                self.ike_rekeys[sa.connection, outcome(failure) or "failed"] += 1
            case IkeDown(sa=sa, end=end):
                self.ike_ends[sa.connection, end.name.lower()] += 1
            case IkeMoved(sa=sa, reason=reason):
                self.moves[sa.connection, reason.name.lower()] += 1
            case Retransmitted(sa=sa):
                self.retransmissions[sa.connection] += 1
            case ChildUp(sa, child):
                self.child_set_ups[sa.connection, child.name, INSTALLED] += 1
            case ChildSetUpFailed(sa=sa, name=name, failure=failure):
                self.child_set_ups[sa.connection, name, outcome(failure) or "failed"] += 1
            case ChildRekeyed(sa=sa, old=child):
                self.child_rekeys[sa.connection, child.name, DONE] += 1
            case ChildRekeyFailed(sa=sa, child=child, failure=failure):
                self.child_rekeys[sa.connection, child.name, outcome(failure) or "failed"] += 1
            case ChildDown(sa=sa, child=child, reason=reason):
                self.child_ends[sa.connection, child.name, reason.name.lower()] += 1
            case _:  # others are no outcomes, or are counted where the SA ends
                pass


def _forget(counts: Counter[K], connection: str) -> None:
    for key in [key for key in counts if key[0] == connection]:
        del counts[key]


def outcome(failure: Failure | None) -> str | None:
    """A failure in one word; None if nothing is known of it."""
    if failure is None:
        return None
    match failure.cause:
        case ProposalMismatch() | KeyExchangeMismatch():
            return "no_proposal_chosen"
        case SelectorMismatch():
            return "ts_unacceptable"
        case AuthenticationFailure():
            return "authentication_failed"
        case Silence():
            return "timeout"
        case HalfOpenLimit():
            return "half_open_limit"
    match failure.by:
        case Party.NOBODY:
            return "timeout"
        case Party.PEER:
            return "refused_by_peer"
        case Party.US:
            return "refused_by_us"
