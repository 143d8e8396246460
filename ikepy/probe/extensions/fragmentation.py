"""IKEPY.7383: IKE_AUTH requests in fragments, in order and not, damaged, doubled (RFC 7383)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ikepy.probe.draft import Draft, chain, flipped
from ikepy.probe.extensions.common import GROUP, announced, begun, is_childless, seen, still_stands, take_auth
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Match, Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import NotifyPayload

_SIZE = 48  # octets of plaintext in a fragment: an IKE_AUTH request becomes several
_SUPPORTED = NotifyType.IKEV2_FRAGMENTATION_SUPPORTED


async def _before_auth(peer: Peer) -> tuple[IkeSa, Draft, list[bytes], bool]:
    """An IKE_SA with fragmentation agreed on, an IKE_AUTH request, its fragments, and whether it is
    childless.
    """
    sa, answer = await begun(peer, NotifyPayload(_SUPPORTED))
    announced(answer, _SUPPORTED, "IKEV2_FRAGMENTATION_SUPPORTED")
    childless = is_childless(answer)
    request = sa.auth_request(child=[] if childless else None)
    return sa, request, request.fragments(_SIZE), childless


async def _answered(peer: Peer, request: Draft) -> Received:
    return await peer.expect(_response_to(request), what="an IKE_AUTH response to the fragments")


def _response_to(request: Draft) -> Match:
    def match(got: Received) -> bool:
        header = got.header
        return header.is_response and (header.spi_i, header.exchange) == (
            request.spi_i,
            ExchangeType.IKE_AUTH,
        )

    return match


async def _send_all(peer: Peer, sa: IkeSa, pieces: Sequence[bytes | None]) -> None:
    """In that order; None: a pause, so that what came before has had its effect."""
    for piece in pieces:
        if piece is None:
            await peer.pause(peer.limits.quiet_s)
        else:
            await peer.send_octets(piece, sa.port)


async def _comes_up(peer: Peer, pieces_of: Callable[[Draft, list[bytes]], Sequence[bytes | None]]) -> None:
    """Sends what `pieces_of` makes of (request, fragments); the IKE_SA must stand then."""
    sa, request, pieces, childless = await _before_auth(peer)
    await _send_all(peer, sa, pieces_of(request, pieces))
    take_auth(sa, request, await _answered(peer, request), childless=childless)
    await still_stands(peer, sa)


@case("IKEPY.7383.1", rfc="RFC 7383 2.3", level="MAY", group=GROUP)
async def announces(peer: Peer) -> None:
    """IKEV2_FRAGMENTATION_SUPPORTED is answered by the same, without data."""
    answer = await seen(peer, NotifyPayload(_SUPPORTED))
    found = announced(answer, _SUPPORTED, "IKEV2_FRAGMENTATION_SUPPORTED")
    peer.check((found.protocol, found.spi, found.data) == (0, b"", b""), "no protocol, SPI or data", answer)


@case("IKEPY.7383.2", rfc="RFC 7383 2.3", level="SHOULD", group=GROUP)
async def not_announced_unasked(peer: Peer) -> None:
    """Without our IKEV2_FRAGMENTATION_SUPPORTED, none comes back."""
    answer = await seen(peer)
    peer.check(answer.notify(_SUPPORTED) is None, "no IKEV2_FRAGMENTATION_SUPPORTED", answer)


@case("IKEPY.7383.3", rfc="RFC 7383 2.6", group=GROUP)
async def in_order(peer: Peer) -> None:
    """An IKE_AUTH request in fragments is answered."""
    await _comes_up(peer, lambda request, pieces: pieces)


@case("IKEPY.7383.4", rfc="RFC 7383 2.6", group=GROUP)
async def reversed_order(peer: Peer) -> None:
    """The last fragment comes first."""
    await _comes_up(peer, lambda request, pieces: pieces[::-1])


@case("IKEPY.7383.5", rfc="RFC 7383 2.6", group=GROUP)
async def doubled(peer: Peer) -> None:
    """Each fragment comes twice."""
    await _comes_up(peer, lambda request, pieces: [one for piece in pieces for one in (piece, piece)])


@case("IKEPY.7383.6", rfc="RFC 7383 2.6", group=GROUP)
async def damaged_first(peer: Peer) -> None:
    """A fragment with a wrong ICV comes before the right one, and is dropped without effect."""
    await _comes_up(peer, lambda request, pieces: [pieces[0], flipped(pieces[1]), None, *pieces[1:]])


@case("IKEPY.7383.7", rfc="RFC 7383 2.6", group=GROUP)
async def impossible_numbers(peer: Peer) -> None:
    """Fragments whose number is 0, or larger than the total, are dropped without effect."""

    def among(request: Draft, pieces: list[bytes]) -> Sequence[bytes | None]:
        wrong = [_renumbered(pieces[1], number) for number in (0, len(pieces) + 1)]
        return [pieces[0], *wrong, None, *pieces[1:]]

    await _comes_up(peer, among)


def _renumbered(piece: bytes, number: int) -> bytes:
    """With another fragment number, which makes its ICV wrong, too."""
    return piece[:32] + number.to_bytes(2, "big") + piece[34:]


@case("IKEPY.7383.8", rfc="RFC 7383 2.6", group=GROUP)
async def more_in_all(peer: Peer) -> None:
    """Fragments of a larger total take the place of those that came before."""

    def among(request: Draft, pieces: list[bytes]) -> list[bytes]:
        return [*pieces[:-1], *request.fragments(_SIZE // 2)]

    await _comes_up(peer, among)


@case("IKEPY.7383.9", rfc="RFC 7383 2.6", group=GROUP)
async def fewer_in_all(peer: Peer) -> None:
    """A fragment of a smaller total, which comes late, is dropped without effect."""

    def among(request: Draft, pieces: list[bytes]) -> list[bytes]:
        smaller = request.fragments(_SIZE * 2)
        return [*pieces[:-1], smaller[0], pieces[-1]]

    await _comes_up(peer, among)


@case("IKEPY.7383.10", rfc="RFC 7383 2.6", group=GROUP)
async def one_is_missing(peer: Peer) -> None:
    """While a fragment is missing there is no answer; with it there is."""
    sa, request, pieces, childless = await _before_auth(peer)
    await _send_all(peer, sa, pieces[:-1])
    await peer.expect_nothing(_response_to(request), what="response to a part of the fragments")
    await _send_all(peer, sa, pieces[-1:])
    take_auth(sa, request, await _answered(peer, request), childless=childless)


@case("IKEPY.7383.11", rfc="RFC 7383 2.6.1", group=GROUP)
async def answered_again(peer: Peer) -> None:
    """When fragment 1 of an answered request comes again, the same answer comes again."""
    sa, request, pieces, childless = await _before_auth(peer)
    await _send_all(peer, sa, pieces)
    first = await _answered(peer, request)
    take_auth(sa, request, first, childless=childless)
    await _send_all(peer, sa, pieces[:1])
    again = await _answered(peer, request)
    peer.check(again.octets == first.octets, "the same octets again", again)


@case("IKEPY.7383.12", rfc="RFC 7383 2.6.1", group=GROUP)
async def not_answered_for_others(peer: Peer) -> None:
    """When another fragment of an answered request comes again, no answer comes."""
    sa, request, pieces, childless = await _before_auth(peer)
    await _send_all(peer, sa, pieces)
    take_auth(sa, request, await _answered(peer, request), childless=childless)
    await _send_all(peer, sa, pieces[1:2])
    await peer.expect_nothing(_response_to(request), what="response to fragment 2 alone")


@case("IKEPY.7383.13", rfc="RFC 7383 2.5", group=GROUP)
async def informational(peer: Peer) -> None:
    """An INFORMATIONAL request in fragments is answered."""
    sa, auth, pieces, childless = await _before_auth(peer)
    await _send_all(peer, sa, pieces)
    take_auth(sa, auth, await _answered(peer, auth), childless=childless)
    request = sa.informational(*(NotifyPayload(40000 + n, bytes(24)) for n in range(4)))  # unknown: ignored
    await _send_all(peer, sa, request.fragments(_SIZE))
    got = await peer.expect(
        lambda got: got.header.is_response and got.header.message_id == request.message_id,
        what="a response to INFORMATIONAL in fragments",
    )
    peer.check(got.error is None, "no error", got)


@case("IKEPY.7383.14", rfc="RFC 7383 2.6", group=GROUP)
async def endless(peer: Peer) -> None:
    """The first fragment of many messages, whose rest never comes, does no harm to the IKE_SA."""
    sa, auth, pieces, childless = await _before_auth(peer)
    await _send_all(peer, sa, pieces)
    take_auth(sa, auth, await _answered(peer, auth), childless=childless)
    first, octets = chain([NotifyPayload(40000, bytes(64))])
    for number in range(20):
        draft = sa.request(ExchangeType.INFORMATIONAL, message_id=sa.next_id + number)
        await peer.send_octets(draft.fragment(1, 255, octets, first), sa.port)
    await still_stands(peer, sa)
