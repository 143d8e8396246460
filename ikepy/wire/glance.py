"""Scans a message without decoding it, so that a flood costs little: COOKIE, group and nonce of an
IKE_SA_INIT (RFC 7296 2.6), and where the encrypted payload begins (3.14, RFC 7383 2.5)."""

from __future__ import annotations

from typing import NamedTuple

from ikepy.errors import WireError

from .constants import NotifyType, PayloadType

_HEADER = 28
_GENERIC = 4
_KE_HEADER = 4  # octets: the group and two reserved ones
_COOKIE = NotifyType.COOKIE.to_bytes(2, "big")
_MAX_PAYLOADS = 32  # an honest IKE_SA_INIT has fewer
_NONCE_SIZES = range(16, 257)


class Glance(NamedTuple):
    """What `look` found; a field is empty if its payload is absent."""

    cookie: bytes
    nonce: bytes
    group: int  # of the KE payload; 0: no KE payload


def look(data: bytes) -> Glance:
    """Scan an unprotected message's payloads up to KE and nonce; WireError if a length is out of bounds."""
    cookie, nonce, group = b"", b"", 0
    next_payload, offset, end = data[16], _HEADER, len(data)
    for _ in range(_MAX_PAYLOADS):
        if next_payload == PayloadType.NONE:
            break
        if offset + _GENERIC > end:
            raise WireError("a payload's header does not fit")
        length = data[offset + 2] << 8 | data[offset + 3]
        if length < _GENERIC or offset + length > end:
            raise WireError("a payload does not fit")
        body = data[offset + _GENERIC : offset + length]
        if next_payload == PayloadType.NONCE:
            if len(body) not in _NONCE_SIZES:
                raise WireError("a nonce has 16 to 256 bytes")
            nonce = nonce or body
        elif next_payload == PayloadType.KE and len(body) >= _KE_HEADER:
            group = group or body[0] << 8 | body[1]
        elif next_payload == PayloadType.NOTIFY and body[2:4] == _COOKIE and body[1:2] == b"\0":
            cookie = body[4:]
        if nonce and group:
            break
        next_payload, offset = data[offset], offset + length
    return Glance(cookie, nonce, group)


def is_protected(data: bytes, most: int) -> bool:
    """Whether SK or SKF begins within the first `most` octets; payloads in front of it are ignored (2.5)."""
    next_payload, offset, end = data[16], _HEADER, min(len(data), most)
    while next_payload not in (PayloadType.SK, PayloadType.SKF):
        if next_payload == PayloadType.NONE or offset + _GENERIC > end:
            return False
        length = data[offset + 2] << 8 | data[offset + 3]
        if length < _GENERIC:
            return False
        next_payload, offset = data[offset], offset + length
    return offset < end


def are_notifies(data: bytes, most: int) -> bool:
    """Whether a message consists of notifies alone, at most so many."""
    next_payload, offset = data[16], _HEADER
    for _ in range(most):
        if next_payload != PayloadType.NOTIFY or offset + _GENERIC > len(data):
            return False
        length = data[offset + 2] << 8 | data[offset + 3]
        next_payload, offset = data[offset], offset + max(length, _GENERIC)
        if next_payload == PayloadType.NONE:
            return offset == len(data)
    return False
