"""The payload classes, and the table of decoders by payload type (RFC 7296 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ikepy.wire.constants import PayloadType
from ikepy.wire.payloads.authentication import AuthPayload, CertPayload, CertReqPayload, IdPayload
from ikepy.wire.payloads.configuration import Attribute, CpPayload
from ikepy.wire.payloads.encrypted import SkfPayload, SkPayload
from ikepy.wire.payloads.key_exchange import KePayload, NoncePayload
from ikepy.wire.payloads.notify import DeletePayload, NotifyPayload
from ikepy.wire.payloads.opaque import EapPayload, UnknownPayload, VendorIdPayload
from ikepy.wire.payloads.sa import SaPayload
from ikepy.wire.payloads.ts import TrafficSelector, TsPayload
from ikepy.wire.reader import Reader

__all__ = [
    "Attribute",
    "AuthPayload",
    "CertPayload",
    "CertReqPayload",
    "CpPayload",
    "DeletePayload",
    "EapPayload",
    "IdPayload",
    "KePayload",
    "NoncePayload",
    "NotifyPayload",
    "Payload",
    "SaPayload",
    "SkPayload",
    "SkfPayload",
    "TrafficSelector",
    "TsPayload",
    "UnknownPayload",
    "VendorIdPayload",
    "decode_payload",
]

Payload = (
    SaPayload
    | KePayload
    | IdPayload
    | CertPayload
    | CertReqPayload
    | AuthPayload
    | NoncePayload
    | NotifyPayload
    | DeletePayload
    | VendorIdPayload
    | TsPayload
    | CpPayload
    | EapPayload
    | SkPayload
    | SkfPayload
    | UnknownPayload
)

_DECODERS: dict[int, Callable[[Reader], Payload]] = {
    PayloadType.SA: SaPayload.decode,
    PayloadType.KE: KePayload.decode,
    PayloadType.ID_I: partial(IdPayload.decode, PayloadType.ID_I),
    PayloadType.ID_R: partial(IdPayload.decode, PayloadType.ID_R),
    PayloadType.CERT: CertPayload.decode,
    PayloadType.CERTREQ: CertReqPayload.decode,
    PayloadType.AUTH: AuthPayload.decode,
    PayloadType.NONCE: NoncePayload.decode,
    PayloadType.NOTIFY: NotifyPayload.decode,
    PayloadType.DELETE: DeletePayload.decode,
    PayloadType.VENDOR_ID: VendorIdPayload.decode,
    PayloadType.TS_I: partial(TsPayload.decode, PayloadType.TS_I),
    PayloadType.TS_R: partial(TsPayload.decode, PayloadType.TS_R),
    PayloadType.CP: CpPayload.decode,
    PayloadType.EAP: EapPayload.decode,
}

# Their generic header's Next Payload names the first payload inside them, not one behind them.
_ENCRYPTED_DECODERS: dict[int, Callable[[int, Reader], Payload]] = {
    PayloadType.SK: SkPayload.decode,
    PayloadType.SKF: SkfPayload.decode,
}

_CRITICAL = 0x80


def decode_payload(type: int, reader: Reader) -> tuple[Payload, int]:
    """Reads one payload with its generic header: its value, and the type of the one behind it (0: none).

    The critical bit of a type that we know is ignored (RFC 7296 3.2). Raises WireError.
    """
    following, flags = reader.u8(), reader.u8()
    with reader.restrict(reader.u16() - 4):
        if (encrypted := _ENCRYPTED_DECODERS.get(type)) is not None:
            return encrypted(following, reader), PayloadType.NONE
        if (decode := _DECODERS.get(type)) is not None:
            return decode(reader), following
        return UnknownPayload(type, bool(flags & _CRITICAL), reader.rest()), following
