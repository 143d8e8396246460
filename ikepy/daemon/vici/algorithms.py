"""strongSwan's names of algorithms: those of a chosen proposal (`list-sas`), and all that there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ikepy.crypto.algorithms import ESP_AEAD, ESP_CIPHERS, SUPPORTED_ENCR, SUPPORTED_INTEG, SUPPORTED_PRF
from ikepy.daemon.vici.message import Value
from ikepy.sa.negotiation.proposals import group_name, transform
from ikepy.wire.constants import Encr, Esn, Integ, KeGroup, Prf, TransformType
from ikepy.wire.proposal import Proposal

SOURCE = "ikepy"  # where strongSwan names the plugin that has an algorithm
AEAD = re.compile("_GCM_|_CCM_|_GMAC|POLY1305")


def algorithms_of(proposal: Proposal) -> Iterator[tuple[str, str]]:
    """The keys and values of the algorithms of a chosen proposal; key sizes in bits."""
    encr = transform(proposal, TransformType.ENCR)
    if encr is not None:
        yield "encr-alg", Encr(encr.id).label
        if encr.key_length:
            yield "encr-keysize", str(encr.key_length)
    integ = transform(proposal, TransformType.INTEG)
    if integ is not None:
        yield "integ-alg", Integ(integ.id).name
    prf = transform(proposal, TransformType.PRF)
    if prf is not None:
        yield "prf-alg", f"PRF_{Prf(prf.id).name}"
    group = transform(proposal, TransformType.KE)
    if group is not None:
        yield "dh-group", group_of(group.id)
    esn = transform(proposal, TransformType.ESN)
    if esn is not None and esn.id == Esn.ESN:
        yield "esn", "1"


def group_of(group: int) -> str:
    """ "ECP_256_BP" for brainpoolP256r1 (RFC 6954); other groups have the same name here and there."""
    return re.sub(r"^BRAINPOOL_(\d+)$", r"ECP_\1_BP", group_name(group))


def all_algorithms() -> dict[str, Value]:
    """The answer of `get-algorithms`: by kind, each with what implements it."""
    numbers = {number for number, _ in SUPPORTED_ENCR} | ESP_CIPHERS | ESP_AEAD
    ciphers = [Encr(number).label for number in sorted(numbers)]
    groups = [group_of(group) for group in KeGroup if group is not KeGroup.NONE]
    return {
        "encryption": _from_us(name for name in ciphers if not AEAD.search(name)),
        "integrity": _from_us(Integ(number).name for number in sorted(SUPPORTED_INTEG)),
        "aead": _from_us(name for name in ciphers if AEAD.search(name)),
        "hasher": {},
        "prf": _from_us(f"PRF_{Prf(number).name}" for number in sorted(SUPPORTED_PRF)),
        "xof": {},
        "kdf": {},
        "drbg": {},
        "dh": _from_us(groups),
        "rng": {},
        "nonce-gen": {},
    }


def _from_us(names: Iterable[str]) -> dict[str, Value]:
    return dict.fromkeys(names, SOURCE)
