"""Quick crash detection: a token by which a peer believes that we lost an IKE_SA, and we it (RFC 6290).

The token goes to the peer under the IKE_SA's protection. Whoever restarts makes it again from the SPIs of a
message that it can't open, and sends it back in the clear. Only the one who made the IKE_SA's token can do
that, and it does so only for IKE_SAs that it does not have.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.crypto.auth import same
from ikepy.crypto.crash_token import crash_token
from ikepy.sa.api.effects import Effect, Level, Send
from ikepy.sa.api.ends import End
from ikepy.sa.api.path import Path
from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.wire.constants import HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import NotifyPayload, Payload

SIZES = range(16, 129)  # octets of a token (5)
MOST = 4  # tokens that are looked at in a message, and kept of an IKE_SA (4.5, 5)
# An answer may be so many octets longer than its question: the smallest one is an empty INFORMATIONAL
# request with AES-GCM, of 57 octets.
LONGER = 8


def offer(sa: IkeSa) -> list[NotifyPayload]:
    """Our token for an IKE_SA; none if we could not make it again after a crash."""
    return [_notify(crash_token(secret, sa.spi_i, sa.spi_r)) for secret in sa.registry.restart_keys.crash[:1]]


def _notify(token: bytes) -> NotifyPayload:
    return NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, token, ProtocolId.IKE)


def learn(sa: IkeSa, payloads: Sequence[Payload]) -> None:
    """Keep the peer's token, which came protected; it replaces none of the last few (4.4, 5)."""
    for one in query.notifies(payloads, NotifyType.QUICK_CRASH_DETECTION):
        if len(one.data) in SIZES and one.data not in sa.crash_tokens:
            sa.crash_tokens = (*sa.crash_tokens, one.data)[-MOST:]


def is_lost(sa: IkeSa, payloads: Sequence[Payload]) -> bool:
    """Whether an unprotected message has the peer's token: it has lost the IKE_SA (4.5)."""
    told = [one.data for one in query.notifies(payloads, NotifyType.QUICK_CRASH_DETECTION)][:MOST]
    return any(same(token, known) for token in told for known in sa.crash_tokens)


def forget(sa: IkeSa) -> list[Effect]:
    """End an IKE_SA that the peer has lost, without a word to it (4.5)."""
    end = End.LOST_BY_PEER if sa.set_up.ours else End.RESTARTED
    return sa.kill(end, "the peer has restarted, and does not know it any more", Level.WARNING)


def answer(registry: Registry, header: IkeHeader, datagram: bytes, path: Path) -> Send | None:
    """The answer to a protected request under unknown SPIs: INVALID_IKE_SPI and our tokens (4.5).

    None if we make no tokens, or if one of the SPIs is of an IKE_SA that this process has, had or is about to
    have: whoever turns the flags of its messages around would hear its token, and so would a peer that uses a
    rekeyed IKE_SA before we have its response (9.2).
    """
    keys = registry.restart_keys.crash
    if not keys or not any(header.spi_i) or not any(header.spi_r):
        return None
    if registry.has_issued(header.spi_i) or registry.has_issued(header.spi_r):
        return None
    flags = HeaderFlag.RESPONSE if header.from_initiator else HeaderFlag.RESPONSE | HeaderFlag.INITIATOR
    told = IkeHeader(header.spi_i, header.spi_r, header.exchange, flags, header.message_id)
    tokens = [_notify(crash_token(secret, header.spi_i, header.spi_r)) for secret in keys[:MOST]]
    while tokens:
        data = encode_message(told, [NotifyPayload(NotifyType.INVALID_IKE_SPI), *tokens])
        if len(data) <= len(datagram) + LONGER:
            return Send(path, data)
        tokens.pop()  # of the oldest key
    return None
