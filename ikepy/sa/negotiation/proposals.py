"""Selects a proposal, and checks the peer's selection (RFC 7296 2.7 and 3.3, RFC 9370 2.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from ikepy.crypto.kex import selection
from ikepy.wire.constants import (
    ADDITIONAL_KEY_EXCHANGES,
    ML_KEM,
    Encr,
    Esn,
    Integ,
    KeGroup,
    Prf,
    TransformType,
)
from ikepy.wire.proposal import Proposal, Transform

# What an omitted transform type means (RFC 7296 3.3.3; older peers omit ESN where they mean "no").
_IMPLIED = {
    TransformType.ESN: int(Esn.NO_ESN),
    TransformType.KE: int(KeGroup.NONE),
    TransformType.INTEG: int(Integ.NONE),
    **dict.fromkeys(ADDITIONAL_KEY_EXCHANGES, int(KeGroup.NONE)),
}
_KEY_EXCHANGES = (TransformType.KE, *ADDITIONAL_KEY_EXCHANGES)  # in the order in which they are done


def by_type(proposal: Proposal) -> dict[int, list[Transform]]:
    """The transforms of each type, in their order of preference."""
    types: dict[int, list[Transform]] = {}
    for transform in proposal.transforms:
        types.setdefault(transform.type, []).append(transform)
    return types


def without_ke(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """Strip key exchanges: the CHILD_SA of IKE_AUTH has none of its own (RFC 7296 1.2)."""
    return tuple(
        replace(p, transforms=tuple(t for t in p.transforms if t.type not in _KEY_EXCHANGES))
        for p in proposals
    )


def without_additional(proposals: Iterable[Proposal]) -> list[Proposal]:
    """What a peer offers that can't do the exchanges of additional key exchanges (RFC 9370 2.2.1).

    A proposal that insists on one is left out.
    """
    return [
        replace(p, transforms=tuple(t for t in p.transforms if not _is_additional(t)))
        for p in proposals
        if all(_may_be_left_out(one) for t, one in by_type(p).items() if t in ADDITIONAL_KEY_EXCHANGES)
    ]


def _is_additional(t: Transform) -> bool:
    return t.type in ADDITIONAL_KEY_EXCHANGES and t.id != KeGroup.NONE


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
    common: dict[int, list[Transform]] = {}  # by type: what both have, in our order of preference
    for type in sorted(mine.keys() | offer.keys()):
        implied = [Transform(type, _IMPLIED[TransformType(type)])] if type in _IMPLIED else []
        wanted, offered = mine.get(type) or implied, offer.get(type) or implied
        common[type] = [t for t in wanted if t in offered]
        if not common[type]:
            return None
    if not _choose_key_exchanges(common):
        return None
    return tuple(transforms[0] for type, transforms in common.items() if type in offer)


def _choose_key_exchanges(common: dict[int, list[Transform]]) -> bool:
    """Leave one method of each key exchange, no additional one twice; False if that can't be."""
    types = [type for type in ADDITIONAL_KEY_EXCHANGES if type in common]
    if not types:
        return True
    first = [t.id for t in common.get(TransformType.KE, ())] or [int(KeGroup.NONE)]
    chosen = selection.choose(first, [[t.id for t in common[type]] for type in types])
    if chosen is None:
        return False
    for type, method in zip((TransformType.KE, *types), chosen, strict=True):
        common[type] = [t for t in common.get(type, ()) if t.id == method]
    return True


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
    additional = [t.id for t in choice.transforms if _is_additional(t)]
    alone = bool(additional) and transform(choice, TransformType.KE) is None
    return None if alone or len(additional) != len(set(additional)) else choice


def _may_be_left_out(transforms: Sequence[Transform]) -> bool:
    return any(t.type in _IMPLIED and t.id == _IMPLIED[TransformType(t.type)] for t in transforms)


def transform(proposal: Proposal, type: TransformType) -> Transform | None:
    """The chosen transform of a type; None if there is none, or its ID is NONE."""
    for found in proposal.transforms:
        if found.type == type:
            none = found.id == 0 and (type in _KEY_EXCHANGES or type == TransformType.INTEG)
            return None if none else found
    return None


def key_exchanges(proposal: Proposal) -> tuple[int, ...]:
    """The key exchange methods that a chosen proposal asks for, in order; none for a child without PFS.

    The first one's public values go into the KE payloads of the exchange that negotiates it, those of any
    other one into an exchange of its own (RFC 9370 2.2.2, 2.2.4).
    """
    found = (transform(proposal, type) for type in _KEY_EXCHANGES)
    return tuple(one.id for one in found if one is not None)


def has_ml_kem(proposal: Proposal) -> bool:
    """Whether an ML-KEM is among the key exchanges of a chosen proposal."""
    return not ML_KEM.isdisjoint(key_exchanges(proposal))


def has_additional(proposals: Iterable[Proposal]) -> bool:
    """Whether any of the proposals asks for additional key exchanges, perhaps as an option."""
    return any(_is_additional(t) for p in proposals for t in p.transforms)


def first_key_exchange(proposal: Proposal) -> int | None:
    """The one that the exchange which negotiates the proposal has room for; None if there is none."""
    found = transform(proposal, TransformType.KE)
    return None if found is None else found.id


def groups(proposals: Iterable[Proposal]) -> frozenset[int]:
    """All proposed key exchange methods, NONE (0) included."""
    return frozenset(t.id for p in proposals for t in p.transforms if t.type == TransformType.KE)


def group_name(group: int) -> str:
    """ "ECP_256", or "none"; the number of an unknown group."""
    return _transform_text(Transform(TransformType.KE, group)) if group else "none"


def key_exchange_names(proposals: Iterable[Proposal]) -> str:
    """For the log: "CURVE_25519, ECP_256", or "no key exchange"."""
    transforms = [t for p in proposals for t in p.transforms if t.type in _KEY_EXCHANGES]
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
    **dict.fromkeys(ADDITIONAL_KEY_EXCHANGES, KeGroup),
    TransformType.ESN: Esn,
}


def _place(t: Transform) -> int:
    return list(_NAMES).index(TransformType(t.type)) if t.type in _NAMES else len(_NAMES)


def _transform_text(t: Transform) -> str:
    try:
        one = _NAMES[TransformType(t.type)](t.id)
        name = one.label if isinstance(one, Encr) else one.name
    except ValueError:
        name = f"{t.type}({t.id})"
    if t.type == TransformType.PRF:
        name = f"PRF_{name}"
    if t.type in ADDITIONAL_KEY_EXCHANGES and t.type in _NAMES:
        name = f"KE{t.type - TransformType.ADDKE1 + 1}_{name}"
    return name if t.key_length is None else f"{name}_{t.key_length}"
