"""SGW.R.1.2.6: IKE_SAs that are rekeyed (RFC 7296 1.3.2, 2.8, 2.18)."""

from __future__ import annotations

from dataclasses import replace

from ikepy.probe.formats import check_chosen
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.sgw.responder.algorithms import IKE_PARTS
from ikepy.probe.sgw.responder.key_exchange import own_group
from ikepy.probe.sgw.suites import IKE_ALTERNATIVES, UNWANTED_IKE, base_ike, preceded, replaced
from ikepy.wire.constants import NotifyType, TransformType
from ikepy.wire.payloads import SaPayload
from ikepy.wire.proposal import Proposal


async def _established(peer: Peer) -> IkeSa:
    sa = await peer.establish()
    if peer.target.remote_host is not None and not peer.target.childless:
        await peer.ping(sa.child)
    return sa


async def _both(peer: Peer) -> tuple[IkeSa, IkeSa]:
    """The old IKE_SA and the new one."""
    sa = await _established(peer)
    return sa, await peer.rekey_ike(sa)


async def _answered(peer: Peer, sa: IkeSa, message_id: int) -> None:
    got = await peer.ask(sa.informational())
    peer.check(got.protected and not got.payloads, "an empty protected response", got)
    peer.check(got.header.message_id == message_id, f"message ID {message_id}", got.header.message_id)
    spis = got.header.spi_i, got.header.spi_r
    peer.check(spis == (sa.spi_i, sa.spi_r), "both SPIs of the IKE_SA", b"".join(spis).hex())


@case("SGW.R.1.2.6.1", rfc="RFC 7296 1.3.2")
async def rekey(peer: Peer) -> None:
    """Sending CREATE_CHILD_SA response that rekeys the IKE_SA."""
    sa = await _established(peer)
    request, new = sa.rekey_request()
    peer.adopt(new)
    got = await peer.ask(request)
    offered = next(one for one in request.payloads if isinstance(one, SaPayload)).proposals[0]
    chosen = check_chosen(peer, got, offered)
    peer.check(any(chosen.spi), "an SPI that is not zero", chosen.spi.hex())
    peer.check(chosen.spi != sa.spi_r, "another SPI than the old IKE_SA's", chosen.spi.hex())
    sa.take_rekey(got, new)


@case("SGW.R.1.2.6.2", rfc="RFC 7296 2.8")
async def message_on_the_old(peer: Peer) -> None:
    """Receipt of cryptographically valid message on the old IKE_SA."""
    old, _ = await _both(peer)
    await _answered(peer, old, old.next_id)


@case("SGW.R.1.2.6.3", rfc="RFC 7296 2.2, 2.18")
async def message_on_the_new(peer: Peer) -> None:
    """Receipt of cryptographically valid message on the new IKE_SA."""
    _, new = await _both(peer)
    await _answered(peer, new, 0)


@case("SGW.R.1.2.6.4", rfc="RFC 7296 2.8")
async def close_the_replaced(peer: Peer) -> None:
    """Close the replaced IKE_SA: its CHILD_SAs go on under the new one."""
    peer.echo_hosts()
    old, new = await _both(peer)
    got = await peer.ask(old.delete())
    old.established = False
    peer.check(got.protected and not got.payloads, "an empty protected response", got)
    await peer.ping(new.child)


async def _ask_rekey(peer: Peer, *proposals: Proposal, settle: bool = True) -> tuple[IkeSa, Received]:
    sa = await peer.establish()
    request, new = sa.rekey_request(proposals=proposals, group=own_group(peer.target))
    peer.adopt(new)
    got = await peer.ask(request)
    if settle:
        sa.take_rekey(got, new)
    return new, got


def _rekeyed_with(part: str, type: TransformType) -> None:
    @case(
        f"SGW.R.1.2.6.5.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple transforms, IKE_SA rekeyed: {type.name}",
    )
    async def several_transforms(peer: Peer) -> None:
        wanted = base_ike(peer.target, spi=bytes(8))
        _, got = await _ask_rekey(peer, preceded(wanted, UNWANTED_IKE[type]))
        check_chosen(peer, got, wanted)

    @case(
        f"SGW.R.1.2.6.6.{part}",
        rfc="RFC 7296 2.7, 3.3",
        title=f"Receiving multiple proposals, IKE_SA rekeyed: {type.name}",
    )
    async def several_proposals(peer: Peer) -> None:
        wanted = base_ike(peer.target, number=2, spi=bytes(8))
        _, got = await _ask_rekey(peer, replaced(wanted, UNWANTED_IKE[type], number=1), wanted)
        check_chosen(peer, got, wanted)


for _part, _type in IKE_PARTS.items():
    _rekeyed_with(_part, _type)


@case("SGW.R.1.2.6.7", rfc="RFC 7296 2.18", group="ADVANCED")
async def other_prf(peer: Peer) -> None:
    """Changing PRFs when rekeying the IKE_SA: SKEYSEED by the old PRF, all else by the new one."""
    sa = await peer.establish()
    offered = replaced(base_ike(peer.target), IKE_ALTERNATIVES["C"])
    request, new = sa.rekey_request(proposals=[offered])
    peer.adopt(new)
    got = await peer.ask(request)
    peer.lacking(got, "another PRF")
    sa.take_rekey(got, new)
    await _answered(peer, new, 0)


@case("SGW.R.1.2.6.9", rfc="RFC 7296 1.3, 3.10.1")
async def refused(peer: Peer) -> None:
    """Rekeying failure."""
    sa = await peer.establish()
    offered = replaced(base_ike(peer.target), UNWANTED_IKE[TransformType.ENCR])
    request, new = sa.rekey_request(proposals=[replace(offered, spi=bytes(8))])
    got = await peer.ask(request)
    peer.check_notify(got, NotifyType.NO_PROPOSAL_CHOSEN)
    peer.check(await peer.alive(sa), "an IKE_SA that lives on", f"none; {new.spi_i.hex()} was asked for")
