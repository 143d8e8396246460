"""Messages as a line of the log."""

from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.describe import describe
from ikepy.wire.payloads import (
    Attribute,
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


def test_the_words_are_charons() -> None:
    init: list[Payload] = [
        SaPayload(()),
        KePayload(31, bytes(32)),
        NoncePayload(bytes(32)),
        NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
        NotifyPayload(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
        VendorIdPayload(b"\n"),
    ]
    assert describe(init) == "SA KE No N(NATD_S_IP) N(FRAG_SUP) V"
    auth: list[Payload] = [
        IdPayload(PayloadType.ID_I, 2, b"gwa"),
        CertPayload(4, b""),
        CertReqPayload(4, b""),
        IdPayload(PayloadType.ID_R, 2, b"gwb"),
        AuthPayload(2, b"the MIC"),
        CpPayload(1, (Attribute(1), Attribute(3), Attribute(30000))),
        EapPayload(b""),
        TsPayload(PayloadType.TS_I, ()),
        TsPayload(PayloadType.TS_R, ()),
        DeletePayload(1, ()),
    ]
    assert describe(auth) == "IDi CERT CERTREQ IDr AUTH CPRQ(ADDR DNS 30000) EAP TSi TSr D"
    assert describe([SkPayload(35, b"sealed")]) == "SK"
    assert describe([SkfPayload(35, 2, 3, b"sealed")]) == "EF(2/3)"
    assert describe([]) == ""


def test_what_has_no_name_is_a_number() -> None:
    assert describe([NotifyPayload(40000), UnknownPayload(200, True, b"")]) == "N(40000) (200)"


def test_every_notify_that_we_know_has_a_word() -> None:
    for notify in NotifyType:
        assert describe([NotifyPayload(notify)]) != f"N({int(notify)})", notify
