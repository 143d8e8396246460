"""Deletes IKE_SAs and children by INFORMATIONAL exchanges (RFC 7296 1.4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.difference import is_replaced
from ikepy.config.model import Child
from ikepy.sa.api.effects import ActivateOutbound, Effect, Level, RemoveOutbound
from ikepy.sa.api.ends import ChildRemoval, End
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.end_actions import ChildEnd
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import Answer, Task, TaskKind, outcomes
from ikepy.sa.tasks import desired, rekey_given_up
from ikepy.wire.constants import ExchangeType, ProtocolId
from ikepy.wire.payloads import DeletePayload, Payload

LINGER = 5.0  # seconds for which a deleted child still receives packets that were under way


class DeleteIke(Task[IkeSa]):
    """Delete the IKE_SA with all of its children. `end`: why."""

    kind = TaskKind.DELETE_IKE
    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, tickets: Sequence[int] = (), *, end: End = End.DELETED) -> None:
        self._tickets = list(tickets)
        self.ends: End = end

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        sa.enter(Phase.DELETING)
        sa.announced_end = self.ends
        return [DeletePayload(ProtocolId.IKE, ())]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        return sa.kill(self.ends, "deleted") + outcomes(self._tickets, True, f"IKE_SA #{sa.ike_id} deleted")

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        # The IKE_SA is gone, as the command wanted, even if it ended otherwise.
        return outcomes(self._tickets, True, f"IKE_SA #{sa.ike_id} is gone ({reason})")


class DeleteChild(Task[IkeSa]):
    """Delete one child.

    `wanted`: the child is to be down for good, so if a rekey has replaced it, delete its successor instead.
    `like`: the child as it was; if it is gone, delete another one for the same traffic instead.
    `end`: the reason, which decides whether the child is brought up again (`end_actions.AFTER_CHILD`).
    `spare`: the child is redundant; don't delete it if no other one for the same traffic is left.
    `outdated`: another configuration is in use; the child, or a successor, stays if it is of that one.
    """

    kind = TaskKind.DELETE_CHILD
    exchange = ExchangeType.INFORMATIONAL

    def __init__(
        self,
        child_id: int,
        tickets: Sequence[int] = (),
        *,
        wanted: bool = False,
        like: ChildSa | None = None,
        end: ChildEnd = ChildEnd.DELETED,
        spare: bool = False,
        outdated: bool = False,
    ) -> None:
        self.child_id = child_id
        self._tickets = list(tickets)
        self.removes = child_id if wanted else None
        self.like = like
        self._end = end
        self.spare = spare
        self.outdated = outdated
        self._child: ChildSa | None = None  # the one that the request named

    def about(self, sa: IkeSa) -> frozenset[str]:
        child = sa.children.get(self.child_id, self.like)
        return frozenset() if child is None else frozenset({child.config.name})

    def intends(self, sa: IkeSa) -> Child | None:
        """The configuration of a child that is deleted only to be brought up again after the response."""
        return self._child.config if self._child is not None and self._end is not ChildEnd.DELETED else None

    def _deletable(self, sa: IkeSa, child: ChildSa | None) -> ChildSa | None:
        """The child, or another that is to be deleted instead, if it may be."""
        if child is None or not self.outdated:
            return child
        stays = not is_replaced(child.config, sa.connection.children.get(child.config.name))
        return None if stays else child

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        child = sa.children.get(self.child_id)
        if child is None and self.like is not None:
            child = sa.children.alike(self.like)
        child = self._deletable(sa, child)
        while child is not None and self.removes is not None:
            newer = self._deletable(sa, sa.children.successor(child))
            if newer is None:
                break
            child = newer
        if child is None or child.state is ChildState.DELETED:
            return None
        if self.spare and sa.children.alike(child) is None:
            return None
        self.child_id = child.child_id
        if self.removes is not None:
            self.removes = child.child_id
        self._child = child
        child.state = ChildState.DELETING
        return [DeletePayload(ProtocolId.ESP, (child.spi_in.to_bytes(4, "big"),))]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        child = sa.children.get(self.child_id)
        effects = [] if child is None else _gone(sa, child, now, ChildRemoval.DELETED)
        if self._child is not None:  # also if the peer's own DELETE arrived first
            desired.reopen(sa, self._child, self._end, now)
        return effects + outcomes(self._tickets, True, f"CHILD_SA #{self.child_id} deleted")

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return outcomes(self._tickets, True, f"CHILD_SA #{self.child_id} is gone ({reason})")


class DiscardSpi(Task[IkeSa]):
    """Delete a child that the peer installed and we did not.

    Enqueue it as the first task: from our next request the peer learns that we have its response, and may
    begin to send under that child (`tasks.standby`).
    """

    kind = TaskKind.DISCARD_SPI
    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, spi_in: int) -> None:
        self._spi_in = spi_in

    def about(self, sa: IkeSa) -> frozenset[str]:
        return frozenset()

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return [DeletePayload(ProtocolId.ESP, (self._spi_in.to_bytes(4, "big"),))]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        return []


def respond(sa: IkeSa, deletes: Sequence[DeletePayload], now: float) -> Answer:
    """Answer the peer's DELETE payloads, which name the peer's inbound SPIs, our outbound ones."""
    if any(d.protocol == ProtocolId.IKE for d in deletes):
        saved = sa.settle_collision(now)  # children that a crossing rekey moves elsewhere outlive this IKE_SA
        return Answer([], before=saved, after=sa.kill(End.DELETED_BY_PEER, "deleted by the peer"))
    effects: list[Effect] = []
    ours: list[bytes] = []
    named, unknown = _by_outbound_spi(sa), list[int]()
    spis = dict.fromkeys(spi for d in deletes if d.protocol == ProtocolId.ESP for spi in d.spis)
    for spi in (int.from_bytes(one, "big") for one in spis):
        owner, child = named.get(spi, (sa, None))
        if child is None:
            unknown.append(spi)
            continue
        if child.state is not ChildState.DELETING:  # else our own DELETE, which crossed it, names our SPI
            ours.append(child.spi_in.to_bytes(4, "big"))
        effects += deleted_by_peer(owner, child, now)
        if owner is not sa:
            sa.registry.changed_sas.append(owner)
    for task in sa.tasks.creating:
        for spi in unknown:  # perhaps the child that a late response will announce
            task.overtaken_by_delete(spi)
    if unknown:
        more = f" and {len(unknown) - 1} others" if len(unknown) > 1 else ""
        effects.append(sa.log(Level.DEBUG, f"DELETE for the unknown SPI {unknown[0]:08x}{more}"))
    return Answer([DeletePayload(ProtocolId.ESP, tuple(ours))] if ours else [], before=effects)


def _by_outbound_spi(sa: IkeSa) -> dict[int, tuple[IkeSa, ChildSa]]:
    """The children that a DELETE may mean, and their IKE_SAs: it may come on the one that we have just
    rekeyed, from a peer that deletes a child and takes our rekey meanwhile (RFC 7296 2.25.2)."""
    owners = dict.fromkeys((sa, sa.successor))
    found = [(owner, child) for owner in owners for child in owner.children.values()]
    return {  # if the peer gave an SPI to two, the first
        child.spi_out: (owner, child)
        for owner, child in reversed(found)
        if child.state is not ChildState.DELETED
    }


def deleted_by_peer(sa: IkeSa, child: ChildSa, now: float) -> list[Effect]:
    """Remove a child that the peer has deleted, and bring it up again if it is configured so."""
    again = child.state is not ChildState.DELETING and child.replaced_by is None
    again = again and child.child_id not in sa.tasks.unwanted
    before = None if child.replaced_by is not None else sa.children.predecessor(child)
    if again and before is not None:
        return _taken_back(sa, child, before, now)
    if before is not None:  # nobody wants it either
        sa.enqueue(DeleteChild(before.child_id))
    effects = _gone(sa, child, now, ChildRemoval.DELETED_BY_PEER)
    if again:
        desired.reopen(sa, child, ChildEnd.DELETED_BY_PEER, now)
    return effects


def _taken_back(sa: IkeSa, child: ChildSa, before: ChildSa, now: float) -> list[Effect]:
    """Remove the child by which the peer has replaced another, which stays: the peer could not install it, or
    its rekey was redundant (RFC 7296 2.8.1)."""
    was_up = child.announced
    rekey_given_up.keep(sa, before, now)
    effects = _gone(sa, child, now, ChildRemoval.DELETED_BY_PEER)
    effects.append(sa.log(Level.INFO, f"CHILD_SA {before.config.name} #{before.child_id} stays instead"))
    return [*effects, *(sa.child_up(before) if was_up else ())]


def _gone(sa: IkeSa, child: ChildSa, now: float, reason: ChildRemoval) -> list[Effect]:
    """Remove a child that both ends have deleted; after LINGER seconds if another one has its traffic."""
    successor = None if child.replaced_by is None else sa.children.get(child.replaced_by)
    if successor is None:
        successor = sa.children.alike(child)
    if successor is None and sa.registry.elsewhere(sa, child) is None:
        return sa.remove_child(child.child_id, reason)
    child.state = ChildState.DELETED
    child.remove_at = now + LINGER
    effects: list[Effect] = [RemoveOutbound(child.child_id), *sa.child_down(child, reason)]
    # The DELETE shows that the peer has the direct successor. If that is gone too, it says nothing about
    # whether the peer already has the successor's successor.
    if successor is not None and child.replaced_by in (None, successor.child_id):
        effects.insert(0, ActivateOutbound(sa.children.ready(successor).child_id))
    return effects
