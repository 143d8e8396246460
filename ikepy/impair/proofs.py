"""Impairments of IKE_AUTH: proofs, identities, the first child (RFC 7296 1.2, 2.15)."""

from __future__ import annotations

from ikepy.impair.draft import Draft
from ikepy.impair.impairment import Impairment, Number, Stages, of_requests
from ikepy.wire.constants import ExchangeType, PayloadType

CHILD = (PayloadType.SA, PayloadType.TS_I, PayloadType.TS_R)


def spoil_auth(draft: Draft) -> None:
    for part in draft.of_type(PayloadType.AUTH):
        part.body = part.body[:-1] + bytes([part.body[-1] ^ 0xFF])


def auth_method(draft: Draft, method: int) -> None:
    for part in draft.of_type(PayloadType.AUTH):
        part.body = bytes([method]) + part.body[1:]


def identity(draft: Draft) -> None:
    """Another identity than AUTH covers."""
    for part in draft.of_type(PayloadType.ID_I, PayloadType.ID_R):
        part.body = part.body[:-1] + bytes([part.body[-1] ^ 0x01])


def reserved_in_identity(draft: Draft) -> None:
    for part in draft.of_type(PayloadType.ID_I, PayloadType.ID_R):
        part.body = part.body[:1] + b"\x01\x02\x03" + part.body[4:]


def without_child(draft: Draft) -> None:
    if draft.within(ExchangeType.IKE_AUTH):
        draft.drop(draft.of_type(*CHILD))


IMPAIRMENTS = (
    Impairment(
        "corrupt-auth",
        "sends a wrong AUTH",
        "2.15",
        lambda _: Stages(message=spoil_auth),
    ),
    Impairment(
        "force-v2-auth-method",
        "names another method of authentication than it uses",
        "3.8",
        lambda method: Stages(message=lambda draft: auth_method(draft, method)),
        Number(0, 255, "the method", 1),
        libreswan=True,
    ),
    Impairment(
        "wrong-identity",
        "names another identity than AUTH covers",
        "2.15",
        lambda _: Stages(message=identity),
    ),
    Impairment(
        "reserved-outside-auth",
        "writes into the reserved field of its identity, and leaves that out of AUTH",
        "2.15",
        lambda _: Stages(message=reserved_in_identity),
    ),
    Impairment(
        "send-no-idr",
        "leaves out IDr as initiator",
        "3.5",
        lambda _: of_requests(lambda draft: draft.drop(draft.of_type(PayloadType.ID_R))),
        libreswan=True,
    ),
    Impairment(
        "omit-v2-ike-auth-child",
        "leaves the child out of IKE_AUTH",
        "1.2",
        lambda _: Stages(message=without_child),
        libreswan=True,
    ),
)
