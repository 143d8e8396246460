"""Cipher suites of ESP: their numbers and sizes. The ciphers themselves are in `esp.sa.ciphers`.

RFC 4106 (AES-GCM), RFC 4309 (AES-CCM), RFC 7634 (ChaCha20-Poly1305), RFC 4543 (AES-GMAC); RFC 3602 (AES-CBC),
RFC 3686 (AES-CTR), RFC 5529 (Camellia), RFC 2451 (3DES), RFC 2410 (NULL), each with RFC 4868 and RFC 2404
(HMAC), RFC 3566 (AES-XCBC) or RFC 4494 (AES-CMAC).

A packet here is one buffer: SPI and sequence number (8 bytes), IV, plaintext with padding, pad length and
next header, ICV. It is sealed and opened in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from esp.sa.macs import AES_CMAC, AES_XCBC

ESP_HEADER = 8  # SPI and sequence number
UDP_HEADER = 8
IP_HEADER = {4: 20, 6: 40}
TRAILER = 2  # pad length and next header

# IANA's IKEv2 transform numbers: encryption
TRIPLE_DES_CBC = 3
NULL = 11
AES_CBC, AES_CTR = 12, 13
AES_CCM_8, AES_CCM_12, AES_CCM_16 = 14, 15, 16
AES_GCM_8, AES_GCM_12, AES_GCM_16 = 18, 19, 20
NULL_AES_GMAC = 21
CAMELLIA_CBC = 23
CHACHA20_POLY1305 = 28
# integrity
HMAC_SHA1_96 = 2
AES_XCBC_96, AES_CMAC_96 = 5, 8
HMAC_SHA2_256_128, HMAC_SHA2_384_192, HMAC_SHA2_512_256 = 12, 13, 14

GCM_ICV = {AES_GCM_8: 8, AES_GCM_12: 12, AES_GCM_16: 16}
CCM_ICV = {AES_CCM_8: 8, AES_CCM_12: 12, AES_CCM_16: 16}
AES_BITS = (128, 192, 256)
# integrity number -> name, function of `esp.sa.macs`, key length, ICV length in octets
MACS = {
    HMAC_SHA1_96: ("HMAC_SHA1_96", "sha1", 20, 12),
    HMAC_SHA2_256_128: ("HMAC_SHA2_256_128", "sha256", 32, 16),
    HMAC_SHA2_384_192: ("HMAC_SHA2_384_192", "sha384", 48, 24),
    HMAC_SHA2_512_256: ("HMAC_SHA2_512_256", "sha512", 64, 32),
    AES_XCBC_96: ("AES_XCBC_96", AES_XCBC, 16, 12),
    AES_CMAC_96: ("AES_CMAC_96", AES_CMAC, 16, 12),
}


@lru_cache
def _format(*fields: int) -> tuple[int, ...]:
    return fields  # equal ones are one object: those compare fast


@dataclass(frozen=True, slots=True)
class Suite:
    """An encryption algorithm and, unless it is an AEAD, an integrity algorithm. Lengths are octets."""

    name: str  # as charon prints it
    encr: int
    key_bits: int | None
    integ: int | None
    encr_key_length: int  # with the salt
    integ_key_length: int
    salt: int  # of the keying material's end: a nonce begins with it (RFC 4106 8.1); 0: there are no nonces
    iv_length: int
    icv_length: int
    block: int  # plaintext, padding and trailer together are a multiple of it

    @property
    def key_length(self) -> int:
        """Octets of keying material one direction takes: encryption key with salt, then integrity key."""
        return self.encr_key_length + self.integ_key_length

    @property
    def random_iv(self) -> bool:
        """Whether the IV is random (CBC; NULL has none), not the sequence number, which keeps the nonces of
        AEADs and of CTR from repeating."""
        return not self.salt

    @property
    def overhead(self) -> int:
        """Octets of an ESP packet besides plaintext, padding and trailer."""
        return ESP_HEADER + self.iv_length + self.icv_length

    def format(self, esn: bool) -> tuple[int, ...]:
        """What packets of SAs that share a batch have in common: where things stand, and ESN."""
        return _format(self.iv_length, self.icv_length, self.block, self.random_iv, esn)

    def __str__(self) -> str:
        return self.name


def _combined(name: str, encr: int, key_bits: int | None, key: int, salt: int, icv: int) -> Suite:
    full_name = name if key_bits is None else f"{name}_{key_bits}"
    return Suite(full_name, encr, key_bits, None, key + salt, 0, salt, 8, icv, 4)


def _with_integrity(
    name: str, encr: int, key_bits: int | None, key: int, iv: int, *, salt: int = 0, block: int = 4
) -> Iterator[Suite]:
    """The suites of an encryption algorithm that needs an integrity algorithm beside it."""
    full_name = name if key_bits is None else f"{name}_{key_bits}"
    for integ, (mac, _, mac_key, icv) in MACS.items():
        yield Suite(
            f"{full_name}/{mac}", encr, key_bits, integ, key + salt, mac_key, salt, iv, icv, max(block, 4)
        )


SUITES: tuple[Suite, ...] = (
    *(
        _combined(f"AES_GCM_{icv}", encr, bits, bits // 8, 4, icv)
        for encr, icv in sorted(GCM_ICV.items(), reverse=True)
        for bits in AES_BITS
    ),
    _combined("CHACHA20_POLY1305", CHACHA20_POLY1305, None, 32, 4, 16),
    *(
        _combined(f"AES_CCM_{icv}", encr, bits, bits // 8, 3, icv)
        for encr, icv in sorted(CCM_ICV.items(), reverse=True)
        for bits in AES_BITS
    ),
    *(_combined("NULL_AES_GMAC", NULL_AES_GMAC, bits, bits // 8, 4, 16) for bits in AES_BITS),
    *(
        suite
        for bits in AES_BITS
        for suite in (
            *_with_integrity("AES_CBC", AES_CBC, bits, bits // 8, 16, block=16),
            *_with_integrity("AES_CTR", AES_CTR, bits, bits // 8, 8, salt=4),
            *_with_integrity("CAMELLIA_CBC", CAMELLIA_CBC, bits, bits // 8, 16, block=16),
        )
    ),
    *_with_integrity("3DES_CBC", TRIPLE_DES_CBC, None, 24, 8, block=8),
    *_with_integrity("NULL", NULL, None, 0, 0),
)
_BY_NUMBERS = {(suite.encr, suite.key_bits, suite.integ): suite for suite in SUITES}


def suite_for(encr: int, key_bits: int | None, integ: int | None) -> Suite:
    """The suite of these transform numbers. Raises KeyError if there is none."""
    return _BY_NUMBERS[encr, key_bits, integ]


def inner_mtu(outer_mtu: int, outer_version: int, encap: bool, suite: Suite) -> int:
    """The largest inner packet, in octets, whose ESP packet fits `outer_mtu` (RFC 4303 2)."""
    outer = IP_HEADER[outer_version] + (UDP_HEADER if encap else 0)
    room = outer_mtu - outer - suite.overhead
    return room - room % suite.block - TRAILER
