"""Two IKE_SAs between the same peers, set up from both ends at once: which of them goes (RFC 7296 2.4).

Nothing in the RFC settles it. As for rekeys that cross (2.8.2), the one with the lowest of the four nonces is
redundant, and its initiator deletes it: both ends see the same nonces.
"""

from __future__ import annotations

from ikepy.sa.state.ike_sa import IkeSa


def crossed(one: IkeSa, other: IkeSa) -> bool:
    """Whether each end began its own before it had the other's."""
    a, b = one.set_up, other.set_up
    return a.ours != b.ours and a.began_at < b.ended_at and b.began_at < a.ended_at


def redundant(one: IkeSa, other: IkeSa) -> IkeSa:
    """The one of the two that goes."""
    return one if one.set_up.lowest_nonce < other.set_up.lowest_nonce else other
