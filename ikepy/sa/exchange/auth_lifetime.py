"""How long an authentication holds: AUTH_LIFETIME, which lets the initiator authenticate anew (RFC 4478).

A responder says it where an AAA server grants a session for a time only (Session-Timeout), and ends the
IKE_SA when that is over. An initiator authenticates anew a little before, whichever message says it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload
from ikepy.wire.writer import u32

LEAST = 10.0  # seconds: however little a server grants, an IKE_SA is worth its set-up
# charon authenticates anew at once, again and again, where less is left than its over_time: 24 minutes by
# default.
LEAST_TOLD = 1800.0
EARLY = 0.1  # part of the time that is left to authenticate anew
MOST = 2**32 - 1


def limit(sa: IkeSa, now: float) -> list[Payload]:
    """As responder: end the IKE_SA when what was granted is over, and say when that is, unless it is soon."""
    seconds = sa.granted.session_timeout
    if seconds is None:
        return []
    seconds = min(max(seconds, LEAST), MOST)
    sa.authenticated_until = now + seconds
    if seconds < LEAST_TOLD:
        return []
    return [NotifyPayload(NotifyType.AUTH_LIFETIME, u32(int(seconds)))]


def heed(sa: IkeSa, payloads: Sequence[Payload], now: float) -> None:
    """As initiator: authenticate anew before the responder's time is over, if that is earlier than ours."""
    told = query.notify(payloads, NotifyType.AUTH_LIFETIME)
    if told is None or len(told.data) != 4 or not sa.set_up.ours:
        return
    seconds = max(int.from_bytes(told.data, "big") * (1 - EARLY), LEAST * (1 - EARLY))
    sa.reauth_at = min(now + seconds, float("inf") if sa.reauth_at is None else sa.reauth_at)
