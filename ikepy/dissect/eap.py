"""EAP packets as an EAP payload carries them (RFC 7296 3.16, RFC 3748 4)."""

from __future__ import annotations

from ikepy.dissect.names import named, of
from ikepy.dissect.tree import Fields, text
from ikepy.eap.packet import Code, EapType, type_name

_CODES = {int(one): one.name.capitalize() for one in Code}
_TYPES = {int(one): one.name for one in EapType} | {
    18: "SIM",
    23: "AKA",
    43: "FAST",
    50: "AKA'",
    52: "PWD",
    55: "TEAP",
}
_MSCHAP = {1: "Challenge", 2: "Response", 3: "Success", 4: "Failure", 7: "Change password"}
_TLS_FLAGS = {0x80: "length included", 0x40: "more fragments", 0x20: "start"}
_TLS_LIKE = (EapType.TLS, EapType.TTLS, EapType.PEAP)


def eap(fields: Fields) -> str:
    """Read the packet; what it is, in words."""
    code = fields.number(1, "Code", of(_CODES))
    identifier = fields.number(1, "Identifier")
    fields.number(2, "Length")
    told = f"{_CODES.get(code, f'code {code}')} {identifier}"
    if code not in (Code.REQUEST, Code.RESPONSE):
        return told
    type = fields.number(1, "Method", of(_TYPES))
    return f"{told}, {_TYPES.get(type) or type_name(type)}{_content(type, code, fields)}"


def _content(type: int, code: int, fields: Fields) -> str:
    if not fields.remaining:
        return ""
    match type:
        case EapType.IDENTITY | EapType.NOTIFICATION:
            return f" {text(fields.rest('Text', text))}"
        case EapType.NAK:
            wanted = fields.rest(
                "Methods wanted", lambda data: ", ".join(named(_TYPES, one) for one in data[:16])
            )
            return f", wants {', '.join(_TYPES.get(one, str(one)) for one in wanted[:16])}"
        case EapType.MSCHAPV2:
            operation = fields.number(1, "Operation", of(_MSCHAP))
            fields.rest("Data")
            return f" {_MSCHAP.get(operation, operation)}"
        case type if type in _TLS_LIKE:
            flags = fields.number(1, "Flags", _tls_flags)
            if flags & 0x80 and fields.remaining >= 4:
                fields.number(4, "TLS message length")
            data = fields.rest("TLS data")
            return f", {len(data)} octets of TLS" if data else f" {_tls_flags(flags)}"
    fields.rest("Data")
    return ""


def _tls_flags(flags: int) -> str:
    return ", ".join(word for bit, word in _TLS_FLAGS.items() if flags & bit) or "acknowledgement"
