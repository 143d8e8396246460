"""Finds payloads in a message whose cardinalities `wire.rules` has checked (RFC 7296 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ikepy.errors import PeerError
from ikepy.wire.constants import FIRST_STATUS_NOTIFY, NotifyType, PayloadType
from ikepy.wire.payloads import IdPayload, NotifyPayload, Payload, TsPayload

P = TypeVar("P")


def maybe(payloads: Iterable[Payload], kind: type[P]) -> P | None:
    """The first payload of a kind, None if there is none."""
    for each in payloads:
        if isinstance(each, kind):
            return each
    return None


def must(payloads: Iterable[Payload], kind: type[P]) -> P:
    """The first payload of a kind; PeerError INVALID_SYNTAX if there is none."""
    found = maybe(payloads, kind)
    if found is None:
        raise PeerError(NotifyType.INVALID_SYNTAX, f"no {kind.__name__} in the message", fatal=True)
    return found


def identity(payloads: Iterable[Payload], type: PayloadType) -> IdPayload | None:
    """The IDi or IDr payload, None if it is missing."""
    for each in payloads:
        if isinstance(each, IdPayload) and each.type == type:
            return each
    return None


def selectors(payloads: Iterable[Payload], type: PayloadType) -> TsPayload:
    """The TSi or TSr payload; PeerError INVALID_SYNTAX if it is missing."""
    found = next((p for p in payloads if isinstance(p, TsPayload) and p.type == type), None)
    if found is None:
        raise PeerError(NotifyType.INVALID_SYNTAX, f"no {type.name} in the message", fatal=True)
    return found


def notifies(payloads: Iterable[Payload], type: NotifyType) -> Iterator[NotifyPayload]:
    """All notifies of a type."""
    return (p for p in payloads if isinstance(p, NotifyPayload) and p.notify == type)


def notify(payloads: Iterable[Payload], type: NotifyType) -> NotifyPayload | None:
    """The first notify of a type, None if there is none."""
    return next(notifies(payloads, type), None)


def error(payloads: Iterable[Payload]) -> NotifyPayload | None:
    """The first notify of an error type, None if there is none (RFC 7296 3.10.1)."""
    return next(
        (p for p in payloads if isinstance(p, NotifyPayload) and p.notify < FIRST_STATUS_NOTIFY), None
    )


def error_name(found: NotifyPayload) -> str:
    """The registry's name of an error notify, or its number."""
    try:
        return NotifyType(found.notify).name
    except ValueError:
        return f"error {found.notify}"
