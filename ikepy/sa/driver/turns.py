"""Sends the requests of an IKE_SA's next tasks, as many as may be under way at once (RFC 7296 2.3)."""

from __future__ import annotations

from ikepy.errors import PeerError
from ikepy.sa.api.computation import ResultPending
from ikepy.sa.api.effects import Effect, Level, RemoveOutbound
from ikepy.sa.api.ends import End, failure_of
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.tasks.child_create import ChildCreate


def proceed(sa: IkeSa, now: float) -> list[Effect]:
    """Enqueue the children that are due, then send the requests of the tasks whose turn it is."""
    effects: list[Effect] = []
    due = sa.desired.take_due(now) if sa.phase is not Phase.DEAD else []
    for wanted in due:
        sa.enqueue(ChildCreate(wanted, replaces=wanted.replaces))
    while sa.phase is not Phase.DEAD and (task := sa.tasks.take()) is not None:
        work = sa.tasks.prepared(task)
        try:
            with sa.jobs.at(work):
                payloads = task.request(sa, now)
        except ResultPending as wanted:
            sa.tasks.put_back(task, work)
            effects += sa.suspend(work, wanted, lambda later: proceed(sa, later))
            continue
        except PeerError as error:
            effects += task.failed(sa, str(error))
            return effects + sa.kill(End.REFUSED, str(error), Level.ERROR, failure=failure_of(error))
        except Exception:  # a fault of ours ends the IKE_SA, and whoever waits for the task is told then
            sa.tasks.put_back(task, work)
            raise
        if payloads is None:
            effects += task.failed(sa, "there is nothing left to do")
            continue
        sa.tasks.begun(task, sa.window.next_request)
        effects += sa.send_request(task.exchange, payloads, now)
        if sa.phase is Phase.DELETING:
            effects += stop_sending(sa)
    return effects


def stop_sending(sa: IkeSa) -> list[Effect]:
    """Remove the outbound SAs of an ending IKE_SA whose traffic another IKE_SA's children can carry."""
    return [RemoveOutbound(c.child_id) for c in sa.children.values() if sa.registry.elsewhere(sa, c)]
