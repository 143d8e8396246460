"""SGW.R.1.1.7, 1.2.7: traffic selectors: narrowed, refused, and enforced (RFC 7296 2.9, RFC 4301 5.2).

The specification configures the peer for one host of Link Y and offers all of it. Here the peer is configured
for Link Y as ever, and what is offered is twice as large: a third host stands in the half beside it.
"""

from __future__ import annotations

from ikepy.probe.child import echo_request
from ikepy.probe.formats import text_of
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.target import Address, Network, Target, selector
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.payloads import TrafficSelector, TsPayload


def twice(network: Network) -> Network:
    """The network that holds this one and its neighbour."""
    return network.supernet()


def stranger(target: Target) -> Address:
    """A host of the neighbour of Link Y, which the peer is not configured for (TH3)."""
    neighbour = next(
        one for one in twice(target.local_net).subnets(prefixlen_diff=1) if one != target.local_net
    )
    return neighbour.network_address + 15


def _ts_i(got: Received) -> tuple[TrafficSelector, ...]:
    found = (one for one in got.all(TsPayload) if one.type == PayloadType.TS_I)
    return next(found).selectors


def _check_narrowed(peer: Peer, got: Received) -> None:
    """TSi of the response is Link Y, or part of it."""
    wanted = selector(peer.target.local_net)
    for one in _ts_i(got):
        within = one.ts_type == wanted.ts_type and wanted.first <= one.first <= one.last <= wanted.last
        peer.check(within, f"TSi narrowed to {text_of(wanted)}", text_of(one))


async def _narrowed(peer: Peer, *offered: TrafficSelector) -> None:
    """Offer more than Link Y: the child takes what is configured, and drops what is not."""
    _, destination = peer.echo_hosts()
    sa = await peer.init()
    request = sa.auth_request(child=sa.child_payloads(ts_i=offered))
    got = await peer.ask(request, what="an IKE_AUTH response")
    child = sa.take_auth_response(got, request)
    _check_narrowed(peer, got)
    await peer.ping(child)
    foreign = stranger(peer.target)
    await peer.send_esp(child.seal(echo_request(foreign, destination, 1, 1)))
    await peer.no_esp(
        lambda one: one.inner is not None and one.inner.destination == foreign, what="reply to TH3"
    )


@case("SGW.R.1.1.7.1", rfc="RFC 7296 2.9")
async def narrowing(peer: Peer) -> None:
    """Narrowing traffic selectors."""
    await _narrowed(peer, selector(twice(peer.target.local_net)))


@case("SGW.R.1.1.7.2", rfc="RFC 7296 2.9")
async def unacceptable(peer: Peer) -> None:
    """TS_UNACCEPTABLE: selectors that the peer is not configured for."""
    sa = await peer.establish()
    child = sa.child_payloads(ts_i=[selector(stranger(peer.target))])
    got = await peer.ask(sa.create_child_request(child=child))
    peer.lacking(got, "a further CHILD_SA", NotifyType.NO_ADDITIONAL_SAS)
    peer.check_notify(got, NotifyType.TS_UNACCEPTABLE)
    peer.check(await peer.alive(sa), "an IKE_SA that lives on", "none")


@case("SGW.R.1.1.7.3", rfc="RFC 7296 2.9")
async def narrowing_from_specific(peer: Peer) -> None:
    """Narrowing traffic selectors: several, the specific one first."""
    target = peer.target
    specific = selector(target.local_host), selector(target.local_net), selector(stranger(target))
    await _narrowed(peer, *specific)


@case("SGW.R.1.2.7.1", rfc="RFC 4301 5.2, RFC 7296 1.3.1", group="ADVANCED")
async def second_child(peer: Peer) -> None:
    """Receipt of cryptographically protected message on the new CHILD_SA: each takes its own selectors."""
    source, destination = peer.echo_hosts()
    other = source + 1
    sa = await peer.init()
    request = sa.auth_request(child=sa.child_payloads(ts_i=[selector(source)]))
    first = sa.take_auth_response(await peer.ask(request, what="an IKE_AUTH response"), request)
    await peer.ping(first)
    await peer.send_esp(first.seal(echo_request(other, destination, 1, 1)))
    await peer.no_esp(
        lambda one: one.inner is not None and one.inner.destination == other, what="reply to TH3"
    )
    request = sa.create_child_request(child=sa.child_payloads(ts_i=[selector(other)]))
    got = await peer.ask(request, what="a CREATE_CHILD_SA response")
    peer.lacking(got, "a further CHILD_SA", NotifyType.NO_ADDITIONAL_SAS)
    second = sa.take_create_child(got, request)
    await peer.ping(first, source=source)
    await peer.ping(second, source=other)
