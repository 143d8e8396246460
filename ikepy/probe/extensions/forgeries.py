"""IKEPY.H.1.20 and on: forged messages against an IKE_SA that stands, by somebody who sees its SPIs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ikepy.probe.draft import AnyPayload, Draft, flipped
from ikepy.probe.extensions.common import (
    GROUP,
    established,
    said,
    still_stands,
)
from ikepy.probe.extensions.hostile_strangers import with_nonce
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.payloads import (
    DeletePayload,
    NotifyPayload,
)


def _forged(
    sa: IkeSa, exchange: int, payloads: Sequence[AnyPayload], *, message_id: int, response: bool
) -> Draft:
    """An unprotected message with the IKE_SA's SPIs."""
    flags = HeaderFlag.INITIATOR | (HeaderFlag.RESPONSE if response else HeaderFlag(0))
    return Draft(exchange, tuple(payloads), message_id, int(flags), sa.spi_i, sa.spi_r)


@case("IKEPY.H.1.20", rfc="RFC 7296 2.4, 2.21.4", group=GROUP)
async def forged_errors(peer: Peer) -> None:
    """Unprotected errors about an IKE_SA that stands don't end it."""
    sa = await established(peer)
    errors = (
        NotifyType.INVALID_IKE_SPI,
        NotifyType.INVALID_SYNTAX,
        NotifyType.AUTHENTICATION_FAILED,
        NotifyType.NO_PROPOSAL_CHOSEN,
        NotifyType.INVALID_MESSAGE_ID,
    )
    for error in errors:
        for response in (False, True):
            for message_id in (0, 1, sa.next_id):
                payload = NotifyPayload(error)
                draft = _forged(
                    sa, ExchangeType.INFORMATIONAL, [payload], message_id=message_id, response=response
                )
                await peer.send_octets(draft.encode(), sa.port)
    await peer.pause(peer.limits.quiet_s)
    await still_stands(peer, sa)


@case("IKEPY.H.1.21", rfc="RFC 7296 1.4", group=GROUP)
async def forged_delete(peer: Peer) -> None:
    """An unprotected delete of an IKE_SA that stands is not answered, and ends nothing."""
    sa = await established(peer)
    delete = DeletePayload(ProtocolId.IKE, ())
    message_id = sa.next_id
    draft = _forged(sa, ExchangeType.INFORMATIONAL, [delete], message_id=message_id, response=False)
    await peer.send_octets(draft.encode(), sa.port)
    await peer.pause(peer.limits.quiet_s)
    answers = [got for got in peer.inbox if got.header.is_response and got.protected]
    peer.check(not answers, "no protected answer", said(answers))
    await still_stands(peer, sa)


@case("IKEPY.H.1.22", rfc="RFC 7296 3.14, RFC 4303 3.4.4", group=GROUP)
async def damaged(peer: Peer) -> None:
    """A message with a wrong checksum is dropped: no answer, no harm, and its ID is not used up."""
    sa = await established(peer)
    request = sa.informational()
    for place in (-1, -20, 31):
        await peer.send(request.but(spoil=lambda octets, at=place: flipped(octets, at)))
        await peer.pause(peer.limits.quiet_s)
    answers = [got for got in peer.inbox if got.protected and got.header.is_response]
    peer.check(not answers, "no answer", said(answers))
    got = await peer.ask(request)
    peer.check(got.error is None, "an answer to the same message undamaged", got)


@case("IKEPY.H.1.23", rfc="RFC 7296 2.21", group=GROUP)
async def begun_anew(peer: Peer) -> None:
    """IKE_SA_INIT for an established IKE_SA's SPI does not end that one."""
    sa = await established(peer)
    port, octets, keys, next_id = sa.port, sa.init_request_octets, sa.keys, sa.next_id
    draft = sa.init_request()
    sa.next_id, sa.init_request_octets = next_id, octets
    await peer.send_octets(with_nonce(draft.but(spi_r=bytes(8)), os.urandom(32)).encode(), 500)
    await peer.pause(peer.limits.quiet_s)
    peer.inbox.clear()
    sa.port, sa.keys = port, keys
    await still_stands(peer, sa)
