"""The key exchange methods that there are, by transform ID (IANA: transform type 4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ikepy.crypto.kex import ecp, mlkem, modp, montgomery
from ikepy.crypto.kex.method import KeyExchange
from ikepy.errors import LocalMisuse

_METHODS: dict[int, KeyExchange] = {}


def supported() -> frozenset[int]:
    """The transform IDs of all methods."""
    return frozenset(_METHODS)


def method(transform_id: int) -> KeyExchange:
    """The method with this transform ID. LocalMisuse if it is not supported."""
    try:
        return _METHODS[transform_id]
    except KeyError:
        raise LocalMisuse(f"key exchange {transform_id} is not supported") from None


def seconds(transform_id: int) -> float:
    """Estimated CPU seconds of a key exchange; 0 if it is not supported, as it is refused then."""
    found = _METHODS.get(transform_id)
    return 0.0 if found is None else found.seconds


def register(*methods: KeyExchange) -> None:
    """Add methods, each in the place of one with the same transform ID."""
    _METHODS.update((one.id, one) for one in methods)


@contextmanager
def registered(*methods: KeyExchange) -> Iterator[None]:
    """`register` for as long as the context lasts."""
    before = dict(_METHODS)
    register(*methods)
    try:
        yield
    finally:
        _METHODS.clear()
        _METHODS.update(before)


register(*modp.METHODS, *ecp.METHODS, *montgomery.METHODS, *mlkem.METHODS)
