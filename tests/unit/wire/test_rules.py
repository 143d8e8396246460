"""Which payloads may stand in which message (RFC 7296 1.2 to 1.5, 2.5, 2.21)."""

import pytest

from ikepy.errors import PeerError
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import IkeHeader
from ikepy.wire.payloads import (
    AuthPayload,
    CertPayload,
    CertReqPayload,
    CpPayload,
    DeletePayload,
    EapPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    SkfPayload,
    SkPayload,
    TsPayload,
    UnknownPayload,
    VendorIdPayload,
)
from ikepy.wire.rules import FIRST_ROUND, Round, check

BY_NAME: dict[str, Payload] = {
    "SA": SaPayload(()),
    "KE": KePayload(31, b""),
    "No": NoncePayload(bytes(16)),
    "N": NotifyPayload(NotifyType.NO_PROPOSAL_CHOSEN),
    "N(COOKIE)": NotifyPayload(NotifyType.COOKIE, b"c"),
    "N(40000)": NotifyPayload(40000),
    "V": VendorIdPayload(b""),
    "IDi": IdPayload(PayloadType.ID_I, 2, b""),
    "IDr": IdPayload(PayloadType.ID_R, 2, b""),
    "CERT": CertPayload(4, b""),
    "CERTREQ": CertReqPayload(4, b""),
    "AUTH": AuthPayload(2, b""),
    "TSi": TsPayload(PayloadType.TS_I, ()),
    "TSr": TsPayload(PayloadType.TS_R, ()),
    "CP": CpPayload(1),
    "EAP": EapPayload(b""),
    "D": DeletePayload(1, ()),
    "SK": SkPayload(0, b""),
    "SKF": SkfPayload(0, 1, 1, b""),
    "unknown": UnknownPayload(200, False, b""),
    "critical": UnknownPayload(201, True, b""),
}

INIT, AUTH = ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH
CHILD, INFO = ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL
REQUEST, RESPONSE = 0x08, 0x20
INSIDE, OUTSIDE = True, False


def hold(exchange: int, flags: int, protected: bool, names: str, round: Round = FIRST_ROUND) -> None:
    header = IkeHeader(b"initiate", b"responds", exchange, flags, 0)
    check(header, [BY_NAME[name] for name in names.split()], protected, round)


GOOD: list[tuple[int, int, bool, str]] = [
    (INIT, REQUEST, OUTSIDE, "SA KE No"),
    (INIT, REQUEST, OUTSIDE, "N(COOKIE) SA KE No N(40000) N(40000) V V"),
    (INIT, REQUEST, OUTSIDE, "No KE SA"),
    (INIT, REQUEST, OUTSIDE, "unknown SA KE No unknown"),
    (INIT, RESPONSE, OUTSIDE, "SA KE No"),
    (INIT, RESPONSE, OUTSIDE, "SA KE No N CERTREQ CERTREQ V"),
    (INIT, RESPONSE, OUTSIDE, "N(COOKIE)"),
    (INIT, RESPONSE, OUTSIDE, "N"),
    (INIT, RESPONSE, OUTSIDE, "N N(40000) V unknown"),
    (AUTH, REQUEST, OUTSIDE, "SK"),
    (AUTH, REQUEST, OUTSIDE, "SKF"),
    (AUTH, REQUEST, OUTSIDE, "unknown SK"),
    (AUTH, RESPONSE, OUTSIDE, "SK"),
    (AUTH, RESPONSE, OUTSIDE, "N"),
    (AUTH, REQUEST, INSIDE, "IDi AUTH SA TSi TSr"),
    (AUTH, REQUEST, INSIDE, "IDi CERT CERT CERTREQ N IDr AUTH CP SA TSi TSr N N V"),
    (AUTH, REQUEST, INSIDE, "IDi SA TSi TSr"),  # it wants EAP
    (AUTH, REQUEST, INSIDE, "IDi AUTH"),  # it wants no CHILD_SA
    (AUTH, RESPONSE, INSIDE, "IDr AUTH SA TSi TSr"),
    (AUTH, RESPONSE, INSIDE, "IDr CERT AUTH CP SA TSi TSr N N"),
    (AUTH, RESPONSE, INSIDE, "IDr AUTH N"),
    (AUTH, RESPONSE, INSIDE, "IDr CERT AUTH EAP"),
    (AUTH, RESPONSE, INSIDE, "N"),
    (CHILD, REQUEST, OUTSIDE, "SK"),
    (CHILD, RESPONSE, OUTSIDE, "SKF"),
    (CHILD, REQUEST, INSIDE, "N SA No TSi TSr"),
    (CHILD, REQUEST, INSIDE, "SA No KE TSi TSr"),
    (CHILD, REQUEST, INSIDE, "SA No KE"),
    (CHILD, RESPONSE, INSIDE, "SA No TSi TSr N"),
    (CHILD, RESPONSE, INSIDE, "SA No KE"),
    (CHILD, RESPONSE, INSIDE, "N"),
    (INFO, REQUEST, OUTSIDE, "SK"),
    (INFO, REQUEST, OUTSIDE, "N"),  # INVALID_SPI
    (INFO, RESPONSE, OUTSIDE, "N"),  # INVALID_IKE_SPI
    (INFO, REQUEST, INSIDE, ""),
    (INFO, REQUEST, INSIDE, "D D N CP V unknown"),
    (INFO, RESPONSE, INSIDE, ""),
    (INFO, RESPONSE, INSIDE, "D"),
    (INFO, RESPONSE, INSIDE, "N"),
]


