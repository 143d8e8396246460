"""The peer's rekey of a child came to nothing: the child stays, our own is due again (RFC 7296 2.8)."""

from __future__ import annotations

from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.tasks import desired


def keep(sa: IkeSa, child: ChildSa, now: float) -> None:
    """Have it in use as before. Our own rekey may be under way, or may have lost to the peer's."""
    child.replaced_by = None
    if any(task.replaces == child.child_id for task in sa.tasks.under_way):
        child.state = ChildState.REKEYING
        return
    child.state = ChildState.INSTALLED
    if child.lost:  # while another one was to have its traffic
        wanted = WantedChild(child.config, ts_request=child.ts_request, replaces=child.child_id)
        desired.create(sa, wanted)
    if child.lifetime.rekey_at is None and not sa.tasks.replaces(child.child_id):
        child.lifetime.postpone(now, sa.registry.entropy.uniform())
