"""VICI messages: a tree of sections, lists and key-value pairs, as bytes and back (strongSwan's
vici/README.md, "Message format").

Each element is a type of one octet, then a name (8-bit length) and a value (16-bit length) where the type has
them. Values are blobs: strings and numbers are text. What a client sends is hostile: every length is checked
against what is there, depth and the number of elements are bounded; whatever else is wrong is a `ViciError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union

from ikepy.errors import IkeError

SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = range(1, 7)
MAX_NAME = 255  # octets: its length is one octet
MAX_VALUE = 65535  # octets: its length is two
MAX_DEPTH = 32  # sections in each other; a connection with its children has three
MAX_ELEMENTS = 8192  # of a request, so that reading one takes milliseconds

# What a message is decoded to, and what one is made of.
Decoded: TypeAlias = dict[str, Union[bytes, list[bytes], "Decoded"]]
Value: TypeAlias = Union[str, int, bytes, Sequence[str], Mapping[str, "Value"]]  # noqa: UP007  a name in it
Pairs: TypeAlias = Iterable[tuple[str, Value]]


class ViciError(IkeError):
    """Bytes that are no VICI packet or message, or a message that VICI has no room for."""


def encode(pairs: Pairs) -> bytes:
    """The message of these elements, in their order. Pairs, so that a section may be named as a key is.

    ViciError for a name that is too long; a value that is too long is cut.
    """
    parts: list[bytes] = []
    _encode_section(pairs, parts)
    return b"".join(parts)


def _encode_section(pairs: Pairs, parts: list[bytes]) -> None:
    for name, value in pairs:
        if isinstance(value, str | bytes | int):
            parts += (_named(KEY_VALUE, name), _blob(value))
        elif isinstance(value, Mapping):
            parts.append(_named(SECTION_START, name))
            _encode_section(value.items(), parts)
            parts.append(bytes((SECTION_END,)))
        else:
            parts.append(_named(LIST_START, name))
            for item in value:
                parts += (bytes((LIST_ITEM,)), _blob(item))
            parts.append(bytes((LIST_END,)))


def _named(kind: int, name: str) -> bytes:
    octets = name.encode()
    if len(octets) > MAX_NAME:
        raise ViciError(f"the name {name[:40]!r}... has more than {MAX_NAME} octets")
    return bytes((kind, len(octets))) + octets


def _blob(value: str | int | bytes) -> bytes:
    octets = (value if isinstance(value, bytes) else str(value).encode())[:MAX_VALUE]
    return len(octets).to_bytes(2, "big") + octets


def decode(data: bytes, most: int = MAX_ELEMENTS, *, repeats: bool = False) -> Decoded:
    """The tree of a message of at most `most` elements, by default a request's. Raises ViciError.

    `repeats`: a name may be there twice in a section, and the last one counts, as in an event of a
    connection whose name is that of a key.
    """
    reader = _Reader(data, most)
    sections: list[Decoded] = [{}]
    while reader.more:
        kind = reader.kind()
        if kind == SECTION_END:
            if len(sections) == 1:
                raise ViciError("a section ends that has not begun")
            sections.pop()
            continue
        if kind not in (SECTION_START, KEY_VALUE, LIST_START):
            raise ViciError(f"no element of a section has the type {kind}")
        name = reader.name()
        if name in sections[-1] and not repeats:
            raise ViciError(f"{name[:40]!r} is there twice in one section")
        if kind == KEY_VALUE:
            sections[-1][name] = reader.blob()
        elif kind == LIST_START:
            sections[-1][name] = _decode_list(reader)
        else:
            if len(sections) > MAX_DEPTH:
                raise ViciError(f"more than {MAX_DEPTH} sections in each other")
            section: Decoded = {}
            sections[-1][name] = section
            sections.append(section)
    if len(sections) > 1:
        raise ViciError("a section does not end")
    return sections[0]


def _decode_list(reader: _Reader) -> list[bytes]:
    items: list[bytes] = []
    while (kind := reader.kind()) == LIST_ITEM:
        items.append(reader.blob())
    if kind != LIST_END:
        raise ViciError(f"no element of a list has the type {kind}")
    return items


class _Reader:
    """Takes octets from the front, never more than there are."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = data
        self._most = most
        self._at = 0
        self._elements = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise ViciError("the message ends within an element")
        self._at += count
        return taken

    def octet(self) -> int:
        return self.take(1)[0]

    def kind(self) -> int:
        """The type of the next element."""
        self._elements += 1
        if self._elements > self._most:
            raise ViciError(f"more than {self._most} elements")
        return self.octet()

    def name(self) -> str:
        try:
            return self.take(self.octet()).decode()
        except UnicodeDecodeError:
            raise ViciError("a name is no UTF-8") from None

    def blob(self) -> bytes:
        return self.take(int.from_bytes(self.take(2), "big"))
