"""ikepy.sa.admission.stateless: answers that cost no state (RFC 7296 2.5, 2.21.4)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa.admission import stateless
from ikepy.sa.api.effects import Effect, Level, Log, Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, decode_message
from ikepy.wire.payloads import NotifyPayload

PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("192.0.2.2"), 500))
NO_SPI = bytes(8)


def header(flags: int, exchange: int = ExchangeType.INFORMATIONAL) -> IkeHeader:
    return IkeHeader(b"initiate", b"responds", exchange, flags, 7)


def answer_of(send: Send) -> tuple[IkeHeader, NotifyPayload]:
    assert send.path == PATH
    message = decode_message(send.data)
    (notify,) = message.payloads
    assert isinstance(notify, NotifyPayload)
    return message.header, notify


def test_a_refused_first_request() -> None:
    request = IkeHeader(b"initiate", NO_SPI, ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
    refused = NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f")
    found, notify = answer_of(stateless.refusal(request, refused, PATH))
    assert (found.spi_i, found.spi_r, found.exchange) == (b"initiate", NO_SPI, ExchangeType.IKE_SA_INIT)
    assert (found.flags, found.message_id) == (HeaderFlag.RESPONSE, 0)
    assert (notify.notify, notify.data) == (NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f")


def test_a_refusal_repeats_the_message_id() -> None:
    found, _ = answer_of(
        stateless.refusal(header(HeaderFlag.INITIATOR), NotifyPayload(NotifyType.NO_PROPOSAL_CHOSEN), PATH)
    )
    assert (found.message_id, found.spi_r) == (7, NO_SPI)


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (HeaderFlag.INITIATOR, HeaderFlag.RESPONSE),
        (0, HeaderFlag.RESPONSE | HeaderFlag.INITIATOR),
    ],
)
def test_an_unknown_ike_sa(flags: int, wanted: int) -> None:
    """The SPIs and the message ID are the request's; who began the IKE_SA is seen from here."""
    found, notify = answer_of(stateless.invalid_ike_spi(header(flags), PATH))
    assert (found.spi_i, found.spi_r, found.message_id) == (b"initiate", b"responds", 7)
    assert (found.exchange, found.flags) == (ExchangeType.INFORMATIONAL, wanted)
    assert (notify.notify, notify.data) == (NotifyType.INVALID_IKE_SPI, b"")


def test_a_newer_version() -> None:
    (send,) = stateless.newer_version(header(HeaderFlag.INITIATOR), PATH)
    assert isinstance(send, Send)
    found, notify = answer_of(send)
    assert (found.flags, notify.notify) == (HeaderFlag.RESPONSE, NotifyType.INVALID_MAJOR_VERSION)
    assert stateless.newer_version(header(HeaderFlag.INITIATOR | HeaderFlag.RESPONSE), PATH) == []


@pytest.mark.parametrize(("size", "sent"), [(99, False), (100, True), (101, True)])
def test_no_answer_is_larger_than_its_question(size: int, sent: bool) -> None:
    effects: list[Effect] = [Log(Level.INFO, "x", "text"), Send(PATH, bytes(100))]
    assert stateless.no_larger(effects, bytes(size)) == (effects if sent else effects[:1])
