"""Selects a proposal, and checks the peer's selection (RFC 7296 2.7 and 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from ikepy.wire.constants import Encr, Esn, Integ, KeGroup, Prf, TransformType
from ikepy.wire.proposal import Proposal, Transform

# What an omitted transform type means (RFC 7296 3.3.3; older peers omit ESN where they mean "no").
_IMPLIED = {
    TransformType.ESN: int(Esn.NO_ESN),
    TransformType.KE: int(KeGroup.NONE),
    TransformType.INTEG: int(Integ.NONE),
}


def by_type(proposal: Proposal) -> dict[int, list[Transform]]:
    """The transforms of each type, in their order of preference."""
    types: dict[int, list[Transform]] = {}
    for transform in proposal.transforms:
        types.setdefault(transform.type, []).append(transform)
    return types


def without_ke(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """Strip KE transforms: the CHILD_SA of IKE_AUTH has no key exchange of its own (RFC 7296 1.2)."""
    return tuple(
        replace(p, transforms=tuple(t for t in p.transforms if t.type != TransformType.KE)) for p in proposals
    )


def numbered(proposals: Iterable[Proposal], spi: bytes) -> tuple[Proposal, ...]:
    """The proposals as they are offered: numbered from 1, with our SPI."""
    return tuple(replace(p, number=n, spi=spi) for n, p in enumerate(proposals, 1))


def select(ours: Sequence[Proposal], theirs: Sequence[Proposal]) -> Proposal | None:
    """Select the first of `ours` that matches one of `theirs`, with one transform per offered type.

    The number and the SPI are those of the offer. None if nothing matches.
    """
    for mine in ours:
        for offer in theirs:
            if mine.protocol != offer.protocol:
                continue
            transforms = _common(by_type(mine), by_type(offer))
            if transforms is not None:
                return replace(offer, transforms=transforms)
    return None


def _common(
    mine: dict[int, list[Transform]], offer: dict[int, list[Transform]]
) -> tuple[Transform, ...] | None:
    chosen: list[Transform] = []
    for type in sorted(mine.keys() | offer.keys()):
        implied = _IMPLIED.get(TransformType(type)) if type in _IMPLIED else None
        wanted = mine.get(type) or ([] if implied is None else [Transform(type, implied)])
        offered = offer.get(type)
        if offered is None:
            if not any(t.id == implied for t in wanted):
                return None
            continue
        transform = next((t for t in wanted if t in offered), None)
        if transform is None:
            return None
        chosen.append(transform)
    return tuple(chosen)


def acceptable_choice(chosen: Sequence[Proposal], offered: Sequence[Proposal]) -> Proposal | None:
    """The peer's choice if we offered it, else None: it is one proposal with one transform per type."""
    if len(chosen) != 1:
        return None
    choice = chosen[0]
    offer = next((p for p in offered if p.number == choice.number and p.protocol == choice.protocol), None)
    if offer is None:
        return None
    types, choices = by_type(offer), by_type(choice)
    if any(
        len(transforms) != 1 or transforms[0] not in types.get(t, ()) for t, transforms in choices.items()
    ):
        return None
    missing = types.keys() - choices.keys()
    if any(not _may_be_left_out(types[t]) for t in missing):
        return None
    return choice


def _may_be_left_out(transforms: Sequence[Transform]) -> bool:
    return any(t.type in _IMPLIED and t.id == _IMPLIED[TransformType(t.type)] for t in transforms)


def transform(proposal: Proposal, type: TransformType) -> Transform | None:
    """The chosen transform of a type; None if there is none, or its ID is NONE."""
    for found in proposal.transforms:
        if found.type == type:
            return None if found.id == 0 and type in (TransformType.KE, TransformType.INTEG) else found
    return None


def key_exchanges(proposal: Proposal) -> tuple[int, ...]:
    """The key exchange methods that a chosen proposal asks for, in order; none for a child without PFS.

    The first one's public values go into the KE payloads of the exchange that negotiates it.
    """
    found = transform(proposal, TransformType.KE)
    return () if found is None else (found.id,)


def first_key_exchange(proposal: Proposal) -> int | None:
    """The one that the exchange which negotiates the proposal has room for; None if there is none."""
    return next(iter(key_exchanges(proposal)), None)


def groups(proposals: Iterable[Proposal]) -> frozenset[int]:
    """All proposed key exchange methods, NONE (0) included."""
    return frozenset(t.id for p in proposals for t in p.transforms if t.type == TransformType.KE)


def group_name(group: int) -> str:
    """ "ECP_256", or "none"; the number of an unknown group."""
    return _transform_text(Transform(TransformType.KE, group)) if group else "none"


def key_exchange_names(proposals: Iterable[Proposal]) -> str:
    """For the log: "CURVE_25519, ECP_256", or "no key exchange"."""
    transforms = [t for p in proposals for t in p.transforms if t.type == TransformType.KE]
    names = dict.fromkeys(_transform_text(t) for t in transforms if t.id != KeGroup.NONE)
    return ", ".join(names) or "no key exchange"


def describe(proposal: Proposal) -> str:
    """A suite in charon's notation and order: AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/..."""
    return _describe(proposal.transforms)


@lru_cache(64)
def _describe(transforms: tuple[Transform, ...]) -> str:
    return "/".join(_transform_text(t) for t in sorted(transforms, key=_place))


# In charon's order.
_NAMES = {
    TransformType.ENCR: Encr,
    TransformType.INTEG: Integ,
    TransformType.PRF: Prf,
    TransformType.KE: KeGroup,
    TransformType.ESN: Esn,
}


def _place(t: Transform) -> int:
    return list(_NAMES).index(TransformType(t.type)) if t.type in _NAMES else len(_NAMES)


def _transform_text(t: Transform) -> str:
    try:
        name = _NAMES[TransformType(t.type)](t.id).name
    except ValueError:
        name = f"{t.type}({t.id})"
    if t.type == TransformType.PRF:
        name = f"PRF_{name}"
    return name if t.key_length is None else f"{name}_{t.key_length}"
