"""SGW.R.1.1.11, 1.2.9, 1.3.3: what is reserved is ignored; flags and notifies that mean nothing here."""

from __future__ import annotations

from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.probe.reserved import ID_RESERVED, with_reserved
from ikepy.wire.constants import HeaderFlag, PayloadType
from ikepy.wire.payloads import NotifyPayload


@case("SGW.R.1.1.11.1", rfc="RFC 7296 2.5, 3.1")
async def reserved_in_init(peer: Peer) -> None:
    """Non-zero RESERVED fields in IKE_SA_INIT request."""
    sa = peer.new_sa()
    _, got = await peer.ask_init(with_reserved(sa.init_request()))
    sa.take_init_response(got)


@case("SGW.R.1.1.11.2", rfc="RFC 7296 2.5, 2.15")
async def reserved_in_auth(peer: Peer) -> None:
    """Non-zero RESERVED fields in IKE_AUTH request."""
    sa = await peer.init()
    identity = sa.id_payload(reserved=ID_RESERVED)
    plain = sa.auth_request()
    others = plain.without(PayloadType.ID_I, PayloadType.AUTH).payloads
    request = plain.but(payloads=(identity, sa.auth_payload(identity), *others))
    got = await peer.ask(with_reserved(request), what="an IKE_AUTH response")
    sa.check_auth(got)
    sa.established = True
    peer.check(got.error is None, "no error", got)


@case("SGW.R.1.1.11.3", rfc="RFC 7296 2.5, 3.1")
async def version_bit(peer: Peer) -> None:
    """Version bit is set."""
    sa = peer.new_sa()
    request = sa.init_request()
    _, got = await peer.ask_init(request.but(flags=request.flags | HeaderFlag.VERSION))
    sa.take_init_response(got)


@case("SGW.R.1.1.11.4", rfc="RFC 7296 2.2, 3.1")
async def response_bit(peer: Peer) -> None:
    """Response bit is set: such a message is not answered."""
    request = peer.new_sa().init_request()
    await peer.send(request.but(flags=request.flags | HeaderFlag.RESPONSE))
    await peer.expect_nothing(lambda got: got.header.spi_i == request.spi_i, what="answer to a response")


def _unknown_notify(part: str, type: int, kind: str) -> None:
    @case(
        f"SGW.R.1.1.11.5.{part}",
        rfc="RFC 7296 3.10.1",
        title=f"Unrecognized notify message type of {kind} ({type})",
    )
    async def unknown_notify(peer: Peer) -> None:
        peer.echo_hosts()
        sa = await peer.init()
        request = sa.auth_request().with_payloads(NotifyPayload(type))
        got = await peer.ask(request, what="an IKE_AUTH response")
        await peer.ping(sa.take_auth_response(got, request))


_unknown_notify("A", 16383, "error")
_unknown_notify("B", 65535, "status")


@case("SGW.R.1.2.9.1", rfc="RFC 7296 2.5")
async def reserved_in_create_child(peer: Peer) -> None:
    """Non-zero RESERVED fields in CREATE_CHILD_SA request."""
    sa = await peer.establish()
    request = sa.create_child_request(rekey=sa.child)
    sa.take_create_child(await peer.ask(with_reserved(request)), request)


@case("SGW.R.1.3.3.1", rfc="RFC 7296 2.5")
async def reserved_in_informational(peer: Peer) -> None:
    """Non-zero RESERVED fields in INFORMATIONAL request."""
    sa = await peer.establish()
    got = await peer.ask(with_reserved(sa.informational()))
    peer.check(got.protected and not got.payloads, "an empty protected response", got)
