"""SGW.R.1.1.2, 1.2.2, 1.3.2: a request that comes again gets the same response, which never comes unasked."""

from __future__ import annotations

from ikepy.probe.draft import Draft
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case


async def _ask_twice(peer: Peer, request: Draft) -> None:
    """Send the same octets twice, with a pause in between in which nothing may come."""
    first = await peer.ask(request, again=False)
    sent = peer.last_sent
    await peer.expect_nothing(lambda got: got.header.is_response, what="response that nobody asked for")
    second = await peer.ask(request.but(spoil=lambda _: sent), again=False, what="the same response")
    peer.check(second.octets == first.octets, "the same response, octet for octet", second)


@case("SGW.R.1.1.2.1", rfc="RFC 7296 2.1")
async def init_again(peer: Peer) -> None:
    """Receipt of retransmitted IKE_SA_INIT request."""
    request, _ = await peer.ask_init(peer.new_sa().init_request())
    await _ask_twice(peer, request)


@case("SGW.R.1.1.2.2", rfc="RFC 7296 2.1")
async def auth_again(peer: Peer) -> None:
    """Receipt of retransmitted IKE_AUTH request."""
    sa = await peer.init()
    request = sa.auth_request()
    sa.established = True
    await _ask_twice(peer, request)


@case("SGW.R.1.2.2.1", rfc="RFC 7296 2.1")
async def create_child_again(peer: Peer) -> None:
    """Receipt of retransmitted CREATE_CHILD_SA request."""
    sa = await peer.establish()
    await _ask_twice(peer, sa.create_child_request(rekey=sa.child))


@case("SGW.R.1.3.2.1", rfc="RFC 7296 2.1")
async def informational_again(peer: Peer) -> None:
    """Receipt of retransmitted INFORMATIONAL request."""
    sa = await peer.establish()
    await _ask_twice(peer, sa.informational())
