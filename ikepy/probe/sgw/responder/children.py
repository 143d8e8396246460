"""SGW.R.1.2.1 to 1.2.5, 1.3.1: CHILD_SAs rekeyed, added, deleted; and the format of what answers."""

from __future__ import annotations

from ikepy.probe.child import Child
from ikepy.probe.draft import AnyPayload
from ikepy.probe.formats import check_chosen, check_generic, check_header, check_sealed
from ikepy.probe.ike_sa import IkeSa, new_spi
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.sgw import authenticated
from ikepy.probe.sgw.authenticated import Exchanged
from ikepy.probe.sgw.responder.algorithms import ESP_PARTS
from ikepy.probe.sgw.responder.key_exchange import own_group, with_pfs
from ikepy.probe.sgw.suites import UNWANTED_ESP, base_esp, preceded, replaced
from ikepy.wire.constants import NotifyType, PayloadType, TransformType
from ikepy.wire.payloads import DeletePayload
from ikepy.wire.proposal import Proposal


async def _rekey(peer: Peer) -> Exchanged:
    sa = await peer.establish()
    request = sa.create_child_request(rekey=sa.child)
    return Exchanged(sa, request, await peer.ask(request))


@case("SGW.R.1.2.1.1.A", rfc="RFC 7296 3.1")
async def create_child_header(peer: Peer) -> None:
    """Receipt of CREATE_CHILD_SA request: IKE header format."""
    await authenticated.header(peer, _rekey)


@case("SGW.R.1.2.1.1.B", rfc="RFC 7296 3.14")
async def create_child_encrypted(peer: Peer) -> None:
    """Receipt of CREATE_CHILD_SA request: Encrypted payload format."""
    await authenticated.encrypted(peer, _rekey)


@case("SGW.R.1.2.1.1.C", rfc="RFC 7296 3.3")
async def create_child_sa(peer: Peer) -> None:
    """Receipt of CREATE_CHILD_SA request: SA payload format."""
    await authenticated.security_association(peer, _rekey)


@case("SGW.R.1.2.1.1.D", rfc="RFC 7296 3.9")
async def create_child_nonce(peer: Peer) -> None:
    """Receipt of CREATE_CHILD_SA request: nonce payload format."""
    found = check_generic(peer, (await _rekey(peer)).got, PayloadType.NONCE)
    peer.check(16 <= len(found.body) <= 256, "16 to 256 octets of nonce", len(found.body))


@case("SGW.R.1.2.1.1.E", rfc="RFC 7296 3.13")
async def create_child_ts_i(peer: Peer) -> None:
    """Receipt of CREATE_CHILD_SA request: TSi payload format."""
    await authenticated.selectors(peer, _rekey, PayloadType.TS_I)


@case("SGW.R.1.2.1.1.F", rfc="RFC 7296 3.13")
async def create_child_ts_r(peer: Peer) -> None:
    """Receipt of CREATE_CHILD_SA request: TSr payload format."""
    await authenticated.selectors(peer, _rekey, PayloadType.TS_R)


@case("SGW.R.1.2.3.1", rfc="RFC 7296 1.4.1", level="SHOULD", group="ADVANCED")
async def delete_of_children(peer: Peer) -> None:
    """Receiving Delete payload for multiple CHILD_SAs."""
    sa = await peer.establish()
    request = sa.create_child_request()
    got = await peer.ask(request)
    peer.lacking(got, "a further CHILD_SA", NotifyType.NO_ADDITIONAL_SAS)
    sa.take_create_child(got, request)
    both = list(sa.children)
    check_deleted(peer, await peer.ask(sa.delete(*both)), *both)


def check_deleted(peer: Peer, got: Received, *children: Child) -> None:
    """The response to a delete names the peer's SPIs of the same children."""
    came = {spi for one in got.all(DeletePayload) for spi in one.spis}
    wanted = {child.spi_out for child in children}
    text = ", ".join(sorted(spi.hex() for spi in wanted))
    peer.check(came == wanted, f"a Delete payload for {text}", got if not came else [s.hex() for s in came])


@case("SGW.R.1.2.4.1", rfc="RFC 7296 1.3, 3.10.1")
async def no_proposal_chosen(peer: Peer) -> None:
    """Sending NO_PROPOSAL_CHOSEN."""
    sa = await peer.establish()
    offered = base_esp(peer.target, new_spi(4))
    for transform in UNWANTED_ESP.values():
        if transform.type != TransformType.INTEG or any(one.type == 3 for one in offered.transforms):
            offered = replaced(offered, transform)
    request = sa.create_child_request(rekey=sa.child, child=sa.child_payloads(proposals=[offered]))
    peer.check_notify(await peer.ask(request), NotifyType.NO_PROPOSAL_CHOSEN)
    peer.check(await peer.alive(sa), "an IKE_SA that lives on", "none")


