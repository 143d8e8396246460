"""The payloads' contents, each read behind its generic header (RFC 7296 3.3 to 3.16)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

from ikepy.dissect import names
from ikepy.dissect.attributes import attribute_value
from ikepy.dissect.eap import eap
from ikepy.dissect.names import named, of
from ikepy.dissect.notifies import notify_data
from ikepy.dissect.tree import Fields, hexadecimal
from ikepy.dissect.words import certificate, identity, vendor
from ikepy.wire.constants import AttributeType, AuthMethod, PayloadType, ProtocolId, TransformType, TsType

_ADDRESS_SIZES: dict[int, int] = {TsType.IPV4_ADDR_RANGE: 4, TsType.IPV6_ADDR_RANGE: 16}
_SPI_SIZES: dict[int, int] = {ProtocolId.AH: 4, ProtocolId.ESP: 4}
_KEY_HASH = 20  # octets of a CA's key in CERTREQ
_FIXED = 0x8000  # an attribute of two octets, without a length


# -- Security Association (3.3) ----------------------------------------------------------------------------


def _sa(fields: Fields) -> str:
    told: list[str] = []
    while fields.remaining >= 8:
        size = int.from_bytes(fields.peek(2, 2), "big")
        if size < 8:
            fields.complain(f"a proposal of {size} octets")
            break
        fields.part(f"Proposal {fields.peek(1, 4)[0]}", size, _proposal, "sa.proposal")
        told.append(fields.nodes[-1].value)
    return " | ".join(told) if len(told) < 2 else f"{len(told)} proposals"


def _proposal(fields: Fields) -> str:
    fields.number(
        1,
        "Last substructure",
        lambda last: {0: "last (0)", 2: "more follow (2)"}.get(last, f"wrong ({last})"),
    )
    fields.reserved(1)
    fields.number(2, "Length")
    fields.number(1, "Number", key="sa.number")
    protocol = fields.number(1, "Protocol", of(names.PROTOCOLS), "sa.protocol")
    spi_size = fields.number(1, "SPI size")
    count = fields.number(1, "Transforms")
    if spi_size:
        fields.take(spi_size, "SPI", key="sa.spi")
    told: list[str] = []
    while fields.remaining >= 8:
        size = int.from_bytes(fields.peek(2, 2), "big")
        if size < 8:
            fields.complain(f"a transform of {size} octets")
            break
        fields.part("Transform", size, _transform, "sa.transform")
        told.append(fields.nodes[-1].value)
    if len(told) != count:
        fields.complain(f"a proposal that says {count} transforms has {len(told)}")
    return f"{names.short(names.PROTOCOLS, protocol)}: {'/'.join(told)}"


def _transform(fields: Fields) -> str:
    fields.number(
        1,
        "Last substructure",
        lambda last: {0: "last (0)", 3: "more follow (3)"}.get(last, f"wrong ({last})"),
    )
    fields.reserved(1)
    fields.number(2, "Length")
    type = fields.number(1, "Type", of(names.TRANSFORM_TYPES), "sa.transform.type")
    fields.reserved(1)
    table = names.TRANSFORMS.get(type, {})
    id = fields.number(2, "Algorithm", of(table), "sa.transform.id")
    bits = [found for found in _attributes_of_transform(fields) if found]
    name = names.short(table, id) if type in names.TRANSFORMS else f"{type}:{id}"
    if type == TransformType.PRF:
        name = f"PRF_{name}"
    elif type == TransformType.ESN:
        name = "ESN" if id else "NO_ESN"
    elif type > TransformType.ESN and type in names.TRANSFORMS:
        name = f"KE{type - TransformType.ESN}_{name}"
    return "_".join([name, *bits])


def _attributes_of_transform(fields: Fields) -> list[str]:
    told: list[str] = []
    while fields.remaining:
        head = int.from_bytes(fields.peek(2), "big")
        size = 4 if head & _FIXED else 4 + int.from_bytes(fields.peek(2, 2), "big")
        known = head == _FIXED | AttributeType.KEY_LENGTH
        name = "Key length" if known else f"Attribute {head & ~_FIXED}"
        fields.part(
            name, size, partial(_attribute_of_transform, known=known), "sa.key_length" if known else ""
        )
        told.append(fields.nodes[-1].value.removesuffix(" bits") if known else "")
    return told


def _attribute_of_transform(fields: Fields, known: bool) -> str:
    head = fields.number(2, "Type", lambda number: str(number & ~_FIXED))
    if known:
        return f"{fields.number(2, 'Bits')} bits"
    if head & _FIXED:
        return str(fields.number(2, "Value"))
    fields.number(2, "Length")
    return hexadecimal(fields.rest("Value"))


# -- key exchange, nonce (3.4, 3.9) ------------------------------------------------------------------------


def _ke(fields: Fields) -> str:
    group = fields.number(2, "Method", of(names.GROUPS), "ke.group")
    fields.reserved(2)
    data = fields.rest("Public value", key="ke.data")
    return f"{names.short(names.GROUPS, group)}, {len(data)} octets"


def _nonce(fields: Fields) -> str:
    data = fields.rest("Nonce data")
    if not 16 <= len(data) <= 256:
        fields.complain(f"a nonce of {len(data)} octets; 16 to 256 are permitted")
    return f"{len(data)} octets"


# -- identities, certificates, authentication (3.5 to 3.8) -------------------------------------------------


def _id(fields: Fields) -> str:
    type = fields.number(1, "Type", of(names.IDENTITIES))
    fields.reserved(3)
    data = fields.rest("Identity", partial(identity, type))
    return f"{identity(type, data)} ({names.short(names.IDENTITIES, type)})"


def _cert(fields: Fields) -> str:
    encoding = fields.number(1, "Encoding", of(names.CERTIFICATES))
    data = fields.rest("Certificate data", partial(certificate, encoding))
    return f"{names.short(names.CERTIFICATES, encoding)}: {certificate(encoding, data)}"


def _certreq(fields: Fields) -> str:
    encoding = fields.number(1, "Encoding", of(names.CERTIFICATES))
    count = 0
    while fields.remaining >= _KEY_HASH:
        fields.take(_KEY_HASH, "Hash of a CA's public key")
        count += 1
    fields.rest("Left over")
    authorities = "1 CA" if count == 1 else f"{count} CAs"
    return f"{names.short(names.CERTIFICATES, encoding)}, {authorities}"


def _auth(fields: Fields) -> str:
    method = fields.number(1, "Method", of(names.AUTH_METHODS), "auth.method")
    fields.reserved(3)
    if method == AuthMethod.DIGITAL_SIGNATURE and fields.remaining:
        size = fields.number(1, "AlgorithmIdentifier length")
        fields.take(size, "AlgorithmIdentifier")
    data = fields.rest("Authentication data", key="auth.data")
    return f"{names.short(names.AUTH_METHODS, method)}, {len(data)} octets"


# -- notify, delete, vendor (3.10 to 3.12) -----------------------------------------------------------------


def _notify(fields: Fields) -> str:
    protocol = fields.number(1, "Protocol", of(names.PROTOCOLS), "notify.protocol")
    size = fields.number(1, "SPI size")
    type = fields.number(2, "Type", of(names.NOTIFIES), "notify.type")
    spi = fields.take(size, "SPI", key="sa.spi") if size else b""
    told = named(names.NOTIFIES, type)
    if spi:
        told += f", {names.short(names.PROTOCOLS, protocol)} SPI {spi.hex()}"
    data = notify_data(type, fields)
    return f"{told}: {data}" if data else told


def _delete(fields: Fields) -> str:
    protocol = fields.number(1, "Protocol", of(names.PROTOCOLS))
    size = fields.number(1, "SPI size")
    count = fields.number(2, "SPIs")
    if size != _SPI_SIZES.get(protocol, size):
        fields.complain(f"SPIs of {size} octets for {names.short(names.PROTOCOLS, protocol)}")
    spis = [fields.take(size, "SPI", key="sa.spi").hex() for _ in range(count)] if size else []
    if protocol == ProtocolId.IKE:
        return "this IKE SA"
    shown = ", ".join(spis[:8]) + (", …" if len(spis) > 8 else "")
    return f"{names.short(names.PROTOCOLS, protocol)} {shown}"


def _vendor(fields: Fields) -> str:
    return vendor(fields.rest("Vendor ID", vendor))


# -- traffic selectors (3.13) ------------------------------------------------------------------------------


def _ts(fields: Fields) -> str:
    count = fields.number(1, "Selectors")
    fields.reserved(3)
    told: list[str] = []
    while fields.remaining >= 4 and len(told) < count:
        size = int.from_bytes(fields.peek(2, 2), "big")
        if size < 4:
            fields.complain(f"a traffic selector of {size} octets")
            break
        fields.part("Selector", size, _selector, "ts.selector")
        told.append(fields.nodes[-1].value)
    if len(told) < count:
        fields.complain(f"{count} traffic selectors announced, {len(told)} found")
    return ", ".join(told[:4]) + (", …" if len(told) > 4 else "")


def _selector(fields: Fields) -> str:
    type = fields.number(1, "Type", of(names.SELECTORS))
    protocol = fields.number(1, "IP protocol", of(names.IP_PROTOCOLS))
    fields.number(2, "Length")
    size = _ADDRESS_SIZES.get(type)
    if size is None:
        fields.rest("Data")
        return named(names.SELECTORS, type)
    first_port, last_port = fields.number(2, "First port"), fields.number(2, "Last port")
    first = ip_address(fields.take(size, "First address", _address))
    last = ip_address(fields.take(size, "Last address", _address))
    told = str(first) if first == last else f"{first} to {last}"
    if protocol:
        told += f", {names.short(names.IP_PROTOCOLS, protocol)}"
    if (first_port, last_port) == (65535, 0):
        told += ", ports OPAQUE"
    elif (first_port, last_port) != (0, 65535):
        told += f", port {first_port}" if first_port == last_port else f", ports {first_port} to {last_port}"
    return told


def _address(data: bytes) -> str:
    return str(ip_address(data))


# -- configuration, EAP (3.15, 3.16) -----------------------------------------------------------------------


def _cp(fields: Fields) -> str:
    type = fields.number(1, "Type", of(names.CONFIGURATIONS))
    fields.reserved(3)
    told: list[str] = []
    while fields.remaining >= 4:
        size = 4 + int.from_bytes(fields.peek(2, 2), "big")
        number = int.from_bytes(fields.peek(2), "big") & 0x7FFF
        fields.part(names.short(names.ATTRIBUTES, number), size, _attribute)
        told.append(names.short(names.ATTRIBUTES, number))
    return f"{names.short(names.CONFIGURATIONS, type)}: {' '.join(told[:8])}{' …' if len(told) > 8 else ''}"


def _attribute(fields: Fields) -> str:
    type = fields.number(2, "Type", lambda number: named(names.ATTRIBUTES, number & 0x7FFF)) & 0x7FFF
    fields.number(2, "Length")
    value = fields.rest("Value", partial(attribute_value, type))
    return attribute_value(type, value) if value else "asked for, or none"


BODIES: dict[int, Callable[[Fields], str]] = {
    PayloadType.SA: _sa,
    PayloadType.KE: _ke,
    PayloadType.ID_I: _id,
    PayloadType.ID_R: _id,
    PayloadType.CERT: _cert,
    PayloadType.CERTREQ: _certreq,
    PayloadType.AUTH: _auth,
    PayloadType.NONCE: _nonce,
    PayloadType.NOTIFY: _notify,
    PayloadType.DELETE: _delete,
    PayloadType.VENDOR_ID: _vendor,
    PayloadType.TS_I: _ts,
    PayloadType.TS_R: _ts,
    PayloadType.CP: _cp,
    PayloadType.EAP: eap,
}
