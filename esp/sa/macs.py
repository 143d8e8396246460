"""Message authentication codes of ESP and IKE: HMAC (RFC 2104), AES-XCBC-MAC (RFC 3566), AES-CMAC (RFC 4494).

All are keyed once and copied for each message, and give the whole code; who uses them truncates it.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.cmac import CMAC

AES_XCBC, AES_CMAC = "aes-xcbc", "aes-cmac"
AES_KEY = AES_BLOCK = 16  # octets: both take keys of 128 bits, and give a block


class Mac(Protocol):
    """What `hashlib` and `hmac` have."""

    def copy(self) -> Mac: ...

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


def keyed_mac(function: str, key: bytes) -> Mac:
    """The MAC under a key. `function`: the name of HMAC's hash, or `AES_XCBC` or `AES_CMAC`, which raise
    ValueError for keys of other than 16 octets."""
    if function not in (AES_XCBC, AES_CMAC):
        return hmac.new(key, digestmod=function)
    if len(key) != AES_KEY:
        raise ValueError(f"{function} takes {AES_KEY} octets of keys, not {len(key)}")
    return _XcbcMac(_xcbc_keys(key)) if function == AES_XCBC else _CmacMac(CMAC(AES(key)))


def aes_mac(function: str, key: bytes, message: bytes) -> bytes:
    """One message under one AES-based MAC: 16 octets."""
    mac = keyed_mac(function, key)
    mac.update(message)
    return mac.digest()


def _xcbc_keys(key: bytes) -> tuple[bytes, bytes, bytes]:
    """K1, K2 and K3 of RFC 3566 4."""
    blocks = b"".join(bytes([number]) * AES_BLOCK for number in (1, 2, 3))
    derived = Cipher(AES(key), ECB()).encryptor().update(blocks)
    return derived[:16], derived[16:32], derived[32:]


class _XcbcMac:
    """AES-XCBC-MAC: CBC under K1, with K2 or K3 added to the last block (RFC 3566 4)."""

    __slots__ = ("_keys", "_message")

    def __init__(self, keys: tuple[bytes, bytes, bytes], message: bytes = b"") -> None:
        self._keys, self._message = keys, message

    def copy(self) -> _XcbcMac:
        return _XcbcMac(self._keys, self._message)

    def update(self, data: bytes, /) -> None:
        self._message += data

    def digest(self) -> bytes:
        first, whole, padded = self._keys
        message = self._message
        at = max(len(message) - 1, 0) // AES_BLOCK * AES_BLOCK
        last = message[at:]
        if len(last) == AES_BLOCK:
            mask = whole
        else:
            last, mask = (last + b"\x80").ljust(AES_BLOCK, b"\0"), padded
        masked = int.from_bytes(last, "big") ^ int.from_bytes(mask, "big")
        blocks = message[:at] + masked.to_bytes(AES_BLOCK, "big")
        return Cipher(AES(first), CBC(bytes(AES_BLOCK))).encryptor().update(blocks)[-AES_BLOCK:]


class _CmacMac:
    """AES-CMAC (RFC 4493)."""

    __slots__ = ("_cmac",)

    def __init__(self, cmac: CMAC) -> None:
        self._cmac = cmac

    def copy(self) -> _CmacMac:
        return _CmacMac(self._cmac.copy())

    def update(self, data: bytes, /) -> None:
        self._cmac.update(data)

    def digest(self) -> bytes:
        return self._cmac.copy().finalize()
