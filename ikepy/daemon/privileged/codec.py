"""Encodes values of fixed types as JSON, and decodes nothing else: the pair's other end may be taken over.

A dataclass is a list of its name and its fields; an address, interface or network is its text. What a field
may hold is what its annotation says.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, Union, get_args, get_origin, get_type_hints

MAX_MESSAGE = 131072  # octets: room for MAX_ITEMS indices of devices beside the operations of a request
MAX_TEXT = 4096  # characters
MAX_ITEMS = 8192  # of a tuple: tunnels that share a route, of which the kernel takes no more (RTA_MULTIPATH)
_LARGEST = 2**63
_known: dict[Any, tuple[Any, ...]] = {}  # the types of a dataclass's fields
_TEXTS: dict[Any, Callable[[str], Any]] = {
    IPv4Address: ip_address,
    IPv6Address: ip_address,
    IPv4Interface: ip_interface,
} | {
    IPv6Interface: ip_interface,
    IPv4Network: ip_network,
    IPv6Network: ip_network,
}


class CodecError(ValueError):
    """The bytes are no message, or not of a type that is expected."""


def encode(value: object) -> bytes:
    """A dataclass as a message. Raises CodecError if it would be too large."""
    data = json.dumps(_plain(value), separators=(",", ":")).encode()
    if len(data) > MAX_MESSAGE:
        raise CodecError(f"{type(value).__name__}: {len(data)} octets, at most {MAX_MESSAGE}")
    return data


def in_parts(texts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Any number of texts, in parts of which each has room in a message. None: no part."""
    part: list[str] = []
    room = MAX_MESSAGE // 2  # with a quarter of it for one text (PATH_MAX), the rest for what surrounds them
    for text in texts:
        room -= len(json.dumps(text)) + 1
        part.append(text)
        if room < 0 or len(part) == MAX_ITEMS:
            yield tuple(part)
            part, room = [], MAX_MESSAGE // 2
    if part:
        yield tuple(part)


def decode(data: bytes, *expected: type[Any]) -> Any:
    """The message, which is of one of the expected dataclasses. Raises CodecError for anything else."""
    if len(data) > MAX_MESSAGE:
        raise CodecError(f"{len(data)} octets, at most {MAX_MESSAGE}")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CodecError("no JSON") from error
    return _dataclass(plain, expected)


def _plain(value: object) -> object:
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, one.name)) for one in fields(value))]
    if isinstance(value, tuple | list | frozenset):
        if len(value) > MAX_ITEMS:
            raise CodecError(f"{len(value)} items, at most {MAX_ITEMS}")
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, tuple(_TEXTS)):
        return str(value)
    raise CodecError(f"{type(value).__name__} is not encoded")


def _dataclass(plain: object, expected: tuple[type[Any], ...]) -> Any:
    if not isinstance(plain, list) or not plain:
        raise CodecError("no message")
    kind = next((one for one in expected if one.__name__ == plain[0]), None)
    if kind is None:
        raise CodecError("a message that is not expected here")
    hints = _hints(kind)
    if len(plain) != 1 + len(hints):
        raise CodecError(f"{kind.__name__}: {len(plain) - 1} fields instead of {len(hints)}")
    return kind(*(_value(one, hint) for one, hint in zip(plain[1:], hints, strict=True)))


def _hints(kind: Any) -> tuple[Any, ...]:
    if kind not in _known:
        _known[kind] = _read_hints(kind)
    return _known[kind]


def _read_hints(kind: Any) -> tuple[Any, ...]:
    found = get_type_hints(kind)
    return tuple(found[one.name] for one in fields(kind))


def _value(plain: object, hint: Any) -> Any:
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if plain is None and type(None) in choices:
        return None
    for choice in choices:
        if get_origin(choice) in (tuple, frozenset):
            return _sequence(plain, get_origin(choice), get_args(choice))
    for kind in (bool, int, str):
        if kind in choices and type(plain) is kind:
            return _bounded(plain)
    dataclasses: tuple[Any, ...] = tuple(one for one in choices if is_dataclass(one))
    if dataclasses:
        return _dataclass(plain, dataclasses)
    if isinstance(plain, str) and len(plain) <= MAX_TEXT:
        return _from_text(plain, choices)
    raise CodecError("a value of another type")


def _bounded(plain: Any) -> Any:
    if isinstance(plain, str) and len(plain) > MAX_TEXT:
        raise CodecError("a text that is too long")
    if isinstance(plain, int) and not -_LARGEST <= plain < _LARGEST:
        raise CodecError("a number that is too large")
    return plain


def _sequence(plain: object, kind: Any, items: tuple[Any, ...]) -> Any:
    if not isinstance(plain, list) or len(plain) > MAX_ITEMS:
        raise CodecError("no sequence, or one that is too long")
    if kind is tuple and items[-1:] != (Ellipsis,):
        if len(plain) != len(items):
            raise CodecError("a sequence of another length")
        return tuple(_value(one, hint) for one, hint in zip(plain, items, strict=True))
    return kind(_value(one, items[0]) for one in plain)


def _from_text(text: str, choices: tuple[Any, ...]) -> Any:
    for kind in choices:
        if kind in _TEXTS:
            try:
                found = _TEXTS[kind](text)
            except ValueError as error:
                raise CodecError("no address") from error
            if type(found) in choices and getattr(found, "scope_id", None) is None:
                return found
    raise CodecError("a value of another type")
