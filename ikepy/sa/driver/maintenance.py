"""Does what is due on an IKE_SA: rekeys, expiry, liveness checks, NAT keepalives (RFC 7296 2.4, 2.8, 2.23).

The window does the retransmissions.
"""

from __future__ import annotations

from dataclasses import replace

from ikepy.sa.api.effects import Effect, Level, SendKeepalive
from ikepy.sa.api.ends import ChildRemoval, End
from ikepy.sa.api.events import ChildExpired, IkeExpired
from ikepy.sa.exchange import resumption
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.end_actions import ChildEnd
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import TaskKind
from ikepy.sa.tasks import child_rekey, ike_rekey, standby
from ikepy.sa.tasks.delete import DeleteChild, DeleteIke
from ikepy.sa.tasks.liveness import Liveness
from ikepy.sa.tasks.notify import SendNotify

# Seconds within which the peer retransmits a request that we could not serve: with the usual timing (ours and
# charon's) its fourth and fifth retransmission are 42 s apart.
AGAIN = 45.0
# Seconds without IKE messages for which a peer that sends ESP is not given up, however often we retransmitted
# (RFC 4555 3.11 has the figure). ESP shows that the peer lives and that the path from it works. But a peer
# that lost the IKE_SA and kept its children would send ESP until these expire: so there is a limit.
PATIENCE = 300.0
FRESH = 10.0  # seconds for which an ESP packet counts as a sign of life


def tend(sa: IkeSa, now: float) -> list[Effect]:
    """Do what is due, or enqueue a task for it."""
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
    """The times at which `tend` has something to do; None for timers that are off."""
    times = [_liveness_due(sa), _keepalive_due(sa)]
    for child in sa.children.values():
        times += child.deadlines
    if sa.phase is Phase.ESTABLISHED:
        superseded_at = None if sa.superseded is None else sa.superseded.at
        times += [sa.lifetime.rekey_at, sa.lifetime.expires_at, superseded_at, sa.replacing.settles_at]
        times += [None if sa.in_collision else sa.reauth_at, sa.authenticated_until, sa.resumption.renew_at]
    return times


def is_heard(sa: IkeSa, now: float) -> bool:
    """Whether ESP from the peer arrives, so that its silence in IKE is tolerated for now (RFC 7296 2.4)."""
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
    """Rekey or delete a child whose lifetime is over; remove a deleted one that has lingered long enough."""
    if child.remove_at is not None and now >= child.remove_at:
        return sa.remove_child(child.child_id, ChildRemoval.REKEYED)
    if child.state is ChildState.DELETING or child.state is ChildState.DELETED:
        return []
    life = child.lifetime
    if life.expires_at is not None and now >= life.expires_at:
        life.expires_at = life.rekey_at = None
        sa.enqueue(DeleteChild(child.child_id, end=ChildEnd.EXPIRED))
        return sa.report(ChildExpired(sa.itself, child.snapshot()), Level.WARNING)
    if child.state is ChildState.INSTALLED and life.rekey_at is not None and now >= life.rekey_at:
        child_rekey.begin(sa, child)
    return standby.tend(sa, child, now)


def _hindered(sa: IkeSa, now: float) -> float:
    """When the peer's requests for children were last refused here; now, during our IKE rekey (2.25.2)."""
    return now if sa.tasks.doing is TaskKind.IKE_REKEY else sa.busy_at


def _tend_ike(sa: IkeSa, now: float) -> list[Effect]:
    life = sa.lifetime
    if life.expires_at is not None and now >= life.expires_at:
        life.expires_at = life.rekey_at = None
        sa.enqueue(DeleteIke(end=End.EXPIRED))
        return sa.report_of_chain(IkeExpired(sa.itself), Level.WARNING)
    if sa.authenticated_until is not None and now >= sa.authenticated_until:
        sa.authenticated_until = None
        sa.enqueue(DeleteIke(end=End.EXPIRED))
        return [sa.log(Level.INFO, "the session that the AAA server has granted is over")]
    if life.rekey_at is not None and now >= life.rekey_at:
        ike_rekey.begin(sa)
    if sa.superseded is not None and now >= sa.superseded.at:
        superseded, sa.superseded = sa.superseded, None
        newer = superseded.by.successor
        if newer.established:
            if now < min(_hindered(newer, now) + AGAIN, superseded.last):
                # The peer may not have all children there yet.
                sa.superseded = replace(superseded, at=now + AGAIN)
            else:
                sa.enqueue(DeleteIke(end=End.REPLACED))
    if sa.replacing.settles_at is not None and now >= sa.replacing.settles_at:
        sa.replacing.settles_at = None
        sa.registry.changed_sas.append(sa)
    if sa.resumption.renew_at is not None and now >= sa.resumption.renew_at:
        sa.resumption.renew_at = None
        for notify in resumption.request(sa):
            sa.enqueue(SendNotify(notify))
    if sa.reauth_at is not None and now >= sa.reauth_at and not sa.in_collision:
        sa.reauth_at = None
        sa.reauth_due = True
    return []
