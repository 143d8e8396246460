"""Impairments of proposals, offered and chosen (RFC 7296 2.7, 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ikepy.errors import WireError
from ikepy.impair.draft import Draft, Part
from ikepy.impair.impairment import Impairment, Number, Stages, of_responses
from ikepy.impair.payloads import PROTOCOL
from ikepy.wire.constants import Encr, PayloadType, ProtocolId, TransformType
from ikepy.wire.payloads import SaPayload
from ikepy.wire.proposal import Proposal, Transform
from ikepy.wire.reader import Reader

TRANSFORM = Number(0, 0xFF_FFFF, "type << 16 | ID, as 0x3ffff", 0x3FFFF)
KEY_LENGTH = Number(0, 65535, "bits", 77)


def read_sa(part: Part) -> SaPayload | None:
    """The proposals of an SA payload; None if another impairment has spoilt them."""
    try:
        return SaPayload.decode(Reader(part.body))
    except WireError:
        return None


def proposals(draft: Draft, change: Callable[[Proposal], Proposal], *protocols: ProtocolId) -> None:
    """Change each proposal of these protocols."""
    for part in draft.of_type(PayloadType.SA):
        sa = read_sa(part)
        if sa is not None:
            changed = (change(one) if one.protocol in protocols else one for one in sa.proposals)
            part.body = SaPayload(tuple(changed)).encode()


def both(draft: Draft, change: Callable[[Proposal], Proposal]) -> None:
    proposals(draft, change, ProtocolId.IKE, ProtocolId.ESP)


def with_transform(proposal: Proposal, code: int) -> Proposal:
    added = Transform(code >> 16, code & 0xFFFF)
    return replace(proposal, transforms=(*proposal.transforms, added))


def with_key_length(proposal: Proposal, bits: int) -> Proposal:
    changed = (
        replace(one, key_length=bits) if one.type == TransformType.ENCR else one
        for one in proposal.transforms
    )
    return replace(proposal, transforms=tuple(changed))


def not_offered(proposal: Proposal) -> Proposal:
    """An algorithm that nobody offers, so that the peer must notice."""
    changed = (
        Transform(one.type, Encr.TRIPLE_DES_CBC) if one.type == TransformType.ENCR else one
        for one in proposal.transforms
    )
    return replace(proposal, transforms=tuple(changed))


def twice_the_type(proposal: Proposal) -> Proposal:
    """Two transforms of one type, where one is to be chosen."""
    return replace(proposal, transforms=(*proposal.transforms, proposal.transforms[0]))


def reserved_in_proposals(draft: Draft) -> None:
    for part in draft.of_type(PayloadType.SA):
        part.body = part.body[:1] + b"\x01" + part.body[2:]


def spi_of_child(proposal: Proposal) -> Proposal:
    return replace(proposal, spi=bytes(one ^ 0x5A for one in proposal.spi))


IMPAIRMENTS = (
    Impairment(
        "proposal-not-offered",
        "chooses an algorithm that was not offered",
        "2.7",
        lambda _: of_responses(lambda draft: both(draft, not_offered)),
    ),
    Impairment(
        "two-transforms-chosen",
        "chooses two transforms of one type",
        "2.7",
        lambda _: of_responses(lambda draft: both(draft, twice_the_type)),
    ),
    Impairment(
        "wrong-proposal-number",
        "gives proposals other numbers: its own do not begin with 1, and it answers another than it chose",
        "3.3.1",
        lambda by: Stages(
            message=lambda draft: both(draft, lambda one: replace(one, number=(one.number + by) % 256))
        ),
        Number(1, 255, "by which the number is too large", 7),
    ),
    Impairment(
        "v2_proposal_protoid",
        "names another protocol in its proposals",
        "3.3.1",
        lambda protocol: Stages(
            message=lambda draft: both(draft, lambda one: replace(one, protocol=protocol))
        ),
        PROTOCOL,
        libreswan=True,
    ),
    Impairment(
        "ikev2-add-ike-transform",
        "adds a transform to its IKE proposals",
        "3.3.2",
        lambda code: Stages(
            message=lambda draft: proposals(draft, lambda one: with_transform(one, code), ProtocolId.IKE)
        ),
        TRANSFORM,
        libreswan=True,
    ),
    Impairment(
        "ikev2-add-child-transform",
        "adds a transform to its ESP proposals",
        "3.3.2",
        lambda code: Stages(
            message=lambda draft: proposals(draft, lambda one: with_transform(one, code), ProtocolId.ESP)
        ),
        TRANSFORM,
        libreswan=True,
    ),
    Impairment(
        "ike-key-length-attribute",
        "writes another key length into its IKE proposals",
        "3.3.5",
        lambda bits: Stages(
            message=lambda draft: proposals(draft, lambda one: with_key_length(one, bits), ProtocolId.IKE)
        ),
        KEY_LENGTH,
        libreswan=True,
    ),
    Impairment(
        "child-key-length-attribute",
        "writes another key length into its ESP proposals",
        "3.3.5",
        lambda bits: Stages(
            message=lambda draft: proposals(draft, lambda one: with_key_length(one, bits), ProtocolId.ESP)
        ),
        KEY_LENGTH,
        libreswan=True,
    ),
    Impairment(
        "send-nonzero-reserved",
        "writes into a reserved field of its proposals",
        "3.3.1",
        lambda _: Stages(message=reserved_in_proposals),
        libreswan=True,
    ),
    Impairment(
        "wrong-child-spi",
        "names another SPI in its ESP proposals than it accepts packets under",
        "3.3.1",
        lambda _: Stages(message=lambda draft: proposals(draft, spi_of_child, ProtocolId.ESP)),
    ),
)
