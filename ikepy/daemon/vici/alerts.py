"""charon's names of the alerts (`alert_t` in libcharon's `bus.h`) that our events stand for."""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.sa.api.ends import (
    AuthenticationFailure,
    AuthenticationFault,
    End,
    Failure,
    HalfOpenLimit,
    KeyExchangeMismatch,
    Party,
    ProposalMismatch,
    SelectorMismatch,
    Silence,
)
from ikepy.sa.api.events import (
    ChildRekeyFailed,
    ChildSetUpFailed,
    Event,
    IkeDown,
    IkeExpired,
    IkeRekeyFailed,
    IkeSetUpFailed,
    RetransmissionsEnded,
    Retransmitted,
)
from ikepy.wire.constants import ExchangeType

ALARMING: tuple[type[Event], ...] = (
    ChildRekeyFailed,
    ChildSetUpFailed,
    IkeDown,
    IkeExpired,
    IkeRekeyFailed,
    IkeSetUpFailed,
    RetransmissionsEnded,
    Retransmitted,
)


def alerts(event: Event) -> Iterator[str]:
    """The names of the alerts that charon raises for the same; none for what is no alert."""
    match event:
        case IkeExpired():
            yield "ike-sa-expired"
        case Retransmitted():
            yield "retransmit-send"
        case RetransmissionsEnded():
            yield "retransmit-send-cleared"
        case IkeDown(failure=failure) | IkeRekeyFailed(failure=failure):
            yield from _of(failure, "ike")
        case IkeSetUpFailed(sa, end=end, failure=failure):
            if failure is None and end is End.TIMEOUT and sa is not None and not sa.initiator:
                yield "half-open-timeout"
            yield from _of(failure, "ike")
        case ChildSetUpFailed(failure=failure):
            yield "keep-on-child-sa-failure"
            yield from _of(failure, "child")
        case ChildRekeyFailed(failure=failure):
            yield from _of(failure, "child")
        case _:
            pass


def _of(failure: Failure | None, level: str) -> Iterator[str]:
    match None if failure is None else failure.cause:
        case ProposalMismatch() | KeyExchangeMismatch():
            yield f"proposal-mismatch-{level}"
        case SelectorMismatch():
            yield "ts-mismatch"
        case AuthenticationFailure(fault=AuthenticationFault.NOT_UNIQUE):
            yield "unique-keep"
        case AuthenticationFailure():
            yield "local-auth-failed" if failure and failure.by is Party.PEER else "peer-auth-failed"
        case Silence(exchange=exchange):
            yield "retransmit-send-timeout"
            if exchange is ExchangeType.IKE_SA_INIT:
                yield "peer-init-unreachable"
        case HalfOpenLimit():
            yield "half-open-limit"  # ours: charon drops the newer request, and raises nothing
        case None:
            pass


def text_of(event: Event) -> str:
    """What an alarming event says to people; "" if its name says all."""
    match event:
        case Retransmitted(message_id=message_id, attempt=attempt):
            return f"retransmit {attempt} of request with message ID {message_id}"
        case RetransmissionsEnded(message_id=message_id, attempt=attempt):
            return f"the peer answered request {message_id} after {attempt} retransmits"
        case (
            IkeDown(text=text)
            | IkeSetUpFailed(text=text)
            | IkeRekeyFailed(text=text)
            | ChildSetUpFailed(text=text)
            | ChildRekeyFailed(text=text)
        ):
            return text
        case _:
            return ""
