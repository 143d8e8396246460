"""Runs the timers of an IKE_SA: retransmission, giving up, and maintenance (RFC 7296 2.1, 2.4)."""

from __future__ import annotations

from ikepy.sa.api.effects import Effect, Level, Send
from ikepy.sa.api.ends import End, Failure, Party
from ikepy.sa.api.events import Retransmitted
from ikepy.sa.driver import maintenance
from ikepy.sa.driver.turns import proceed
from ikepy.sa.exchange import mismatch
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.tasks import mobike
from ikepy.sa.tasks.liveness import Liveness
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.payloads import NotifyPayload


def tick(sa: IkeSa, now: float) -> list[Effect]:
    """Do everything that is due: retransmit, check liveness, send keepalives, expire fragments and SAs."""
    if sa.phase is Phase.DEAD:
        return []
    if sa.gives_up_at is not None and now >= sa.gives_up_at:
        return sa.kill(End.TIMEOUT, "timed out")
    if sa.window.exhausted(now):
        if not maintenance.is_heard(sa, now):
            return _give_up(sa, now)
        sa.window.prolong(now)
    effects = _retransmit(sa, now)
    sa.reassembly.expire(now)
    effects += sa.followups.expire(now)
    sa.tasks.resume_postponed(now)
    effects += maintenance.tend(sa, now)
    return effects + proceed(sa, now)


def _retransmit(sa: IkeSa, now: float) -> list[Effect]:
    effects: list[Effect] = []
    again = sa.window.retransmit(now, sa.entropy.uniform())
    if again is not None:
        others = mobike.search(sa, again.attempt)
        told = Retransmitted(sa.itself, again.message_id, again.attempt, tuple(others))
        effects += sa.report(told, Level.INFO)
        effects += [Send(again.path, one) for one in again.datagrams]
        sa.window.spread(again, others, now)
        sa.sent_at = now
    spread = sa.window.spread_next(now)
    if spread is not None:
        effects += [Send(spread[1], one) for one in spread[0].datagrams]
    return effects


def deadline(sa: IkeSa) -> float | None:
    """When `tick` is due next, in seconds on the caller's clock; None: never."""
    if sa.phase is Phase.DEAD:
        return None
    times = [sa.gives_up_at, sa.window.deadline, sa.reassembly.deadline, sa.followups.deadline]
    times += [*sa.tasks.deadlines, *sa.desired.deadlines, *maintenance.deadlines(sa)]
    return min([t for t in times if t is not None], default=None)


def _give_up(sa: IkeSa, now: float) -> list[Effect]:
    """End an IKE_SA whose last retransmission went unanswered (RFC 7296 2.4).

    The reason may be that the peer's own rekey of it has won: then the IKE_SA of that rekey gets the
    children and a liveness check.
    """
    cause, why = mismatch.silence(sa, now)
    saved = sa.settle_collision(now)
    ended = sa.kill(
        End.TIMEOUT,
        "the peer does not answer, giving up",
        Level.WARNING,
        details=f": {why}",
        failure=Failure(Party.NOBODY, cause=cause),
    )
    return [*saved, *ended, *probe_liveness(sa.successor, now)]


def probe_liveness(sa: IkeSa, now: float) -> list[Effect]:
    """Check liveness, as an unprotected message claims that the peer lost this IKE_SA (RFC 7296 2.4)."""
    if sa.phase is not Phase.ESTABLISHED or sa.tasks.under_way or sa.tasks.waiting:
        return []
    if not sa.probe_rate.allow(now):
        return []
    sa.enqueue(Liveness())
    return proceed(sa, now)


def tell(sa: IkeSa, notify: NotifyPayload, now: float) -> list[Effect]:
    """Send one notify in an INFORMATIONAL exchange, rate-limited."""
    if sa.phase is not Phase.ESTABLISHED or not sa.probe_rate.allow(now):
        return []
    sa.enqueue(SendNotify(notify))
    return proceed(sa, now)
