"""SGW.R.1.1.1: header and payload formats of the initial exchanges, and the child that comes of them."""

from __future__ import annotations

from ikepy.probe.draft import Draft
from ikepy.probe.formats import check_chosen, check_generic, check_header
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.sgw import authenticated
from ikepy.probe.sgw.authenticated import Exchanged
from ikepy.probe.sgw.suites import base_ike
from ikepy.wire.constants import PayloadType
from ikepy.wire.payloads import KePayload, NoncePayload


async def _init(peer: Peer) -> tuple[Draft, Received]:
    return await peer.ask_init(peer.new_sa().init_request())


@case("SGW.R.1.1.1.1.A", rfc="RFC 7296 3.1")
async def init_header(peer: Peer) -> None:
    """Sending IKE_SA_INIT response: IKE header format."""
    request, got = await _init(peer)
    check_header(peer, request, got)
    peer.check(got.first == PayloadType.SA, "next payload SA (33)", got.first)


@case("SGW.R.1.1.1.1.B", rfc="RFC 7296 3.3")
async def init_sa(peer: Peer) -> None:
    """Sending IKE_SA_INIT response: SA payload format."""
    _, got = await _init(peer)
    check_generic(peer, got, PayloadType.SA)
    check_chosen(peer, got, base_ike(peer.target))


@case("SGW.R.1.1.1.1.C", rfc="RFC 7296 3.4")
async def init_ke(peer: Peer) -> None:
    """Sending IKE_SA_INIT response: KE payload format."""
    request, got = await _init(peer)
    found = check_generic(peer, got, PayloadType.KE)
    sent = next(one for one in request.payloads if isinstance(one, KePayload))
    ke = got.maybe(KePayload)
    peer.check(ke is not None and ke.group == sent.group, f"group {sent.group}", ke and ke.group)
    peer.check(found.body[2:4] == bytes(2), "RESERVED 0 in KE", found.body[2:4].hex())
    size = len(sent.data)
    peer.check(ke is not None and len(ke.data) == size, f"{size} octets of data", ke and len(ke.data))


@case("SGW.R.1.1.1.1.D", rfc="RFC 7296 3.9")
async def init_nonce(peer: Peer) -> None:
    """Sending IKE_SA_INIT response: nonce payload format."""
    _, got = await _init(peer)
    found = check_generic(peer, got, PayloadType.NONCE)
    peer.check(got.maybe(NoncePayload) is not None, "a nonce", got)
    peer.check(16 <= len(found.body) <= 256, "16 to 256 octets of nonce", len(found.body))


async def _auth(peer: Peer) -> Exchanged:
    sa = await peer.init()
    request = sa.auth_request()
    got = await peer.ask(request, what="an IKE_AUTH response")
    sa.established = got.error is None
    return Exchanged(sa, request, got)


@case("SGW.R.1.1.1.2.A", rfc="RFC 7296 3.1")
async def auth_header(peer: Peer) -> None:
    """Sending IKE_AUTH response: IKE header format."""
    await authenticated.header(peer, _auth)


@case("SGW.R.1.1.1.2.B", rfc="RFC 7296 3.14")
async def auth_encrypted(peer: Peer) -> None:
    """Sending IKE_AUTH response: Encrypted payload format."""
    await authenticated.encrypted(peer, _auth)


@case("SGW.R.1.1.1.2.C", rfc="RFC 7296 3.5")
async def auth_identity(peer: Peer) -> None:
    """Sending IKE_AUTH response: IDr payload format."""
    await authenticated.identity(peer, _auth)


@case("SGW.R.1.1.1.2.D", rfc="RFC 7296 2.15, 3.8")
async def auth_authentication(peer: Peer) -> None:
    """Sending IKE_AUTH response: AUTH payload format."""
    await authenticated.authentication(peer, _auth)


@case("SGW.R.1.1.1.2.E", rfc="RFC 7296 3.3")
async def auth_sa(peer: Peer) -> None:
    """Sending IKE_AUTH response: SA payload format."""
    await authenticated.security_association(peer, _auth)


@case("SGW.R.1.1.1.2.F", rfc="RFC 7296 3.13")
async def auth_ts_i(peer: Peer) -> None:
    """Sending IKE_AUTH response: TSi payload format."""
    await authenticated.selectors(peer, _auth, PayloadType.TS_I)


@case("SGW.R.1.1.1.2.G", rfc="RFC 7296 3.13")
async def auth_ts_r(peer: Peer) -> None:
    """Sending IKE_AUTH response: TSr payload format."""
    await authenticated.selectors(peer, _auth, PayloadType.TS_R)


@case("SGW.R.1.1.1.3", rfc="RFC 7296 1.2")
async def use_of_child(peer: Peer) -> None:
    """Use of CHILD_SA: echo request and reply through the tunnel."""
    peer.echo_hosts()
    sa = await peer.establish()
    await peer.ping(sa.child)
