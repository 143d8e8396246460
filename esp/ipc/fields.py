"""Encodes and decodes the field types of IPC messages: big-endian, with a length prefix where one is
needed."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from esp.packet.selectors import Selector
from esp.sa.suites import Suite, suite_for

_NONE = 0xFFFF  # no key length, no integrity algorithm
_SUITE = struct.Struct("!HHH")
_SELECTOR = struct.Struct("!BBHH16s16s")


class FieldError(Exception):
    """Octets that end too soon, are left over, or encode no value."""


def write(out: bytearray, value: object) -> None:
    """Append a field. Raises FieldError for a value that has no encoding."""
    match value:
        case bool():
            out.append(value)
        case int():
            if not 0 <= value < 1 << 64:
                raise FieldError(f"{value} does not fit 64 bits")
            out += value.to_bytes(8, "big")
        case str():
            write(out, value.encode())
        case bytes():
            out += len(value).to_bytes(4, "big") + value
        case IPv4Address() | IPv6Address():
            out.append(value.version)
            out += value.packed
        case Suite():
            numbers = (_NONE if n is None else n for n in (value.encr, value.key_bits, value.integ))
            out += _SUITE.pack(*numbers)
        case tuple():
            out += len(value).to_bytes(2, "big")
            for selector in value:
                _write_selector(out, selector)
        case _:
            raise FieldError(f"a {type(value).__name__} has no encoding")


def _write_selector(out: bytearray, selector: object) -> None:
    if not isinstance(selector, Selector):
        raise FieldError(f"a {type(selector).__name__} is no selector")
    bounds = (n.to_bytes(16, "big") for n in (selector.first, selector.last))
    ports = selector.first_port, selector.last_port
    out += _SELECTOR.pack(selector.version, selector.protocol, *ports, *bounds)


class FieldReader:
    """Reads fields from `data` in order; raises nothing but FieldError."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self._data = data
        self._offset = offset

    def take(self, length: int) -> bytes:
        end = self._offset + length
        if end > len(self._data):
            raise FieldError("too short")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def finish(self) -> None:
        if self._offset != len(self._data):
            raise FieldError("bytes left over")

    def number(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def flag(self) -> bool:
        octet = self.take(1)[0]
        if octet > 1:
            raise FieldError("neither true nor false")
        return octet == 1

    def octets(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def text(self) -> str:
        try:
            return self.octets().decode()
        except UnicodeDecodeError:
            raise FieldError("text that is no UTF-8") from None

    def address(self) -> IPv4Address | IPv6Address:
        version = self.take(1)[0]
        if version == 4:
            return IPv4Address(self.take(4))
        if version == 6:
            return IPv6Address(self.take(16))
        raise FieldError(f"IP version {version}")

    def suite(self) -> Suite:
        encr, key_bits, integ = (None if n == _NONE else n for n in _SUITE.unpack(self.take(_SUITE.size)))
        try:
            return suite_for(encr or 0, key_bits, integ)
        except KeyError:
            raise FieldError(f"no suite has the numbers {encr}, {key_bits}, {integ}") from None

    def selectors(self) -> tuple[Selector, ...]:
        return tuple(self._selector() for _ in range(int.from_bytes(self.take(2), "big")))

    def _selector(self) -> Selector:
        version, protocol, first_port, last_port, first, last = _SELECTOR.unpack(self.take(_SELECTOR.size))
        if version not in (4, 6):
            raise FieldError(f"IP version {version}")
        bounds = int.from_bytes(first, "big"), int.from_bytes(last, "big")
        return Selector(version, *bounds, protocol, first_port, last_port)
