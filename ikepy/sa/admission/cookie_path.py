"""Answers IKE_SA_INIT floods with cookies, without the full decoder (RFC 7296 2.6)."""

from __future__ import annotations

from ikepy.crypto.cookie import COOKIE_SIZE
from ikepy.wire.constants import IKE_VERSION, ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import HEADER_SIZE, IkeHeader, encode_message
from ikepy.wire.payloads import NotifyPayload

_SPI = 8  # octets
_NO_SPI = bytes(_SPI)
# Version, exchange, flags and message ID of an initiator's first request.
_FIRST = bytes((IKE_VERSION, ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0, 0, 0, 0))


def _response() -> bytes:
    header = IkeHeader(b"\xff" * _SPI, _NO_SPI, ExchangeType.IKE_SA_INIT, HeaderFlag.RESPONSE, 0)
    return encode_message(header, [NotifyPayload(NotifyType.COOKIE, bytes(COOKIE_SIZE))])


COOKIE_RESPONSE = len(_response())  # octets
_MIDDLE = _response()[_SPI:-COOKIE_SIZE]


def is_first_request(datagram: bytes) -> bool:
    """Whether a datagram has the header of a complete initial IKE_SA_INIT request (responder SPI 0)."""
    return (
        datagram[_SPI : 2 * _SPI] == _NO_SPI
        and datagram[2 * _SPI + 1 : HEADER_SIZE - 4] == _FIRST
        and int.from_bytes(datagram[HEADER_SIZE - 4 : HEADER_SIZE], "big") == len(datagram)
        and datagram[:_SPI] != _NO_SPI
    )


def cookie_response(spi_i: bytes, cookie: bytes) -> bytes:
    """The IKE_SA_INIT response that carries a COOKIE notify."""
    return spi_i + _MIDDLE + cookie
