"""Hypothesis strategies for everything that `ikepy.wire` can encode."""

from __future__ import annotations

from hypothesis import strategies as st

from ikepy.wire.constants import ExchangeType, IdType, NotifyType, PayloadType, ProtocolId, TsType
from ikepy.wire.message import IkeHeader, Message
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
    TrafficSelector,
    TsPayload,
    UnknownPayload,
    VendorIdPayload,
)
from ikepy.wire.proposal import Proposal, Transform

OCTET = st.integers(0, 0xFF)
WORD = st.integers(0, 0xFFFF)
DATA = st.binary(max_size=40)

# Notifies whose data has a size of its own: (least, most) bytes.
SIZED_NOTIFIES: dict[int, tuple[int, int]] = {
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: (1, 1),
    NotifyType.INVALID_KE_PAYLOAD: (2, 2),
    NotifyType.SET_WINDOW_SIZE: (4, 4),
    NotifyType.NAT_DETECTION_SOURCE_IP: (20, 20),
    NotifyType.NAT_DETECTION_DESTINATION_IP: (20, 20),
    NotifyType.COOKIE: (1, 64),
    NotifyType.ADDITIONAL_IP4_ADDRESS: (4, 4),
    NotifyType.ADDITIONAL_IP6_ADDRESS: (16, 16),
    NotifyType.COOKIE2: (8, 64),
    NotifyType.NO_NATS_ALLOWED: (12, 36),
}

_TV_ATTRIBUTES = st.builds(
    lambda type, value: (0x8000 | type).to_bytes(2, "big") + value,
    st.integers(0, 0x7FFF).filter(lambda type: type != 14),
    st.binary(min_size=2, max_size=2),
)
_TLV_ATTRIBUTES = st.builds(
    lambda type, value: type.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value,
    st.integers(0, 0x7FFF),
    st.binary(max_size=6),
)
UNKNOWN_ATTRIBUTES = st.lists(_TV_ATTRIBUTES | _TLV_ATTRIBUTES, max_size=2).map(b"".join)

TRANSFORMS = st.builds(Transform, OCTET, WORD, st.none() | WORD, st.just(b"") | UNKNOWN_ATTRIBUTES)
PROPOSALS = st.builds(
    Proposal, OCTET, OCTET, st.binary(max_size=8), st.lists(TRANSFORMS, max_size=4).map(tuple)
)


def _ranges(ts_type: TsType, size: int) -> st.SearchStrategy[TrafficSelector]:
    address = st.binary(min_size=size, max_size=size)
    return st.builds(TrafficSelector, st.just(int(ts_type)), OCTET, WORD, WORD, address, address)


KNOWN_SELECTORS = _ranges(TsType.IPV4_ADDR_RANGE, 4) | _ranges(TsType.IPV6_ADDR_RANGE, 16)
UNKNOWN_SELECTORS = st.builds(
    lambda ts_type, protocol, body: TrafficSelector(ts_type, protocol, 0, 0, body, b""),
    OCTET.filter(lambda ts_type: ts_type not in (7, 8)),
    OCTET,
    DATA,
)


def _notifies() -> st.SearchStrategy[NotifyPayload]:
    def data(notify: int) -> st.SearchStrategy[NotifyPayload]:
        least, most = SIZED_NOTIFIES.get(notify, (0, 40))
        content = st.binary(min_size=least, max_size=most)
        return st.builds(NotifyPayload, st.just(notify), content, OCTET, st.binary(max_size=8))

    return (WORD | st.sampled_from(sorted(SIZED_NOTIFIES))).flatmap(data)


def _deletes() -> st.SearchStrategy[DeletePayload]:
    def spis(protocol: int) -> st.SearchStrategy[DeletePayload]:
        if protocol == ProtocolId.IKE:
            return st.just(DeletePayload(protocol, ()))
        size = 4 if protocol in (ProtocolId.AH, ProtocolId.ESP) else protocol % 8 + 1
        several = st.lists(st.binary(min_size=size, max_size=size), max_size=4)
        return st.builds(DeletePayload, st.just(protocol), several.map(tuple))

    return (st.sampled_from([1, 2, 3]) | OCTET).flatmap(spis)


