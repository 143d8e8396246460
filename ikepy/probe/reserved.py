"""Sets the RESERVED fields of a message, which a receiver has to ignore (RFC 7296 2.5, 3.1 to 3.13)."""

from __future__ import annotations

from ikepy.probe.draft import AnyPayload, Draft, RawPayload, raw
from ikepy.wire.payloads import AuthPayload, IdPayload, KePayload, SaPayload, TsPayload

_ALL = 0x7F  # the reserved bits of a generic header
_FLAGS = 0xC7  # the reserved bits of the header's flags
ID_RESERVED = b"\xff\xff\xff"  # of an identity: AUTH covers it


def with_reserved(request: Draft) -> Draft:
    """The request with every reserved field set; AUTH covers those of the identity as they are sent."""
    payloads = tuple(raw(_inside(one), reserved=_ALL) for one in request.payloads)
    return request.but(payloads=payloads, flags=request.flags | _FLAGS, sk_reserved=_ALL)


def _inside(payload: AnyPayload) -> RawPayload:
    body = bytearray(payload.encode())
    if isinstance(payload, KePayload):
        body[2:4] = b"\xff\xff"
    elif isinstance(payload, AuthPayload | TsPayload):
        body[1:4] = b"\xff\xff\xff"
    elif isinstance(payload, IdPayload):
        body[1:4] = payload.reserved
    elif isinstance(payload, SaPayload):
        _mark_proposals(body)
    return RawPayload(payload.type, bytes(body))


def _mark_proposals(body: bytearray) -> None:
    """Set RESERVED of each proposal and transform of an SA payload (RFC 7296 3.3.1, 3.3.2)."""
    at = 0
    while at < len(body):
        body[at + 1] = 0xFF
        size, spi_size, end = int.from_bytes(body[at + 2 : at + 4]), body[at + 6], 0
        inner, end = at + 8 + spi_size, at + size
        while inner < end:
            body[inner + 1] = body[inner + 5] = 0xFF
            inner += int.from_bytes(body[inner + 2 : inner + 4])
        at = end
