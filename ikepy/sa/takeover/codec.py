"""Bytes of an exported IKE_SA: JSON behind a format and version number, sealed for its way (RFC 8259).

It holds every key of the IKE_SA: what leaves a process is `seal`ed, never just `encode`d.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache
from typing import get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from ikepy.crypto import sealing
from ikepy.crypto.secret import Secret
from ikepy.errors import ExportFormatError, IntegrityError, LocalMisuse
from ikepy.sa.takeover.values import VERSION, ExportedIkeSa

MAX_OCTETS = 64 << 20
MAX_VALUES = 1 << 20  # numbers, texts, lists and objects: one needs up to 300 octets of memory
_PLAIN, _SEALED = b"ikesa\0p", b"ikesa\0s"  # in front of the version octet
_HEADER = len(_PLAIN) + 1
_SHOWN = 64  # characters of a name that does not belong there
_ADAPTER = TypeAdapter(ExportedIkeSa)


def encode(exported: ExportedIkeSa) -> bytes:
    """The value as bytes: all keys can be read in them. LocalMisuse beyond MAX_OCTETS or
    MAX_VALUES."""
    data = _PLAIN + bytes([VERSION]) + _ADAPTER.dump_json(exported)
    if len(data) > MAX_OCTETS or _values(data) > MAX_VALUES:
        raise LocalMisuse(f"an IKE_SA of {len(data)} octets and {_values(data)} values")
    return data


def decode(data: bytes) -> ExportedIkeSa:
    """The value of `encode`. Raises ExportFormatError, and nothing else, for any bytes whatever.
    It takes no more than about 512 MiB, whatever they are."""
    _check_header(data, _PLAIN)
    if (values := _values(data)) > MAX_VALUES:
        raise ExportFormatError(f"{values} values, more than any export has")
    try:
        # First, as the validator keeps a copy of the whole object for each name that it misses.
        _check_names(ExportedIkeSa, json.loads(data[_HEADER:]), "the whole")
    except (ValueError, RecursionError):
        raise ExportFormatError("a malformed export: no JSON") from None
    try:
        return _ADAPTER.validate_json(data[_HEADER:])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ExportFormatError(f"a malformed export: {where}: {first['msg']}") from None


def seal(exported: ExportedIkeSa, key: Secret, random: Callable[[int], bytes]) -> bytes:
    """The value under the caller's key of 32 bytes; `random` gives unpredictable bytes (`crypto.sealing`)."""
    return sealing.seal(key, random, _SEALED + bytes([VERSION]), encode(exported))


def unseal(sealed: bytes, key: Secret) -> ExportedIkeSa:
    """The value of `seal`. ExportFormatError also for another key and for altered bytes."""
    _check_header(sealed, _SEALED)
    try:
        return decode(sealing.unseal(key, _HEADER, sealed))
    except IntegrityError as error:
        raise ExportFormatError(str(error)) from None


def _values(data: bytes) -> int:
    """At least as many as JSON values stand in `data`: each but the first follows a comma, or begins a list
    or an object."""
    return sum(map(data.count, (b",", b"[", b"{")))


def _check_names(kind: type, value: object, where: str) -> None:
    """ExportFormatError if an object in `value` lacks a name of its class, or has one more. What stands where
    no object belongs is left to the validator."""
    for each in value if isinstance(value, list) else (value,):
        if not isinstance(each, dict):
            continue
        hints = _hints(kind)
        for name in sorted(hints.keys() ^ each.keys()):
            text = "is missing" if name in hints else "is unknown"
            raise ExportFormatError(f"a malformed export: {where}: {name[:_SHOWN]!a} {text}")
        for name, inner in hints.items():
            if inner is not None:
                _check_names(inner, each[name], name)


@cache
def _hints(kind: type) -> dict[str, type | None]:
    """The names of an exported class, and of which class the objects are that stand there."""
    return {name: _class_in(hint) for name, hint in get_type_hints(kind).items()}


def _class_in(hint: object) -> type | None:
    if isinstance(hint, type) and is_dataclass(hint) and hint.__module__ == ExportedIkeSa.__module__:
        return hint
    return next((found for each in get_args(hint) if (found := _class_in(each)) is not None), None)


def _check_header(data: bytes, expected: bytes) -> None:
    if len(data) > MAX_OCTETS + _HEADER + sealing.SALT_SIZE + sealing.TAG_SIZE:
        raise ExportFormatError(f"{len(data)} octets, more than any export has")
    if not data.startswith(expected) or len(data) < _HEADER:
        raise ExportFormatError("no export of an IKE_SA")
    version = data[_HEADER - 1]
    if version != VERSION:
        raise ExportFormatError(f"an export in format version {version}; this release reads {VERSION}")
