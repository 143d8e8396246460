"""DER as far as IKE needs it: elements of definite length, object identifiers (ITU-T X.690 8 and 10).

Decoders raise WireError, nothing else. `ikepy.crypto` reads whole certificates by its library; this is for
what stands in ID and CERT payloads itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from ikepy.errors import WireError
from ikepy.wire.reader import Reader

MAX_OID = 64  # octets; a number of one that is longer could be long to print
MAX_OID_TEXT = 4 * MAX_OID  # characters: "127." is one octet


class Tag(IntEnum):
    """Universal tags, with the constructed bit where DER sets it."""

    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    NULL = 0x05
    OID = 0x06
    UTF8 = 0x0C
    NUMERIC = 0x12
    PRINTABLE = 0x13
    T61 = 0x14
    IA5 = 0x16
    VISIBLE = 0x1A
    UNIVERSAL = 0x1C
    BMP = 0x1E
    SEQUENCE = 0x30
    SET = 0x31


def encode(tag: int, *contents: bytes) -> bytes:
    """An element of these contents, one behind the other."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def read(reader: Reader) -> tuple[int, bytes]:
    """The next element: its tag (of one octet) and content."""
    tag, size = reader.u8(), reader.u8()
    if tag & 0x1F == 0x1F:
        raise WireError("a DER tag of several octets")
    if size >= 0x80:
        octets = reader.take(size & 0x7F)
        if not 1 <= len(octets) <= 4 or octets[0] == 0:
            raise WireError("a DER length that is indefinite, too long or not minimal")
        size = int.from_bytes(octets, "big")
        if size < 0x80:
            raise WireError("a DER length that is not minimal")
    return tag, reader.take(size)


def elements(content: bytes, most: int) -> Iterator[tuple[int, bytes]]:
    """The elements of a content, `most` at most."""
    reader = Reader(content)
    for _ in range(most):
        if not reader.remaining:
            return
        yield read(reader)
    if reader.remaining:
        raise WireError(f"more than {most} DER elements")


def content_of(data: bytes, tag: int) -> bytes:
    """The content of the one element that `data` is; WireError if it has another tag, or bytes are left."""
    reader = Reader(data)
    found, content = read(reader)
    reader.end()
    if found != tag:
        raise WireError(f"DER tag {found}, not {tag}")
    return content


def oid_text(content: bytes) -> str:
    """An object identifier's content in dotted notation (X.690 8.19)."""
    if not content or len(content) > MAX_OID or content[-1] & 0x80:
        raise WireError("an object identifier that is empty, too long or cut off")
    numbers, number, start = list[int](), 0, True
    for octet in content:
        if start and octet == 0x80:
            raise WireError("an object identifier with a number that is not minimal")
        number, start = number << 7 | octet & 0x7F, not octet & 0x80
        if start:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def encode_oid(text: str) -> bytes:
    """An element of dotted notation. ValueError if it means none."""
    parts = text.split(".")
    if (
        len(text) > MAX_OID_TEXT
        or len(parts) < 2
        or not all(one.isascii() and one.isdigit() for one in parts)
    ):
        raise ValueError(f"{text[:MAX_OID]!r} is no object identifier; allowed: numbers with dots between")
    first, second, *rest = map(int, parts)
    if first > 2 or (first < 2 and second > 39):
        raise ValueError(f"{text!r} is no object identifier: it begins with 0.0 to 0.39, 1.0 to 1.39 or 2")
    return encode(Tag.OID, *map(_base_128, (40 * first + second, *rest)))


def _base_128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))
