"""The pseudorandom functions of IKE, and prf+ (RFC 7296 2.13, RFC 4868, RFC 4434, RFC 4615)."""

from collections.abc import Callable
from functools import partial
from hmac import digest

from esp.sa.macs import AES_CMAC, AES_KEY, AES_XCBC, aes_mac
from ikepy.crypto.algorithms import PRF
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse

MAX_BLOCKS = 255  # prf+ counts its blocks in one byte


class PrfFunction:
    """A PRF with keys of any length, whose output is not truncated.

    `id` is the transform ID; `size` the bytes of the output, which is the preferred key length too.
    """

    __slots__ = ("_digest", "_fixed_key", "id", "size")

    def __init__(self, prf_id: int) -> None:
        row = PRF[prf_id]
        self.id, self.size = prf_id, row.size
        self._fixed_key = row.function in (AES_XCBC, AES_CMAC)
        self._digest: Callable[[bytes, bytes], bytes]
        if row.function == AES_XCBC:
            self._digest = _xcbc
        elif row.function == AES_CMAC:
            self._digest = _cmac
        else:
            self._digest = partial(_hmac, row.function)

    def compute(self, key: Secret | bytes, *chunks: bytes) -> bytes:
        """prf(key, chunk | chunk | ...): `size` bytes."""
        return self._digest(_bytes(key), b"".join(chunks))

    def plus(self, key: Secret | bytes, seed: bytes, length: int) -> Secret:
        """The first `length` bytes of prf+(key, seed). LocalMisuse beyond 255 blocks."""
        blocks = -(-length // self.size)
        if not 0 <= blocks <= MAX_BLOCKS:
            raise LocalMisuse(f"prf+ cannot give {length} bytes")
        exposed = _bytes(key)
        output = bytearray()
        block = b""
        for number in range(1, blocks + 1):
            block = self._digest(exposed, block + seed + bytes([number]))
            output += block
        return Secret(output[:length])

    def key_of_nonces(self, nonce_i: bytes, nonce_r: bytes) -> bytes:
        """The key of SKEYSEED: Ni | Nr, of which those with AES take 64 bits each (RFC 7296 2.14)."""
        half = AES_KEY // 2
        return nonce_i[:half] + nonce_r[:half] if self._fixed_key else nonce_i + nonce_r


def _bytes(key: Secret | bytes) -> bytes:
    return key.expose() if isinstance(key, Secret) else key


def _hmac(hash_name: str, key: bytes, message: bytes) -> bytes:
    return digest(key, message, hash_name)


def _xcbc(key: bytes, message: bytes) -> bytes:
    """Short keys are padded with zeros, long ones are hashed (RFC 4434 2)."""
    if len(key) > AES_KEY:
        key = aes_mac(AES_XCBC, bytes(AES_KEY), key)
    return aes_mac(AES_XCBC, key.ljust(AES_KEY, b"\0"), message)


def _cmac(key: bytes, message: bytes) -> bytes:
    """Keys of another length than AES's are hashed (RFC 4615 3)."""
    if len(key) != AES_KEY:
        key = aes_mac(AES_CMAC, bytes(AES_KEY), key)
    return aes_mac(AES_CMAC, key, message)


_FUNCTIONS = {prf_id: PrfFunction(prf_id) for prf_id in PRF}


def prf(prf_id: int) -> PrfFunction:
    """The PRF with this transform ID. LocalMisuse if it is not supported."""
    try:
        return _FUNCTIONS[prf_id]
    except KeyError:
        raise LocalMisuse(f"PRF {prf_id} is not supported") from None
