"""SGW.R.1.1.3: what the peer believes of its state: protected messages alone; and deletes."""

from __future__ import annotations

from ikepy.probe.draft import Draft
from ikepy.probe.ike_sa import new_spi
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.payloads import DeletePayload, NotifyPayload


@case("SGW.R.1.1.3.1", rfc="RFC 7296 2.4", level="MUST")
async def icmp_is_not_believed(peer: Peer) -> None:
    """State synchronization with ICMP messages."""
    peer.echo_hosts()
    sa = await peer.establish()
    await peer.ping(sa.child)
    await peer.send_unreachable(sa.child)
    await peer.ping(sa.child)


@case("SGW.R.1.1.3.2", rfc="RFC 7296 2.4", level="MUST")
async def unprotected_is_not_believed(peer: Peer) -> None:
    """State synchronization with IKE messages that are not protected."""
    peer.echo_hosts()
    sa = await peer.establish()
    await peer.ping(sa.child)
    notify = NotifyPayload(NotifyType.INVALID_SPI, sa.child.spi_out)
    for spis in ((sa.spi_i, sa.spi_r), (new_spi(8), new_spi(8))):
        flags = int(HeaderFlag.INITIATOR)
        await peer.send(Draft(ExchangeType.INFORMATIONAL, (notify,), 0, flags, *spis), sa)
    await peer.ping(sa.child)


@case("SGW.R.1.1.3.4", rfc="RFC 7296 1.4, 2.4")
async def liveness(peer: Peer) -> None:
    """Receiving liveness check."""
    sa = await peer.establish()
    got = await peer.ask(sa.informational())
    peer.check(got.protected and not got.payloads, "an empty protected response", got)


@case("SGW.R.1.1.3.5", rfc="RFC 7296 1.4.1")
async def delete_of_ike_sa(peer: Peer) -> None:
    """Receiving Delete payload for IKE_SA."""
    sa = await peer.establish()
    got = await peer.ask(sa.delete())
    sa.established = False
    peer.check(got.protected and not got.payloads, "an empty protected response", got)
    peer.check(not await peer.alive(sa), "no answer on the deleted IKE_SA afterwards", "one")


@case("SGW.R.1.1.3.6", rfc="RFC 7296 1.4.1", level="SHOULD")
async def delete_of_child(peer: Peer) -> None:
    """Receiving Delete payload for CHILD_SA."""
    sa = await peer.establish()
    child = sa.child
    got = await peer.ask(sa.delete(child))
    found = got.maybe(DeletePayload)
    peer.check(found is not None, "a Delete payload", got)
    assert found is not None
    peer.check(found.protocol == ProtocolId.ESP, "protocol ESP (3)", found.protocol)
    peer.check(found.spis == (child.spi_out,), f"SPI {child.spi_out.hex()}", [s.hex() for s in found.spis])
    peer.check(await peer.alive(sa), "an IKE_SA that lives on", "none")