@pytest.mark.parametrize(("exchange", "flags", "protected", "names"), GOOD)
def test_messages_that_may_be(exchange: int, flags: int, protected: bool, names: str) -> None:
    hold(exchange, flags, protected, names)
    hold(exchange, flags ^ 0x08, protected, names)  # who began the IKE SA makes no difference


# Which round, whether it is a response, and what stands in the message (RFC 7296 2.16).
FIRST, LATER = (
    Round(first=True),
    Round(first=False),
)  # as a message arrives: nobody knows yet which is the last
OPENING, ONLY = Round(first=True, last=False), Round(first=True, last=True)
MIDDLE, LAST = Round(first=False, last=False), Round(first=False, last=True)
IN_ITS_ROUND: list[tuple[Round, int, str]] = [
    (FIRST, REQUEST, "IDi SA TSi TSr"),
    (LATER, REQUEST, "EAP"),
    (LATER, REQUEST, "AUTH N V"),
    (LATER, REQUEST, "IDi CERT CERTREQ AUTH"),  # RFC 4739
    (LATER, RESPONSE, "IDr CERT AUTH SA TSi TSr"),
    (LAST, RESPONSE, "SA TSi TSr"),  # the responder had proven itself before
    (FIRST, RESPONSE, "IDr AUTH EAP"),
    (FIRST, RESPONSE, "IDr AUTH SA TSi TSr"),
    (OPENING, RESPONSE, "IDr CERT AUTH EAP"),
    (OPENING, RESPONSE, "IDr EAP"),  # RFC 5998
    (ONLY, RESPONSE, "IDr CERT AUTH CP SA TSi TSr N"),
    (ONLY, RESPONSE, "IDr AUTH"),
    (LATER, RESPONSE, "EAP"),
    (LATER, RESPONSE, "AUTH SA TSi TSr"),
    (LATER, RESPONSE, "N"),
    (MIDDLE, RESPONSE, "EAP V"),
    (LAST, RESPONSE, "AUTH CP SA TSi TSr N"),
    (LAST, RESPONSE, "AUTH N"),
]
OUT_OF_ITS_ROUND: list[tuple[Round, int, str]] = [
    (FIRST, REQUEST, "IDi EAP SA TSi TSr"),
    (LATER, REQUEST, "IDi AUTH SA TSi TSr"),
    (LATER, REQUEST, "EAP SA TSi TSr"),
    (LATER, REQUEST, "IDr AUTH"),
    (LATER, REQUEST, "CP EAP"),
    (FIRST, RESPONSE, "EAP"),
    (OPENING, RESPONSE, "IDr AUTH SA TSi TSr"),
    (OPENING, RESPONSE, "IDr AUTH CP EAP"),
    (ONLY, RESPONSE, "IDr AUTH EAP"),
    (ONLY, RESPONSE, "IDr SA TSi TSr"),
    (LATER, RESPONSE, "IDi AUTH SA TSi TSr"),
    (LATER, RESPONSE, "AUTH SA TSi"),
    (MIDDLE, RESPONSE, "AUTH SA TSi TSr"),
    (MIDDLE, RESPONSE, "EAP CP"),
    (LAST, RESPONSE, "AUTH EAP SA TSi TSr"),
]


@pytest.mark.parametrize(("round", "flags", "names"), IN_ITS_ROUND)
def test_messages_of_ike_auth_in_their_round(round: Round, flags: int, names: str) -> None:
    hold(AUTH, flags, INSIDE, names, round)


@pytest.mark.parametrize(("round", "flags", "names"), OUT_OF_ITS_ROUND)
def test_messages_of_ike_auth_out_of_their_round(round: Round, flags: int, names: str) -> None:
    with pytest.raises(PeerError) as caught:
        hold(AUTH, flags, INSIDE, names, round)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX
    assert caught.value.fatal


