"""What the cases of this set begin with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from ikepy.probe.draft import AnyPayload, Draft
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.verdict import Failed, NotApplicable
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload

GROUP = "EXTENSIONS"


async def begun(peer: Peer, *extra: AnyPayload) -> tuple[IkeSa, Received]:
    """After IKE_SA_INIT, with further payloads in the request: the IKE_SA, and the peer's response."""
    sa = peer.new_sa()
    _, answer = await peer.ask_init(sa.init_request(extra=extra))
    sa.take_init_response(answer)
    return sa, answer


async def seen(peer: Peer, *extra: AnyPayload) -> Received:
    """The response to IKE_SA_INIT. Then the IKE_SA comes up, or is refused: many peers block an address that
    leaves half-open ones.
    """
    sa, answer = await begun(peer, *extra)
    with contextlib.suppress(Failed):
        await authenticated(peer, sa, childless=is_childless(answer))
    return answer


def is_childless(answer: Received) -> bool:
    """Whether a response to IKE_SA_INIT lets us do without a child (RFC 6023)."""
    return answer.notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None


async def established(peer: Peer, *extra: AnyPayload) -> IkeSa:
    """An IKE_SA, without a child where the peer can do without one (RFC 6023): what is tested has none."""
    sa, answer = await begun(peer, *extra)
    await authenticated(peer, sa, childless=is_childless(answer))
    return sa


async def authenticated(peer: Peer, sa: IkeSa, *extra: AnyPayload, childless: bool = False) -> Received:
    """IKE_AUTH with further payloads; the response, whose AUTH is right."""
    request = sa.auth_request(extra=extra, child=[] if childless else None)
    answer = await peer.ask(request, what="an IKE_AUTH response")
    take_auth(sa, request, answer, childless=childless)
    return answer


def take_auth(sa: IkeSa, request: Draft, answer: Received, *, childless: bool) -> None:
    """Check AUTH, and install the child if there is to be one."""
    if childless:
        sa.check_auth(answer)
        sa.established = True
    else:
        sa.take_auth_response(answer, request)


def announced(answer: Received, notify: NotifyType, what: str) -> NotifyPayload:
    """The notify by which the peer says that it has an extension. NotApplicable if it doesn't."""
    found = answer.notify(notify)
    if found is None:
        raise NotApplicable(f"the peer does not announce {what}")
    return found


async def still_stands(peer: Peer, sa: IkeSa) -> None:
    """The IKE_SA answers a liveness check: what was sent has done it no harm."""
    peer.check(await peer.alive(sa), "an answer to a liveness check afterwards", "none")


async def still_serves(peer: Peer) -> None:
    """A new IKE_SA comes up: what was sent has done the peer no harm."""
    peer.check(await established(peer), "an IKE_SA that comes up afterwards", "none")


def of_type(payloads: Sequence[AnyPayload], type: int) -> AnyPayload:
    """The first payload of a type."""
    return next(one for one in payloads if one.type == type)


def said(messages: Iterable[Received]) -> str:
    """Messages, for a report."""
    return "; ".join(map(str, messages)) or "none"
