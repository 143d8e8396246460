"""What each error notify does to the exchange, the CHILD_SA and the IKE_SA (RFC 7296 2.21, 3.10.1).

These tables decide alone. `SENT` covers the errors that we send, `IN_RESPONSES` and `IN_REQUESTS` those that
we receive. Tasks look up here what an error means, and log it in their own words.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from ikepy.wire.constants import FIRST_STATUS_NOTIFY, NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload


class Exchange(Enum):
    """An exchange and its purpose: a refused rekey is handled differently from a refused new child."""

    IKE_SA_INIT = "IKE_SA_INIT"
    IKE_INTERMEDIATE = "IKE_INTERMEDIATE"  # or whatever else is between these two (RFC 9242)
    IKE_AUTH = "IKE_AUTH"
    CHILD_CREATE = "CREATE_CHILD_SA (a child)"
    CHILD_REKEY = "CREATE_CHILD_SA (rekey of a child)"
    IKE_REKEY = "CREATE_CHILD_SA (rekey of the IKE_SA)"
    INFORMATIONAL = "INFORMATIONAL"


class Step(Enum):
    """Reactions to an error, the gravest first."""

    END = "the IKE_SA is gone at both ends, with its children and without a Delete (2.21.3)"
    CLOSE = "the request failed as a whole, and the peer does not know that: the IKE_SA is deleted (3.10.1)"
    GONE = "the peer does not have this child: it is removed here and created anew (2.25)"
    AGAIN = "asked once more at once, in the way that the peer wants"
    INSTEAD = "the peer rekeys nothing: it is authenticated anew (4)"
    LATER = "the SA goes on as it is, and its replacement is asked for later (2.25)"
    FAIL = "the exchange failed; all SAs that stand go on"
    NOTHING = "it is logged"


_Type = NotifyType
_Table = dict[int, Step]

# These end the IKE_SA at both ends if they answer a protected request.
_ENDS: _Table = {_Type.INVALID_SYNTAX: Step.END, _Type.AUTHENTICATION_FAILED: Step.END}

# These fail only the child of an IKE_AUTH: beside IDr and AUTH, the IKE_SA is established (1.2, 2.21.2).
_CHILD_ERRORS: _Table = dict.fromkeys(
    (
        _Type.NO_PROPOSAL_CHOSEN,
        _Type.INVALID_KE_PAYLOAD,
        _Type.NO_ADDITIONAL_SAS,
        _Type.INTERNAL_ADDRESS_FAILURE,
        _Type.FAILED_CP_REQUIRED,
        _Type.TS_UNACCEPTABLE,
        _Type.INVALID_SELECTORS,
        _Type.TEMPORARY_FAILURE,
        _Type.CHILD_SA_NOT_FOUND,
    ),
    Step.FAIL,
)

# Errors with a reaction of their own, by the exchange whose response carries them.
IN_RESPONSES: dict[Exchange, _Table] = {
    # These are not authenticated (2.21.1). A failed set-up is retried (`keyingtries`).
    Exchange.IKE_SA_INIT: {_Type.INVALID_KE_PAYLOAD: Step.AGAIN},
    Exchange.IKE_INTERMEDIATE: _ENDS,
    # Without an AUTH payload beside it each of them ends the IKE_SA: the peer is not authenticated.
    Exchange.IKE_AUTH: {
        **_ENDS,
        **_CHILD_ERRORS,
        _Type.UNSUPPORTED_CRITICAL_PAYLOAD: Step.END,
        _Type.SINGLE_PAIR_REQUIRED: Step.AGAIN,
    },
    Exchange.CHILD_CREATE: {
        **_ENDS,
        _Type.INVALID_KE_PAYLOAD: Step.AGAIN,
        _Type.SINGLE_PAIR_REQUIRED: Step.AGAIN,
        _Type.TEMPORARY_FAILURE: Step.LATER,
        _Type.STATE_NOT_FOUND: Step.LATER,  # of an additional key exchange (RFC 9370 2.2.4)
    },
    Exchange.CHILD_REKEY: {
        **_ENDS,
        _Type.INVALID_KE_PAYLOAD: Step.AGAIN,
        _Type.CHILD_SA_NOT_FOUND: Step.GONE,
    },
    Exchange.IKE_REKEY: {
        **_ENDS,
        _Type.INVALID_KE_PAYLOAD: Step.AGAIN,
        _Type.NO_ADDITIONAL_SAS: Step.INSTEAD,
    },
    # UNACCEPTABLE_ADDRESSES and UNEXPECTED_NAT_DETECTED answer an update of addresses (RFC 4555 3.5, 3.9).
    Exchange.INFORMATIONAL: {
        **_ENDS,
        _Type.UNACCEPTABLE_ADDRESSES: Step.AGAIN,
        _Type.UNEXPECTED_NAT_DETECTED: Step.AGAIN,
    },
}

# All other errors, unknown ones included.
OTHERS_IN_RESPONSES: dict[Exchange, Step] = {
    Exchange.IKE_SA_INIT: Step.FAIL,
    Exchange.IKE_INTERMEDIATE: Step.END,
    Exchange.IKE_AUTH: Step.CLOSE,
    Exchange.CHILD_CREATE: Step.FAIL,
    Exchange.CHILD_REKEY: Step.LATER,
    Exchange.IKE_REKEY: Step.LATER,
    Exchange.INFORMATIONAL: Step.FAIL,
}

# Errors in an INFORMATIONAL request; the second table applies to the one right after IKE_AUTH, by which an
# initiator rejects our response (2.21.2). Other errors, and those in other exchanges' requests, are ignored.
IN_REQUESTS: _Table = {_Type.AUTHENTICATION_FAILED: Step.END}
IN_FIRST_REQUEST: _Table = {
    **IN_REQUESTS,
    _Type.INVALID_SYNTAX: Step.END,
    _Type.UNSUPPORTED_CRITICAL_PAYLOAD: Step.END,
}

# Errors that we send in a response. In IKE_AUTH those about the child alone go beside IDr and AUTH, and
# the IKE_SA stays; any other ends it. After a refused IKE_SA_INIT there is no IKE_SA to end.
SENT: dict[Exchange, _Table] = {
    Exchange.IKE_SA_INIT: {},
    Exchange.IKE_INTERMEDIATE: _ENDS,
    Exchange.IKE_AUTH: {**_CHILD_ERRORS, _Type.SINGLE_PAIR_REQUIRED: Step.FAIL},
    Exchange.CHILD_CREATE: _ENDS,
    Exchange.CHILD_REKEY: _ENDS,
    Exchange.IKE_REKEY: _ENDS,
    Exchange.INFORMATIONAL: _ENDS,
}
OTHERS_SENT: dict[Exchange, Step] = {
    exchange: Step.END if exchange in (Exchange.IKE_INTERMEDIATE, Exchange.IKE_AUTH) else Step.FAIL
    for exchange in Exchange
}

_GRAVITY = {step: rank for rank, step in enumerate(Step)}


def errors(payloads: Iterable[Payload]) -> list[NotifyPayload]:
    """All notifies of an error type (3.10.1)."""
    return [p for p in payloads if isinstance(p, NotifyPayload) and p.notify < FIRST_STATUS_NOTIFY]


def in_response(exchange: Exchange, notify: int) -> Step:
    """The reaction to an error in the response to our request."""
    return IN_RESPONSES[exchange].get(notify, OTHERS_IN_RESPONSES[exchange])


def when_sent(exchange: Exchange, notify: int) -> Step:
    """What happens to our own SA when we answer a request with this error: END or FAIL."""
    return SENT[exchange].get(notify, OTHERS_SENT[exchange])


def gravest(exchange: Exchange, payloads: Iterable[Payload]) -> tuple[Step, NotifyPayload] | None:
    """The gravest error in a response, and the reaction to it; None if there is no error."""
    found = [(in_response(exchange, one.notify), one) for one in errors(payloads)]
    return min(found, key=lambda each: _GRAVITY[each[0]], default=None)


def ending_request(payloads: Iterable[Payload], *, first: bool) -> NotifyPayload | None:
    """The error in a peer's INFORMATIONAL request that ends the IKE_SA, None if there is none.

    `first`: the request directly follows the peer's IKE_AUTH.
    """
    table = IN_FIRST_REQUEST if first else IN_REQUESTS
    return next((one for one in errors(payloads) if table.get(one.notify) is Step.END), None)
