"""The specification's algorithms, and those that take their place today (RFC 8247, RFC 8221).

The peer is configured for the base suite, and behind it for the alternatives that it has. The obsolete
algorithms of the specification are what it must not choose: nobody configures them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ikepy.probe.target import Target, esp_proposal, ike_proposal
from ikepy.probe.verdict import NotApplicable
from ikepy.wire.constants import Encr, Esn, Integ, KeGroup, Prf, TransformType
from ikepy.wire.proposal import Proposal, Transform


@dataclass(frozen=True, slots=True)
class Mapped:
    """One row of the mapping: what the specification says, what is used, and why."""

    specified: str
    used: str
    why: str


MAPPING = (
    Mapped("ENCR_3DES", "ENCR_AES_CBC, 128 bits", "RFC 8247 2.1, RFC 8221 5: AES-CBC is a MUST"),
    Mapped("PRF_HMAC_SHA1", "PRF_HMAC_SHA2_256", "RFC 8247 2.2: a MUST"),
    Mapped("AUTH_HMAC_SHA1_96", "AUTH_HMAC_SHA2_256_128", "RFC 8247 2.3, RFC 8221 6: a MUST"),
    Mapped("group 2", "group 14", "RFC 8247 2.4: group 2 is a SHOULD NOT, group 14 a MUST"),
    Mapped("ENCR_AES_CBC, 128 bits, in place of 3DES", "ENCR_AES_CBC, 256 bits", "AES-CBC 128 is the base"),
    Mapped("PRF_AES128_XCBC", "PRF_HMAC_SHA2_384", "RFC 8247 2.2: XCBC is for small devices"),
    Mapped("AUTH_AES_XCBC_96", "AUTH_HMAC_SHA2_384_192", "RFC 8247 2.3: XCBC is for small devices"),
    Mapped("group 14 in place of group 2", "group 15", "group 14 is the base"),
    Mapped("PRF_HMAC_SHA2_256 in place of SHA1", "PRF_HMAC_SHA2_512", "SHA2-256 is the base"),
    Mapped("AUTH_HMAC_SHA2_256_128 in place of SHA1", "AUTH_HMAC_SHA2_512_256", "SHA2-256 is the base"),
    Mapped("group 24", "group 19", "RFC 8247 2.4: group 24 is a SHOULD NOT, group 19 a SHOULD"),
    Mapped(
        "no integrity algorithm with ENCR_3DES",
        "ENCR_AES_GCM_16",
        "RFC 8221 4: encryption alone is a MUST NOT",
    ),
    Mapped(
        "transforms that the peer has to pass over",
        "ENCR_3DES, SHA1, group 2",
        "obsolete: configured nowhere",
    ),
    Mapped("RSA signatures, AUTH method 1", "method 14, by any key", "RFC 8247 3.2: not with SHA-1"),
)

# Of an IKE_SA: what replaces the base's transform of its type in part A, C, ... of SGW.R.1.1.6.1.
IKE_ALTERNATIVES = {
    "A": Transform(TransformType.ENCR, Encr.AES_CBC, 256),
    "C": Transform(TransformType.PRF, Prf.HMAC_SHA2_384),
    "D": Transform(TransformType.INTEG, Integ.HMAC_SHA2_384_192),
    "E": Transform(TransformType.KE, KeGroup.MODP_3072),
    "F": Transform(TransformType.PRF, Prf.HMAC_SHA2_512),
    "G": Transform(TransformType.INTEG, Integ.HMAC_SHA2_512_256),
    "H": Transform(TransformType.KE, KeGroup.ECP_256),
}
# Of a CHILD_SA, in part A, B, ... of SGW.R.1.1.6.2, in swanctl's words.
ESP_ALTERNATIVES = {
    "A": "aes256-sha256-noesn",
    "B": "aes128ctr-sha256-noesn",
    "C": "null-sha256-noesn",
    "D": "aes128-sha384-noesn",
    "E": "aes128gcm16-noesn",
    "F": "aes128-sha256-esn",
    "G": "aes128-sha512-noesn",
}
# What the peer must pass over, by the type of transform.
UNWANTED_IKE = {
    TransformType.ENCR: Transform(TransformType.ENCR, Encr.TRIPLE_DES_CBC),
    TransformType.PRF: Transform(TransformType.PRF, Prf.HMAC_SHA1),
    TransformType.INTEG: Transform(TransformType.INTEG, Integ.HMAC_SHA1_96),
    TransformType.KE: Transform(TransformType.KE, KeGroup.MODP_1024),
}
UNWANTED_ESP = {
    TransformType.ENCR: Transform(TransformType.ENCR, Encr.TRIPLE_DES_CBC),
    TransformType.INTEG: Transform(TransformType.INTEG, Integ.HMAC_SHA1_96),
    TransformType.ESN: Transform(TransformType.ESN, Esn.ESN),
}
MODP_1024_SIZE = 128  # octets


def base_ike(target: Target, *, number: int = 1, spi: bytes = b"") -> Proposal:
    """The suite of IKE that the peer is configured for."""
    return ike_proposal(target.ike, number, spi)


def base_esp(target: Target, spi: bytes, *, number: int = 1) -> Proposal:
    """The suite of ESP that the peer is configured for."""
    return esp_proposal(target.esp, spi, number)


def replaced(proposal: Proposal, by: Transform, *, number: int | None = None) -> Proposal:
    """The proposal with another transform of one type. `NotApplicable` if it has none of that type."""
    _must_have(proposal, by)
    transforms = tuple(by if one.type == by.type else one for one in proposal.transforms)
    return replace(proposal, transforms=transforms, number=proposal.number if number is None else number)


def preceded(proposal: Proposal, by: Transform) -> Proposal:
    """The proposal with one more transform of a type, before its own. `NotApplicable` as `replaced`."""
    _must_have(proposal, by)
    at = next(index for index, one in enumerate(proposal.transforms) if one.type == by.type)
    return replace(proposal, transforms=(*proposal.transforms[:at], by, *proposal.transforms[at:]))


def _must_have(proposal: Proposal, one: Transform) -> None:
    if not any(own.type == one.type for own in proposal.transforms):
        raise NotApplicable(f"the configured suite has no transform of type {TransformType(one.type).name}")
