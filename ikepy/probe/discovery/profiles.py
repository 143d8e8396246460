"""Requirements on algorithms, by the names of the documents they stand in.

RFC 8247 (IKEv2) and RFC 8221 (ESP) say what implementations must have and must not have. BSI TR-02102-3 and
NIST SP 800-77r1 list what may be configured: what they don't list is not approved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ikepy.probe.discovery.algorithms import ENCR, INTEG, KE, PRF
from ikepy.wire.constants import Encr, HashAlgorithm, Integ, KeGroup, Prf
from ikepy.wire.proposal import Transform

HASH = -1  # as a "type": the hash algorithms of RFC 7427, which are no transforms


class Level(Enum):
    """Requirement levels (RFC 8247 1.1). RECOMMENDED and LEGACY are those of the lists."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"
    RECOMMENDED = "recommended"
    LEGACY = "only for a transition"
    SHOULD_NOT = "SHOULD NOT"
    MUST_NOT = "MUST NOT"
    NOT_APPROVED = "not in the list"


REQUIRED = (Level.MUST, Level.SHOULD)
DISCOURAGED = (Level.SHOULD_NOT, Level.LEGACY)
FORBIDDEN = (Level.MUST_NOT, Level.NOT_APPROVED)

Key = tuple[int, int, int | None]  # transform type, ID, key length in bits


@dataclass(frozen=True, slots=True)
class Profile:
    """`levels`: of what is listed; `other`: of all else. `esp`: it is about ESP. `key`: its name on the
    command line.
    """

    key: str
    title: str
    levels: dict[Key, Level]
    other: Level
    esp: bool = False

    def level(self, transform: Transform) -> Level:
        """The level of a transform; one without key length stands for all lengths."""
        exact = self.levels.get((transform.type, transform.id, transform.key_length))
        return exact or self.levels.get((transform.type, transform.id, None)) or self.other

    def required(self) -> Iterable[tuple[Key, Level]]:
        """What an implementation must or should have."""
        return ((key, level) for key, level in self.levels.items() if level in REQUIRED)


def _levels(kind: int, level: Level, ids: Iterable[int], bits: int | None = None) -> dict[Key, Level]:
    return {(kind, int(one), bits): level for one in ids}


_DES_AND_THE_LIKE = (1, 2, 9)

RFC8247 = Profile(
    "rfc8247",
    "RFC 8247 (algorithms of IKEv2)",
    {
        # 2.1
        **_levels(ENCR, Level.MUST, [Encr.AES_CBC], 256),
        **_levels(ENCR, Level.MUST, [Encr.AES_CBC], 128),
        **_levels(ENCR, Level.SHOULD, [Encr.CHACHA20_POLY1305]),
        **_levels(ENCR, Level.SHOULD, [Encr.AES_GCM_16], 256),
        **_levels(ENCR, Level.SHOULD, [Encr.AES_GCM_16], 128),
        **_levels(ENCR, Level.SHOULD, [Encr.AES_CCM_8], 128),
        **_levels(ENCR, Level.MUST_NOT, [*_DES_AND_THE_LIKE, Encr.NULL]),
        # 2.2
        **_levels(
            PRF, Level.MUST, [Prf.HMAC_SHA2_256, Prf.HMAC_SHA1]
        ),  # SHA1 is MUST-: it will be downgraded
        **_levels(PRF, Level.SHOULD, [Prf.HMAC_SHA2_512, Prf.AES128_XCBC]),
        **_levels(PRF, Level.MUST_NOT, [1]),
        # 2.3
        **_levels(INTEG, Level.MUST, [Integ.HMAC_SHA2_256_128, Integ.HMAC_SHA1_96]),
        **_levels(INTEG, Level.SHOULD, [Integ.HMAC_SHA2_512_256, Integ.AES_XCBC_96]),
        **_levels(INTEG, Level.MUST_NOT, [1, 3, 4]),
        # 2.4
        **_levels(KE, Level.MUST, [KeGroup.MODP_2048]),
        **_levels(KE, Level.SHOULD, [KeGroup.ECP_256]),
        **_levels(KE, Level.SHOULD_NOT, [KeGroup.MODP_1536, KeGroup.MODP_1024, 23, 24]),
        **_levels(KE, Level.MUST_NOT, [1, 22]),
        # 3.2
        **_levels(HASH, Level.MUST, [HashAlgorithm.SHA2_256]),
        **_levels(HASH, Level.SHOULD, [HashAlgorithm.SHA2_512]),
        **_levels(HASH, Level.MUST_NOT, [HashAlgorithm.SHA1]),
    },
    Level.MAY,
)

