"""Converts traffic selectors between the wire form and `esp.packet.selectors.Selector` (RFC 7296 3.13.1)."""

from __future__ import annotations

from collections.abc import Iterable

from esp.packet.selectors import BITS, Selector
from ikepy.wire.constants import PayloadType, TsType
from ikepy.wire.payloads import TrafficSelector, TsPayload

_VERSION = {TsType.IPV4_ADDR_RANGE: 4, TsType.IPV6_ADDR_RANGE: 6}
_TS_TYPE = {version: ts_type for ts_type, version in _VERSION.items()}


def from_payload(payload: TsPayload) -> tuple[Selector, ...]:
    """The selectors of a payload, without unknown types and empty ranges (RFC 7296 2.9)."""
    return tuple(one for ts in payload.selectors if (one := _from_wire(ts)) is not None)


def to_payload(type: PayloadType, selectors: Iterable[Selector]) -> TsPayload:
    """The TSi or TSr payload for these selectors."""
    return TsPayload(type, tuple(_to_wire(one) for one in selectors))


def _from_wire(ts: TrafficSelector) -> Selector | None:
    version = next((v for ts_type, v in _VERSION.items() if ts_type == ts.ts_type), None)
    if version is None:
        return None
    first, last = int.from_bytes(ts.first, "big"), int.from_bytes(ts.last, "big")
    selector = Selector(version, first, last, ts.protocol, ts.first_port, ts.last_port)
    if first > last or (ts.first_port > ts.last_port and not selector.opaque_ports):
        return None
    return selector


def _to_wire(one: Selector) -> TrafficSelector:
    size = BITS[one.version] // 8
    return TrafficSelector(
        _TS_TYPE[one.version],
        one.protocol,
        one.first_port,
        one.last_port,
        one.first.to_bytes(size, "big"),
        one.last.to_bytes(size, "big"),
    )
