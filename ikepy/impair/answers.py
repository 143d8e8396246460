"""Impairments of refusals and deletes (RFC 7296 1.4, 2.7, 2.21)."""

from __future__ import annotations

from ikepy.impair.draft import Draft, Part
from ikepy.impair.impairment import Impairment, Stages, Word, of_responses
from ikepy.impair.payloads import PROTOCOL
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import DeletePayload


def delete_protocol(draft: Draft, protocol: int) -> None:
    for part in draft.of_type(PayloadType.DELETE):
        part.body = bytes([protocol]) + part.body[1:]


def delete_other(draft: Draft) -> None:
    """Delete children by SPIs that nobody has."""
    for part in draft.of_type(PayloadType.DELETE):
        if part.body[0] == ProtocolId.ESP:
            part.body = part.body[:4] + bytes(one ^ 0xFF for one in part.body[4:])


def delete_ike_too(draft: Draft) -> None:
    """Whoever deletes a child deletes the IKE_SA with it."""
    if draft.request and any(part.body[0] == ProtocolId.ESP for part in draft.of_type(PayloadType.DELETE)):
        draft.parts = [Part.of(DeletePayload(ProtocolId.IKE, ()))]


def no_delete(draft: Draft) -> None:
    draft.drop(draft.of_type(PayloadType.DELETE))


def refuse(notify: NotifyType, *exchanges: ExchangeType) -> Stages:
    """Refuse whatever one of these exchanges asks for."""
    return of_responses(lambda draft: draft.refuse(notify) if draft.within(*exchanges) else None)


def fail_sas(draft: Draft) -> None:
    """An IKE_SA is refused in IKE_SA_INIT already."""
    if draft.of_type(PayloadType.SA):
        draft.refuse(NotifyType.NO_PROPOSAL_CHOSEN)


def answer_informational(draft: Draft) -> None:
    """An answer to an empty request is to be empty."""
    if draft.within(ExchangeType.INFORMATIONAL) and not draft.parts:
        draft.refuse(NotifyType.INVALID_SYNTAX)


IMPAIRMENTS = (
    Impairment(
        "sa-creation",
        "refuses each IKE_SA and child with NO_PROPOSAL_CHOSEN",
        "2.7",
        lambda _: of_responses(fail_sas),
        libreswan=True,
    ),
    Impairment(
        "refuse-rekeys",
        "refuses whatever CREATE_CHILD_SA asks for",
        "2.8",
        lambda notify: refuse(NotifyType(notify), ExchangeType.CREATE_CHILD_SA),
        Word(
            {
                one.name: int(one)
                for one in (
                    NotifyType.NO_ADDITIONAL_SAS,
                    NotifyType.TEMPORARY_FAILURE,
                    NotifyType.CHILD_SA_NOT_FOUND,
                    NotifyType.INVALID_SYNTAX,
                )
            },
            "NO_ADDITIONAL_SAS",
        ),
    ),
    Impairment(
        "refuse-empty-informational",
        "answers an empty INFORMATIONAL request with an error",
        "1.4",
        lambda _: of_responses(answer_informational),
    ),
    Impairment(
        "send-no-delete",
        "leaves Delete payloads out of its messages",
        "1.4.1",
        lambda _: Stages(message=no_delete),
        libreswan=True,
    ),
    Impairment(
        "v2_delete_protoid",
        "names another protocol in Delete payloads",
        "3.11",
        lambda protocol: Stages(message=lambda draft: delete_protocol(draft, protocol)),
        PROTOCOL,
        libreswan=True,
    ),
    Impairment(
        "delete-unknown-spi",
        "deletes children by SPIs that nobody has",
        "1.4.1",
        lambda _: Stages(message=delete_other),
    ),
    Impairment(
        "delete-ike-with-child",
        "deletes the IKE_SA where it is to delete a child",
        "1.4.1",
        lambda _: Stages(message=delete_ike_too),
    ),
)
