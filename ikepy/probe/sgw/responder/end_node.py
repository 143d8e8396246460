"""SGW.R.2.1.1: the tunnel of a gateway and an end node: what is behind us is our own address alone."""

from __future__ import annotations

from ipaddress import ip_network

from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.probe.sgw import authenticated
from ikepy.probe.sgw.authenticated import Exchanged
from ikepy.probe.target import Target
from ikepy.wire.constants import PayloadType


def as_end_node(target: Target) -> Target:
    """The target with our own address as all that is behind us."""
    return target.but(local_net=ip_network(target.local), local_host=target.local)


async def _auth(peer: Peer) -> Exchanged:
    sa = await peer.init(peer.new_sa(as_end_node(peer.target)))
    request = sa.auth_request()
    got = await peer.ask(request, what="an IKE_AUTH response")
    sa.established = got.error is None
    return Exchanged(sa, request, got)


@case("SGW.R.2.1.1.1.A", rfc="RFC 7296 3.1")
async def auth_header(peer: Peer) -> None:
    """Sending IKE_AUTH response to an end node: IKE header format."""
    await authenticated.header(peer, _auth)


@case("SGW.R.2.1.1.1.B", rfc="RFC 7296 3.14")
async def auth_encrypted(peer: Peer) -> None:
    """Sending IKE_AUTH response to an end node: Encrypted payload format."""
    await authenticated.encrypted(peer, _auth)


@case("SGW.R.2.1.1.1.C", rfc="RFC 7296 3.5")
async def auth_identity(peer: Peer) -> None:
    """Sending IKE_AUTH response to an end node: IDr payload format."""
    await authenticated.identity(peer, _auth)


@case("SGW.R.2.1.1.1.D", rfc="RFC 7296 2.15, 3.8")
async def auth_authentication(peer: Peer) -> None:
    """Sending IKE_AUTH response to an end node: AUTH payload format."""
    await authenticated.authentication(peer, _auth)


@case("SGW.R.2.1.1.1.E", rfc="RFC 7296 3.3")
async def auth_sa(peer: Peer) -> None:
    """Sending IKE_AUTH response to an end node: SA payload format."""
    await authenticated.security_association(peer, _auth)


@case("SGW.R.2.1.1.1.F", rfc="RFC 7296 3.13")
async def auth_ts_i(peer: Peer) -> None:
    """Sending IKE_AUTH response to an end node: TSi payload format."""
    await authenticated.selectors(peer, _auth, PayloadType.TS_I)


@case("SGW.R.2.1.1.1.G", rfc="RFC 7296 3.13")
async def auth_ts_r(peer: Peer) -> None:
    """Sending IKE_AUTH response to an end node: TSr payload format."""
    await authenticated.selectors(peer, _auth, PayloadType.TS_R)


@case("SGW.R.2.1.1.2", rfc="RFC 7296 1.2")
async def use_of_child(peer: Peer) -> None:
    """Use of CHILD_SA by an end node."""
    peer.echo_hosts()
    sa = await peer.establish(peer.new_sa(as_end_node(peer.target)))
    await peer.ping(sa.child, source=peer.target.local)
