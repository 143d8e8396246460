"""Messages under SPIs of ours from which nothing can follow, told at a fraction of what receiving costs.

Whoever has seen one message of an IKE_SA knows its SPIs, and may send as many as a link carries. What is not
the peer's, out of the window, or repeats what was answered, is dropped before anything is decoded: the window
and the checksum decide (RFC 7296 2.3, 3.14), never the volume or the source address, so that the
peer gets through whoever else sends under its SPIs and its address.
"""

from __future__ import annotations

from collections.abc import Mapping

from ikepy.errors import IntegrityError, WireError
from ikepy.sa.api.path import Path
from ikepy.sa.message.window import RequestState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.wire.constants import IKE_VERSION, ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.message import FRAGMENT_HEADER_SIZE, HEADER_SIZE

GENERIC = 4  # octets of a payload's header
BODIES = {PayloadType.SK: HEADER_SIZE + GENERIC, PayloadType.SKF: HEADER_SIZE + FRAGMENT_HEADER_SIZE}
_NEXT, _VERSION, _EXCHANGE, _FLAGS, _ID, _LENGTH = 16, 17, 18, 19, 20, 24  # offsets (RFC 7296 3.1)
_FRAGMENT = HEADER_SIZE + GENERIC  # of its number and of how many there are (RFC 7383 2.5)


def local_spi(datagram: bytes) -> bytes:
    """The SPI that a message has for its receiver; b"" if it is too short for a header."""
    if len(datagram) < HEADER_SIZE:
        return b""
    return datagram[8:16] if datagram[_FLAGS] & HeaderFlag.INITIATOR else datagram[:8]


def named(by_spi: Mapping[bytes, IkeSa], datagram: bytes) -> IkeSa | None:
    """The IKE_SA with both of a message's SPIs; an initiator learns the other one from the first response."""
    sa = by_spi.get(local_spi(datagram))
    if sa is None or datagram[:8] != sa.spi_i:
        return None
    return sa if datagram[8:16] == sa.spi_r or (sa.initiator and sa.spi_r == bytes(8)) else None


def begins_protected(datagram: bytes) -> bool:
    """Whether nothing stands before SK or SKF, in a message of our version: as it has to (RFC 7296 3.14)."""
    return datagram[_NEXT] in BODIES and datagram[_VERSION] >> 4 == IKE_VERSION >> 4


def is_worthless(sa: IkeSa, datagram: bytes, path: Path, now: float) -> bool:
    """Whether nothing would follow from receiving a message that begins protected and has the SPIs of `sa`.

    Of those that it can't tell it says no.
    """
    if len(datagram) > sa.registry.config.daemon.max_packet or _is_void(sa, datagram):
        return True
    message_id = int.from_bytes(datagram[_ID:_LENGTH], "big")
    if datagram[_FLAGS] & HeaderFlag.RESPONSE:
        task = sa.tasks.awaiting(message_id)
        if task is None or sa.window.is_held(message_id) or task.exchange != datagram[_EXCHANGE]:
            return True
        return sa.has_keys and not _is_authentic(sa, datagram)
    arrival = sa.window.arrival(message_id)
    if arrival is RequestState.STALE or arrival is RequestState.PENDING or not sa.has_keys:
        return True
    if sa.phase is Phase.CONNECTING and (sa.initiator or datagram[_EXCHANGE] != ExchangeType.IKE_AUTH):
        return True
    if not _is_authentic(sa, datagram):
        return True
    return arrival is RequestState.REPEATED and not sa.excess.repeated(path == sa.path, now)


def _is_void(sa: IkeSa, datagram: bytes) -> bool:
    """Whether the header says that it can't be the peer's."""
    if bool(datagram[_FLAGS] & HeaderFlag.INITIATOR) == sa.initiator or sa.phase is Phase.DEAD:
        return True
    return int.from_bytes(datagram[_LENGTH:HEADER_SIZE], "big") != len(datagram)


def _is_authentic(sa: IkeSa, datagram: bytes) -> bool:
    """Whether the checksum is right; a fragment that is at hand already counts as if it weren't."""
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
        sa.keys.cipher_in.open(datagram, offset)
    except IntegrityError:
        return False
    except WireError:
        pass  # the peer made it like this, and is told so
    return True
