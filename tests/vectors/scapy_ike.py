"""Our values of IKE messages as scapy's layers, and scapy's layers as our values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from ipaddress import ip_address
from operator import truediv

from scapy.contrib import ikev2
from scapy.packet import NoPayload, Packet

from ikepy.wire.constants import PayloadType, TsType
from ikepy.wire.message import IkeHeader, Message
from ikepy.wire.payloads import (
    AuthPayload,
    CertPayload,
    CertReqPayload,
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
    VendorIdPayload,
)
from ikepy.wire.proposal import Proposal, Transform


def chain(layers: Sequence[Packet]) -> Packet:
    return reduce(truediv, layers)


def layers_of(packet: Packet) -> Iterator[Packet]:
    while not isinstance(packet, NoPayload):
        yield packet
        packet = packet.payload


def raw(value: object) -> bytes:
    """A field of scapy's as bytes: it shows addresses as text, and an empty field as None."""
    return ip_address(value).packed if isinstance(value, str) else bytes(value or b"")  # type: ignore[call-overload]


# Our values as scapy's layers.


def transform_layer(one: Transform) -> Packet:
    fields = {"transform_type": one.type, "transform_id": one.id}
    if one.key_length is None:
        return ikev2.IKEv2_Transform(**fields)
    return ikev2.IKEv2_Transform(**fields, length=12, key_length=one.key_length)


def proposal_layer(one: Proposal) -> Packet:
    fields = {"proposal": one.number, "proto": one.protocol, "SPI": one.spi, "trans_nb": len(one.transforms)}
    if not one.transforms:
        return ikev2.IKEv2_Proposal(**fields)
    return ikev2.IKEv2_Proposal(**fields, trans=chain([transform_layer(t) for t in one.transforms]))


def selector_layer(one: TrafficSelector) -> Packet:
    v6 = one.ts_type == TsType.IPV6_ADDR_RANGE
    layer, suffix = (ikev2.IPv6TrafficSelector, "v6") if v6 else (ikev2.IPv4TrafficSelector, "v4")
    return layer(
        IP_protocol_ID=one.protocol,
        length=40 if v6 else 16,
        start_port=one.first_port,
        end_port=one.last_port,
        **{
            f"starting_address_{suffix}": str(ip_address(one.first)),
            f"ending_address_{suffix}": str(ip_address(one.last)),
        },
    )


def id_layer(payload: IdPayload) -> Packet:
    layer = ikev2.IKEv2_IDi if payload.type == PayloadType.ID_I else ikev2.IKEv2_IDr
    data = str(ip_address(payload.data)) if payload.id_type in (1, 5) else payload.data
    return layer(IDtype=payload.id_type, ID=data)


def ts_layer(payload: TsPayload) -> Packet:
    layer = ikev2.IKEv2_TSi if payload.type == PayloadType.TS_I else ikev2.IKEv2_TSr
    return layer(traffic_selector=[selector_layer(one) for one in payload.selectors])


def delete_layer(payload: DeletePayload) -> Packet:
    size = len(payload.spis[0]) if payload.spis else {2: 4, 3: 4}.get(payload.protocol, 0)
    return ikev2.IKEv2_Delete(
        proto=payload.protocol, SPIsize=size, SPInum=len(payload.spis), SPI=list(payload.spis)
    )


def layer_of(payload: Payload) -> Packet:
    """Our value as scapy's layer; next payload and lengths are for scapy to fill in."""
    match payload:
        case SaPayload():
            return ikev2.IKEv2_SA(prop=chain([proposal_layer(one) for one in payload.proposals]))
        case KePayload():
            return ikev2.IKEv2_KE(group=payload.group, ke=payload.data)
        case IdPayload():
            return id_layer(payload)
        case CertPayload():
            return ikev2.IKEv2_CERT(cert_encoding=payload.encoding, cert_data=payload.data)
        case CertReqPayload():
            return ikev2.IKEv2_CERTREQ(cert_encoding=payload.encoding, cert_authority=payload.data)
        case AuthPayload():
            return ikev2.IKEv2_AUTH(auth_type=payload.method, load=payload.data)
        case NoncePayload():
            return ikev2.IKEv2_Nonce(nonce=payload.data)
        case NotifyPayload():
            return ikev2.IKEv2_Notify(
                proto=payload.protocol, SPI=payload.spi, type=payload.notify, notify=payload.data
            )
        case DeletePayload():
            return delete_layer(payload)
        case VendorIdPayload():
            return ikev2.IKEv2_VendorID(vendorID=payload.data)
        case TsPayload():
            return ts_layer(payload)
        case EapPayload():
            return ikev2.IKEv2_EAP(load=payload.data)
        case SkPayload():
            return ikev2.IKEv2_Encrypted(next_payload=payload.first, load=payload.body)
        case SkfPayload():
            return ikev2.IKEv2_Encrypted_Fragment(
                next_payload=payload.first,
                frag_number=payload.number,
                frag_total=payload.total,
                load=payload.body,
            )
        case _:
            raise AssertionError(f"no layer for {payload}")


