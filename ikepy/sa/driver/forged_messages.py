"""Recognizes forged and replayed messages cheaply, before anything is decoded (RFC 7296 2.3, 3.14).

Whoever has seen one message of an IKE_SA knows its SPIs, and can flood us with messages that carry them.
A message is worthless if it is not authentic, lies outside the window, or repeats an answered request too
often. Only the window and the integrity checksum decide, never the volume or the source address: the peer
gets through even while somebody else sends with its SPIs and its address.
"""

from __future__ import annotations

from collections.abc import Mapping

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import IntegrityError, WireError
from ikepy.sa.api.path import Path
from ikepy.sa.message.window import RequestState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.wire.constants import IKE_VERSION, HeaderFlag, PayloadType
from ikepy.wire.message import FRAGMENT_HEADER_SIZE, HEADER_SIZE

GENERIC = 4  # octets of the generic payload header
BODIES = {PayloadType.SK: HEADER_SIZE + GENERIC, PayloadType.SKF: HEADER_SIZE + FRAGMENT_HEADER_SIZE}
_NEXT, _VERSION, _EXCHANGE, _FLAGS, _ID, _LENGTH = 16, 17, 18, 19, 20, 24  # offsets (RFC 7296 3.1)
_FRAGMENT = HEADER_SIZE + GENERIC  # offset of Fragment Number and Total Fragments (RFC 7383 2.5)


def local_spi(datagram: bytes) -> bytes:
    """The receiver's SPI in a message; b"" if it is too short for a header."""
    if len(datagram) < HEADER_SIZE:
        return b""
    return datagram[8:16] if datagram[_FLAGS] & HeaderFlag.INITIATOR else datagram[:8]


def named(by_spi: Mapping[bytes, IkeSa], datagram: bytes) -> IkeSa | None:
    """The IKE_SA with both SPIs of a message; an initiator learns the responder's from the first response."""
    sa = by_spi.get(local_spi(datagram))
    if sa is None or datagram[:8] != sa.spi_i:
        return None
    return sa if datagram[8:16] == sa.spi_r or (sa.initiator and sa.spi_r == bytes(8)) else None


def begins_protected(datagram: bytes) -> bool:
    """Whether a message has our major version and begins with an SK or SKF payload (RFC 7296 3.14)."""
    return datagram[_NEXT] in BODIES and datagram[_VERSION] >> 4 == IKE_VERSION >> 4


def is_worthless(sa: IkeSa, datagram: bytes, path: Path, now: float) -> bool:
    """Whether receiving a message that begins protected and has the SPIs of `sa` would have no effect.

    False in case of doubt.
    """
    if len(datagram) > sa.registry.config.daemon.max_packet or _is_void(sa, datagram):
        return True
    message_id = int.from_bytes(datagram[_ID:_LENGTH], "big")
    if datagram[_FLAGS] & HeaderFlag.RESPONSE:
        task = sa.tasks.awaiting(message_id)
        if task is None or sa.window.awaited(message_id) is None or task.exchange != datagram[_EXCHANGE]:
            return True
        return sa.has_keys and not _is_authentic(sa, datagram, sa.keys.cipher_in)
    arrival = sa.window.arrival(message_id)
    if arrival is RequestState.STALE or arrival is RequestState.PENDING or not sa.has_keys:
        return True
    repeated = arrival is RequestState.REPEATED
    if repeated and _is_later_fragment(datagram):
        return True  # the first one is answered, for all; these must not use up what it is allowed
    if sa.drops(datagram[_EXCHANGE], repeated=repeated):
        return True
    if not _is_authentic(sa, datagram, sa.repeated_cipher if repeated else sa.keys.cipher_in):
        return True
    return repeated and not sa.forgery_limit.repeated(path == sa.path, now)


def _is_void(sa: IkeSa, datagram: bytes) -> bool:
    """Whether the header alone shows that the message is not the peer's: wrong role, or wrong length."""
    if bool(datagram[_FLAGS] & HeaderFlag.INITIATOR) == sa.initiator or sa.phase is Phase.DEAD:
        return True
    return int.from_bytes(datagram[_LENGTH:HEADER_SIZE], "big") != len(datagram)


def _is_later_fragment(datagram: bytes) -> bool:
    """Whether it is a fragment of a message, and not its first."""
    return datagram[_NEXT] == PayloadType.SKF and datagram[_FRAGMENT : _FRAGMENT + 2] > b"\0\1"


def _is_authentic(sa: IkeSa, datagram: bytes, cipher: SkCipher) -> bool:
    """Whether the integrity checksum is right; False for a fragment that we hold already."""
    offset = BODIES[PayloadType(datagram[_NEXT])]
    length = int.from_bytes(datagram[HEADER_SIZE + 2 : HEADER_SIZE + GENERIC], "big")
    if len(datagram) <= offset or HEADER_SIZE + length != len(datagram):
        return False
    if datagram[_NEXT] == PayloadType.SKF:
        number, total = datagram[_FRAGMENT : _FRAGMENT + 2], datagram[_FRAGMENT + 2 : _FRAGMENT + 4]
        is_response = bool(datagram[_FLAGS] & HeaderFlag.RESPONSE)
        key = is_response, int.from_bytes(datagram[_ID:_LENGTH], "big")
        if sa.reassembly.holds(key, int.from_bytes(number, "big"), int.from_bytes(total, "big")):
            return False
    try:
        cipher.open(datagram, offset)
    except IntegrityError:
        return False
    except WireError:
        pass  # authentic, but the peer padded it wrongly: it gets INVALID_SYNTAX
    return True
