"""The pseudorandom functions of IKE, and prf+ (RFC 7296 2.13, RFC 4868)."""

from hmac import digest

from cryptography.hazmat.primitives import hashes

from ikepy.crypto.algorithms import PRF
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse

MAX_BLOCKS = 255  # prf+ counts its blocks in one byte


class PrfFunction:
    """HMAC as a PRF: keys of any length, output not truncated.

    `id` is the transform ID; `size` the bytes of the output, which is the preferred key length too.
    """

    __slots__ = ("_hash", "id", "size")

    def __init__(self, prf_id: int, hash_: hashes.HashAlgorithm) -> None:
        self.id = prf_id
        self.size = hash_.digest_size
        self._hash = hash_.name

    def compute(self, key: Secret | bytes, *chunks: bytes) -> bytes:
        """prf(key, chunk | chunk | ...): `size` bytes."""
        return digest(_bytes(key), b"".join(chunks), self._hash)

    def plus(self, key: Secret | bytes, seed: bytes, length: int) -> Secret:
        """The first `length` bytes of prf+(key, seed). LocalMisuse beyond 255 blocks."""
        blocks = -(-length // self.size)
        if not 0 <= blocks <= MAX_BLOCKS:
            raise LocalMisuse(f"prf+ cannot give {length} bytes")
        exposed = _bytes(key)
        output = bytearray()
        block = b""
        for number in range(1, blocks + 1):
            block = digest(exposed, block + seed + bytes([number]), self._hash)
            output += block
        return Secret(output[:length])


def _bytes(key: Secret | bytes) -> bytes:
    return key.expose() if isinstance(key, Secret) else key


_FUNCTIONS = {prf_id: PrfFunction(prf_id, hash_) for prf_id, hash_ in PRF.items()}


def prf(prf_id: int) -> PrfFunction:
    """The PRF with this transform ID. LocalMisuse if it is not supported."""
    try:
        return _FUNCTIONS[prf_id]
    except KeyError:
        raise LocalMisuse(f"PRF {prf_id} is not supported") from None
