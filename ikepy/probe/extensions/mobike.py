"""IKEPY.4555: MOBIKE, as far as a peer that stays where it is can ask for it (RFC 4555)."""

from __future__ import annotations

import os

from ikepy.crypto.nat import nat_detection_hash
from ikepy.probe.extensions.common import GROUP, announced, authenticated, begun, is_childless, still_stands
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload

_SUPPORTED = NotifyType.MOBIKE_SUPPORTED


async def _mobike(peer: Peer) -> tuple[IkeSa, Received]:
    """An IKE_SA with MOBIKE agreed on, and the IKE_AUTH response."""
    sa, init = await begun(peer)
    childless = is_childless(init)
    answer = await authenticated(peer, sa, NotifyPayload(_SUPPORTED), childless=childless)
    announced(answer, _SUPPORTED, "MOBIKE_SUPPORTED")
    return sa, answer


def _nat_detection(peer: Peer, sa: IkeSa, *, port: int) -> tuple[NotifyPayload, NotifyPayload]:
    target = peer.target
    source = nat_detection_hash(sa.spi_i, sa.spi_r, target.local, port)
    destination = nat_detection_hash(sa.spi_i, sa.spi_r, target.host, target.nat_port)
    return (
        NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, source),
        NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
    )


@case("IKEPY.4555.1", rfc="RFC 4555 3.1", level="MAY", group=GROUP)
async def announces(peer: Peer) -> None:
    """MOBIKE_SUPPORTED in IKE_AUTH is answered by the same."""
    await _mobike(peer)


@case("IKEPY.4555.2", rfc="RFC 4555 3.1", group=GROUP)
async def not_announced_unasked(peer: Peer) -> None:
    """Without our MOBIKE_SUPPORTED, none comes back."""
    sa, init = await begun(peer)
    childless = is_childless(init)
    answer = await authenticated(peer, sa, childless=childless)
    peer.check(answer.notify(_SUPPORTED) is None, "no MOBIKE_SUPPORTED", answer)


@case("IKEPY.4555.3", rfc="RFC 4555 3.5", group=GROUP)
async def update(peer: Peer) -> None:
    """UPDATE_SA_ADDRESSES with NAT detection is answered by NAT detection."""
    sa, _ = await _mobike(peer)
    update = NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES)
    got = await peer.ask(sa.informational(update, *_nat_detection(peer, sa, port=sa.port)))
    peer.check(got.error is None, "no error", got)
    peer.check_notify(got, NotifyType.NAT_DETECTION_SOURCE_IP)
    peer.check_notify(got, NotifyType.NAT_DETECTION_DESTINATION_IP)
    await still_stands(peer, sa)


@case("IKEPY.4555.4", rfc="RFC 4555 3.7, 4.2.5", group=GROUP)
async def cookie2(peer: Peer) -> None:
    """A COOKIE2 comes back as it was sent."""
    sa, _ = await _mobike(peer)
    cookie = os.urandom(32)
    got = await peer.ask(sa.informational(NotifyPayload(NotifyType.COOKIE2, cookie)))
    found = peer.check_notify(got, NotifyType.COOKIE2)
    peer.check(found.data == cookie, "the data that was sent", found.data.hex())


@case("IKEPY.4555.5", rfc="RFC 4555 3.6", group=GROUP)
async def additional_addresses(peer: Peer) -> None:
    """ADDITIONAL_IP4_ADDRESS and ADDITIONAL_IP6_ADDRESS are taken without an error."""
    sa, _ = await _mobike(peer)
    further = (
        NotifyPayload(NotifyType.ADDITIONAL_IP4_ADDRESS, bytes([198, 51, 100, 1])),
        NotifyPayload(NotifyType.ADDITIONAL_IP6_ADDRESS, bytes.fromhex("20010db8") + bytes(12)),
    )
    got = await peer.ask(sa.informational(*further))
    peer.check(got.error is None, "no error", got)
    await still_stands(peer, sa)


@case("IKEPY.4555.6", rfc="RFC 4555 3.6", group=GROUP)
async def no_additional_addresses(peer: Peer) -> None:
    """NO_ADDITIONAL_ADDRESSES is taken without an error."""
    sa, _ = await _mobike(peer)
    got = await peer.ask(sa.informational(NotifyPayload(NotifyType.NO_ADDITIONAL_ADDRESSES)))
    peer.check(got.error is None, "no error", got)


@case("IKEPY.4555.7", rfc="RFC 4555 3.9", group=GROUP)
async def unexpected_nat(peer: Peer) -> None:
    """NO_NATS_ALLOWED with addresses that are not those of the packet: UNEXPECTED_NAT_DETECTED, if it is
    heeded.
    """
    sa, _ = await _mobike(peer)
    size = len(peer.target.local.packed)
    data = (
        bytes(size)
        + peer.target.host.packed
        + (1).to_bytes(2, "big")
        + peer.target.nat_port.to_bytes(2, "big")
    )
    update = NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES)
    got = await peer.ask(sa.informational(update, NotifyPayload(NotifyType.NO_NATS_ALLOWED, data)))
    peer.check_notify(got, NotifyType.UNEXPECTED_NAT_DETECTED)
    await still_stands(peer, sa)


@case("IKEPY.4555.8", rfc="RFC 4555 3.5, RFC 7296 2.1", group=GROUP)
async def update_again(peer: Peer) -> None:
    """The same UPDATE_SA_ADDRESSES again gets the same answer."""
    sa, _ = await _mobike(peer)
    update = NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES)
    request = sa.informational(update, *_nat_detection(peer, sa, port=sa.port))
    octets = request.encode()
    fixed = request.but(spoil=lambda _: octets)
    first = await peer.ask(fixed)
    again = await peer.ask(fixed)
    peer.check(again.octets == first.octets, "the same octets", again)
