"""Decides which of two IKE_SAs is redundant that both ends set up at the same time.

RFC 7296 has no rule for this. Ours is that of colliding rekeys (2.8.2): the IKE_SA with the lowest of the
four nonces is redundant, and its initiator deletes it. Both ends see the same nonces, so they agree.
"""

from __future__ import annotations

from ikepy.sa.state.ike_sa import IkeSa


def crossed(one: IkeSa, other: IkeSa) -> bool:
    """Whether the two set-ups overlapped in time, one from each end."""
    a, b = one.set_up, other.set_up
    return a.ours != b.ours and a.began_at < b.ended_at and b.began_at < a.ended_at


def redundant(one: IkeSa, other: IkeSa) -> IkeSa:
    """The redundant one of the two: the one with the lowest nonce."""
    return one if one.set_up.lowest_nonce < other.set_up.lowest_nonce else other
