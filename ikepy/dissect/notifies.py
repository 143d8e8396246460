"""The data of notifies in words, where it has a meaning (RFC 7296 3.10.1 and the RFCs that add types)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from ikepy.dissect import names
from ikepy.dissect.names import named, of
from ikepy.dissect.tree import Fields, hexadecimal, text
from ikepy.dissect.words import hash_algorithms
from ikepy.errors import WireError
from ikepy.wire import redirect
from ikepy.wire.constants import NotifyType

_PPK_TYPES = {1: "PPK_ID_OPAQUE", 2: "PPK_ID_FIXED"}


def notify_data(type: int, fields: Fields) -> str:
    """Read what is left as the data of a notify of this type; what it says, "" if that adds nothing."""
    if not fields.remaining:
        return ""
    reader = _READERS.get(type)
    if reader is None:
        return hexadecimal(fields.rest("Data"))
    return reader(fields)


def _group(fields: Fields) -> str:
    return named(names.GROUPS, fields.number(2, "Method wanted", of(names.GROUPS), "ke.group"))


def _hash(fields: Fields) -> str:
    fields.rest("SHA-1 of SPIs, address and port")
    return ""


def _hashes(fields: Fields) -> str:
    return hash_algorithms(fields.rest("Hash functions", hash_algorithms))


def _address(fields: Fields) -> str:
    data = fields.rest(
        "Address", lambda data: str(ip_address(data)) if len(data) in (4, 16) else hexadecimal(data)
    )
    if len(data) not in (4, 16):
        raise WireError(f"an address of {len(data)} octets")
    return str(ip_address(data))


def _payload(fields: Fields) -> str:
    return named(names.PAYLOADS, fields.number(1, "Payload type", of(names.PAYLOADS)))


def _seconds(fields: Fields) -> str:
    return f"{fields.number(4, 'Seconds')} s"


def _window(fields: Fields) -> str:
    return f"{fields.number(4, 'Window size')}"


def _gateway(fields: Fields) -> str:
    data = fields.rest("Gateway and nonce", _gateway_text)
    return _gateway_text(data)


def _gateway_text(data: bytes) -> str:
    try:
        gateway, nonce = redirect.decode_gateway(data)
    except WireError as error:
        return f"malformed ({error})"
    shown = text(gateway.encode()) if isinstance(gateway, str) else str(gateway)
    return f"{shown}, nonce {nonce.hex()}" if nonce else shown


def _ticket(fields: Fields) -> str:
    told = _seconds(fields)
    fields.rest("Ticket")
    return f"valid for {told}"


def _ppk(fields: Fields) -> str:
    fields.number(1, "PPK_ID type", of(_PPK_TYPES))
    return text(fields.rest("PPK_ID", text))


def _methods(fields: Fields) -> str:
    """RFC 9593 3.2: announcements of 2, 3 or more octets."""
    told: list[str] = []
    while fields.remaining:
        size = fields.peek(1)[0]
        if size < 2:
            raise WireError(f"an announcement of {size} octets")
        fields.part("Announcement", size, _announcement)
        told.append(fields.nodes[-1].value)
    return ", ".join(told[:16])


def _announcement(fields: Fields) -> str:
    fields.number(1, "Length")
    if fields.remaining >= 2:
        fields.number(1, "Certificate request", lambda link: "any" if not link else f"number {link}")
    method = fields.number(1, "Method", of(names.AUTH_METHODS))
    fields.rest("AlgorithmIdentifier")
    return names.short(names.AUTH_METHODS, method)


_READERS: dict[int, Callable[[Fields], str]] = {
    NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: _payload,
    NotifyType.INVALID_KE_PAYLOAD: _group,
    NotifyType.NAT_DETECTION_SOURCE_IP: _hash,
    NotifyType.NAT_DETECTION_DESTINATION_IP: _hash,
    NotifyType.SIGNATURE_HASH_ALGORITHMS: _hashes,
    NotifyType.ADDITIONAL_IP4_ADDRESS: _address,
    NotifyType.ADDITIONAL_IP6_ADDRESS: _address,
    NotifyType.AUTH_LIFETIME: _seconds,
    NotifyType.SET_WINDOW_SIZE: _window,
    NotifyType.REDIRECT: _gateway,
    NotifyType.REDIRECTED_FROM: _gateway,
    NotifyType.TICKET_LT_OPAQUE: _ticket,
    NotifyType.PPK_IDENTITY: _ppk,
    NotifyType.PPK_IDENTITY_KEY: _ppk,
    NotifyType.SUPPORTED_AUTH_METHODS: _methods,
}
