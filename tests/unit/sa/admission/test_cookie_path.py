"""ikepy.sa.admission.cookie_path: the header alone tells a first request (RFC 7296 2.6, 3.1)."""

from __future__ import annotations

import pytest

from ikepy.crypto.cookie import COOKIE_SIZE
from ikepy.sa.admission.cookie_path import COOKIE_RESPONSE, cookie_response, is_first_request
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, decode_message, encode_message
from ikepy.wire.payloads import NoncePayload, NotifyPayload

SPI = b"initiatr"


def request(
    spi_i: bytes = SPI,
    spi_r: bytes = bytes(8),
    exchange: int = ExchangeType.IKE_SA_INIT,
    flags: int = HeaderFlag.INITIATOR,
    message_id: int = 0,
) -> bytes:
    return encode_message(IkeHeader(spi_i, spi_r, exchange, flags, message_id), [NoncePayload(bytes(16))])


def test_a_first_request() -> None:
    assert is_first_request(request())


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        request()[:27],
        request()[:-1],
        request() + b"\0",
        bytes(8) + request()[8:],
        request(spi_r=b"\0\0\0\0\0\0\0\1"),
        request(exchange=ExchangeType.IKE_AUTH),
        request(flags=HeaderFlag.INITIATOR | HeaderFlag.RESPONSE),
        request(flags=0),
        request(message_id=1),
        request()[:17] + b"\x21" + request()[18:],  # a newer minor version is for the decoder
    ],
)
def test_anything_else_is_none(datagram: bytes) -> None:
    assert not is_first_request(datagram)


@pytest.mark.parametrize("exchange", [ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME])
def test_the_response_is_one_cookie(exchange: ExchangeType) -> None:
    asked, cookie = request(exchange=exchange), bytes(range(COOKIE_SIZE))
    assert is_first_request(asked)
    response = cookie_response(asked, cookie)
    assert len(response) == COOKIE_RESPONSE
    message = decode_message(response)
    assert (message.header.spi_i, message.header.spi_r, message.header.message_id) == (SPI, bytes(8), 0)
    assert message.header.exchange == exchange
    assert message.header.flags == HeaderFlag.RESPONSE
    assert message.payloads == (NotifyPayload(NotifyType.COOKIE, cookie),)
