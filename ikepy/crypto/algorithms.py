"""Tables of IKE's encryption, integrity and PRF algorithms with their sizes (RFC 7296 3.3.2, 3.14).

All sizes are in bytes unless a name says bits. The key exchange groups are in `kex`.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes

from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Encr, Integ, Prf

SALT_SIZE = 4  # the implicit part of an AEAD's nonce (RFC 5282 4, RFC 7634 3)


@dataclass(frozen=True, slots=True)
class EncrAlgorithm:
    """One row of the encryption table; `tag` is the AEAD's ICV, None for a cipher that needs an INTEG."""

    key_bits: tuple[int | None, ...]  # None: the key length is fixed, the attribute is not sent
    iv: int
    block: int  # the plaintext is padded to a multiple of this
    tag: int | None


@dataclass(frozen=True, slots=True)
class IntegAlgorithm:
    """One row of the integrity table: HMAC with `hash`, key of the digest's size, truncated to `icv`."""

    hash: hashes.HashAlgorithm
    icv: int


AES_KEY_BITS = (128, 192, 256)
FIXED_KEY_BITS = 256  # of CHACHA20_POLY1305 (RFC 7634)

ENCR: dict[int, EncrAlgorithm] = {
    Encr.AES_CBC: EncrAlgorithm(AES_KEY_BITS, iv=16, block=16, tag=None),  # RFC 3602
    Encr.AES_GCM_8: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=8),  # RFC 5282
    Encr.AES_GCM_12: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=12),
    Encr.AES_GCM_16: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=16),
    Encr.CHACHA20_POLY1305: EncrAlgorithm((None,), iv=8, block=1, tag=16),  # RFC 7634
}

INTEG: dict[int, IntegAlgorithm] = {
    Integ.HMAC_SHA1_96: IntegAlgorithm(hashes.SHA1(), icv=12),  # RFC 2404, RFC 8247 2.3
    Integ.HMAC_SHA2_256_128: IntegAlgorithm(hashes.SHA256(), icv=16),  # RFC 4868
    Integ.HMAC_SHA2_384_192: IntegAlgorithm(hashes.SHA384(), icv=24),
    Integ.HMAC_SHA2_512_256: IntegAlgorithm(hashes.SHA512(), icv=32),
}

PRF: dict[int, hashes.HashAlgorithm] = {
    Prf.HMAC_SHA1: hashes.SHA1(),  # RFC 2104, RFC 8247 2.2
    Prf.HMAC_SHA2_256: hashes.SHA256(),  # RFC 4868
    Prf.HMAC_SHA2_384: hashes.SHA384(),
    Prf.HMAC_SHA2_512: hashes.SHA512(),
}

SUPPORTED_ENCR: frozenset[tuple[int, int | None]] = frozenset(
    (encr, key_bits) for encr, row in ENCR.items() for key_bits in row.key_bits
)
SUPPORTED_INTEG: frozenset[int] = frozenset(INTEG)
SUPPORTED_PRF: frozenset[int] = frozenset(PRF)


def is_aead(encr: int) -> bool:
    """Whether `encr` protects integrity too, so that no INTEG is negotiated. LocalMisuse if unknown."""
    return _encr(encr).tag is not None


def encr_key_size(encr: int, key_bits: int | None) -> int:
    """Bytes of SK_e: the key, and for an AEAD the salt behind it (RFC 5282 7.1, RFC 7634 3).

    `key_bits` is the Key Length attribute, None if the transform has none. LocalMisuse if unknown.
    """
    row = _encr(encr)
    if key_bits not in row.key_bits:
        raise LocalMisuse(f"encryption algorithm {encr} has no key of {key_bits} bits")
    key_size = (FIXED_KEY_BITS if key_bits is None else key_bits) // 8
    return key_size if row.tag is None else key_size + SALT_SIZE


def integ_key_size(integ: int | None) -> int:
    """Bytes of SK_a: the digest's size (RFC 2404, RFC 4868 2.1.1); 0 for None and NONE."""
    return _integ(integ).hash.digest_size if integ else 0


def integ_icv_size(integ: int | None) -> int:
    """Bytes of the Integrity Checksum Data of an INTEG algorithm; 0 for None and NONE."""
    return _integ(integ).icv if integ else 0


def _encr(encr: int) -> EncrAlgorithm:
    try:
        return ENCR[encr]
    except KeyError:
        raise LocalMisuse(f"encryption algorithm {encr} is not supported") from None


def _integ(integ: int) -> IntegAlgorithm:
    try:
        return INTEG[integ]
    except KeyError:
        raise LocalMisuse(f"integrity algorithm {integ} is not supported") from None