RFC8221 = Profile(
    "rfc8221",
    "RFC 8221 (algorithms of ESP)",
    {
        # 5; ENCR_NULL is a MUST for implementations, which no gateway should be asked to accept.
        **_levels(ENCR, Level.MUST, [Encr.AES_CBC, Encr.AES_GCM_16], 256),
        **_levels(ENCR, Level.MUST, [Encr.AES_CBC, Encr.AES_GCM_16], 128),
        **_levels(ENCR, Level.SHOULD, [Encr.CHACHA20_POLY1305]),
        **_levels(ENCR, Level.SHOULD, [Encr.AES_CCM_8], 128),
        **_levels(ENCR, Level.SHOULD_NOT, [Encr.TRIPLE_DES_CBC]),
        **_levels(ENCR, Level.MUST_NOT, [*_DES_AND_THE_LIKE, 7, 8]),
        # 6
        **_levels(INTEG, Level.MUST, [Integ.HMAC_SHA2_256_128, Integ.HMAC_SHA1_96]),
        **_levels(INTEG, Level.SHOULD, [Integ.HMAC_SHA2_512_256, Integ.AES_XCBC_96]),
        **_levels(INTEG, Level.MUST_NOT, [1, 3, 4]),
    },
    Level.MAY,
    esp=True,
)

_AES_KEYS = (256, 192, 128)
_SHA2_PRFS = [Prf.HMAC_SHA2_256, Prf.HMAC_SHA2_384, Prf.HMAC_SHA2_512]
_SHA2_INTEGS = [Integ.HMAC_SHA2_256_128, Integ.HMAC_SHA2_384_192, Integ.HMAC_SHA2_512_256]
_SHA2_HASHES = [HashAlgorithm.SHA2_256, HashAlgorithm.SHA2_384, HashAlgorithm.SHA2_512]
_NIST_CURVES = [KeGroup.ECP_256, KeGroup.ECP_384, KeGroup.ECP_521]
_BRAINPOOL = [KeGroup.BRAINPOOL_256, KeGroup.BRAINPOOL_384, KeGroup.BRAINPOOL_512]
_ML_KEM = [KeGroup.ML_KEM_768, KeGroup.ML_KEM_1024]


def _aes(level: Level, ids: Iterable[int]) -> dict[Key, Level]:
    made: dict[Key, Level] = {}
    chosen = list(ids)
    for bits in _AES_KEYS:
        made.update(_levels(ENCR, level, chosen, bits))
    return made


BSI = Profile(
    "bsi",
    "BSI TR-02102-3 style (recommended for IKEv2)",
    {
        **_aes(
            Level.RECOMMENDED,
            [Encr.AES_CBC, Encr.AES_CTR, Encr.AES_GCM_16, Encr.AES_GCM_12, Encr.AES_CCM_16, Encr.AES_CCM_12],
        ),
        **_levels(PRF, Level.RECOMMENDED, [*_SHA2_PRFS, Prf.AES128_XCBC, Prf.AES128_CMAC]),
        **_levels(INTEG, Level.RECOMMENDED, [*_SHA2_INTEGS, Integ.AES_XCBC_96, Integ.AES_CMAC_96]),
        **_levels(KE, Level.RECOMMENDED, [KeGroup.MODP_3072, KeGroup.MODP_4096]),
        **_levels(KE, Level.RECOMMENDED, [KeGroup.MODP_6144, KeGroup.MODP_8192]),
        **_levels(KE, Level.RECOMMENDED, [*_NIST_CURVES, *_BRAINPOOL, *_ML_KEM]),
        **_levels(HASH, Level.RECOMMENDED, _SHA2_HASHES),
    },
    Level.NOT_APPROVED,
)

NIST = Profile(
    "nist",
    "NIST SP 800-77r1 style (approved algorithms)",
    {
        **_aes(
            Level.RECOMMENDED,
            [
                *(Encr.AES_CBC, Encr.AES_CTR, Encr.AES_GCM_16, Encr.AES_GCM_12, Encr.AES_GCM_8),
                *(Encr.AES_CCM_16, Encr.AES_CCM_12, Encr.AES_CCM_8),
            ],
        ),
        **_levels(PRF, Level.RECOMMENDED, [*_SHA2_PRFS, Prf.AES128_CMAC]),
        **_levels(PRF, Level.LEGACY, [Prf.HMAC_SHA1]),
        **_levels(INTEG, Level.RECOMMENDED, [*_SHA2_INTEGS, Integ.AES_CMAC_96]),
        **_levels(INTEG, Level.LEGACY, [Integ.HMAC_SHA1_96]),
        **_levels(KE, Level.RECOMMENDED, [*_NIST_CURVES, *_ML_KEM, 35]),
        **_levels(KE, Level.RECOMMENDED, [KeGroup.MODP_3072, KeGroup.MODP_4096]),
        **_levels(KE, Level.RECOMMENDED, [KeGroup.MODP_6144, KeGroup.MODP_8192]),
        **_levels(KE, Level.LEGACY, [KeGroup.MODP_2048]),  # 112 bits: until 2030 (SP 800-57 part 1)
        **_levels(HASH, Level.RECOMMENDED, _SHA2_HASHES),
    },
    Level.NOT_APPROVED,
)

PROFILES = {one.key: one for one in (RFC8247, RFC8221, BSI, NIST)}
