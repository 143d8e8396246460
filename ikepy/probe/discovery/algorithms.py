"""The transforms that are asked for: all that IANA lists for IKEv2, also those that ikepy can't negotiate.

Sources: IANA's registry "IKEv2 Parameters", transform types 1 to 4 (RFC 7296 3.3.2, 8247, 9370, 9385). What
is for ESP or AH alone (implicit IVs, AES-GMAC) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from ikepy.dissect import names
from ikepy.wire.constants import Encr, TransformType
from ikepy.wire.proposal import Transform

_AEADS = frozenset({14, 15, 16, 18, 19, 20, 25, 26, 27, 28, 32, 33})
ENCR, PRF, INTEG, KE = (TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.KE)
ADDKE = TransformType.ADDKE1
ASKED = (KE, ENCR, PRF, INTEG, ADDKE)  # in this order
TITLES = {
    ENCR: "encryption",
    PRF: "PRF",
    INTEG: "integrity",
    KE: "key exchange",
    ADDKE: "additional key exchange",
}


def _keyed(ids: Iterable[int], sizes: Iterable[int] = (256, 192, 128)) -> list[Transform]:
    return [Transform(ENCR, one, bits) for one in ids for bits in sizes]


# Those that are accepted together stand together, so that few questions separate them from the others.
ENCRYPTION = (
    *_keyed([Encr.AES_GCM_16]),
    Transform(ENCR, Encr.CHACHA20_POLY1305),
    *_keyed([Encr.AES_CBC]),
    Transform(ENCR, Encr.TRIPLE_DES_CBC),
    *_keyed([Encr.AES_GCM_12, Encr.AES_GCM_8]),
    *_keyed([Encr.AES_CCM_16, Encr.AES_CCM_12, Encr.AES_CCM_8]),
    *_keyed([Encr.AES_CTR, Encr.CAMELLIA_CBC]),
    *_keyed([24], (256, 128)),
    *_keyed([25, 26, 27], (256, 128)),
    *(Transform(ENCR, one) for one in (2, 1, 9, 5, 8, Encr.NULL, 32, 33)),
    *_keyed([7, 6, 4], (128,)),
)
PRFS = tuple(Transform(PRF, one) for one in (5, 6, 7, 2, 8, 4, 1, 3, 9))
INTEGRITY = tuple(Transform(INTEG, one) for one in (12, 13, 14, 2, 8, 5, 7, 1, 6, 3, 4))
_GROUP_IDS = (
    *(31, 19, 20, 21, 14, 15, 16, 17, 18, 32, 28, 29, 30, 36, 37, 35, 5, 2),
    *(24, 23, 22, 1, 27, 26, 25, 33, 34),  # hardly anywhere
)
GROUPS = tuple(Transform(KE, one) for one in _GROUP_IDS)
CANDIDATES: dict[TransformType, tuple[Transform, ...]] = {
    ENCR: ENCRYPTION,
    PRF: PRFS,
    INTEG: INTEGRITY,
    KE: GROUPS,
    # RFC 9370: what makes sense beside a classical key exchange.
    ADDKE: tuple(Transform(ADDKE, one) for one in (36, 37, 35, 31, 32, 19, 20, 21)),
}


def combined(transform: Transform) -> bool:
    """Whether an encryption algorithm is an AEAD, which needs no integrity algorithm."""
    return transform.id in _AEADS


def name(transform: Transform) -> str:
    """The registry's name without its prefix, and the key length: "AES_GCM_16_256", "PRF_HMAC_SHA2_256"."""
    match transform.type:
        case TransformType.ENCR:
            text = names.ENCRYPTION.get(transform.id, f"ENCR_{transform.id}")
        case TransformType.PRF:
            text = "PRF_" + names.PRFS.get(transform.id, str(transform.id))
        case TransformType.INTEG:
            text = names.INTEGRITY.get(transform.id, f"INTEG_{transform.id}")
        case TransformType.ESN:
            text = "ESN" if transform.id else "NO_ESN"
        case _:
            text = group_name(transform.id)
    return text if transform.key_length is None else f"{text}_{transform.key_length}"


def group_name(group: int) -> str:
    """The name of a key exchange method."""
    return names.GROUPS.get(group, f"KE_{group}")
