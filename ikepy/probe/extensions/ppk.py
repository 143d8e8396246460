"""IKEPY.8784: postquantum preshared keys, as far as a peer can be asked that knows none of ours (RFC
8784).
"""

from __future__ import annotations

import os

from ikepy.probe.extensions.common import GROUP, announced, begun, is_childless, seen, still_stands
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.probe.verdict import Inconclusive
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import AuthPayload, NotifyPayload

_USE = NotifyType.USE_PPK
_FIXED = 2  # PPK_ID type PPK_ID_FIXED (RFC 8784 5.1)


@case("IKEPY.8784.1", rfc="RFC 8784 3", level="MAY", group=GROUP)
async def announces(peer: Peer) -> None:
    """USE_PPK is answered by the same, without data."""
    answer = await seen(peer, NotifyPayload(_USE))
    peer.check(announced(answer, _USE, "USE_PPK").data == b"", "no data", answer)


@case("IKEPY.8784.2", rfc="RFC 8784 3", group=GROUP)
async def not_announced_unasked(peer: Peer) -> None:
    """Without our USE_PPK, none comes back."""
    answer = await seen(peer)
    peer.check(answer.notify(_USE) is None, "no USE_PPK", answer)


@case("IKEPY.8784.3", rfc="RFC 8784 3", group=GROUP)
async def unknown_ppk(peer: Peer) -> None:
    """A PPK_ID that the peer does not know: it goes on by NO_PPK_AUTH, or refuses if it wants a PPK."""
    sa, init = await begun(peer, NotifyPayload(_USE))
    announced(init, _USE, "USE_PPK")
    childless = is_childless(init)
    right = sa.auth_payload()
    request = sa.auth_request(child=[] if childless else None)
    wrong = AuthPayload(right.method, os.urandom(len(right.data)))  # by a PPK that nobody knows
    identity = NotifyPayload(NotifyType.PPK_IDENTITY, bytes([_FIXED]) + b"ikepy-probe-unknown")
    without = NotifyPayload(NotifyType.NO_PPK_AUTH, right.data)
    payloads = [wrong if isinstance(one, AuthPayload) else one for one in request.payloads]
    got = await peer.ask(request.but(payloads=(*payloads, identity, without)))
    if got.notify(NotifyType.AUTHENTICATION_FAILED) is not None:
        raise Inconclusive("the peer refuses whoever has no PPK of its own: AUTHENTICATION_FAILED")
    peer.check(got.notify(NotifyType.PPK_IDENTITY) is None, "no PPK_IDENTITY, as no PPK is used", got)
    sa.check_auth(got)
    sa.established = True
    await still_stands(peer, sa)


@case("IKEPY.8784.4", rfc="RFC 8784 3, RFC 7296 2.15", group=GROUP)
async def wrong_auth_and_no_other(peer: Peer) -> None:
    """An AUTH by a PPK that the peer does not know, without NO_PPK_AUTH: AUTHENTICATION_FAILED."""
    sa, init = await begun(peer, NotifyPayload(_USE))
    announced(init, _USE, "USE_PPK")
    request = sa.auth_request(child=[] if is_childless(init) else None)
    identity = NotifyPayload(NotifyType.PPK_IDENTITY, bytes([_FIXED]) + b"ikepy-probe-unknown")
    size = len(sa.auth_payload().data)
    payloads = [
        AuthPayload(one.method, os.urandom(size)) if isinstance(one, AuthPayload) else one
        for one in request.payloads
    ]
    got = await peer.ask(request.but(payloads=(*payloads, identity)))
    peer.check_notify(got, NotifyType.AUTHENTICATION_FAILED)
