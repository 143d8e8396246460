"""Impairments of traffic selectors (RFC 7296 2.9, 3.13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ikepy.errors import WireError
from ikepy.impair.draft import Draft, Part
from ikepy.impair.impairment import Impairment, Number, Stages, of_responses
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType, TsType
from ikepy.wire.payloads import TrafficSelector, TsPayload
from ikepy.wire.reader import Reader

SELECTORS = Number(0, 255, "selectors")
EVERYTHING = (
    TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, bytes(4), b"\xff" * 4),
    TrafficSelector(TsType.IPV6_ADDR_RANGE, 0, 0, 65535, bytes(16), b"\xff" * 16),
)
ELSEWHERE = bytes((198, 18, 255, 254))  # of the networks for measurements (RFC 2544)
TS = (PayloadType.TS_I, PayloadType.TS_R)

Change = Callable[[Draft], None]


def read_ts(part: Part) -> TsPayload | None:
    try:
        return TsPayload.decode(PayloadType(part.type), Reader(part.body))
    except WireError:
        return None


def selectors(
    draft: Draft, change: Callable[[tuple[TrafficSelector, ...]], tuple[TrafficSelector, ...]]
) -> None:
    for part in draft.of_type(*TS):
        ts = read_ts(part)
        if ts is not None:
            part.body = TsPayload(ts.type, change(ts.selectors)).encode()


def wider(draft: Draft) -> None:
    selectors(draft, lambda known: EVERYTHING[: 1 if known and len(known[0].first) == 4 else 2])


def single_host(draft: Draft) -> None:
    selectors(draft, lambda known: tuple(replace(one, last=one.first) for one in known[:1]))


def reversed_range(draft: Draft) -> None:
    selectors(draft, lambda known: tuple(replace(one, first=one.last, last=one.first) for one in known))


def disjoint(draft: Draft) -> None:
    """Selectors of one address that no network of the tests has."""
    selectors(draft, lambda _: (TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, ELSEWHERE, ELSEWHERE),))


def rekeys_child(draft: Draft) -> bool:
    return draft.within(ExchangeType.CREATE_CHILD_SA) and bool(draft.notifies(NotifyType.REKEY_SA))


def on_rekey(change: Change) -> Stages:
    """Of requests: they alone say that they rekey."""
    return Stages(message=lambda draft: change(draft) if draft.request and rekeys_child(draft) else None)


def on_child(change: Change) -> Stages:
    """Of responses to CREATE_CHILD_SA."""
    return of_responses(lambda draft: change(draft) if draft.within(ExchangeType.CREATE_CHILD_SA) else None)


def count_selectors(draft: Draft, payload: PayloadType, number: int) -> None:
    for part in draft.of_type(payload):
        part.body = bytes([number]) + part.body[1:]


IMPAIRMENTS = (
    Impairment(
        "ts-wider",
        "answers with wider selectors than it was asked for",
        "2.9",
        lambda _: of_responses(wider),
    ),
    Impairment(
        "ts-elsewhere",
        "answers with selectors outside of those that it was asked for",
        "2.9",
        lambda _: of_responses(disjoint),
    ),
    Impairment(
        "ts-reversed",
        "sends selectors whose first address is the last",
        "3.13.1",
        lambda _: Stages(message=reversed_range),
    ),
    Impairment(
        "rekey-initiate-supernet",
        "asks for everything when it rekeys a child",
        "2.9.2",
        lambda _: on_rekey(wider),
        libreswan=True,
    ),
    Impairment(
        "rekey-initiate-subnet",
        "asks for a single host when it rekeys a child",
        "2.9.2",
        lambda _: on_rekey(single_host),
        libreswan=True,
    ),
    Impairment(
        "rekey-respond-supernet",
        "answers CREATE_CHILD_SA, so rekeys too, with everything as selectors",
        "2.9.2",
        lambda _: on_child(wider),
        libreswan=True,
    ),
    Impairment(
        "rekey-respond-subnet",
        "answers CREATE_CHILD_SA, so rekeys too, with a single host as selectors",
        "2.9.2",
        lambda _: on_child(single_host),
        libreswan=True,
    ),
    Impairment(
        "number-of-TSi-selectors",
        "says that TSi holds so many selectors",
        "3.13",
        lambda number: Stages(message=lambda draft: count_selectors(draft, PayloadType.TS_I, number)),
        SELECTORS,
        libreswan=True,
    ),
    Impairment(
        "number-of-TSr-selectors",
        "says that TSr holds so many selectors",
        "3.13",
        lambda number: Stages(message=lambda draft: count_selectors(draft, PayloadType.TS_R, number)),
        SELECTORS,
        libreswan=True,
    ),
)
