"""What becomes of an IKE_SA's children and tasks when it ends: another one may have use for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from ikepy.sa.api.effects import Effect, Event, RemoveOutbound, Topic
from ikepy.sa.driver.turns import proceed
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import End, Phase
from ikepy.sa.state.task import Task, TaskKind, outcomes
from ikepy.sa.tasks import desired
from ikepy.sa.tasks.child_create import ChildCreate
from ikepy.sa.tasks.delete import LINGER, DeleteChild, DeleteIke

SUCCEEDED = (End.DELETED_BY_PEER, End.REAUTHENTICATED, End.REPLACED, End.DELETED)


def tear_down(sa: IkeSa) -> list[Effect]:
    """What the end of an IKE_SA brings with it, once: children are removed, and whoever waits is told."""
    if sa.phase is not Phase.DEAD or sa.torn_down:
        return []
    sa.torn_down = True
    sa.ended_children = desired.intended(sa)
    sa.ended_wishes = desired.unfulfilled(sa)
    effects: list[Effect] = []
    for child in list(sa.children.values()):
        effects += _let_go(sa, child)
    tasks = [*sa.tasks.all, *(ChildCreate(wanted) for wanted in sa.desired.take_due(inf))]
    sa.tasks.clear()
    for ticket in sa.jobs.tickets:
        sa.registry.computing.pop(ticket, None)
    sa.jobs.forget()
    sa.window.forget()
    sa.reassembly.forget()
    for task in tasks:
        if not _pass_on(sa, task):
            effects += task.failed(sa, sa.end_text)
    effects += desired.abandon(sa, sa.end_text)
    if sa.frees is not None:
        sa.frees.tasks.bring_forward(TaskKind.DELETE_IKE)
        sa.registry.changed_sas.append(sa.frees)
    return [*effects, Event(Topic.IKE_DOWN, sa.connection.name, sa.ike_id, text=sa.end_text)]


def _let_go(sa: IkeSa, child: ChildSa) -> list[Effect]:
    """The child ends with its IKE_SA. If another one has the same child, as after a reauthentication,
    packets that are under way are still taken."""
    other = sa.registry.elsewhere(sa, child) if sa.end in SUCCEEDED else None
    if other is None:
        return sa.remove_child(child.child_id, "with its IKE_SA")
    del sa.children[child.child_id]
    child.state = ChildState.DELETED
    child.remove_at = sa.heard_at + LINGER  # it ends with a message, so that is now
    other.children[child.child_id] = child
    sa.registry.owners[child.child_id] = other
    sa.registry.changed_sas.append(other)
    return [RemoveOutbound(child.child_id)]


def _pass_on(sa: IkeSa, task: Task[IkeSa]) -> bool:
    """Whether another IKE_SA does what is left to do here: a child that is to come up comes up there."""
    wanted = task.wanted
    if task.kind is not TaskKind.CHILD_CREATE or wanted is None:
        return False
    if sa.end not in SUCCEEDED or sa.end is End.DELETED:
        return False
    other = next((one for one in sa.registry.siblings(sa) if not one.in_collision), None)
    if other is None or other.has_child(wanted.config.name):
        return False
    if desired.wants(other, wanted.config.name):
        desired.want(other, wanted.config.name, wanted.tickets)
    else:
        desired.create(other, wanted)
    sa.registry.changed_sas.append(other)
    return True


def announce_end(sas: Iterable[IkeSa], end: End) -> None:
    """They are to end in one go: whoever waits on one of them must not be told that another one has it."""
    for sa in sas:
        sa.end = end


def terminate(
    sa: IkeSa,
    child_id: int | None,
    force: bool,
    tickets: Sequence[int],
    now: float,
    *,
    end: End = End.DELETED,
) -> list[Effect]:
    """Begin to delete a child, or the IKE_SA (None); one that does not stand yet ends at once.

    `force`: the peer is not asked. `end`: why, for an IKE_SA that ends at once.
    """
    if child_id is not None:
        sa.enqueue(DeleteChild(child_id, tickets, wanted=True, like=sa.children[child_id]))
        return proceed(sa, now)
    if force or sa.phase in (Phase.CREATED, Phase.CONNECTING):
        effects = sa.kill(end, "terminated")
        return effects + outcomes(tickets, True, f"IKE_SA #{sa.ike_id} is gone")
    sa.enqueue(DeleteIke(tickets))
    return proceed(sa, now)
