"""Creates a further CHILD_SA by CREATE_CHILD_SA, with or without a key exchange (RFC 7296 1.3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.difference import is_replaced
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import failure_of
from ikepy.sa.api.events import ChildSetUpFailed
from ikepy.sa.exchange import child_negotiation
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.negotiation.collision import Colliding, Nonces, ours_is_redundant
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.end_actions import ChildEnd
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Answer, Task, TaskKind, outcomes
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.tasks import creating, desired
from ikepy.sa.tasks import standby as waiting
from ikepy.sa.tasks.create_exchange import CreateExchange
from ikepy.sa.tasks.creating import Created
from ikepy.sa.tasks.delete import DeleteChild, deleted_by_peer
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload

MAX_POSTPONED = 5  # TEMPORARY_FAILURE responses after which the request is tried again


class ChildCreate(Task[IkeSa]):
    """Our request for a child. `replaces`: the child_id of a child to delete when the new one is up."""

    kind = TaskKind.CHILD_CREATE
    wanted: WantedChild

    def __init__(self, wanted: WantedChild, *, replaces: int | None = None) -> None:
        self.wanted = wanted
        self.replaces = replaces
        self.create = CreateExchange(wanted.config, wanted.ts_request)
        self._failures = 0
        self._colliding: Colliding[ChildSa] | None = None

    @property
    def midway(self) -> bool:
        return self.create.midway

    @property
    def exchange(self) -> ExchangeType:
        return self.create.exchange

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        config = sa.connection.children.get(self.wanted.config.name)
        if config is None or (self.wanted.given_up and not self.midway):
            return None  # another configuration is without it, or a user wants it down
        if config is not self.wanted.config:
            self.wanted.reconfigure(config)
            self.create = CreateExchange(config, self.wanted.ts_request)
        if self.midway:
            return self.create.payloads(sa)
        replaces = self.replaces or 0
        # Only a child newer than the lost one counts. If that is lost too, its own request finds ours, and
        # one new child is made, not two. One of a former configuration is about to be deleted.
        children = [c for c in sa.children.values() if c.in_use and c.replaced_by is None]
        met = [c for c in children if self.wanted.met_by(c) and not is_replaced(c.config, config)]
        if any(c.child_id > replaces for c in met):
            old = sa.children.get(replaces)
            if old is not None and old.in_use and old.replaced_by is None:
                sa.enqueue(DeleteChild(replaces), first=True)
            return None  # the peer, or another request of ours, has created it already
        return self.create.payloads(sa)

    def collide(self, child: ChildSa | None, nonces: Nonces) -> None:
        """Note `child`, which the peer's request for the same traffic made while ours is outstanding."""
        self._colliding = None if child is None else Colliding(child, nonces)

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        method = self.create.other_method(payloads)
        if method is not None:
            sa.enqueue(self, first=True)
            return [sa.log(Level.DEBUG, f"the peer asks for key exchange {method}: CREATE_CHILD_SA again")]
        narrower = self.create.narrower(payloads)
        if narrower is not None:
            self.wanted.ts_request = narrower
            self.create = CreateExchange(self.wanted.config, narrower)
            sa.enqueue(self, first=True)
            return [sa.log(Level.INFO, child_negotiation.one_pair(self.wanted.config, narrower))]
        refusal = error_handling.gravest(Exchange.CHILD_CREATE, payloads)
        if refusal is not None and refusal[0] is Step.LATER and self._failures < MAX_POSTPONED:
            self._failures += 1
            self.create = CreateExchange(self.wanted.config, self.wanted.ts_request)
            wait = sa.tasks.postpone(self, self._failures, now)
            return [sa.log(Level.INFO, f"the peer is busy: CREATE_CHILD_SA again in {wait:.0f} s")]
        if self._colliding is not None and self._loses(sa, payloads):
            theirs = self._colliding.sa
            self._retire(sa, theirs.child_id)
            if self.wanted.given_up:
                sa.enqueue(DeleteChild(theirs.child_id, wanted=True))
            return self.failed(sa, "the peer's stays")
        key = sa.connection.name, self.wanted.config.name
        failures = sa.registry.failures.get(key, 0)
        try:
            if not self.create.take(sa, payloads):
                sa.enqueue(self, first=True)
                return []
            child, effects = self.create.conclude(sa, now)
        except PeerError as error:
            if error.fatal:
                raise
            return self._refuse(sa, payloads, error)
        if self.create.is_deleted(child):
            if failures:
                sa.registry.failures[key] = failures  # it was no success
            if self.wanted.given_up:
                child.state = ChildState.DELETING  # nor is it brought up again
            effects += deleted_by_peer(sa, child, now)
            if self.replaces is not None:
                sa.enqueue(DeleteChild(self.replaces, end=ChildEnd.DELETED_BY_PEER))
            return [*effects, *self.failed(sa, "the peer deleted it at once")]
        if self._colliding is not None:
            # If the peer noticed the collision it deletes its redundant child itself; otherwise we do. It may
            # have rekeyed that child meanwhile, so that `like` finds the successor.
            theirs = self._colliding.sa
            sa.enqueue(DeleteChild(theirs.child_id, wanted=True, like=theirs, spare=True))
        self._retire(sa, child.child_id)
        if self.wanted.given_up:
            sa.enqueue(DeleteChild(child.child_id, wanted=True))
        text = f"CHILD_SA {child.config.name} #{child.child_id} is up"
        return effects + outcomes(self.wanted.tickets, True, text)

    def about(self, sa: IkeSa) -> frozenset[str]:
        return frozenset({self.wanted.config.name})

    def overtaken_by_delete(self, spi_out: int) -> None:
        self.create.overtaken_by_delete(spi_out)

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        name, tickets = self.wanted.config.name, self.wanted.tickets
        waits = any(tickets) and desired.wants(sa, name) and not desired.stands(sa, self.wanted)
        if waits and desired.want(sa, name, tickets):  # another request for it will tell the outcome
            return []
        return desired.failed(sa, self.wanted, reason)

    def _loses(self, sa: IkeSa, payloads: Sequence[Payload]) -> bool:
        """Whether both ends created the same child at once and ours is redundant, by the rule of 2.8.1."""
        colliding = None if self._colliding is None else sa.children.get(self._colliding.sa.child_id)
        if (
            self._colliding is None
            or colliding is None
            or not colliding.in_use
            or query.error(payloads) is not None
        ):
            return False
        if not ours_is_redundant(self.create.nonces(payloads), self._colliding.nonces):
            return False
        self.create.discard(sa, payloads)
        return True

    def _retire(self, sa: IkeSa, by: int) -> None:
        """Delete the child that was to be replaced, as the child `by` now stands in for it.

        Another request may have replaced it meanwhile, on the terms of a former configuration: what came of
        that is replaced, too. So is the one that the peer had replaced by it, if it has not deleted that yet.
        """
        old = None if self.replaces is None else sa.children.get(self.replaces)
        before = None if old is None else sa.children.predecessor(old)
        if before is not None and before.child_id != by:
            before.replaced_by = by
            sa.enqueue(DeleteChild(before.child_id))
        while old is not None and old.child_id != by:
            newer, old.replaced_by = sa.children.successor(old), old.replaced_by or by
            sa.enqueue(DeleteChild(old.child_id))
            old = newer

    def _refuse(self, sa: IkeSa, payloads: Sequence[Payload], error: PeerError) -> list[Effect]:
        """Conclude after a refusal, by the peer or by us; in the latter case delete the child at the peer."""
        text = f"child {self.wanted.config.name}: {error}"
        self.create.discard(sa, payloads)
        if self.replaces is not None:  # the data plane has lost its SAs: a dead child is worse than none
            sa.enqueue(DeleteChild(self.replaces, end=ChildEnd.NOT_REPLACED))
        told = ChildSetUpFailed(sa.itself, self.wanted.config.name, failure_of(error), text)
        return [*self.failed(sa, text), *sa.report(told, Level.ERROR)]


def replace_lost(sa: IkeSa, child: ChildSa) -> None:
    """Enqueue the replacement of a child whose ESP SAs the data plane has lost."""
    sa.enqueue(ChildCreate(WantedChild(child.config, ts_request=child.ts_request), replaces=child.child_id))


def respond(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer the peer's request for a further child; PeerError if it is refused."""
    choice = child_negotiation.choose(sa, payloads, key_exchange=True, only=None)

    def made(created: Created, later: float) -> list[Effect]:
        # Standby as in a rekey, if a child for the same traffic is already there.
        standby = sa.registry.sends(sa.connection.name, Selectors(choice.ts_local, choice.ts_remote))
        child, effects = created.install(sa, later, standby=standby)
        if standby:
            waiting.begin(sa, child, later, first=False)
        for ours in sa.tasks.under_way:
            if ours.kind is TaskKind.CHILD_CREATE and ours.wanted is not None and ours.wanted.met_by(child):
                ours.collide(child, created.nonces)
        return effects

    return creating.respond(sa, choice, payloads, now, made).answer
