"""SGW.R.1.1.6.7 to 6.9: a KE payload of another group, and an IKE_SA whose child is refused."""

from __future__ import annotations

import os

from ikepy.probe.draft import Draft
from ikepy.probe.ike_sa import IkeSa, new_spi
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.probe.sgw.responder.algorithms import ask_for_child
from ikepy.probe.sgw.suites import (
    MODP_1024_SIZE,
    UNWANTED_ESP,
    UNWANTED_IKE,
    base_esp,
    base_ike,
    preceded,
    replaced,
)
from ikepy.probe.target import Target
from ikepy.wire.constants import KeGroup, NotifyType, PayloadType, TransformType
from ikepy.wire.payloads import AuthPayload, IdPayload, KePayload
from ikepy.wire.proposal import Proposal, Transform


def own_group(target: Target) -> int:
    """The group of the base suite."""
    return next(one.id for one in base_ike(target).transforms if one.type == TransformType.KE)


def with_pfs(target: Target, spi: bytes) -> Proposal:
    """The base suite of ESP with a key exchange of the base suite of IKE."""
    base = base_esp(target, spi)
    first, *others = base.transforms
    group = Transform(TransformType.KE, own_group(target))
    return Proposal(base.number, base.protocol, base.spi, (first, group, *others))


def _with_ke(request: Draft) -> Draft:
    """The request with a KE payload of group 2, which the peer must not take."""
    ke = KePayload(KeGroup.MODP_1024, os.urandom(MODP_1024_SIZE))
    others = tuple(ke if isinstance(one, KePayload) else one for one in request.payloads)
    return request.but(payloads=others)


def _pfs_request(peer: Peer, sa: IkeSa) -> Draft:
    offered = preceded(with_pfs(peer.target, new_spi(4)), UNWANTED_IKE[TransformType.KE])
    child = sa.child_payloads(proposals=[offered])
    return sa.create_child_request(rekey=sa.child, child=child, group=own_group(peer.target))


def _check_wanted(peer: Peer, data: bytes) -> None:
    group = own_group(peer.target)
    peer.check(data == group.to_bytes(2), f"group {group} in N(INVALID_KE_PAYLOAD)", data.hex())


@case("SGW.R.1.1.6.7", rfc="RFC 7296 1.3", group="ADVANCED")
async def ke_of_child(peer: Peer) -> None:
    """Sending INVALID_KE_PAYLOAD in CREATE_CHILD_SA."""
    sa = await peer.establish()
    got = await peer.ask(_with_ke(_pfs_request(peer, sa)))
    peer.lacking(got, "perfect forward secrecy")
    _check_wanted(peer, peer.check_notify(got, NotifyType.INVALID_KE_PAYLOAD).data)
    request = _pfs_request(peer, sa)
    sa.take_create_child(await peer.ask(request), request)


@case("SGW.R.1.1.6.8", rfc="RFC 7296 1.2, 2.7")
async def ke_of_init(peer: Peer) -> None:
    """Sending INVALID_KE_PAYLOAD in the initial exchange."""
    sa = peer.new_sa()
    offered = preceded(base_ike(peer.target), UNWANTED_IKE[TransformType.KE])
    request = sa.init_request(proposals=[offered], group=own_group(peer.target))
    _, got = await peer.ask_init(_with_ke(request))
    _check_wanted(peer, peer.check_notify(got, NotifyType.INVALID_KE_PAYLOAD).data)
    peer.check(not any(got.header.spi_r), "a responder's SPI of zero", got.header.spi_r.hex())
    _, got = await peer.ask_init(request)
    sa.take_init_response(got)


@case("SGW.R.1.1.6.9", rfc="RFC 7296 1.2, 2.21.2")
async def ike_sa_without_child(peer: Peer) -> None:
    """Creating an IKE_SA without a CHILD_SA."""
    refused = replaced(base_esp(peer.target, new_spi(4)), UNWANTED_ESP[TransformType.ENCR])
    sa, _, got = await ask_for_child(peer, refused)
    peer.check_notify(got, NotifyType.NO_PROPOSAL_CHOSEN)
    identity = any(isinstance(one, IdPayload) and one.type == PayloadType.ID_R for one in got.payloads)
    proven = identity and got.maybe(AuthPayload) is not None
    peer.check(proven, "IDr and AUTH beside the notify", got)
    peer.check(await peer.alive(sa), "a response to INFORMATIONAL on the IKE_SA", "none")
