"""Traffic Selector payloads (RFC 7296 3.13)."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.errors import LocalMisuse
from ikepy.wire.constants import PayloadType, TsType
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8, u16

_ADDRESS_SIZES: dict[int, int] = {TsType.IPV4_ADDR_RANGE: 4, TsType.IPV6_ADDR_RANGE: 16}


@dataclass(frozen=True, slots=True)
class TrafficSelector:
    """A range of addresses, a protocol (0: any) and a range of ports; all bounds are inclusive.

    A range may be empty (first > last). An unknown `ts_type` is kept so that it encodes to the same bytes:
    then `first` is what follows the length field, `last` is empty and the ports are 0.
    """

    ts_type: int
    protocol: int
    first_port: int
    last_port: int
    first: bytes  # 4 or 16 bytes
    last: bytes

    @classmethod
    def decode(cls, reader: Reader) -> TrafficSelector:
        ts_type, protocol = reader.u8(), reader.u8()
        with reader.restrict(reader.u16() - 4):
            size = _ADDRESS_SIZES.get(ts_type)
            if size is None:
                return cls(ts_type, protocol, 0, 0, reader.rest(), b"")
            return cls(ts_type, protocol, reader.u16(), reader.u16(), reader.take(size), reader.take(size))

    def encode(self) -> bytes:
        size = _ADDRESS_SIZES.get(self.ts_type)
        if size is None:
            if self.last or self.first_port or self.last_port:
                raise LocalMisuse(f"a range in a traffic selector of type {self.ts_type}")
            body = self.first
        else:
            if len(self.first) != size or len(self.last) != size:
                raise LocalMisuse(f"an address that is not of {size} bytes in a traffic selector")
            body = u16(self.first_port) + u16(self.last_port) + self.first + self.last
        return u8(self.ts_type) + u8(self.protocol) + u16(4 + len(body)) + body


@dataclass(frozen=True, slots=True)
class TsPayload:
    """TSi or TSr: at most 255 selectors, perhaps none."""

    type: PayloadType  # TS_I or TS_R
    selectors: tuple[TrafficSelector, ...]

    @classmethod
    def decode(cls, type: PayloadType, reader: Reader) -> TsPayload:
        count = reader.u8()
        reader.take(3)
        return cls(type, tuple(TrafficSelector.decode(reader) for _ in range(count)))

    def encode(self) -> bytes:
        if self.type not in (PayloadType.TS_I, PayloadType.TS_R):
            raise LocalMisuse(f"traffic selectors in a payload of type {self.type}")
        return u8(len(self.selectors)) + b"\0\0\0" + b"".join(one.encode() for one in self.selectors)
