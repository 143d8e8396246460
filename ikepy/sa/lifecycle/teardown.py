"""Ends IKE_SAs (RFC 7296 1.4.1): removes their children, or hands them and waiting tasks to another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from ikepy.sa.api.effects import Effect, Level, RemoveOutbound
from ikepy.sa.api.ends import ChildRemoval, End
from ikepy.sa.api.network_settings import NO_SETTINGS
from ikepy.sa.driver.turns import proceed
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import Task, TaskKind, outcomes
from ikepy.sa.tasks import desired
from ikepy.sa.tasks.child_create import ChildCreate
from ikepy.sa.tasks.delete import LINGER, DeleteChild, DeleteIke

SUCCEEDED = (End.DELETED_BY_PEER, End.REAUTHENTICATED, End.REPLACED, End.DELETED)


def tear_down(sa: IkeSa) -> list[Effect]:
    """Remove the children of a dead IKE_SA and tell everybody who waits for its tasks; does so once."""
    ended = sa.ended
    if ended is None or ended.torn_down:
        return []
    ended.torn_down = True
    ended.children = ended.children or desired.intended(sa)
    ended.unfulfilled = ended.unfulfilled or desired.unfulfilled(sa)
    effects: list[Effect] = []
    for child in list(sa.children.values()):
        effects += _let_go(sa, child)
    effects += sa.set_network(NO_SETTINGS)
    tasks = [*sa.tasks.all, *(ChildCreate(wanted) for wanted in sa.desired.take_due(inf))]
    sa.tasks.clear()
    for ticket in sa.jobs.tickets:
        sa.registry.computing.pop(ticket, None)
    sa.jobs.forget()
    sa.window.forget()
    sa.reassembly.forget()
    sa.followups.forget()
    for task in tasks:
        if not _pass_on(sa, task):
            effects += task.failed(sa, ended.text)
    effects += desired.abandon(sa, ended.text)
    freed = None if sa.rekeyed is None else sa.rekeyed.then_deletes
    if freed is not None:
        freed.tasks.bring_forward(TaskKind.DELETE_IKE)
        sa.registry.changed_sas.append(freed)
    return effects


def _let_go(sa: IkeSa, child: ChildSa) -> list[Effect]:
    """Remove a child with its IKE_SA, but let it receive late packets for LINGER seconds if another IKE_SA
    has taken over its traffic, as after a reauthentication."""
    other = sa.registry.elsewhere(sa, child) if sa.end in SUCCEEDED else None
    if other is None:
        return sa.remove_child(child.child_id, ChildRemoval.WITH_IKE_SA)
    del sa.children[child.child_id]
    child.state = ChildState.DELETED
    child.remove_at = sa.heard_at + LINGER  # a message has ended it, so `heard_at` is now
    other.children[child.child_id] = child
    sa.registry.owners[child.child_id] = other
    sa.registry.changed_sas.append(other)
    return [RemoveOutbound(child.child_id), *sa.child_down(child, ChildRemoval.ELSEWHERE)]


def _pass_on(sa: IkeSa, task: Task[IkeSa]) -> bool:
    """Hand a child that is still to come up to another IKE_SA; returns whether one has taken it."""
    wanted = task.wanted
    if task.kind is not TaskKind.CHILD_CREATE or wanted is None:
        return False
    if sa.end not in SUCCEEDED or sa.end is End.DELETED:
        return False
    other = next((one for one in sa.registry.siblings(sa) if not one.in_collision), None)
    if other is None or other.has_child(wanted.config.name):
        return False
    if not desired.wants(other, wanted.config.name):
        desired.create(other, wanted)
    elif not desired.want(other, wanted.config.name, wanted.tickets):
        return False
    sa.registry.changed_sas.append(other)
    return True


def announce_end(sas: Iterable[IkeSa], end: End) -> None:
    """Mark IKE_SAs that end together, before the first does, so that none hands its tasks to another."""
    for sa in sas:
        sa.announced_end = end


def terminate(
    sa: IkeSa,
    child_id: int | None,
    force: bool,
    tickets: Sequence[int],
    now: float,
    *,
    end: End = End.DELETED,
) -> list[Effect]:
    """Begin to delete a child, or the IKE_SA (`child_id` None); one not yet established ends at once.

    `force`: end the IKE_SA without a DELETE to the peer. `end`: the reason, if the IKE_SA ends at once.
    """
    if child_id is not None:
        sa.enqueue(DeleteChild(child_id, tickets, wanted=True, like=sa.children[child_id]))
        return proceed(sa, now)
    if force or sa.phase in (Phase.CREATED, Phase.CONNECTING):
        text = end.value if end is End.FAULT else "terminated"
        effects = sa.kill(end, text, Level.ERROR if end is End.FAULT else Level.INFO)
        return effects + outcomes(tickets, True, f"IKE_SA #{sa.ike_id} is gone")
    sa.enqueue(DeleteIke(tickets))
    return proceed(sa, now)
