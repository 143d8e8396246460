"""Tables of IKE's encryption, integrity and PRF algorithms with their sizes (RFC 7296 3.3.2, 3.14).

All sizes are in bytes unless a name says bits. The key exchange groups are in `kex`.
"""

from dataclasses import dataclass

from esp.sa.macs import AES_CMAC, AES_XCBC
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Encr, Integ, Prf


@dataclass(frozen=True, slots=True)
class EncrAlgorithm:
    """One row of the encryption table; `tag` is the AEAD's ICV, None for a cipher that needs an INTEG."""

    key_bits: tuple[int | None, ...]  # None: the key length is fixed, the attribute is not sent
    iv: int
    block: int  # the plaintext is padded to a multiple of this
    tag: int | None = None
    salt: int = 0  # the implicit part of the nonce, behind the key; 0: a random IV instead of nonces
    fixed_key: int = 0  # the key's size where `key_bits` is None


@dataclass(frozen=True, slots=True)
class IntegAlgorithm:
    """One row of the integrity table. `function` is of `esp.sa.macs`; its output is cut to `icv`."""

    function: str
    key: int
    icv: int


@dataclass(frozen=True, slots=True)
class PrfAlgorithm:
    """One row of the PRF table. `function` is of `esp.sa.macs`; `size` is of its output."""

    function: str
    size: int


AES_KEY_BITS = (128, 192, 256)

ENCR: dict[int, EncrAlgorithm] = {
    Encr.TRIPLE_DES_CBC: EncrAlgorithm((None,), iv=8, block=8, fixed_key=24),  # RFC 2451
    Encr.AES_CBC: EncrAlgorithm(AES_KEY_BITS, iv=16, block=16),  # RFC 3602
    Encr.AES_CTR: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, salt=4),  # RFC 5930
    Encr.AES_CCM_8: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=8, salt=3),  # RFC 5282
    Encr.AES_CCM_12: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=12, salt=3),
    Encr.AES_CCM_16: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=16, salt=3),
    Encr.AES_GCM_8: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=8, salt=4),
    Encr.AES_GCM_12: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=12, salt=4),
    Encr.AES_GCM_16: EncrAlgorithm(AES_KEY_BITS, iv=8, block=1, tag=16, salt=4),
    Encr.CAMELLIA_CBC: EncrAlgorithm(AES_KEY_BITS, iv=16, block=16),  # RFC 5529
    Encr.CHACHA20_POLY1305: EncrAlgorithm((None,), iv=8, block=1, tag=16, salt=4, fixed_key=32),  # RFC 7634
}
# Of ESP alone: no confidentiality is none of IKE's choices (RFC 7296 3.3.2, RFC 4543 2).
ESP_AEAD: frozenset[int] = frozenset({Encr.NULL_AES_GMAC})
ESP_CIPHERS: frozenset[int] = frozenset({Encr.NULL})

INTEG: dict[int, IntegAlgorithm] = {
    Integ.HMAC_SHA1_96: IntegAlgorithm("sha1", key=20, icv=12),  # RFC 2404, RFC 8247 2.3
    Integ.HMAC_SHA2_256_128: IntegAlgorithm("sha256", key=32, icv=16),  # RFC 4868
    Integ.HMAC_SHA2_384_192: IntegAlgorithm("sha384", key=48, icv=24),
    Integ.HMAC_SHA2_512_256: IntegAlgorithm("sha512", key=64, icv=32),
    Integ.AES_XCBC_96: IntegAlgorithm(AES_XCBC, key=16, icv=12),  # RFC 3566
    Integ.AES_CMAC_96: IntegAlgorithm(AES_CMAC, key=16, icv=12),  # RFC 4494
}

PRF: dict[int, PrfAlgorithm] = {
    Prf.HMAC_SHA1: PrfAlgorithm("sha1", 20),  # RFC 2104, RFC 8247 2.2
    Prf.HMAC_SHA2_256: PrfAlgorithm("sha256", 32),  # RFC 4868
    Prf.HMAC_SHA2_384: PrfAlgorithm("sha384", 48),
    Prf.HMAC_SHA2_512: PrfAlgorithm("sha512", 64),
    Prf.AES128_XCBC: PrfAlgorithm(AES_XCBC, 16),  # RFC 4434
    Prf.AES128_CMAC: PrfAlgorithm(AES_CMAC, 16),  # RFC 4615
}

SUPPORTED_ENCR: frozenset[tuple[int, int | None]] = frozenset(
    (encr, key_bits) for encr, row in ENCR.items() for key_bits in row.key_bits
)
SUPPORTED_INTEG: frozenset[int] = frozenset(INTEG)
SUPPORTED_PRF: frozenset[int] = frozenset(PRF)


def is_aead(encr: int) -> bool:
    """Whether `encr`, of IKE or ESP, protects integrity too, so that no INTEG is negotiated. LocalMisuse if
    unknown."""
    return encr in ESP_AEAD or (encr not in ESP_CIPHERS and _encr(encr).tag is not None)


def has_nonces(encr: int) -> bool:
    """Whether `encr`'s IVs are a counter, so that none repeats: an AEAD's, CTR's. LocalMisuse if unknown."""
    return _encr(encr).salt > 0


def encr_key_size(encr: int, key_bits: int | None) -> int:
    """Bytes of SK_e: the key, and behind it the salt of an AEAD or of CTR (RFC 5282 7.1, 5930 3, 7634 3).

    `key_bits` is the Key Length attribute, None if the transform has none. LocalMisuse if unknown.
    """
    row = _encr(encr)
    if key_bits not in row.key_bits:
        raise LocalMisuse(f"encryption algorithm {encr} has no key of {key_bits} bits")
    return (row.fixed_key if key_bits is None else key_bits // 8) + row.salt


def integ_key_size(integ: int | None) -> int:
    """Bytes of SK_a: the digest's size (RFC 2404, RFC 4868 2.1.1), or AES's key; 0 for None and NONE."""
    return _integ(integ).key if integ else 0


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