async def _replaced(peer: Peer) -> tuple[IkeSa, Child, Child]:
    """A child that was used and rekeyed: the IKE_SA, the old and the new child."""
    peer.echo_hosts()
    sa = await peer.establish()
    old = sa.child
    await peer.ping(old)
    return sa, old, await peer.create_child(sa, rekey=old)


async def close(peer: Peer, sa: IkeSa, old: Child) -> None:
    """Delete a child, and judge the response."""
    check_deleted(peer, await peer.ask(sa.delete(old)), old)
    sa.children.remove(old)


@case("SGW.R.1.2.5.1", rfc="RFC 7296 1.3.3, 2.8", level="SHOULD")
async def close_the_replaced(peer: Peer) -> None:
    """Close the replaced CHILD_SA."""
    sa, old, _ = await _replaced(peer)
    await close(peer, sa, old)


@case("SGW.R.1.2.5.2", rfc="RFC 7296 2.8")
async def use_of_the_new(peer: Peer) -> None:
    """Use of the new CHILD_SA."""
    sa, old, new = await _replaced(peer)
    await close(peer, sa, old)
    await peer.ping(new)


async def _ask_rekey(peer: Peer, *proposals: Proposal) -> Received:
    sa = await peer.establish()
    child: list[AnyPayload] = sa.child_payloads(proposals=proposals)
    request = sa.create_child_request(rekey=sa.child, child=child)
    got = await peer.ask(request)
    sa.take_create_child(got, request)
    return got


def _rekeyed_with(part: str, type: TransformType) -> None:
    @case(
        f"SGW.R.1.2.5.3.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple transforms, CHILD_SA rekeyed: {type.name}",
    )
    async def several_transforms(peer: Peer) -> None:
        wanted = base_esp(peer.target, new_spi(4))
        got = await _ask_rekey(peer, preceded(wanted, UNWANTED_ESP[type]))
        check_chosen(peer, got, wanted)

    @case(
        f"SGW.R.1.2.5.4.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple proposals, CHILD_SA rekeyed: {type.name}",
    )
    async def several_proposals(peer: Peer) -> None:
        wanted = base_esp(peer.target, new_spi(4), number=2)
        got = await _ask_rekey(peer, replaced(wanted, UNWANTED_ESP[type], number=1), wanted)
        check_chosen(peer, got, wanted)


for _part, _type in ESP_PARTS.items():
    _rekeyed_with(_part, _type)


@case("SGW.R.1.2.5.5", rfc="RFC 7296 1.3.1", group="ADVANCED")
async def perfect_forward_secrecy(peer: Peer) -> None:
    """Perfect forward secrecy."""
    peer.echo_hosts()
    sa = await peer.establish()
    old = sa.child
    await peer.ping(old)
    child = sa.child_payloads(proposals=[with_pfs(peer.target, new_spi(4))])
    request = sa.create_child_request(rekey=old, child=child, group=own_group(peer.target))
    got = await peer.ask(request)
    peer.lacking(got, "perfect forward secrecy")
    new = sa.take_create_child(got, request)
    await close(peer, sa, old)
    await peer.ping(new)


@case("SGW.R.1.2.5.6", rfc="RFC 7296 2.8")
async def use_of_the_old(peer: Peer) -> None:
    """Use of the old CHILD_SA."""
    _, old, new = await _replaced(peer)
    await peer.ping(old, reply_by=[old, new])


@case("SGW.R.1.3.1.1.A", rfc="RFC 7296 3.1")
async def informational_header(peer: Peer) -> None:
    """Sending INFORMATIONAL response: IKE header format."""
    sa = await peer.establish()
    request = sa.informational()
    got = await peer.ask(request)
    check_header(peer, request, got)
    peer.check(got.first == PayloadType.SK, "next payload SK (46)", got.first)


@case("SGW.R.1.3.1.1.B", rfc="RFC 7296 3.14")
async def informational_encrypted(peer: Peer) -> None:
    """Sending INFORMATIONAL response: Encrypted payload format."""
    sa = await peer.establish()
    check_sealed(peer, await peer.ask(sa.informational()), PayloadType.NONE)