def packet_of(message: Message) -> Packet:
    header = ikev2.IKEv2(
        init_SPI=message.header.spi_i,
        resp_SPI=message.header.spi_r,
        version=message.header.version,
        exch_type=message.header.exchange,
        flags=message.header.flags,
        id=message.header.message_id,
    )
    return chain([header, *(layer_of(payload) for payload in message.payloads)])


# Scapy's layers as our values.


def transform_of(layer: Packet) -> Transform:
    key_length = layer.key_length & 0xFFFF if layer.length > 8 else None
    return Transform(layer.transform_type, layer.transform_id, key_length)


def proposal_of(layer: Packet) -> Proposal:
    transforms = tuple(transform_of(one) for one in layers_of(layer.trans)) if layer.trans_nb else ()
    assert len(transforms) == layer.trans_nb
    return Proposal(layer.proposal, layer.proto, raw(layer.SPI), transforms)


def selector_of(layer: Packet) -> TrafficSelector:
    v6 = isinstance(layer, ikev2.IPv6TrafficSelector)
    first, last = (
        (layer.starting_address_v6, layer.ending_address_v6)
        if v6
        else (layer.starting_address_v4, layer.ending_address_v4)
    )
    return TrafficSelector(
        layer.TS_type, layer.IP_protocol_ID, layer.start_port, layer.end_port, raw(first), raw(last)
    )


def ts_of(type: PayloadType) -> Callable[[Packet], Payload]:
    def read(layer: Packet) -> Payload:
        selectors = tuple(selector_of(one) for one in layer.traffic_selector)
        assert len(selectors) == layer.number_of_TSs
        return TsPayload(type, selectors)

    return read


VALUES: dict[type[Packet], Callable[[Packet], Payload]] = {
    ikev2.IKEv2_SA: lambda p: SaPayload(tuple(proposal_of(one) for one in layers_of(p.prop))),
    ikev2.IKEv2_KE: lambda p: KePayload(p.group, raw(p.ke)),
    ikev2.IKEv2_IDi: lambda p: IdPayload(PayloadType.ID_I, p.IDtype, raw(p.ID)),
    ikev2.IKEv2_IDr: lambda p: IdPayload(PayloadType.ID_R, p.IDtype, raw(p.ID)),
    ikev2.IKEv2_CERT: lambda p: CertPayload(p.cert_encoding, raw(p.cert_data)),
    ikev2.IKEv2_CERTREQ: lambda p: CertReqPayload(p.cert_encoding, raw(p.cert_authority)),
    ikev2.IKEv2_AUTH: lambda p: AuthPayload(p.auth_type, raw(p.load)),
    ikev2.IKEv2_Nonce: lambda p: NoncePayload(raw(p.nonce)),
    ikev2.IKEv2_Notify: lambda p: NotifyPayload(p.type, raw(p.notify), p.proto, raw(p.SPI)),
    ikev2.IKEv2_Delete: lambda p: DeletePayload(p.proto, tuple(raw(spi) for spi in p.SPI)),
    ikev2.IKEv2_VendorID: lambda p: VendorIdPayload(raw(p.vendorID)),
    ikev2.IKEv2_TSi: ts_of(PayloadType.TS_I),
    ikev2.IKEv2_TSr: ts_of(PayloadType.TS_R),
    ikev2.IKEv2_EAP: lambda p: EapPayload(raw(p.load)),
    ikev2.IKEv2_Encrypted: lambda p: SkPayload(p.next_payload, raw(p.load)),
    ikev2.IKEv2_Encrypted_Fragment: lambda p: SkfPayload(
        p.next_payload, p.frag_number, p.frag_total, raw(p.load)
    ),
}


def message_of(packet: Packet) -> Message:
    """What scapy read, as our value."""
    header, *payloads = layers_of(packet)
    assert isinstance(header, ikev2.IKEv2)
    assert header.length == len(packet.original)
    return Message(
        IkeHeader(
            header.init_SPI, header.resp_SPI, header.exch_type, int(header.flags), header.id, header.version
        ),
        tuple(VALUES[type(layer)](layer) for layer in payloads),
    )
