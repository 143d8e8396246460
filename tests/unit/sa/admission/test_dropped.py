"""ikepy.sa.admission.dropped: what is dropped unread is counted, and the log says why."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.errors import WireError
from ikepy.sa.admission.dropped import (
    MAX_NOTIFIES,
    MAX_UNPROTECTED,
    check_unprotected,
    malformed,
    newer_version,
    other_exchange,
)
from ikepy.sa.api.effects import Level
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.unserved import Tally, Unserved
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, PayloadType
from ikepy.wire.message import HEADER_SIZE, IkeHeader, decode_header, encode_message
from ikepy.wire.payloads import NotifyPayload

PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("198.51.100.7"), 4500))
ERROR = WireError("broken")


def notifies(count: int, *, size: int) -> bytes:
    """A message of so many notifies; the last one fills it up."""
    most = [NotifyPayload(NotifyType.INVALID_IKE_SPI)] * (count - 1)
    last = NotifyPayload(NotifyType.QUICK_CRASH_DETECTION, bytes(size - HEADER_SIZE - 8 * count))
    header = IkeHeader(b"initiatr", b"respondr", ExchangeType.INFORMATIONAL, HeaderFlag.RESPONSE, 0)
    return encode_message(header, [*most, last])


def message(
    exchange: int = ExchangeType.INFORMATIONAL,
    *,
    flags: int = HeaderFlag.INITIATOR,
    version: int = 0x20,
    first: int = PayloadType.NOTIFY,
    size: int = HEADER_SIZE,
) -> bytes:
    header = b"initiatr" + b"respondr" + bytes((first, version, exchange, flags)) + bytes(4)
    body = b"" if size == HEADER_SIZE else bytes(2) + (size - HEADER_SIZE).to_bytes(2, "big")
    return (header + size.to_bytes(4, "big") + body).ljust(size, b"\0")


@pytest.mark.parametrize(
    ("datagram", "reason", "level", "text"),
    [
        (b"", Unserved.MALFORMED, Level.DEBUG, "dropped: broken"),
        (message()[:-1], Unserved.MALFORMED, Level.DEBUG, "dropped: broken"),
        (message(), Unserved.MALFORMED, Level.DEBUG, "dropped: broken"),
        (message(version=0x10), Unserved.IKEV1, Level.INFO, "dropped IKEv1: only IKEv2"),
        (
            message(ExchangeType.IKE_SA_INIT),
            Unserved.MALFORMED_INIT,
            Level.INFO,
            "dropped a malformed IKE_SA_INIT request: broken",
        ),
        (
            message(ExchangeType.IKE_SA_INIT, flags=HeaderFlag.RESPONSE),
            Unserved.BAD_INIT_RESPONSE,
            Level.INFO,
            "dropped a malformed IKE_SA_INIT response: broken",
        ),
    ],
)
def test_what_can_not_be_decoded(datagram: bytes, reason: Unserved, level: Level, text: str) -> None:
    tally = Tally()
    log = malformed(tally, datagram, PATH, ERROR)
    assert {each: tally[each] for each in Unserved if tally[each]} == {reason: 1}
    assert (log.level, log.subject) == (level, "198.51.100.7[4500]")
    assert log.text.startswith(text)
    assert (log.source == PATH.remote.address) == (level is Level.INFO), "anybody can cause it without end"


def test_a_newer_version() -> None:
    tally = Tally()
    log = newer_version(tally, 0x31, PATH)
    assert (tally[Unserved.NEWER_VERSION], log.source) == (1, PATH.remote.address)
    assert log.text.startswith("dropped IKE version 3.1")


def test_a_response_of_another_exchange() -> None:
    tally = Tally()
    log = other_exchange(tally, 99, ExchangeType.IKE_AUTH, PATH)
    assert (tally[Unserved.OTHER_EXCHANGE], log.source) == (1, PATH.remote.address)
    assert log.text == "dropped a response of exchange 99 where IKE_AUTH is awaited"


@pytest.mark.parametrize(
    ("datagram", "permitted"),
    [
        (message(size=MAX_UNPROTECTED), True),
        (message(size=MAX_UNPROTECTED + 1, first=PayloadType.NONCE), False),
        (notifies(5, size=MAX_NOTIFIES), True),
        (notifies(5, size=MAX_NOTIFIES + 1), False),
        (notifies(6, size=MAX_NOTIFIES), False),
        (message(size=MAX_UNPROTECTED + 1, first=PayloadType.SK), True),
        (message(ExchangeType.IKE_SA_INIT, size=1000), True),
        (message(ExchangeType.IKE_AUTH, size=1000), False),
    ],
)
def test_a_long_message_has_to_be_protected(datagram: bytes, permitted: bool) -> None:
    header, _, _ = decode_header(datagram)
    if permitted:
        check_unprotected(header, datagram)
    else:
        with pytest.raises(WireError, match=f"{len(datagram)} octets that are not protected"):
            check_unprotected(header, datagram)
