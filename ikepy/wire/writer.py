"""Integers as big-endian fields; LocalMisuse if a value does not fit."""

from __future__ import annotations

from ikepy.errors import LocalMisuse


def u8(value: int) -> bytes:
    try:
        return value.to_bytes(1, "big")
    except OverflowError as error:
        raise LocalMisuse(f"{value} does not fit into 1 bytes") from error


def u16(value: int) -> bytes:
    return _field(value, 2)


def u32(value: int) -> bytes:
    return _field(value, 4)


def u64(value: int) -> bytes:
    return _field(value, 8)


def _field(value: int, size: int) -> bytes:
    try:
        return value.to_bytes(size, "big")
    except OverflowError as error:
        raise LocalMisuse(f"{value} does not fit into {size} bytes") from error
