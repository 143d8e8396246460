"""SGW.R.1.1.6.1 to 6.6: which algorithms the peer takes, and which of several (RFC 7296 2.7, 3.3)."""

from __future__ import annotations

from enum import IntEnum

from ikepy.probe.draft import Draft
from ikepy.probe.formats import check_chosen
from ikepy.probe.ike_sa import IkeSa, new_spi
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.sgw.suites import (
    ESP_ALTERNATIVES,
    IKE_ALTERNATIVES,
    UNWANTED_ESP,
    UNWANTED_IKE,
    base_esp,
    base_ike,
    preceded,
    replaced,
)
from ikepy.probe.target import esp_proposal
from ikepy.wire.constants import Encr, Integ, KeGroup, NotifyType, Prf, TransformType
from ikepy.wire.proposal import Proposal, Transform

_REGISTRIES: dict[int, type[IntEnum]] = {
    TransformType.ENCR: Encr,
    TransformType.PRF: Prf,
    TransformType.INTEG: Integ,
    TransformType.KE: KeGroup,
}
IKE_PARTS = dict(zip("ABCD", UNWANTED_IKE, strict=True))
ESP_PARTS = dict(zip("ABC", UNWANTED_ESP, strict=True))


async def ask_for_child(peer: Peer, *proposals: Proposal) -> tuple[IkeSa, Draft, Received]:
    """IKE_SA_INIT, and IKE_AUTH that offers these for the child."""
    sa = await peer.init()
    request = sa.auth_request(child=sa.child_payloads(proposals=proposals))
    got = await peer.ask(request, what="an IKE_AUTH response")
    sa.established = got.notify(NotifyType.AUTHENTICATION_FAILED) is None
    return sa, request, got


def _ike(part: str, transform: Transform) -> None:
    registry = _REGISTRIES[transform.type]
    name = f"{TransformType(transform.type).name} {registry(transform.id).name}"

    @case(
        f"SGW.R.1.1.6.1.{part}",
        rfc="RFC 7296 2.7",
        group="ADVANCED",
        title=f"Cryptographic algorithm negotiation for IKE_SA: {name}",
    )
    async def ike_algorithm(peer: Peer) -> None:
        offered = replaced(base_ike(peer.target), transform)
        sa = peer.new_sa()
        _, got = await peer.ask_init(sa.init_request(proposals=[offered]))
        peer.lacking(got, name, NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_KE_PAYLOAD)
        check_chosen(peer, got, offered)
        sa.take_init_response(got)
        await peer.establish(sa)


def _esp(part: str, words: str) -> None:
    @case(
        f"SGW.R.1.1.6.2.{part}",
        rfc="RFC 7296 2.7",
        group="ADVANCED",
        title=f"Cryptographic algorithm negotiation for CHILD_SA: {words}",
    )
    async def esp_algorithm(peer: Peer) -> None:
        peer.echo_hosts()
        offered = esp_proposal(words, new_spi(4))
        sa, request, got = await ask_for_child(peer, offered)
        peer.lacking(got, words)
        check_chosen(peer, got, offered)
        await peer.ping(sa.take_auth_response(got, request))


def _ike_transforms(part: str, type: TransformType) -> None:
    @case(
        f"SGW.R.1.1.6.3.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple transforms for IKE_SA: {type.name}",
    )
    async def several_transforms(peer: Peer) -> None:
        wanted = base_ike(peer.target)
        sa = peer.new_sa()
        (group,) = (one.id for one in wanted.transforms if one.type == TransformType.KE)
        offered = preceded(wanted, UNWANTED_IKE[type])
        _, got = await peer.ask_init(sa.init_request(proposals=[offered], group=group))
        check_chosen(peer, got, wanted)
        sa.take_init_response(got)

    @case(
        f"SGW.R.1.1.6.4.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple proposals for IKE_SA: {type.name}",
    )
    async def several_proposals(peer: Peer) -> None:
        wanted = base_ike(peer.target, number=2)
        sa = peer.new_sa()
        (group,) = (one.id for one in wanted.transforms if one.type == TransformType.KE)
        offered = [replaced(wanted, UNWANTED_IKE[type], number=1), wanted]
        _, got = await peer.ask_init(sa.init_request(proposals=offered, group=group))
        check_chosen(peer, got, wanted)
        sa.take_init_response(got)


def _esp_transforms(part: str, type: TransformType) -> None:
    @case(
        f"SGW.R.1.1.6.5.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple transforms for CHILD_SA: {type.name}",
    )
    async def several_transforms(peer: Peer) -> None:
        wanted = base_esp(peer.target, new_spi(4))
        sa, request, got = await ask_for_child(peer, preceded(wanted, UNWANTED_ESP[type]))
        check_chosen(peer, got, wanted)
        sa.take_auth_response(got, request)

    @case(
        f"SGW.R.1.1.6.6.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple proposals for CHILD_SA: {type.name}",
    )
    async def several_proposals(peer: Peer) -> None:
        wanted = base_esp(peer.target, new_spi(4), number=2)
        unwanted = replaced(wanted, UNWANTED_ESP[type], number=1)
        sa, request, got = await ask_for_child(peer, unwanted, wanted)
        check_chosen(peer, got, wanted)
        sa.take_auth_response(got, request)


for _part, _transform in IKE_ALTERNATIVES.items():
    _ike(_part, _transform)
for _part, _words in ESP_ALTERNATIVES.items():
    _esp(_part, _words)
for _part, _type in IKE_PARTS.items():
    _ike_transforms(_part, _type)
for _part, _type in ESP_PARTS.items():
    _esp_transforms(_part, _type)
