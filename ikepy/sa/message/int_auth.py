"""What IKE_INTERMEDIATE exchanges add to the octets that AUTH covers (RFC 9242 3.3.2).

A message counts as it is before encryption and fragmentation, whatever form it came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.sa.message.fragments import OpenedMessage
from ikepy.wire.constants import PayloadType
from ikepy.wire.message import HEADER_SIZE, PAYLOAD_HEADER_SIZE, IkeHeader, encode_payloads, protected_prefix
from ikepy.wire.payloads import Payload
from ikepy.wire.writer import u8, u16, u32

_NEXT_PAYLOAD = 16  # its place in the IKE header
_LENGTH = 24  # likewise


@dataclass(frozen=True, slots=True)
class Covered:
    """A message: from the IKE header to the Encrypted payload's header (A), and the payloads inside (P).

    The lengths in A are what they would be without IV, padding and checksum.
    """

    associated: bytes
    payloads: bytes


@dataclass(frozen=True, slots=True)
class IntAuth:
    """IntAuth_iN and IntAuth_rN after so many exchanges."""

    of_initiator: bytes = b""
    of_responder: bytes = b""
    exchanges: int = 0

    def after(self, prf_id: int, sk_p: Secret, message: Covered, *, initiator: bool) -> IntAuth:
        """After another message, of the original initiator or of the responder.

        `sk_p` is its sender's SK_pi or SK_pr, of the keys that protect the message.
        """
        before = self.of_initiator if initiator else self.of_responder
        value = prf(prf_id).compute(sk_p, before, message.associated, message.payloads)
        if initiator:
            return replace(self, of_initiator=value)
        return replace(self, of_responder=value, exchanges=self.exchanges + 1)

    @property
    def octets(self) -> bytes:
        """IntAuth_iN | IntAuth_rN | IKE_AUTH_MID; nothing if there was no such exchange."""
        if not self.exchanges:
            return b""
        return self.of_initiator + self.of_responder + u32(self.exchanges + 1)  # IKE_SA_INIT has 0


def of_sent(header: IkeHeader, payloads: Sequence[Payload]) -> Covered:
    """A message of ours."""
    first, inside = encode_payloads(payloads)
    return Covered(protected_prefix(header, first, len(inside)), inside)


def of_received(opened: OpenedMessage) -> Covered:
    """The peer's, as it came: what we do not know in it counts too."""
    head, inside = opened.datagram[: opened.offset], opened.plaintext
    if head[_NEXT_PAYLOAD] == PayloadType.SKF:  # a fragment stands alone, behind a header twice as long
        head = head[:_NEXT_PAYLOAD] + u8(PayloadType.SK) + head[_NEXT_PAYLOAD + 1 :]
        head = head[: HEADER_SIZE + PAYLOAD_HEADER_SIZE]
    length = u32(len(head) + len(inside))
    own = u16(PAYLOAD_HEADER_SIZE + len(inside))
    return Covered(head[:_LENGTH] + length + head[_LENGTH + len(length) : -len(own)] + own, inside)
