"""Bytes of an exported IKE_SA: JSON behind a format and version number, sealed for its way (RFC 8259).

It holds every key of the IKE_SA: what leaves a process is `seal`ed, never just `encode`d.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import TypeAdapter, ValidationError

from ikepy.crypto import sealing
from ikepy.crypto.secret import Secret
from ikepy.errors import ExportFormatError, IntegrityError, LocalMisuse
from ikepy.sa.takeover.values import VERSION, ExportedIkeSa

MAX_OCTETS = 64 << 20
_PLAIN, _SEALED = b"ikesa\0p", b"ikesa\0s"  # in front of the version octet
_HEADER = len(_PLAIN) + 1
_ADAPTER = TypeAdapter(ExportedIkeSa)


def encode(exported: ExportedIkeSa) -> bytes:
    """The value as bytes: all keys can be read in them. LocalMisuse beyond MAX_OCTETS."""
    data = _PLAIN + bytes([VERSION]) + _ADAPTER.dump_json(exported)
    if len(data) > MAX_OCTETS:
        raise LocalMisuse(f"an IKE_SA of {len(data)} octets")
    return data


def decode(data: bytes) -> ExportedIkeSa:
    """The value of `encode`. Raises ExportFormatError, and nothing else, for any bytes whatever."""
    _check_header(data, _PLAIN)
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


def _check_header(data: bytes, expected: bytes) -> None:
    if len(data) > MAX_OCTETS + _HEADER + sealing.SALT_SIZE + sealing.TAG_SIZE:
        raise ExportFormatError(f"{len(data)} octets, more than any export has")
    if not data.startswith(expected) or len(data) < _HEADER:
        raise ExportFormatError("no export of an IKE_SA")
    version = data[_HEADER - 1]
    if version != VERSION:
        raise ExportFormatError(f"an export in format version {version}; this release reads {VERSION}")