BAD: list[tuple[int, int, bool, str]] = [
    (INIT, REQUEST, OUTSIDE, ""),
    (INIT, REQUEST, OUTSIDE, "KE No"),
    (INIT, REQUEST, OUTSIDE, "SA No"),
    (INIT, REQUEST, OUTSIDE, "SA KE"),
    (INIT, REQUEST, OUTSIDE, "SA SA KE No"),
    (INIT, REQUEST, OUTSIDE, "SA KE KE No"),
    (INIT, REQUEST, OUTSIDE, "SA KE No No"),
    (INIT, REQUEST, OUTSIDE, "SA KE No SK"),
    (INIT, REQUEST, OUTSIDE, "SA KE No AUTH"),
    (INIT, REQUEST, OUTSIDE, "N"),
    (INIT, REQUEST, INSIDE, "SA KE No"),
    (INIT, RESPONSE, OUTSIDE, ""),
    (INIT, RESPONSE, OUTSIDE, "V unknown"),
    (INIT, RESPONSE, OUTSIDE, "N SA"),
    (AUTH, REQUEST, OUTSIDE, ""),
    (AUTH, REQUEST, OUTSIDE, "N"),
    (AUTH, REQUEST, OUTSIDE, "IDi AUTH SA TSi TSr"),
    (AUTH, REQUEST, OUTSIDE, "N SK"),
    (AUTH, RESPONSE, OUTSIDE, "IDr AUTH"),
    (AUTH, REQUEST, INSIDE, ""),
    (AUTH, REQUEST, INSIDE, "N"),
    (AUTH, REQUEST, INSIDE, "AUTH SA TSi TSr"),
    (AUTH, REQUEST, INSIDE, "IDi IDi AUTH SA TSi TSr"),
    (AUTH, REQUEST, INSIDE, "IDi AUTH AUTH SA TSi TSr"),
    (AUTH, REQUEST, INSIDE, "IDi AUTH SA TSi"),
    (AUTH, REQUEST, INSIDE, "IDi AUTH TSi TSr"),
    (AUTH, REQUEST, INSIDE, "IDi AUTH SA TSi TSr KE"),
    (AUTH, REQUEST, INSIDE, "IDi AUTH SA TSi TSr D"),
    (AUTH, RESPONSE, INSIDE, ""),
    (AUTH, RESPONSE, INSIDE, "AUTH SA TSi TSr"),
    (AUTH, RESPONSE, INSIDE, "IDr AUTH SA TSr"),
    (AUTH, RESPONSE, INSIDE, "IDi IDr AUTH SA TSi TSr"),
    (CHILD, REQUEST, OUTSIDE, "N"),
    (CHILD, REQUEST, OUTSIDE, "SA No"),
    (CHILD, REQUEST, INSIDE, "N"),
    (CHILD, REQUEST, INSIDE, "SA TSi TSr"),
    (CHILD, REQUEST, INSIDE, "No TSi TSr"),
    (CHILD, REQUEST, INSIDE, "SA No TSi"),
    (CHILD, REQUEST, INSIDE, "SA No TSi TSi TSr TSr"),
    (CHILD, REQUEST, INSIDE, "SA No KE KE"),
    (CHILD, RESPONSE, INSIDE, ""),
    (CHILD, RESPONSE, INSIDE, "SA TSi TSr"),
    (CHILD, RESPONSE, INSIDE, "SA No AUTH"),
    (INFO, REQUEST, OUTSIDE, ""),
    (INFO, REQUEST, OUTSIDE, "D"),
    (INFO, RESPONSE, OUTSIDE, "D"),
    (INFO, REQUEST, INSIDE, "SA"),
    (INFO, RESPONSE, INSIDE, "N AUTH"),
    (INFO, REQUEST, INSIDE, "CP CP"),
    (33, REQUEST, OUTSIDE, "SK"),
    (38, REQUEST, INSIDE, ""),
]


@pytest.mark.parametrize(("exchange", "flags", "protected", "names"), BAD)
def test_messages_that_may_not_be(exchange: int, flags: int, protected: bool, names: str) -> None:
    with pytest.raises(PeerError) as caught:
        hold(exchange, flags, protected, names)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX
    assert caught.value.fatal == protected


@pytest.mark.parametrize(
    ("exchange", "protected", "names", "fatal"),
    [
        (INIT, OUTSIDE, "SA KE No critical", False),
        (INIT, OUTSIDE, "critical", False),  # although the message is malformed too
        (AUTH, OUTSIDE, "critical SK", False),
        (AUTH, INSIDE, "IDi AUTH SA TSi TSr critical", True),
        (CHILD, INSIDE, "unknown critical SA No TSi TSr", False),
        (INFO, INSIDE, "critical", False),
    ],
)
def test_an_unknown_critical_payload(exchange: int, protected: bool, names: str, fatal: bool) -> None:
    with pytest.raises(PeerError) as caught:
        hold(exchange, REQUEST, protected, names)
    assert caught.value.notify == NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD
    assert caught.value.data == bytes([201])
    assert caught.value.fatal == fatal
