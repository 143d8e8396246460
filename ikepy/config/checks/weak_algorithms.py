"""Names the algorithms of proposals that one should not take today (RFC 8247, RFC 8221), or not there.

For warnings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ikepy.config.proposals import to_words
from ikepy.wire.constants import Encr, KeGroup, TransformType
from ikepy.wire.proposal import Proposal, Transform

_SWEET32 = (
    "has blocks of 64 bits, of which 32 GB under a key give plaintext away (RFC 8221 5); take aes256gcm16"
)
_CLEAR = "encrypts nothing: whoever is on the path reads the packets; take aes256gcm16"
_BROKEN_SOON = "is within reach of those who record traffic (RFC 8247 2.4); take x25519, ecp384 or modp3072"

WEAK: dict[tuple[int, int], str] = {
    (TransformType.ENCR, Encr.TRIPLE_DES_CBC): _SWEET32,
    (TransformType.ENCR, Encr.NULL): _CLEAR,
    (TransformType.ENCR, Encr.NULL_AES_GMAC): _CLEAR,
    (TransformType.KE, KeGroup.MODP_1024): _BROKEN_SOON,
    (TransformType.KE, KeGroup.MODP_1536): _BROKEN_SOON,
}


def too_large(proposals: Iterable[Proposal]) -> Iterator[str]:
    """What is to say of IKE proposals whose first key exchange may not fit into a packet, once of each one.

    Nothing fragments IKE_SA_INIT but IP (draft-ietf-ipsecme-ikev2-mlkem 2.1).
    """
    first = (t for one in proposals for t in one.transforms if t.type == TransformType.KE)
    for one in dict.fromkeys(t for t in first if t.id in (KeGroup.ML_KEM_768, KeGroup.ML_KEM_1024)):
        word = to_words([one])
        yield (
            f"{word} as the first key exchange makes IKE_SA_INIT larger than packets on many paths, and "
            f"IKE can't fragment it; take x25519-ke1_{word}"
        )


def weak(proposals: Iterable[Proposal]) -> Iterator[str]:
    """What is to say of each weak algorithm in these proposals, once."""
    found: dict[Transform, str] = {}
    for proposal in proposals:
        for one in proposal.transforms:
            if (one.type, one.id) in WEAK:
                found[one] = WEAK[one.type, one.id]
    for one, why in found.items():
        yield f"{to_words([one])} {why}"
