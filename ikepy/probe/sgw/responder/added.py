"""SGW.R.1.4: what revision 2.0.0 added: proposals with what nobody knows, and exchanges that cross."""

from __future__ import annotations

from dataclasses import replace

from ikepy.probe.formats import check_chosen
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.sgw.responder.children import check_deleted
from ikepy.probe.sgw.responder.key_exchange import own_group
from ikepy.probe.sgw.suites import base_ike, preceded, replaced
from ikepy.wire.constants import (
    AuthMethod,
    ExchangeType,
    KeGroup,
    NotifyType,
    PayloadType,
    ProtocolId,
    TransformType,
)
from ikepy.wire.payloads import AuthPayload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

_UNKNOWN_TYPE, _UNKNOWN_CIPHER = 240, 1023
_UNKNOWN_ATTRIBUTE = bytes.fromhex("bfff 0001")  # attribute type 16383, of two octets
_WRONG_AUTH = bytes.fromhex("0123456789abcdef0123456789abcdef01234567")


@case("SGW.R.1.4.1.1", rfc="RFC 7296 1.3.2, 2.18")
async def no_key_exchange(peer: Peer) -> None:
    """Sending NO_PROPOSAL_CHOSEN: a rekey of the IKE_SA with D-H transform NONE."""
    sa = await peer.establish()
    none = Transform(TransformType.KE, KeGroup.NONE)
    offered = replaced(base_ike(peer.target), none)
    request, _ = sa.rekey_request(proposals=[offered], group=own_group(peer.target))
    got = await peer.ask(request.without(PayloadType.KE))
    peer.check_notify(got, NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_SYNTAX)
    peer.check(got.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None, "N(NO_PROPOSAL_CHOSEN)", got)


async def _second_is_chosen(peer: Peer, first: Proposal) -> None:
    wanted = base_ike(peer.target, number=2)
    sa = peer.new_sa()
    _, got = await peer.ask_init(sa.init_request(proposals=[first, wanted], group=own_group(peer.target)))
    check_chosen(peer, got, wanted)
    sa.take_init_response(got)


@case("SGW.R.1.4.1.2", rfc="RFC 7296 3.3.6")
async def unknown_transform_type(peer: Peer) -> None:
    """Sending a proposal with an unknown transform type: the other one is chosen."""
    base = base_ike(peer.target)
    unknown = Transform(_UNKNOWN_TYPE, 1)
    await _second_is_chosen(peer, replace(base, transforms=(*base.transforms, unknown)))


@case("SGW.R.1.4.1.3", rfc="RFC 7296 3.3.6")
async def missing_transform_type(peer: Peer) -> None:
    """Sending a proposal without a mandatory transform type: the other one is chosen."""
    base = base_ike(peer.target)
    others = tuple(one for one in base.transforms if one.type != TransformType.ENCR)
    await _second_is_chosen(peer, replace(base, transforms=others))


async def _first_is_passed_over(peer: Peer, first: Transform) -> None:
    wanted = base_ike(peer.target)
    sa = peer.new_sa()
    _, got = await peer.ask_init(sa.init_request(proposals=[preceded(wanted, first)]))
    check_chosen(peer, got, wanted)
    sa.take_init_response(got)


@case("SGW.R.1.4.1.4", rfc="RFC 7296 3.3.6")
async def unknown_transform(peer: Peer) -> None:
    """Sending an unknown transform: the known one is chosen."""
    await _first_is_passed_over(peer, Transform(TransformType.ENCR, _UNKNOWN_CIPHER))


@case("SGW.R.1.4.1.5", rfc="RFC 7296 3.3.6")
async def unknown_attribute(peer: Peer) -> None:
    """Sending a transform with an unknown attribute: the one without it is chosen."""
    cipher = next(one for one in base_ike(peer.target).transforms if one.type == TransformType.ENCR)
    await _first_is_passed_over(peer, replace(cipher, unknown_attributes=_UNKNOWN_ATTRIBUTE))


@case("SGW.R.1.4.1.6", rfc="RFC 7296 2.21.2", level="SHOULD")
async def wrong_auth(peer: Peer) -> None:
    """Sending AUTHENTICATION_FAILED."""
    sa = await peer.init()
    wrong = AuthPayload(AuthMethod.SHARED_KEY_MIC, _WRONG_AUTH)
    request = sa.auth_request()
    payloads = tuple(wrong if isinstance(one, AuthPayload) else one for one in request.payloads)
    got = await peer.ask(request.but(payloads=payloads), what="N(AUTHENTICATION_FAILED)")
    peer.check_notify(got, NotifyType.AUTHENTICATION_FAILED)
    peer.check(got.protected, "a protected response", got)


async def _while_rekeying(peer: Peer, what: str) -> tuple[IkeSa, Received]:
    """Until the peer asks to rekey the child or the IKE_SA (`what`); its request is not answered."""
    setup = peer.target.identities.get(what)
    sa = await peer.establish(peer.new_sa(peer.target.but(local_id=setup) if setup else None))
    wanted = ProtocolId.ESP if what == "rekey-child" else ProtocolId.IKE
    replaced_spi = sa.child.spi_out if wanted == ProtocolId.ESP else sa.spi_r

    def rekeys(got: Received) -> bool:
        sa_payload = got.maybe(SaPayload)
        return sa_payload is not None and sa_payload.proposals[0].protocol == wanted

    await peer.trigger(what)
    text = f"{what} of SPI {replaced_spi.hex()}"
    exchange, within = ExchangeType.CREATE_CHILD_SA, peer.acts_within_s
    request = await peer.expect_request(exchange, sa=sa, match=rekeys, within=within, what=text)
    return sa, request


@case("SGW.R.1.4.1.7", rfc="RFC 7296 2.25.1", level="SHOULD")
async def close_a_child_being_rekeyed(peer: Peer) -> None:
    """Sending Delete for a CHILD_SA that the peer is rekeying."""
    sa, _ = await _while_rekeying(peer, "rekey-child")
    child = sa.child
    check_deleted(peer, await peer.ask(sa.delete(child)), child)


@case("SGW.R.1.4.1.8", rfc="RFC 7296 2.25.2", level="SHOULD")
async def close_an_ike_sa_being_rekeyed(peer: Peer) -> None:
    """Sending Delete for an IKE_SA that the peer is rekeying."""
    sa, request = await _while_rekeying(peer, "rekey-ike")
    got = await peer.ask(sa.delete())
    sa.established = False
    peer.check(not got.payloads, "an empty response", got)
    before = request.copies
    await peer.pause(peer.limits.retransmit_s)
    peer.check(request.copies == before, "no request to rekey the IKE_SA any more", "one")


@case("SGW.R.1.4.1.9", rfc="RFC 7296 2.25.2", level="SHOULD")
async def rekey_a_child_meanwhile(peer: Peer) -> None:
    """Rekeying a CHILD_SA while the peer rekeys the IKE_SA."""
    sa, _ = await _while_rekeying(peer, "rekey-ike")
    got = await peer.ask(sa.create_child_request(rekey=sa.child))
    peer.check_notify(got, NotifyType.TEMPORARY_FAILURE)


@case("SGW.R.1.4.1.10", rfc="RFC 7296 2.25.2", level="SHOULD")
async def close_a_child_meanwhile(peer: Peer) -> None:
    """Sending Delete for a CHILD_SA while the peer rekeys the IKE_SA."""
    sa, _ = await _while_rekeying(peer, "rekey-ike")
    child = sa.child
    check_deleted(peer, await peer.ask(sa.delete(child)), child)
