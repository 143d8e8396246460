"""Opens IKE and ESP as an onlooker who was given keys: also under suites that ikepy does not negotiate.

RFC 7296 3.14, RFC 5282, RFC 5930, RFC 7634 (IKE); RFC 4303, RFC 4106, RFC 4309, RFC 3686, RFC 4543 (ESP);
RFC 2405 (DES), RFC 2451 (3DES, CAST, Blowfish), RFC 2403 and RFC 4595 (HMAC-MD5). Nothing here seals.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import CAST5, Blowfish, Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from esp.sa.macs import AES_CMAC, AES_XCBC, keyed_mac
from ikepy.crypto.auth import same
from ikepy.crypto.sk_cipher import FIRST_BLOCK
from ikepy.errors import IntegrityError, WireError


class Mode(Enum):
    CBC = "CBC"
    CTR = "CTR"
    GCM = "GCM"
    CCM = "CCM"
    POLY1305 = "Poly1305"
    GMAC = "GMAC"
    NULL = "NULL"


_AEADS = frozenset({Mode.GCM, Mode.CCM, Mode.POLY1305, Mode.GMAC})


@dataclass(frozen=True, slots=True)
class Encryption:
    """An encryption algorithm. `id`: its transform ID, 0 if it has none. `key`: octets without salt, or 0 if
    it takes several lengths. `icv`: an AEAD's. `cipher`: of a block cipher."""

    name: str
    id: int
    mode: Mode
    iv: int = 0
    key: int = 0
    salt: int = 0
    icv: int = 0
    cipher: str = "AES"

    @property
    def is_aead(self) -> bool:
        return self.mode in _AEADS


@dataclass(frozen=True, slots=True)
class Integrity:
    """An integrity algorithm. `function`: of `esp.sa.macs`, "" if checksums are only skipped."""

    name: str
    id: int
    function: str
    icv: int


