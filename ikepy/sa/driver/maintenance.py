"""What an IKE_SA does by the clock: rekeys, ends, liveness checks, keepalives (RFC 7296 2.4, 2.8, 2.23).

Retransmission is the window's.
"""

from __future__ import annotations

from ikepy.sa.api.effects import Effect, Level, SendKeepalive
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.end_actions import ChildEnd
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import End, Phase
from ikepy.sa.state.task import TaskKind
from ikepy.sa.tasks import child_rekey, ike_rekey
from ikepy.sa.tasks.delete import DeleteChild, DeleteIke
from ikepy.sa.tasks.liveness import Liveness

# Seconds after which a request of the peer's that came in vain has come again: its fourth repetition is 42 s
# before its fifth, by the times that most have (ours and charon's).
AGAIN = 45.0
# Seconds of IKE silence that a peer whose ESP comes in is granted, whatever the tries (RFC 4555 3.11 has the
# figure). ESP tells that the peer lives and that the way from it is open; but one that has lost the IKE_SA
# and not its children must not be waited for until these expire.
PATIENCE = 300.0
FRESH = 10.0  # seconds for which a packet counts as a sign of life


def tend(sa: IkeSa, now: float) -> list[Effect]:
    """Do, or enqueue, what is due."""
    effects: list[Effect] = []
    for child in list(sa.children.values()):
        effects += _tend_child(sa, child, now)
    if sa.phase is Phase.ESTABLISHED:
        effects += _tend_ike(sa, now)
    due = _liveness_due(sa)
    if due is not None and now >= due:
        sa.enqueue(Liveness())
    due = _keepalive_due(sa)
    if due is not None and now >= due:
        effects.append(SendKeepalive(sa.path))
        sa.sent_at = now
    return effects


def deadlines(sa: IkeSa) -> list[float | None]:
    """When there is something to tend."""
    times = [_liveness_due(sa), _keepalive_due(sa)]
    for child in sa.children.values():
        times += child.deadlines
    if sa.phase is Phase.ESTABLISHED:
        times += [sa.lifetime.rekey_at, sa.lifetime.expires_at, sa.superseded_at, sa.settles_at]
        times.append(None if sa.in_collision else sa.reauth_at)
    return times


def is_heard(sa: IkeSa, now: float) -> bool:
    """Whether ESP of the peer's comes in: its silence in IKE is borne a while longer (RFC 7296 2.4)."""
    since = sa.window.silent_since()
    if not sa.established or since is None or now - since >= PATIENCE:
        return False
    heard = [sa.registry.esp_heard(child_id) for child_id in sa.children]
    return any(at is not None and at >= now - FRESH for at in heard)


def _liveness_due(sa: IkeSa) -> float | None:
    delay = sa.connection.dpd_delay
    if not delay or sa.phase is not Phase.ESTABLISHED or sa.window.outstanding or sa.tasks.waiting:
        return None
    return sa.heard_at + delay


def _keepalive_due(sa: IkeSa) -> float | None:
    interval = sa.registry.config.daemon.keep_alive
    if not interval or not sa.nat.local or sa.phase is not Phase.ESTABLISHED:
        return None
    return sa.sent_at + interval


def _tend_child(sa: IkeSa, child: ChildSa, now: float) -> list[Effect]:
    """Rekey, delete or forget a child whose time has come."""
    if child.remove_at is not None and now >= child.remove_at:
        return sa.remove_child(child.child_id, "rekeyed")
    if child.state is ChildState.DELETING or child.state is ChildState.DELETED:
        return []
    life = child.lifetime
    if life.expires_at is not None and now >= life.expires_at:
        life.expires_at = life.rekey_at = None
        sa.enqueue(DeleteChild(child.child_id, end=ChildEnd.EXPIRED))
        return [sa.log(Level.WARNING, f"CHILD_SA {child.config.name} #{child.child_id} expired")]
    if child.state is ChildState.INSTALLED and life.rekey_at is not None and now >= life.rekey_at:
        child_rekey.begin(sa, child)
    return []


def _hindered(sa: IkeSa, now: float) -> float:
    """When the peer last could not bring up children here: not while we rekey the IKE_SA (2.25.2)."""
    return now if sa.tasks.doing is TaskKind.IKE_REKEY else sa.busy_at


def _tend_ike(sa: IkeSa, now: float) -> list[Effect]:
    life = sa.lifetime
    if life.expires_at is not None and now >= life.expires_at:
        life.expires_at = life.rekey_at = None
        sa.enqueue(DeleteIke(end=End.EXPIRED))
        return [sa.log(Level.WARNING, "IKE_SA expired")]
    if life.rekey_at is not None and now >= life.rekey_at:
        ike_rekey.begin(sa)
    if sa.superseded_at is not None and now >= sa.superseded_at:
        by, sa.superseded_at = sa.superseded_by, None
        if by is not None and by.successor.established:
            if now < min(_hindered(by.successor, now) + AGAIN, sa.superseded_last):
                sa.superseded_at = now + AGAIN  # the peer may not have all children there yet
            else:
                sa.enqueue(DeleteIke(end=End.REPLACED))
    if sa.settles_at is not None and now >= sa.settles_at:
        sa.settles_at = None
        sa.registry.changed_sas.append(sa)
    if sa.reauth_at is not None and now >= sa.reauth_at and not sa.in_collision:
        sa.reauth_at = None
        sa.reauth_due = True
    return []
