"""Checks which payloads a message may contain, how often, and encrypted or not (RFC 7296 1.2 to 1.5, 2.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ikepy.errors import PeerError
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import MAX_PAYLOADS, IkeHeader
from ikepy.wire.payloads import Payload, UnknownPayload

_Type = PayloadType

_ONE = (1, 1)
_MAYBE = (0, 1)
_ANY = (0, MAX_PAYLOADS)


@dataclass(frozen=True, slots=True)
class Rule:
    """Cardinality of one kind of message: (min, max) per payload type. Types without an entry are forbidden.

    `together`: payloads that must be all present or all absent. `notifies_alone`: the message may instead
    consist of notifies only, which say why the request failed or what it lacks.
    """

    counts: dict[PayloadType, tuple[int, int]]
    together: tuple[PayloadType, ...] = ()
    notifies_alone: bool = False


_INIT_REQUEST = Rule(
    {_Type.SA: _ONE, _Type.KE: _ONE, _Type.NONCE: _ONE, _Type.NOTIFY: _ANY, _Type.VENDOR_ID: _ANY}
)

# Notifies alone: COOKIE, INVALID_KE_PAYLOAD, NO_PROPOSAL_CHOSEN, ... (RFC 7296 2.6, 2.21.1)
_INIT_RESPONSE = Rule({**_INIT_REQUEST.counts, _Type.CERTREQ: _ANY}, notifies_alone=True)

# By a ticket in a notify (RFC 5723 4.3.2). Notifies alone: COOKIE, TICKET_NACK.
_RESUME_REQUEST = Rule({_Type.NONCE: _ONE, _Type.NOTIFY: _ANY, _Type.VENDOR_ID: _ANY})
_RESUME_RESPONSE = Rule(_RESUME_REQUEST.counts, notifies_alone=True)

# AUTH is missing in a request that wants EAP (RFC 7296 2.16), SA and TS in one without a child (RFC 6023).
_FIRST_AUTH_REQUEST = Rule(
    {
        _Type.ID_I: _ONE,
        _Type.CERT: _ANY,
        _Type.CERTREQ: _ANY,
        _Type.ID_R: _MAYBE,
        _Type.AUTH: _MAYBE,
        _Type.CP: _MAYBE,
        _Type.SA: _MAYBE,
        _Type.TS_I: _MAYBE,
        _Type.TS_R: _MAYBE,
        _Type.NOTIFY: _ANY,
        _Type.VENDOR_ID: _ANY,
    },
    together=(_Type.SA, _Type.TS_I, _Type.TS_R),
)
_ROUND = {_Type.AUTH: _MAYBE, _Type.EAP: _MAYBE, _Type.NOTIFY: _ANY, _Type.VENDOR_ID: _ANY}
# The identity and certificates of a further authentication (RFC 4739 2).
_LATER_AUTH_REQUEST = Rule({**_ROUND, _Type.ID_I: _MAYBE, _Type.CERT: _ANY, _Type.CERTREQ: _ANY})

# What a response has besides in the first round, and what in the last one. SA and TS are missing where only
# the CHILD_SA failed (RFC 7296 2.21.2).
_IDENTITY = {_Type.ID_R: _ONE, _Type.CERT: _ANY}
_GRANTED = {_Type.CP: _MAYBE, _Type.SA: _MAYBE, _Type.TS_I: _MAYBE, _Type.TS_R: _MAYBE}
_PROVEN = {_Type.AUTH: _ONE, _Type.EAP: (0, 0)}
# Of a further authentication, which may be the initiator's alone (RFC 4739).
_FURTHER = {_Type.ID_R: _MAYBE, _Type.CERT: _ANY}
_FURTHER_PROVEN = {_Type.EAP: (0, 0)}


def _auth_response(counts: dict[PayloadType, tuple[int, int]]) -> Rule:
    return Rule(_ROUND | counts, together=(_Type.SA, _Type.TS_I, _Type.TS_R), notifies_alone=True)


# What it is for, other specifications say: a further key exchange (RFC 9370 2.2.2), notifies.
_INTERMEDIATE_REQUEST = Rule({_Type.KE: _MAYBE, _Type.NOTIFY: _ANY, _Type.VENDOR_ID: _ANY})
_INTERMEDIATE_RESPONSE = Rule(_INTERMEDIATE_REQUEST.counts, notifies_alone=True)

# Without TS it rekeys the IKE SA (RFC 7296 1.3.2).
_CHILD_REQUEST = Rule(
    {
        _Type.SA: _ONE,
        _Type.NONCE: _ONE,
        _Type.KE: _MAYBE,
        _Type.TS_I: _MAYBE,
        _Type.TS_R: _MAYBE,
        _Type.CP: _MAYBE,
        _Type.NOTIFY: _ANY,
        _Type.VENDOR_ID: _ANY,
    },
    together=(_Type.TS_I, _Type.TS_R),
)
_CHILD_RESPONSE = Rule(_CHILD_REQUEST.counts, together=_CHILD_REQUEST.together, notifies_alone=True)

# What it continues, a notify says: ADDITIONAL_KEY_EXCHANGE (RFC 9370 2.2.4).
_FOLLOWUP_REQUEST = Rule({_Type.KE: _ONE, _Type.NOTIFY: _ANY, _Type.VENDOR_ID: _ANY})
_FOLLOWUP_RESPONSE = Rule(_FOLLOWUP_REQUEST.counts, notifies_alone=True)

_INFORMATIONAL = Rule(
    {_Type.NOTIFY: _ANY, _Type.DELETE: _ANY, _Type.CP: _MAYBE, _Type.VENDOR_ID: _ANY},
)

# One Encrypted payload and nothing beside it (a fragment of one counts as one).
_SEALED = Rule({_Type.SK: _ONE})

# Notifies alone answer a message of an IKE SA that the sender does not know, or tell of ESP with an unknown
# SPI (RFC 7296 1.5, 2.21.4).
_SEALED_OR_NOTIFIES = Rule(_SEALED.counts, notifies_alone=True)

# (exchange, whether it is a response) -> the rule for the message itself
_UNPROTECTED: dict[tuple[int, bool], Rule] = {
    (ExchangeType.IKE_SA_INIT, False): _INIT_REQUEST,
    (ExchangeType.IKE_SA_INIT, True): _INIT_RESPONSE,
    (ExchangeType.IKE_SESSION_RESUME, False): _RESUME_REQUEST,
    (ExchangeType.IKE_SESSION_RESUME, True): _RESUME_RESPONSE,
    (ExchangeType.IKE_INTERMEDIATE, False): _SEALED,
    (ExchangeType.IKE_INTERMEDIATE, True): _SEALED_OR_NOTIFIES,
    (ExchangeType.IKE_AUTH, False): _SEALED,
    (ExchangeType.IKE_AUTH, True): _SEALED_OR_NOTIFIES,
    (ExchangeType.CREATE_CHILD_SA, False): _SEALED,
    (ExchangeType.CREATE_CHILD_SA, True): _SEALED_OR_NOTIFIES,
    (ExchangeType.IKE_FOLLOWUP_KE, False): _SEALED,
    (ExchangeType.IKE_FOLLOWUP_KE, True): _SEALED_OR_NOTIFIES,
    (ExchangeType.INFORMATIONAL, False): _SEALED_OR_NOTIFIES,
    (ExchangeType.INFORMATIONAL, True): _SEALED_OR_NOTIFIES,
}

# (exchange, whether it is a response) -> the rule inside its Encrypted payload; IKE_SA_INIT has none, and
# IKE_AUTH the two tables below
_PROTECTED: dict[tuple[int, bool], Rule] = {
    (ExchangeType.IKE_INTERMEDIATE, False): _INTERMEDIATE_REQUEST,
    (ExchangeType.IKE_INTERMEDIATE, True): _INTERMEDIATE_RESPONSE,
    (ExchangeType.CREATE_CHILD_SA, False): _CHILD_REQUEST,
    (ExchangeType.CREATE_CHILD_SA, True): _CHILD_RESPONSE,
    (ExchangeType.IKE_FOLLOWUP_KE, False): _FOLLOWUP_REQUEST,
    (ExchangeType.IKE_FOLLOWUP_KE, True): _FOLLOWUP_RESPONSE,
    (ExchangeType.INFORMATIONAL, False): _INFORMATIONAL,
    (ExchangeType.INFORMATIONAL, True): _INFORMATIONAL,
}


@dataclass(frozen=True, slots=True)
class Round:
    """Which round of IKE_AUTH a message belongs to. A pre-shared key needs one, the first and last at once.

    `last`: None while nobody knows, as the method of authentication has not seen the message yet.
    """

    first: bool
    last: bool | None = None


FIRST_ROUND = Round(first=True)

# Whether it is the first round -> the rule of its request: which round is the last, its response says.
_AUTH_REQUESTS: dict[bool, Rule] = {True: _FIRST_AUTH_REQUEST, False: _LATER_AUTH_REQUEST}
_AUTH_RESPONSES: dict[Round, Rule] = {
    FIRST_ROUND: _auth_response(_IDENTITY | _GRANTED),
    Round(first=True, last=False): _auth_response(_IDENTITY),
    Round(first=True, last=True): _auth_response(_IDENTITY | _GRANTED | _PROVEN),
    Round(first=False): _auth_response(_GRANTED | _FURTHER),
    Round(first=False, last=False): _auth_response(_FURTHER),
    Round(first=False, last=True): _auth_response(_GRANTED | _FURTHER | _FURTHER_PROVEN),
}


def check(
    header: IkeHeader, payloads: Sequence[Payload], protected: bool, round: Round = FIRST_ROUND
) -> None:
    """Check a message's payloads, or those inside its Encrypted payload (`protected`), against the tables.

    `round`: of an IKE_AUTH message (RFC 7296 2.16); others don't look at it.

    Payloads of unknown types are ignored unless they are critical. Raises PeerError: the notify is
    UNSUPPORTED_CRITICAL_PAYLOAD or INVALID_SYNTAX, fatal where that ends an IKE SA (RFC 7296 2.21.2, 2.21.3).
    """
    _refuse_critical(header, payloads, protected)
    rule = _rule(header, protected, round)
    problem = f"exchange {header.exchange}" if rule is None else _problem(rule, _count(payloads))
    if problem:
        raise PeerError(NotifyType.INVALID_SYNTAX, problem, fatal=protected)


def _rule(header: IkeHeader, protected: bool, round: Round) -> Rule | None:
    if protected and header.exchange == ExchangeType.IKE_AUTH:
        return _AUTH_RESPONSES[round] if header.is_response else _AUTH_REQUESTS[round.first]
    return (_PROTECTED if protected else _UNPROTECTED).get((header.exchange, header.is_response))


def _refuse_critical(header: IkeHeader, payloads: Iterable[Payload], protected: bool) -> None:
    for payload in payloads:
        if isinstance(payload, UnknownPayload) and payload.critical:
            raise PeerError(
                NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
                f"critical payload of unknown type {payload.type}",
                fatal=protected and header.exchange == ExchangeType.IKE_AUTH,
                data=bytes([payload.type]),
            )


def _count(payloads: Iterable[Payload]) -> Counter[PayloadType]:
    types = (payload.type for payload in payloads if not isinstance(payload, UnknownPayload))
    return Counter(PayloadType.SK if type == PayloadType.SKF else type for type in types)


def _problem(rule: Rule, found: Counter[PayloadType]) -> str:
    """The first violation as text, "" if there is none."""
    if rule.notifies_alone and found.keys() - {PayloadType.VENDOR_ID} == {PayloadType.NOTIFY}:
        return ""
    for type in found:
        if type not in rule.counts:
            return f"a payload {type.name} where none may stand"
    for type, (least, most) in rule.counts.items():
        if not least <= found[type] <= most:
            return f"{found[type]} payloads {type.name}"
    if len({type in found for type in rule.together}) > 1:
        return "only some of the payloads " + ", ".join(type.name for type in rule.together)
    return ""
