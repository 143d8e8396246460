"""Cipher suites of ESP: sizes, and the AEAD of one SA's keys.

RFC 4106 (AES-GCM), RFC 7634 (ChaCha20-Poly1305), RFC 3602 (AES-CBC), RFC 4868 and RFC 2404 (HMAC).
The only module of `esp` that imports `cryptography`.

A packet here is one buffer: SPI and sequence number (8 bytes), IV, plaintext with padding, pad length and
next header, ICV. It is sealed and opened in place.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, NoReturn, Protocol

from cryptography.exceptions import InvalidTag as InvalidTag  # for esp.sa.batch, too
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from esp.packet.headers import Buffer

ESP_HEADER = 8  # SPI and sequence number
UDP_HEADER = 8
IP_HEADER = {4: 20, 6: 40}
TRAILER = 2  # pad length and next header

# IANA's IKEv2 transform numbers: encryption
AES_CBC = 12
AES_GCM_8, AES_GCM_12, AES_GCM_16 = 18, 19, 20
CHACHA20_POLY1305 = 28
# integrity
HMAC_SHA1_96 = 2
HMAC_SHA2_256_128, HMAC_SHA2_384_192, HMAC_SHA2_512_256 = 12, 13, 14

SALT = 4  # the last octets of an AEAD's keying material (RFC 4106 8.1, RFC 7634 2)
GCM_ICV = {AES_GCM_8: 8, AES_GCM_12: 12, AES_GCM_16: 16}
# integrity number -> name, hash, key length, ICV length in octets
HMACS = {
    HMAC_SHA1_96: ("HMAC_SHA1_96", "sha1", 20, 12),
    HMAC_SHA2_256_128: ("HMAC_SHA2_256_128", "sha256", 32, 16),
    HMAC_SHA2_384_192: ("HMAC_SHA2_384_192", "sha384", 48, 24),
    HMAC_SHA2_512_256: ("HMAC_SHA2_512_256", "sha512", 64, 32),
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
    iv_length: int
    icv_length: int
    block: int  # plaintext, padding and trailer together are a multiple of it

    @property
    def key_length(self) -> int:
        """Octets of keying material one direction takes: encryption key with salt, then integrity key."""
        return self.encr_key_length + self.integ_key_length

    @property
    def random_iv(self) -> bool:
        """Whether the IV is random (CBC), not the sequence number, so that no nonce of an AEAD repeats."""
        return self.integ is not None

    @property
    def overhead(self) -> int:
        """Octets of an ESP packet besides plaintext, padding and trailer."""
        return ESP_HEADER + self.iv_length + self.icv_length

    def format(self, esn: bool) -> tuple[int, ...]:
        """What packets of SAs that share a batch have in common: octets of IV and ICV, and ESN."""
        return _format(self.iv_length, self.icv_length, esn)

    def __str__(self) -> str:
        return self.name


def _gcm(encr: int, key_bits: int) -> Suite:
    icv = GCM_ICV[encr]
    return Suite(f"AES_GCM_{icv}_{key_bits}", encr, key_bits, None, key_bits // 8 + SALT, 0, 8, icv, 4)


def _cbc(key_bits: int, integ: int) -> Suite:
    name, _, key_length, icv = HMACS[integ]
    full_name = f"AES_CBC_{key_bits}/{name}"
    return Suite(full_name, AES_CBC, key_bits, integ, key_bits // 8, key_length, 16, icv, 16)


SUITES: tuple[Suite, ...] = (
    *(_gcm(encr, bits) for encr in (AES_GCM_16, AES_GCM_12, AES_GCM_8) for bits in (128, 192, 256)),
    Suite("CHACHA20_POLY1305", CHACHA20_POLY1305, None, None, 32 + SALT, 0, 8, 16, 4),
    *(_cbc(bits, integ) for bits in (128, 192, 256) for integ in HMACS),
)
_BY_NUMBERS = {(suite.encr, suite.key_bits, suite.integ): suite for suite in SUITES}


def suite_for(encr: int, key_bits: int | None, integ: int | None) -> Suite:
    """The suite of these transform numbers. Raises KeyError if there is none."""
    return _BY_NUMBERS[encr, key_bits, integ]


def inner_mtu(outer_mtu: int, outer_version: int, encap: bool, suite: Suite) -> int:
    """The largest inner packet, in octets, whose ESP packet fits `outer_mtu` (RFC 4303 3.3.5)."""
    outer = IP_HEADER[outer_version] + (UDP_HEADER if encap else 0)
    room = outer_mtu - outer - suite.overhead
    return room - room % suite.block - TRAILER


def refuse_copy(self: object) -> NoReturn:
    """The `__reduce__` of objects that hold keys and sequence numbers: no copy, no pickle."""
    raise TypeError(f"a {type(self).__name__} cannot be copied or pickled")


class Aead(Protocol):
    """An AEAD as `cryptography` has it: both write to `output`. The last octets of the longer side are the
    ICV."""

    def encrypt_into(
        self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /
    ) -> object: ...

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> object:
        """Raises InvalidTag, and then the output is undefined."""


class AeadContext(NamedTuple):
    """What seals or opens the packets of one SA. The cipher inside refuses to be copied."""

    spi_salt: bytes  # SPI and salt, 8 octets
    call: Callable[[Buffer, memoryview, Buffer, memoryview], object]
    """`encrypt_into` or `decrypt_into`: nonce, input, AAD, output."""
    esn: bool

    def __reduce__(self) -> NoReturn:
        refuse_copy(self)

    def __repr__(self) -> str:
        """Without the salt, which is keying material."""
        return f"AeadContext(esn={self.esn})"


def keyed_aead(suite: Suite, keys: bytes) -> tuple[Aead, bytes]:
    """The suite's AEAD under these keys (encryption key with salt, integrity key), and the salt, with which
    its nonces begin. Raises ValueError for the length of the keys."""
    if len(keys) != suite.key_length:
        raise ValueError(f"{suite} takes {suite.key_length} octets of keys, not {len(keys)}")
    encr_key, integ_key = keys[: suite.encr_key_length], keys[suite.encr_key_length :]
    if suite.integ is not None:
        return _CbcHmac(suite.integ, encr_key, integ_key), b""
    key, salt = encr_key[:-SALT], encr_key[-SALT:]
    if suite.encr == CHACHA20_POLY1305:
        return ChaCha20Poly1305(key), salt
    return AESGCM(key) if suite.icv_length == 16 else _ShortTagGcm(key, suite.icv_length), salt


class _ShortTagGcm:
    """AES-GCM with an ICV of 8 or 12, which `AESGCM` lacks."""

    __slots__ = ("_aes", "_gcm", "_icv")
    __reduce__ = refuse_copy

    def __init__(self, key: bytes, icv: int) -> None:
        self._aes, self._gcm, self._icv = AES(key), AESGCM(key), icv

    def encrypt_into(self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /) -> None:
        output[:] = self._gcm.encrypt(nonce, plaintext, aad)[: len(output)]

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> None:
        tag = bytes(data[-self._icv :])
        context = Cipher(self._aes, GCM(bytes(nonce), tag, min_tag_length=self._icv)).decryptor()
        context.authenticate_additional_data(aad)
        plaintext = context.update(data[: -self._icv])
        context.finalize()
        output[:] = plaintext


class _CbcHmac:
    """AES-CBC with HMAC as an AEAD, whose nonce is the IV, which has to be random (RFC 3602 3): encrypt,
    then authenticate."""

    __slots__ = ("_aes", "_icv", "_keyed")
    __reduce__ = refuse_copy

    def __init__(self, integ: int, encr_key: bytes, integ_key: bytes) -> None:
        _, digest, _, self._icv = HMACS[integ]
        self._aes, self._keyed = AES(encr_key), hmac.new(integ_key, digestmod=digest)

    def encrypt_into(self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /) -> None:
        ciphertext = Cipher(self._aes, CBC(nonce)).encryptor().update(plaintext)
        output[:] = ciphertext + self._authenticate(nonce, ciphertext, aad)

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> None:
        ciphertext = data[: -self._icv]
        right = hmac.compare_digest(self._authenticate(nonce, ciphertext, aad), data[-self._icv :])
        if not right or not ciphertext or len(ciphertext) % 16:
            raise InvalidTag
        output[:] = Cipher(self._aes, CBC(nonce)).decryptor().update(ciphertext)

    def _authenticate(self, iv: Buffer, ciphertext: Buffer, aad: Buffer) -> bytes:
        """The ICV over ESP header, IV and ciphertext, and then the high half of the sequence number if there
        is ESN (RFC 4303 2.2.1)."""
        context = self._keyed.copy()
        if len(aad) == ESP_HEADER:
            context.update(b"".join((aad, iv, ciphertext)))
        else:
            context.update(b"".join((aad[:4], aad[8:], iv, ciphertext, aad[4:8])))
        return context.digest()[: self._icv]