def _ids(type: PayloadType) -> st.SearchStrategy[IdPayload]:
    sizes: dict[int, int] = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}

    def data(id_type: int) -> st.SearchStrategy[IdPayload]:
        size = sizes.get(id_type)
        content = DATA if size is None else st.binary(min_size=size, max_size=size)
        return st.builds(IdPayload, st.just(type), st.just(id_type), content)

    return (st.sampled_from(list(IdType)).map(int) | OCTET).flatmap(data)


def _traffic_selectors(type: PayloadType) -> st.SearchStrategy[TsPayload]:
    selectors = st.lists(KNOWN_SELECTORS | UNKNOWN_SELECTORS, max_size=3)
    return st.builds(TsPayload, st.just(type), selectors.map(tuple))


ATTRIBUTES = st.builds(Attribute, st.integers(0, 0x7FFF), DATA)

# Every payload that may stand in a chain at any place, by the name of its kind.
PAYLOADS: dict[str, st.SearchStrategy[Payload]] = {
    "SA": st.builds(SaPayload, st.lists(PROPOSALS, min_size=1, max_size=3).map(tuple)),
    "KE": st.builds(KePayload, WORD, DATA),
    "IDi": _ids(PayloadType.ID_I),
    "IDr": _ids(PayloadType.ID_R),
    "CERT": st.builds(CertPayload, OCTET, DATA),
    "CERTREQ": st.builds(CertReqPayload, OCTET, DATA),
    "AUTH": st.builds(AuthPayload, OCTET, DATA),
    "Nonce": st.builds(NoncePayload, st.binary(min_size=16, max_size=256)),
    "N": _notifies(),
    "D": _deletes(),
    "V": st.builds(VendorIdPayload, DATA),
    "TSi": _traffic_selectors(PayloadType.TS_I),
    "TSr": _traffic_selectors(PayloadType.TS_R),
    "CP": st.builds(CpPayload, OCTET, st.lists(ATTRIBUTES, max_size=5).map(tuple)),
    "EAP": st.builds(EapPayload, DATA),
    "unknown": st.builds(
        UnknownPayload,
        OCTET.filter(lambda type: type not in PayloadType.__members__.values()),
        st.booleans(),
        DATA,
    ),
}

ANY_PAYLOAD: st.SearchStrategy[Payload] = st.one_of(*PAYLOADS.values())
CHAINS = st.lists(ANY_PAYLOAD, max_size=5).map(tuple)


def _fragments() -> st.SearchStrategy[SkfPayload]:
    numbers = st.tuples(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF)).map(sorted)
    return st.builds(lambda first, n, body: SkfPayload(first, n[0], n[1], body), OCTET, numbers, DATA)


# Those that can only be the last of a message.
ENCRYPTED_PAYLOADS: dict[str, st.SearchStrategy[SkPayload | SkfPayload]] = {
    "SK": st.builds(SkPayload, OCTET, DATA),
    "SKF": _fragments(),
}
ENCRYPTED = st.one_of(*ENCRYPTED_PAYLOADS.values())

HEADERS = st.builds(
    IkeHeader,
    spi_i=st.binary(min_size=8, max_size=8).filter(any),
    spi_r=st.binary(min_size=8, max_size=8),
    exchange=st.sampled_from(list(ExchangeType)).map(int) | OCTET,
    flags=OCTET,
    message_id=st.integers(0, 0xFFFFFFFF),
    version=st.integers(0x20, 0x2F),
)

MESSAGES = st.builds(
    lambda header, chain, last: Message(header, chain + last),
    HEADERS,
    CHAINS,
    st.just(()) | ENCRYPTED.map(lambda payload: (payload,)),
)
