"""Encrypts and decrypts the Encrypted payload, or a fragment of it.

RFC 7296 3.14, RFC 5282 (AEADs), RFC 7634 (ChaCha20-Poly1305), RFC 5930 (AES-CTR), RFC 7383 2.5 (fragments).
"""

from collections.abc import Callable
from typing import NoReturn, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from esp.sa.macs import keyed_mac
from ikepy.crypto.algorithms import ENCR, INTEG, encr_key_size, integ_key_size, is_aead
from ikepy.crypto.auth import same
from ikepy.crypto.secret import Secret
from ikepy.errors import IntegrityError, LocalMisuse, WireError
from ikepy.wire.constants import Encr

LAST_IV = 2**64 - 1
CCM = frozenset({Encr.AES_CCM_8, Encr.AES_CCM_12, Encr.AES_CCM_16})
FIRST_BLOCK = b"\0\0\0\1"  # of CTR's counter (RFC 3686 4)


class SkCipher:
    """One direction's cipher: SK_ei with SK_ai, or SK_er with SK_ar.

    The IV of an AEAD or of CTR is a counter kept here, so it never repeats under the key as long as no
    second cipher seals with the same key: make one object a direction and key, and let it live as long as
    the key. It is neither copied nor pickled. `first_iv` is where the counter starts.
    """

    __slots__ = ("_block", "_icv", "_iv", "_next_iv", "_protection")

    def __init__(
        self,
        encr: int,
        key_bits: int | None,
        integ: int | None,
        sk_e: Secret,
        sk_a: Secret | None,
        *,
        first_iv: int = 0,
    ) -> None:
        """LocalMisuse if the algorithms are not supported, do not fit each other, or the keys' lengths."""
        if len(sk_e) != encr_key_size(encr, key_bits):
            raise LocalMisuse("SK_e has a wrong length for its algorithm")
        if is_aead(encr) == bool(integ):
            raise LocalMisuse("an AEAD stands without an integrity algorithm, any other cipher with one")
        if len(sk_a or b"") != integ_key_size(integ):
            raise LocalMisuse("SK_a has a wrong length for its algorithm")
        if not 0 <= first_iv <= LAST_IV:
            raise LocalMisuse("the first IV does not fit in 64 bits")
        row = ENCR[encr]
        self._next_iv: int | None
        self._iv = row.iv
        self._block = row.block
        self._protection: _Protection
        if integ and sk_a is not None:
            self._icv = INTEG[integ].icv
            self._protection = _EncryptThenMac(encr, sk_e, integ, sk_a)
        else:
            self._icv = row.tag or 0
            self._protection = _Combined(encr, sk_e)
        self._next_iv = first_iv if row.salt else None  # a CBC cipher's IVs are random

    @property
    def next_iv(self) -> int | None:
        """The counter that the next message gets as its IV; None where IVs are random."""
        return self._next_iv

    def body_length(self, plaintext_length: int) -> int:
        """Bytes of IV, padded plaintext, pad length and ICV for a plaintext of that many bytes."""
        return self._iv + self._padded_length(plaintext_length) + self._icv

    def seal(self, prefix: bytes, plaintext: bytes, random: Callable[[int], bytes]) -> bytes:
        """Encrypt and return the whole message: `prefix`, then IV to ICV.

        `prefix` is everything from the IKE header (its length field final) to the SK payload's own header, or
        SKF's with its fragment numbers. `plaintext` is the chain of payloads. `random` gives the IV of CBC.
        LocalMisuse when the IV counter is at its end: the key must be replaced long before.
        """
        pad_length = self._padded_length(len(plaintext)) - len(plaintext) - 1
        return self.seal_padded(prefix, plaintext + bytes(pad_length) + bytes([pad_length]), random)

    def seal_padded(self, prefix: bytes, padded: bytes, random: Callable[[int], bytes]) -> bytes:
        """As `seal`, with padding and pad length (the last octet) chosen by the caller, right or wrong.

        The length of `padded` is a multiple of the cipher's block.
        """
        iv = self._draw_iv(random)
        return prefix + iv + self._protection.encrypt(prefix, iv, padded)

    def open(self, message: bytes, offset: int) -> bytes:
        """Decrypt the payload chain inside `message` (a whole datagram), whose SK body begins at `offset`.

        IntegrityError if the ICV is wrong or the lengths are impossible; WireError if the padding is
        malformed in a message that its sender really made.
        """
        start = offset + self._iv
        length = len(message) - start - self._icv
        if offset < 0 or length < self._block or length % self._block:
            raise IntegrityError("an encrypted payload of impossible length")
        plaintext = self._protection.decrypt(message[:offset], message[offset:start], message[start:])
        end = len(plaintext) - 1 - plaintext[-1]
        if end < 0:
            raise WireError("more padding than there is plaintext")
        return plaintext[:end]

    def _padded_length(self, plaintext_length: int) -> int:
        # The pad length byte counts too; AEADs (RFC 7634 3) and CTR (RFC 5930 2) have blocks of 1.
        return -(-(plaintext_length + 1) // self._block) * self._block

    def _draw_iv(self, random: Callable[[int], bytes]) -> bytes:
        if self._next_iv is None:
            return random(self._iv)
        iv = self._next_iv
        if iv > LAST_IV:
            raise LocalMisuse("no IV is left under this key")
        self._next_iv = iv + 1  # incremented before use: an error later cannot make an IV repeat
        return iv.to_bytes(self._iv, "big")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an SkCipher is neither pickled nor copied: its IVs would repeat")


class _Protection(Protocol):
    """Both work on (bytes in front of the IV, IV, padded plaintext | ciphertext and ICV)."""

    def encrypt(self, prefix: bytes, iv: bytes, padded: bytes) -> bytes: ...

    def decrypt(self, prefix: bytes, iv: bytes, sealed: bytes) -> bytes: ...


class _Combined:
    """An AEAD: nonce = salt | IV, associated data = all in front of the IV (RFC 5282 4, 5.1)."""

    __slots__ = ("_aead", "_salt")

    def __init__(self, encr: int, sk_e: Secret) -> None:
        row = ENCR[encr]
        key, salt = sk_e.split(len(sk_e) - row.salt, row.salt)
        self._salt = salt.expose()  # not a secret (RFC 7634 5)
        self._aead: AESGCM | AESCCM | ChaCha20Poly1305 | _ShortGcm
        if encr == Encr.CHACHA20_POLY1305:
            self._aead = ChaCha20Poly1305(key.expose())
        elif encr in CCM:
            self._aead = AESCCM(key.expose(), tag_length=row.tag or 0)
        elif encr == Encr.AES_GCM_16:
            self._aead = AESGCM(key.expose())
        else:
            self._aead = _ShortGcm(key, row.tag or 0)

    def encrypt(self, prefix: bytes, iv: bytes, padded: bytes) -> bytes:
        return self._aead.encrypt(self._salt + iv, padded, prefix)

    def decrypt(self, prefix: bytes, iv: bytes, sealed: bytes) -> bytes:
        try:
            return self._aead.decrypt(self._salt + iv, sealed, prefix)
        except InvalidTag:
            raise IntegrityError("wrong integrity check value") from None


class _ShortGcm:
    """AES-GCM with a tag of 8 or 12 bytes, which the library's AESGCM does not have (RFC 5282 3.2)."""

    __slots__ = ("_aes", "_tag")

    def __init__(self, key: Secret, tag: int) -> None:
        self._aes = algorithms.AES(key.expose())
        self._tag = tag

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        context = Cipher(self._aes, modes.GCM(nonce)).encryptor()
        context.authenticate_additional_data(associated_data)
        ciphertext = context.update(data) + context.finalize()
        return ciphertext + context.tag[: self._tag]

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        tag = data[-self._tag :]
        context = Cipher(self._aes, modes.GCM(nonce, tag, min_tag_length=self._tag)).decryptor()
        context.authenticate_additional_data(associated_data)
        return context.update(data[: -self._tag]) + context.finalize()


class _EncryptThenMac:
    """A cipher in CBC or CTR mode, then a MAC over the whole message up to the checksum (RFC 7296 3.14)."""

    __slots__ = ("_cipher", "_icv", "_mac", "_mode")

    def __init__(self, encr: int, sk_e: Secret, integ: int, sk_a: Secret) -> None:
        row, salt_size = INTEG[integ], ENCR[encr].salt
        key, salt = sk_e.split(len(sk_e) - salt_size, salt_size)
        self._cipher = _block_cipher(encr, key.expose())
        self._mac = keyed_mac(row.function, sk_a.expose())
        self._icv = row.icv
        self._mode: Callable[[bytes], modes.CBC | modes.CTR] = (
            modes.CBC if encr != Encr.AES_CTR else _counting(salt.expose())
        )

    def encrypt(self, prefix: bytes, iv: bytes, padded: bytes) -> bytes:
        context = Cipher(self._cipher, self._mode(iv)).encryptor()
        ciphertext = context.update(padded) + context.finalize()
        return ciphertext + self._checksum(prefix, iv, ciphertext)

    def decrypt(self, prefix: bytes, iv: bytes, sealed: bytes) -> bytes:
        ciphertext, icv = sealed[: -self._icv], sealed[-self._icv :]
        if not same(icv, self._checksum(prefix, iv, ciphertext)):
            raise IntegrityError("wrong integrity check value")
        context = Cipher(self._cipher, self._mode(iv)).decryptor()
        return context.update(ciphertext) + context.finalize()

    def _checksum(self, prefix: bytes, iv: bytes, ciphertext: bytes) -> bytes:
        mac = self._mac.copy()
        mac.update(prefix + iv + ciphertext)
        return mac.digest()[: self._icv]


def _block_cipher(encr: int, key: bytes) -> BlockCipherAlgorithm:
    if encr == Encr.CAMELLIA_CBC:
        return Camellia(key)
    return TripleDES(key) if encr == Encr.TRIPLE_DES_CBC else algorithms.AES(key)


def _counting(salt: bytes) -> Callable[[bytes], modes.CTR]:
    """CTR mode by IV: the counter block is the salt, which RFC 5930 calls the nonce, the IV, and a count."""
    return lambda iv: modes.CTR(salt + iv + FIRST_BLOCK)
