"""Sends under a child that the peer has set up beside another one for the same traffic (RFC 7296 2.8).

Such a child waits: the peer may not have our response yet, and the other one works. The worker begins to send
under it when the first packet comes in under it, or the other one goes. Neither need come: a peer that has
lost the other child, as by a restart without INITIAL_CONTACT, waits for our packets, and what we send under
that one is lost. So we send under the new one, too, once the peer must have our response, or after a timeout.
"""

from __future__ import annotations

from ikepy.sa.api.effects import ActivateOutbound, Effect, Level
from ikepy.sa.state.child_sa import ChildSa, Standby
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks.liveness import Liveness

LOOK = 5.0  # seconds until we look, and between two looks
# Seconds after which a peer that has no response of ours has given the exchange up (RFC 7296 2.4).
PATIENCE = 180.0


def begin(sa: IkeSa, child: ChildSa, now: float, *, first: bool) -> None:
    """A child waits that the peer's request has just made. `first`: IKE_AUTH has made it."""
    child.waiting = Standby(now + LOOK, sa.window.newest, first)


def tend(sa: IkeSa, child: ChildSa, now: float) -> list[Effect]:
    """Look whether it still waits, and whether the peer has our response."""
    waiting = child.waiting
    if waiting is None or now < waiting.look_at:
        return []
    beside = sa.registry.beside(sa, child)
    if not child.stays:
        child.waiting = None
        return []
    if not beside or sa.registry.esp_heard(child.child_id) is not None:
        child.waiting = None  # the worker sends under it, unless it is a new one that never had the other
        return [ActivateOutbound(child.child_id)]
    has_it = _has_our_response(sa, child, waiting)
    if has_it or now >= child.installed_at + PATIENCE:
        child.waiting = None
        # The peer may have lost its others.
        lost = [one for one in sa.registry.all_between(sa) if one in beside and one is not sa]
        sa.registry.to_probe += lost
        why = "the peer has it" if has_it else f"the peer has had {PATIENCE:.0f} s for it"
        text = f"child {child.config.name} #{child.child_id} is sent under now: {why}"
        return [ActivateOutbound(child.child_id), sa.log(Level.INFO, text)]
    waiting.look_at = now + LOOK
    if waiting.first and not sa.window.outstanding and not sa.tasks.waiting:
        sa.enqueue(Liveness())
    return []


def _has_our_response(sa: IkeSa, child: ChildSa, waiting: Standby) -> bool:
    """Its next request tells, a rekey of the IKE_SA, or, of IKE_AUTH, whatever it sends."""
    if waiting.message_id is None or (waiting.first and sa.heard_at > child.installed_at):
        return True
    return sa.window.knows_answered(waiting.message_id)
