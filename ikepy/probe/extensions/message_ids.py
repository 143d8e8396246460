"""IKEPY.6311: message IDs, windows and retransmissions, and MESSAGE_ID_SYNC towards who is no cluster (RFC
6311).
"""

from __future__ import annotations

import struct

from ikepy.probe.draft import Draft
from ikepy.probe.extensions.common import GROUP, authenticated, begun, established, is_childless, still_stands
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Match, Peer
from ikepy.probe.registry import case
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.payloads import DeletePayload, NotifyPayload

_SYNC = NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED
_MESSAGE_ID_SYNC = 16422  # IKEV2_MESSAGE_ID_SYNC (RFC 6311 9)


def _answer_on(sa: IkeSa, message_id: int) -> Match:
    return lambda got: (
        got.header.spi_i == sa.spi_i and got.header.is_response and got.header.message_id == message_id
    )


def _fixed(draft: Draft) -> Draft:
    """The same octets whenever it is sent."""
    octets = draft.encode()
    return draft.but(spoil=lambda _: octets)


@case("IKEPY.6311.1", rfc="RFC 6311 5.1", group=GROUP)
async def sync_supported(peer: Peer) -> None:
    """IKEV2_MESSAGE_ID_SYNC_SUPPORTED in IKE_AUTH does not keep the IKE_SA from coming up."""
    sa, init = await begun(peer)
    await authenticated(peer, sa, NotifyPayload(_SYNC), childless=is_childless(init))
    await still_stands(peer, sa)


@case("IKEPY.6311.2", rfc="RFC 6311 5.2, 8.1", group=GROUP)
async def sync_without_agreement(peer: Peer) -> None:
    """IKEV2_MESSAGE_ID_SYNC with message ID 0, which was not agreed on, changes nothing."""
    sa = await established(peer)
    data = struct.pack("!4sII", b"\1\2\3\4", 1000, 1000)
    payload = NotifyPayload(_MESSAGE_ID_SYNC, data)
    await peer.send(sa.request(ExchangeType.INFORMATIONAL, [payload], message_id=0))
    await peer.pause(peer.limits.quiet_s)
    await still_stands(peer, sa)


@case("IKEPY.6311.3", rfc="RFC 7296 2.1", group=GROUP)
async def same_answer(peer: Peer) -> None:
    """A request that comes again gets the same answer, octet for octet."""
    sa = await established(peer)
    request = _fixed(sa.informational())
    first = await peer.ask(request)
    again = await peer.ask(request)
    peer.check(again.octets == first.octets, "the same octets", again)


@case("IKEPY.6311.4", rfc="RFC 7296 2.3", group=GROUP)
async def old_id(peer: Peer) -> None:
    """Another request under an ID long gone is not carried out."""
    sa = await established(peer)
    for _ in range(3):
        await peer.ask(sa.informational())
    await peer.send(sa.request(ExchangeType.INFORMATIONAL, [DeletePayload(ProtocolId.IKE, ())], message_id=2))
    await peer.pause(peer.limits.quiet_s)  # one with a larger window may send its former answer
    await still_stands(peer, sa)


@case("IKEPY.6311.5", rfc="RFC 7296 2.3", group=GROUP)
async def beyond_the_window(peer: Peer) -> None:
    """A request beyond the window is not answered, and does no harm."""
    sa = await established(peer)
    far = sa.next_id + 1000
    await peer.send(sa.request(ExchangeType.INFORMATIONAL, message_id=far))
    await peer.expect_nothing(_answer_on(sa, far), what=f"answer to message ID {far}")
    await still_stands(peer, sa)


@case("IKEPY.6311.6", rfc="RFC 7296 2.2", group=GROUP)
async def largest_id(peer: Peer) -> None:
    """Message ID 2^32 - 1 is not answered, and does no harm."""
    sa = await established(peer)
    largest = 2**32 - 1
    await peer.send(sa.request(ExchangeType.INFORMATIONAL, message_id=largest))
    await peer.expect_nothing(_answer_on(sa, largest), what=f"answer to message ID {largest}")
    await still_stands(peer, sa)


@case("IKEPY.6311.7", rfc="RFC 7296 2.1", group=GROUP)
async def other_content_under_the_same_id(peer: Peer) -> None:
    """Another request under the ID of an answered one is not carried out."""
    sa = await established(peer)
    request = sa.informational()
    await peer.ask(request)
    await peer.send(request.with_payloads(DeletePayload(ProtocolId.IKE, ())))
    await peer.pause(peer.limits.quiet_s)
    await still_stands(peer, sa)


@case("IKEPY.6311.8", rfc="RFC 7296 2.21", group=GROUP)
async def response_to_nothing(peer: Peer) -> None:
    """A protected response to a request that was not sent is ignored."""
    sa = await established(peer)
    draft = sa.request(ExchangeType.INFORMATIONAL, [DeletePayload(ProtocolId.IKE, ())], message_id=sa.next_id)
    await peer.send(draft.but(flags=draft.flags | HeaderFlag.RESPONSE))
    await peer.expect_nothing(_answer_on(sa, draft.message_id), what="answer to a response")
    await still_stands(peer, sa)


@case("IKEPY.6311.9", rfc="RFC 7296 2.3", level="MAY", group=GROUP)
async def window_of_its_own(peer: Peer) -> None:
    """SET_WINDOW_SIZE of ours is taken without an error; requests are answered as before."""
    sa = await established(peer)
    got = await peer.ask(sa.informational(NotifyPayload(NotifyType.SET_WINDOW_SIZE, (4).to_bytes(4, "big"))))
    peer.check(got.error is None, "no error", got)
    await still_stands(peer, sa)


@case("IKEPY.6311.10", rfc="RFC 7296 2.2", group=GROUP)
async def ids_go_on_from_zero_after_a_rekey(peer: Peer) -> None:
    """The IKE_SA that a rekey makes begins with message ID 0."""
    sa = await established(peer)
    new = await peer.rekey_ike(sa)
    peer.check(new.next_id == 0, "our first request on it to have message ID 0", new.next_id)
    await peer.ask(sa.delete())
    sa.established = False
    await still_stands(peer, new)