ENCRYPTION = {
    one.name: one
    for one in (
        Encryption("NULL", 11, Mode.NULL),
        Encryption("DES_CBC", 2, Mode.CBC, iv=8, key=8, cipher="DES"),
        Encryption("3DES_CBC", 3, Mode.CBC, iv=8, key=24, cipher="3DES"),
        Encryption("CAST_CBC", 6, Mode.CBC, iv=8, cipher="CAST"),
        Encryption("BLOWFISH_CBC", 7, Mode.CBC, iv=8, cipher="BLOWFISH"),
        Encryption("AES_CBC", 12, Mode.CBC, iv=16),
        Encryption("AES_CTR", 13, Mode.CTR, iv=8, salt=4),
        Encryption("AES_CCM_8", 14, Mode.CCM, iv=8, salt=3, icv=8),
        Encryption("AES_CCM_12", 15, Mode.CCM, iv=8, salt=3, icv=12),
        Encryption("AES_CCM_16", 16, Mode.CCM, iv=8, salt=3, icv=16),
        Encryption("AES_GCM_8", 18, Mode.GCM, iv=8, salt=4, icv=8),
        Encryption("AES_GCM_12", 19, Mode.GCM, iv=8, salt=4, icv=12),
        Encryption("AES_GCM_16", 20, Mode.GCM, iv=8, salt=4, icv=16),
        Encryption("NULL_AES_GMAC", 21, Mode.GMAC, iv=8, salt=4, icv=16),
        Encryption("CAMELLIA_CBC", 23, Mode.CBC, iv=16, cipher="CAMELLIA"),
        Encryption("CHACHA20_POLY1305", 28, Mode.POLY1305, iv=8, key=32, salt=4, icv=16),
    )
}
INTEGRITY = {
    one.name: one
    for one in (
        Integrity("HMAC_MD5_96", 1, "md5", 12),
        Integrity("HMAC_SHA1_96", 2, "sha1", 12),
        Integrity("AES_XCBC_96", 5, AES_XCBC, 12),
        Integrity("HMAC_MD5_128", 6, "md5", 16),
        Integrity("HMAC_SHA1_160", 7, "sha1", 20),
        Integrity("AES_CMAC_96", 8, AES_CMAC, 12),
        Integrity("HMAC_SHA2_256_96", 0, "sha256", 12),  # as Linux once truncated it
        Integrity("HMAC_SHA2_256_128", 12, "sha256", 16),
        Integrity("HMAC_SHA2_384_192", 13, "sha384", 24),
        Integrity("HMAC_SHA2_512_256", 14, "sha512", 32),
        Integrity("HMAC_RIPEMD160_96", 0, "", 12),
        *(Integrity(f"ANY_{bits}", 0, "", bits // 8) for bits in (64, 96, 128, 160, 192, 256)),
    )
}
ENCRYPTION_BY_ID = {one.id: one for one in ENCRYPTION.values() if one.id}
INTEGRITY_BY_ID = {one.id: one for one in INTEGRITY.values() if one.id}


class CapturedCipher:
    """One direction of one SA, under keys that somebody wrote down."""

    def __init__(self, encryption: Encryption, key: bytes, integrity: Integrity | None, integrity_key: bytes):
        """`key`: with its salt behind it. ValueError if a key does not fit its algorithm."""
        end = len(key) - encryption.salt
        if end < 0 or (encryption.key and end != encryption.key):
            raise ValueError(f"{encryption.name} has no key of {len(key)} octets")
        self.encryption, self.integrity = encryption, None if encryption.is_aead else integrity
        self._key, self._salt = key[:end], key[end:]
        self._block = None if encryption.mode in (Mode.NULL, Mode.POLY1305) else _block(encryption, self._key)
        self._mac = None
        if self.integrity is not None and self.integrity.function:
            self._mac = keyed_mac(self.integrity.function, integrity_key)

    @property
    def iv(self) -> int:
        """Octets of the IV in front of what is encrypted."""
        return self.encryption.iv

    @property
    def icv(self) -> int:
        """Octets of the checksum behind it."""
        return self.encryption.icv if self.integrity is None else self.integrity.icv

    def open(self, prefix: bytes, body: bytes, sequence_high: bytes = b"") -> bytes:
        """The plaintext with its padding. `prefix`: what stands in front of `body`, which goes from the IV to
        the checksum. `sequence_high`: of extended sequence numbers, the half that is not sent.

        IntegrityError if the checksum is wrong, WireError if the lengths are impossible.
        """
        if len(body) < self.iv + self.icv:
            raise WireError(f"an encrypted part of {len(body)} octets")
        end = len(body) - self.icv
        iv, ciphertext, icv = body[: self.iv], body[self.iv : end], body[end:]
        if self.encryption.is_aead:
            # What is sent of the sequence number stands behind the half that is not (RFC 4106 5).
            associated = prefix if not sequence_high else prefix[:4] + sequence_high + prefix[4:]
            return self._combined(associated, iv, ciphertext, icv)
        if self._mac is not None:
            mac = self._mac.copy()
            mac.update(prefix + iv + ciphertext + sequence_high)
            if not same(mac.digest()[: len(icv)], icv):
                raise IntegrityError("wrong integrity check value")
        return self._plain(iv, ciphertext)

    def _plain(self, iv: bytes, ciphertext: bytes) -> bytes:
        if self._block is None:
            return ciphertext
        if self.encryption.mode is Mode.CTR:
            mode: modes.CBC | modes.CTR = modes.CTR(self._salt + iv + FIRST_BLOCK)
        else:
            mode = modes.CBC(iv)
            if len(ciphertext) * 8 % self._block.block_size:
                raise WireError(f"{len(ciphertext)} octets are no whole blocks")
        context = Cipher(self._block, mode).decryptor()
        return context.update(ciphertext) + context.finalize()

    def _combined(self, associated: bytes, iv: bytes, ciphertext: bytes, icv: bytes) -> bytes:
        nonce = self._salt + iv
        try:
            match self.encryption.mode:
                case Mode.CCM:
                    return AESCCM(self._key, tag_length=len(icv)).decrypt(nonce, ciphertext + icv, associated)
                case Mode.POLY1305:
                    return ChaCha20Poly1305(self._key).decrypt(nonce, ciphertext + icv, associated)
                case Mode.GMAC:
                    self._gcm(nonce, icv, associated + iv + ciphertext, b"")
                    return ciphertext
                case _:
                    return self._gcm(nonce, icv, associated, ciphertext)
        except InvalidTag:
            raise IntegrityError("wrong integrity check value") from None

    def _gcm(self, nonce: bytes, icv: bytes, associated: bytes, ciphertext: bytes) -> bytes:
        context = Cipher(AES(self._key), modes.GCM(nonce, icv, min_tag_length=len(icv))).decryptor()
        context.authenticate_additional_data(associated)
        return context.update(ciphertext) + context.finalize()


def _block(encryption: Encryption, key: bytes) -> BlockCipherAlgorithm:
    """ValueError if the key has a length that the cipher does not take."""
    match encryption.cipher:
        case "DES":
            return TripleDES(key * 3)
        case "3DES":
            return TripleDES(key)
        case "CAST":
            return CAST5(key)
        case "BLOWFISH":
            return Blowfish(key)
        case "CAMELLIA":
            return Camellia(key)
    return AES(key)
