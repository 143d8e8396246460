"""Notify and Delete payloads (RFC 7296 3.10 and 3.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import NotifyType, PayloadType, ProtocolId
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8, u16

MAX_SPIS = 1024  # in a Delete payload; the format allows 65535

# Minimum and maximum size of a notify's data in bytes (RFC 7296 1.3, 2.3, 2.5, 2.6, 2.23, 3.10.1, 4555 4).
# Types that are not listed here may carry anything.
_DATA_SIZES: dict[int, tuple[int, int]] = {
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

# Bytes of an SPI in a Delete payload: an IKE SA's stands in the header.
_SPI_SIZES: dict[int, int] = {ProtocolId.IKE: 0, ProtocolId.AH: 4, ProtocolId.ESP: 4}


@dataclass(frozen=True, slots=True)
class NotifyPayload:
    """An error or a status. Types that we do not know are kept.

    With an empty SPI `protocol` means nothing, and must be ignored (RFC 7296 3.10).
    """

    type: ClassVar[PayloadType] = PayloadType.NOTIFY
    notify: int
    data: bytes = b""
    protocol: int = 0
    spi: bytes = b""

    @classmethod
    def decode(cls, reader: Reader) -> NotifyPayload:
        protocol, spi_size, notify = reader.u8(), reader.u8(), reader.u16()
        spi = reader.take(spi_size)
        data = reader.rest()
        if not _size_fits(notify, data):
            raise WireError(f"notify {notify} with {len(data)} bytes of data")
        return cls(notify, data, protocol, spi)

    def encode(self) -> bytes:
        if not _size_fits(self.notify, self.data):
            raise LocalMisuse(f"notify {self.notify} with {len(self.data)} bytes of data")
        return u8(self.protocol) + u8(len(self.spi)) + u16(self.notify) + self.spi + self.data


@dataclass(frozen=True, slots=True)
class DeletePayload:
    """SAs that the sender has removed: the IKE SA (no SPIs), or the senders' inbound SPIs of CHILD_SAs."""

    type: ClassVar[PayloadType] = PayloadType.DELETE
    protocol: int
    spis: tuple[bytes, ...]

    @classmethod
    def decode(cls, reader: Reader) -> DeletePayload:
        protocol, size, count = reader.u8(), reader.u8(), reader.u16()
        if count and (size == 0 or count > MAX_SPIS):
            raise WireError(f"{count} SPIs of {size} bytes to delete")
        if size != _SPI_SIZES.get(protocol, size):
            raise WireError(f"SPIs of {size} bytes for protocol {protocol}")
        return cls(protocol, tuple(reader.take(size) for _ in range(count)))

    def encode(self) -> bytes:
        size = _SPI_SIZES.get(self.protocol, len(self.spis[0]) if self.spis else 0)
        if len(self.spis) > MAX_SPIS:
            raise LocalMisuse(f"{len(self.spis)} SPIs to delete")
        if any(len(spi) != size or size == 0 for spi in self.spis):
            raise LocalMisuse(f"an SPI to delete that is not of {size} bytes")
        return u8(self.protocol) + u8(size) + u16(len(self.spis)) + b"".join(self.spis)


def _size_fits(notify: int, data: bytes) -> bool:
    least, most = _DATA_SIZES.get(notify, (0, len(data)))
    return least <= len(data) <= most
