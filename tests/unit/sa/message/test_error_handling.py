"""ikepy.sa.message.error_handling: the tables, and how they are read (RFC 7296 2.21, 3.10.1)."""

from __future__ import annotations

import pytest

from ikepy.sa.message.error_handling import (
    IN_RESPONSES,
    OTHERS_IN_RESPONSES,
    OTHERS_SENT,
    SENT,
    Exchange,
    Step,
    ending_request,
    errors,
    gravest,
    in_response,
    when_sent,
)
from ikepy.wire.constants import FIRST_STATUS_NOTIFY, NotifyType
from ikepy.wire.payloads import NotifyPayload

UNKNOWN = 12345
PROTECTED = set(Exchange) - {Exchange.IKE_SA_INIT}


def notify(*types: int) -> list[NotifyPayload]:
    return [NotifyPayload(one) for one in types]


def test_every_exchange_has_its_rows() -> None:
    for table in (IN_RESPONSES, OTHERS_IN_RESPONSES, SENT, OTHERS_SENT):
        assert set(table) == set(Exchange)


def test_every_row_is_of_an_error() -> None:
    for table in (*IN_RESPONSES.values(), *SENT.values()):
        assert all(one < FIRST_STATUS_NOTIFY for one in table)


@pytest.mark.parametrize("exchange", Exchange)
@pytest.mark.parametrize("type", [NotifyType.INVALID_SYNTAX, NotifyType.AUTHENTICATION_FAILED])
def test_what_ends_an_ike_sa_at_both_ends(exchange: Exchange, type: NotifyType) -> None:
    """RFC 7296 2.21.3; a response to IKE_SA_INIT is not authentic and ends nothing (2.21.1)."""
    expected = Step.END if exchange in PROTECTED else Step.FAIL
    assert in_response(exchange, type) is expected
    assert when_sent(exchange, type) is expected


@pytest.mark.parametrize(
    ("exchange", "type", "step"),
    [
        (Exchange.IKE_SA_INIT, NotifyType.INVALID_KE_PAYLOAD, Step.AGAIN),
        (Exchange.IKE_SA_INIT, NotifyType.NO_PROPOSAL_CHOSEN, Step.FAIL),
        (Exchange.IKE_AUTH, NotifyType.TS_UNACCEPTABLE, Step.FAIL),
        (Exchange.IKE_AUTH, NotifyType.SINGLE_PAIR_REQUIRED, Step.AGAIN),
        (Exchange.IKE_AUTH, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, Step.END),
        (Exchange.IKE_AUTH, UNKNOWN, Step.CLOSE),
        (Exchange.CHILD_CREATE, NotifyType.INVALID_KE_PAYLOAD, Step.AGAIN),
        (Exchange.CHILD_CREATE, NotifyType.TEMPORARY_FAILURE, Step.LATER),
        (Exchange.CHILD_CREATE, NotifyType.TS_UNACCEPTABLE, Step.FAIL),
        (Exchange.CHILD_CREATE, UNKNOWN, Step.FAIL),
        (Exchange.CHILD_REKEY, NotifyType.CHILD_SA_NOT_FOUND, Step.GONE),
        (Exchange.CHILD_REKEY, NotifyType.TEMPORARY_FAILURE, Step.LATER),
        (Exchange.CHILD_REKEY, UNKNOWN, Step.LATER),
        (Exchange.IKE_REKEY, NotifyType.NO_ADDITIONAL_SAS, Step.INSTEAD),
        (Exchange.IKE_REKEY, NotifyType.TEMPORARY_FAILURE, Step.LATER),
        (Exchange.IKE_REKEY, UNKNOWN, Step.LATER),
        (Exchange.INFORMATIONAL, NotifyType.UNACCEPTABLE_ADDRESSES, Step.AGAIN),
        (Exchange.INFORMATIONAL, NotifyType.CHILD_SA_NOT_FOUND, Step.FAIL),
    ],
)
def test_errors_in_responses(exchange: Exchange, type: int, step: Step) -> None:
    assert in_response(exchange, type) is step


@pytest.mark.parametrize(
    ("exchange", "type", "step"),
    [
        (Exchange.IKE_SA_INIT, NotifyType.NO_PROPOSAL_CHOSEN, Step.FAIL),
        (Exchange.IKE_AUTH, NotifyType.TS_UNACCEPTABLE, Step.FAIL),
        (Exchange.IKE_AUTH, NotifyType.SINGLE_PAIR_REQUIRED, Step.FAIL),
        (Exchange.IKE_AUTH, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, Step.END),
        (Exchange.CHILD_CREATE, NotifyType.NO_ADDITIONAL_SAS, Step.FAIL),
        (Exchange.CHILD_CREATE, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, Step.FAIL),
        (Exchange.INFORMATIONAL, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, Step.FAIL),
    ],
)
def test_errors_that_we_send(exchange: Exchange, type: NotifyType, step: Step) -> None:
    assert when_sent(exchange, type) is step


def test_the_gravest_error_of_a_response_counts() -> None:
    busy, broken = NotifyType.TEMPORARY_FAILURE, NotifyType.INVALID_SYNTAX
    for types in ((busy, broken), (broken, busy)):
        found = gravest(Exchange.CHILD_REKEY, notify(NotifyType.COOKIE, *types))
        assert found == (Step.END, NotifyPayload(broken))
    assert gravest(Exchange.CHILD_REKEY, notify(NotifyType.COOKIE)) is None


def test_of_equally_grave_ones_the_first() -> None:
    found = gravest(Exchange.CHILD_REKEY, notify(UNKNOWN, NotifyType.TEMPORARY_FAILURE))
    assert found == (Step.LATER, NotifyPayload(UNKNOWN))


def test_errors_in_the_peers_requests() -> None:
    """AUTHENTICATION_FAILED ends at any time, two others right after IKE_AUTH (RFC 7296 2.21.2)."""
    for type in (NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD):
        assert ending_request(notify(type), first=False) is None
        assert ending_request(notify(type), first=True) == NotifyPayload(type)
    for first in (True, False):
        failed = notify(NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.AUTHENTICATION_FAILED)
        assert ending_request(failed, first=first) == failed[1]
        assert ending_request(notify(NotifyType.INVALID_SELECTORS, UNKNOWN), first=first) is None


def test_status_notifies_are_no_errors() -> None:
    assert errors(notify(FIRST_STATUS_NOTIFY, FIRST_STATUS_NOTIFY - 1)) == notify(FIRST_STATUS_NOTIFY - 1)
