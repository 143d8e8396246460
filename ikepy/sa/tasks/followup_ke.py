"""IKE_FOLLOWUP_KE as responder: additional key exchanges after CREATE_CHILD_SA (RFC 9370 2.2.4)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.exchange import key_exchange
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.followups import LINK_SIZE, Followup
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Answer
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import KePayload, NotifyPayload, Payload
from ikepy.wire.proposal import Proposal


def first(
    sa: IkeSa, chosen: Proposal, payloads: Sequence[Payload]
) -> tuple[list[KePayload], tuple[Secret, ...], tuple[int, ...]]:
    """Answer the key exchange of a CREATE_CHILD_SA: its KE payload and secret, if it has one, and the methods
    that are to follow.

    PeerError as `key_exchange.answer`, or if too many wait already; may raise ResultPending.
    """
    methods = proposals.key_exchanges(chosen)
    if not methods:
        return [], (), ()
    if methods[1:]:
        sa.followups.check_room()
    ke, secret = key_exchange.answer(sa, methods[0], payloads)
    return [ke], (secret,), methods[1:]


def await_next(sa: IkeSa, followup: Followup, now: float) -> NotifyPayload:
    """Wait for the next request; the notify tells the peer what to say in it."""
    link = sa.registry.entropy.random(LINK_SIZE)
    sa.followups.add(link, followup, now)
    return NotifyPayload(NotifyType.ADDITIONAL_KEY_EXCHANGE, link)


def respond(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer a request. PeerError STATE_NOT_FOUND if nothing is known of what it continues, or as
    `key_exchange.answer`: then it can't go on. May raise ResultPending."""
    link = query.notify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE)
    followup = None if link is None else sa.followups.get(link.data)
    if link is None or followup is None:
        raise PeerError(NotifyType.STATE_NOT_FOUND, "an additional key exchange of nothing that goes on")
    sa.followups.prolong(link.data, now)
    try:
        ke, secret = key_exchange.answer(sa, followup.methods[0], payloads)
        further = followup.after(secret)
        answer = None if further.methods else further.finish(further.secrets, now)
    except PeerError:
        sa.followups.fail(link.data, now)
        raise
    sa.followups.take(link.data)
    if answer is None:
        return Answer([ke, await_next(sa, further, now)])
    return Answer([ke, *answer.payloads], answer.before, answer.after)
