"""IKEPY.6023: IKE_SAs without a first child (RFC 6023)."""

from __future__ import annotations

from ikepy.probe.extensions.common import GROUP, announced, authenticated, begun, seen, still_stands
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.verdict import NotApplicable
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.payloads import SaPayload, TsPayload

_SUPPORTED = NotifyType.CHILDLESS_IKEV2_SUPPORTED


async def _childless(peer: Peer) -> tuple[IkeSa, Received]:
    sa, init = await begun(peer)
    announced(init, _SUPPORTED, "CHILDLESS_IKEV2_SUPPORTED")
    return sa, await authenticated(peer, sa, childless=True)


@case("IKEPY.6023.1", rfc="RFC 6023 3", level="MAY", group=GROUP)
async def announces(peer: Peer) -> None:
    """CHILDLESS_IKEV2_SUPPORTED in the IKE_SA_INIT response has no protocol, SPI or data."""
    init = await seen(peer)
    found = announced(init, _SUPPORTED, "CHILDLESS_IKEV2_SUPPORTED")
    peer.check((found.protocol, found.spi, found.data) == (0, b"", b""), "no protocol, SPI or data", init)


@case("IKEPY.6023.2", rfc="RFC 6023 4", group=GROUP)
async def comes_up(peer: Peer) -> None:
    """IKE_AUTH without SA, TSi and TSr is answered without them, and the IKE_SA stands."""
    sa, answer = await _childless(peer)
    peer.check(answer.error is None, "no error", answer)
    peer.check(answer.maybe(SaPayload) is None, "no SA payload", answer)
    peer.check(answer.maybe(TsPayload) is None, "no traffic selectors", answer)
    peer.check(answer.generic_of(PayloadType.ID_R) is not None, "IDr", answer)
    await still_stands(peer, sa)


@case("IKEPY.6023.3", rfc="RFC 6023 5", group=GROUP)
async def child_later(peer: Peer) -> None:
    """A child comes by CREATE_CHILD_SA later."""
    if peer.target.childless:
        raise NotApplicable("the peer installs no CHILD_SA here")
    sa, _ = await _childless(peer)
    await peer.create_child(sa)
    await still_stands(peer, sa)


@case("IKEPY.6023.4", rfc="RFC 6023 4, RFC 7296 1.3.2", group=GROUP)
async def rekeyed(peer: Peer) -> None:
    """An IKE_SA without a child is rekeyed."""
    sa, _ = await _childless(peer)
    new = await peer.rekey_ike(sa)
    await peer.ask(sa.delete())
    sa.established = False
    await still_stands(peer, new)


@case("IKEPY.6023.5", rfc="RFC 7296 1.4.1", group=GROUP)
async def deleted(peer: Peer) -> None:
    """An IKE_SA without a child is deleted: the response is empty, and it is gone."""
    sa, _ = await _childless(peer)
    got = await peer.ask(sa.delete())
    sa.established = False
    peer.check(not got.payloads, "an empty response", got)
    await peer.send(sa.informational())
    await peer.expect_nothing(
        lambda one: one.header.spi_i == sa.spi_i and one.protected, what="answer on a deleted IKE_SA"
    )
