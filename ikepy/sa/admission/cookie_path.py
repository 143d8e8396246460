"""Answers IKE_SA_INIT floods with cookies, without the full decoder (RFC 7296 2.6)."""

from __future__ import annotations

from ikepy.crypto.cookie import COOKIE_SIZE
from ikepy.wire.constants import FIRST_EXCHANGES, IKE_VERSION, ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import HEADER_SIZE, IkeHeader, encode_message
from ikepy.wire.payloads import NotifyPayload

_SPI = 8  # octets
_NO_SPI = bytes(_SPI)
_EXCHANGE = 18  # offset in the header (RFC 7296 3.1)
# Version, exchange, flags and message ID of an initiator's first request.
_FIRST = frozenset(bytes((IKE_VERSION, one, HeaderFlag.INITIATOR, 0, 0, 0, 0)) for one in FIRST_EXCHANGES)


def _response() -> bytes:
    header = IkeHeader(b"\xff" * _SPI, _NO_SPI, ExchangeType.IKE_SA_INIT, HeaderFlag.RESPONSE, 0)
    return encode_message(header, [NotifyPayload(NotifyType.COOKIE, bytes(COOKIE_SIZE))])


COOKIE_RESPONSE = len(_response())  # octets
_BEFORE, _AFTER = _response()[_SPI:_EXCHANGE], _response()[_EXCHANGE + 1 : -COOKIE_SIZE]


def is_first_request(datagram: bytes) -> bool:
    """Whether a datagram has the header of a complete first request (responder SPI 0): IKE_SA_INIT, or
    IKE_SESSION_RESUME."""
    return (
        datagram[_SPI : 2 * _SPI] == _NO_SPI
        and datagram[2 * _SPI + 1 : HEADER_SIZE - 4] in _FIRST
        and int.from_bytes(datagram[HEADER_SIZE - 4 : HEADER_SIZE], "big") == len(datagram)
        and datagram[:_SPI] != _NO_SPI
    )


def cookie_response(request: bytes, cookie: bytes) -> bytes:
    """The response to a first request that carries a COOKIE notify."""
    return request[:_SPI] + _BEFORE + request[_EXCHANGE : _EXCHANGE + 1] + _AFTER + cookie
