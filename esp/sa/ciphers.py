"""The ciphers of ESP's suites under the keys of one SA, each as an AEAD that works in place.

`esp.sa.suites` names the RFC of each. This and `esp.sa.macs` alone import `cryptography` in `esp`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol

from cryptography.exceptions import InvalidTag as InvalidTag  # for esp.sa.batch, too
from cryptography.hazmat.decrepit.ciphers.algorithms import Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR, GCM

from esp.packet.headers import Buffer
from esp.sa.macs import Mac, keyed_mac
from esp.sa.suites import (
    AES_CTR,
    CAMELLIA_CBC,
    CCM_ICV,
    CHACHA20_POLY1305,
    ESP_HEADER,
    MACS,
    NULL,
    NULL_AES_GMAC,
    TRIPLE_DES_CBC,
    Suite,
)

# Octets in front of a nonce's IV. A shorter salt (AES-CCM: 3, RFC 4309 4) follows zeros, which `_Ccm` drops.
NONCE_SALT = 4
_FIRST_BLOCK = b"\0\0\0\1"  # of AES-CTR's counter (RFC 3686 4)


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
    """The suite's AEAD under these keys (encryption key with salt, integrity key), and what its nonces begin
    with: four octets, or none where the IV is no nonce. Raises ValueError for the length of the keys."""
    if len(keys) != suite.key_length:
        raise ValueError(f"{suite} takes {suite.key_length} octets of keys, not {len(keys)}")
    encr_key, integ_key = keys[: suite.encr_key_length], keys[suite.encr_key_length :]
    end = len(encr_key) - suite.salt
    key, salt = encr_key[:end], encr_key[end:]
    if suite.salt:
        salt = salt.rjust(NONCE_SALT, b"\0")
    if suite.integ is None:
        return _combined(suite, key), salt
    _, function, _, icv = MACS[suite.integ]
    mac = keyed_mac(function, integ_key)
    if suite.encr == NULL:
        return _NullMac(mac, icv), salt
    if suite.encr == AES_CTR:
        return _CtrMac(AES(key), mac, icv), salt
    return _CbcMac(_block_cipher(suite.encr, key), mac, icv), salt


def _combined(suite: Suite, key: bytes) -> Aead:
    if suite.encr == CHACHA20_POLY1305:
        return ChaCha20Poly1305(key)
    if suite.encr == NULL_AES_GMAC:
        return _Gmac(key)
    if suite.encr in CCM_ICV:
        return _Ccm(key, suite.icv_length)
    return AESGCM(key) if suite.icv_length == 16 else _ShortTagGcm(key, suite.icv_length)


def _block_cipher(encr: int, key: bytes) -> BlockCipherAlgorithm:
    if encr == CAMELLIA_CBC:
        return Camellia(key)
    return TripleDES(key) if encr == TRIPLE_DES_CBC else AES(key)


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


class _Ccm:
    """AES-CCM, whose nonce is a salt of 3 octets and the IV (RFC 4309 4)."""

    __slots__ = ("_ccm",)
    __reduce__ = refuse_copy

    def __init__(self, key: bytes, icv: int) -> None:
        self._ccm = AESCCM(key, tag_length=icv)

    def encrypt_into(self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /) -> None:
        self._ccm.encrypt_into(nonce[1:], plaintext, aad, output)

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> None:
        self._ccm.decrypt_into(nonce[1:], data, aad, output)


class _Gmac:
    """AES-GMAC: everything is AAD, and nothing is encrypted. The IV stands in the AAD, between ESP header and
    payload (RFC 4543 3.3, with its erratum 1821)."""

    __slots__ = ("_gcm",)
    __reduce__ = refuse_copy

    def __init__(self, key: bytes) -> None:
        self._gcm = AESGCM(key)

    def encrypt_into(self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /) -> None:
        covered = b"".join((aad, nonce[NONCE_SALT:], plaintext))
        output[:] = covered[len(aad) + len(nonce) - NONCE_SALT :] + self._gcm.encrypt(nonce, b"", covered)

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> None:
        plaintext = data[: len(output)]
        self._gcm.decrypt(nonce, data[len(output) :], b"".join((aad, nonce[NONCE_SALT:], plaintext)))
        output[:] = plaintext


def _authenticate(mac: Mac, iv: Buffer, ciphertext: Buffer, aad: Buffer) -> bytes:
    """The MAC over ESP header, IV and ciphertext, and then the high half of the sequence number if there is
    ESN (RFC 4303 2.2.1)."""
    context = mac.copy()
    if len(aad) == ESP_HEADER:
        context.update(b"".join((aad, iv, ciphertext)))
    else:
        context.update(b"".join((aad[:4], aad[8:], iv, ciphertext, aad[4:8])))
    return context.digest()


class _CbcMac:
    """A block cipher in CBC mode with a MAC as an AEAD, whose nonce is the IV, which has to be random
    (RFC 3602 3): encrypt, then authenticate."""

    __slots__ = ("_block", "_cipher", "_icv", "_mac")
    __reduce__ = refuse_copy

    def __init__(self, cipher: BlockCipherAlgorithm, mac: Mac, icv: int) -> None:
        self._cipher, self._mac, self._icv = cipher, mac, icv
        self._block = cipher.block_size // 8

    def encrypt_into(self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /) -> None:
        ciphertext = Cipher(self._cipher, CBC(nonce)).encryptor().update(plaintext)
        output[:] = ciphertext + _authenticate(self._mac, nonce, ciphertext, aad)[: self._icv]

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> None:
        icv, ciphertext = self._icv, data[: -self._icv]
        right = hmac.compare_digest(_authenticate(self._mac, nonce, ciphertext, aad)[:icv], data[-icv:])
        if not right or not ciphertext or len(ciphertext) % self._block:
            raise InvalidTag
        output[:] = Cipher(self._cipher, CBC(nonce)).decryptor().update(ciphertext)


class _CtrMac:
    """AES-CTR with a MAC as an AEAD (RFC 3686 4). The salt, which RFC 3686 calls the nonce, is not
    authenticated; the IV is."""

    __slots__ = ("_aes", "_icv", "_mac")
    __reduce__ = refuse_copy

    def __init__(self, aes: AES, mac: Mac, icv: int) -> None:
        self._aes, self._mac, self._icv = aes, mac, icv

    def encrypt_into(self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /) -> None:
        ciphertext = self._stream(nonce, plaintext)
        icv = _authenticate(self._mac, nonce[NONCE_SALT:], ciphertext, aad)[: self._icv]
        output[:] = ciphertext + icv

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> None:
        icv, ciphertext = self._icv, data[: -self._icv]
        found = _authenticate(self._mac, nonce[NONCE_SALT:], ciphertext, aad)[:icv]
        if not hmac.compare_digest(found, data[-icv:]):
            raise InvalidTag
        output[:] = self._stream(nonce, ciphertext)

    def _stream(self, nonce: Buffer, text: Buffer) -> bytes:
        return Cipher(self._aes, CTR(bytes(nonce) + _FIRST_BLOCK)).encryptor().update(text)


class _NullMac:
    """Nothing is encrypted, and there is no IV (RFC 2410); the MAC covers everything."""

    __slots__ = ("_icv", "_mac")
    __reduce__ = refuse_copy

    def __init__(self, mac: Mac, icv: int) -> None:
        self._mac, self._icv = mac, icv

    def encrypt_into(self, nonce: Buffer, plaintext: Buffer, aad: Buffer, output: memoryview, /) -> None:
        icv = _authenticate(self._mac, nonce, plaintext, aad)[: self._icv]
        output[:] = b"".join((plaintext, icv))

    def decrypt_into(self, nonce: Buffer, data: Buffer, aad: Buffer, output: memoryview, /) -> None:
        icv, plaintext = self._icv, data[: -self._icv]
        if not hmac.compare_digest(_authenticate(self._mac, nonce, plaintext, aad)[:icv], data[-icv:]):
            raise InvalidTag
        output[:] = plaintext
