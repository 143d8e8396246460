"""What becomes of an IKE_SA's children and tasks when it ends: another one may have use for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .child import ChildSa, ChildState
from .effects import Effect, RemoveOutbound
from .phase import End, Phase
from .tasks.child_create import ChildCreate
from .tasks.delete import LINGER, DeleteChild, DeleteIke
from .tasks.task import Task, outcomes

if TYPE_CHECKING:
    from .ike_sa import IkeSa

SUCCEEDED = (End.DELETED_BY_PEER, End.REAUTHENTICATED, End.REPLACED, End.DELETED)


def stop_sending(sa: IkeSa) -> list[Effect]:
    """It is to go: what another IKE_SA has a child for is sent there from now on."""
    return [RemoveOutbound(c.child_id) for c in sa.children.values() if sa.shared.elsewhere(sa, c)]


def let_go(sa: IkeSa, child: ChildSa) -> list[Effect]:
    """The child ends with its IKE_SA. If another one has the same child, as after a reauthentication,
    packets that are under way are still taken."""
    other = sa.shared.elsewhere(sa, child) if sa.end in SUCCEEDED else None
    if other is None:
        return sa.remove_child(child.child_id, "with its IKE_SA")
    del sa.children[child.child_id]
    child.state = ChildState.DELETED
    child.remove_at = sa.heard_at + LINGER  # it ends with a message, so that is now
    other.children[child.child_id] = child
    sa.shared.owners[child.child_id] = other
    sa.shared.touched.append(other)
    return [RemoveOutbound(child.child_id)]


def pass_on(sa: IkeSa, task: Task) -> bool:
    """Whether another IKE_SA does what is left to do here: a child that is to come up comes up there."""
    if not isinstance(task, ChildCreate) or sa.end not in SUCCEEDED or sa.end is End.DELETED:
        return False
    other = next((one for one in sa.shared.siblings(sa) if not one.contested), None)
    if other is None or other.has_child(task.wanted.config.name):
        return False
    if other.wishes.wants(task.wanted.config.name):
        other.wishes.want(task.wanted.config.name, task.wanted.tickets)
    else:
        other.wishes.create(task.wanted)
    sa.shared.touched.append(other)
    return True


def foresee(sas: Iterable[IkeSa], end: End) -> None:
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
        return sa.proceed(now)
    if force or sa.phase in (Phase.CREATED, Phase.CONNECTING):
        effects = sa.kill(end, "terminated")
        return effects + outcomes(tickets, True, f"IKE_SA #{sa.ike_id} is gone")
    sa.enqueue(DeleteIke(tickets))
    return sa.proceed(now)
