"""Stand-ins for the crypto under a machine: as large, as keyed and as picky, but quick.

Every one draws as many random bytes as what it stands for, so that a run's ladder is the same with either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from ikepy.crypto.kex import ecp, mlkem, montgomery, registry
from ikepy.crypto.kex.diffie_hellman import Derive, DiffieHellman
from ikepy.crypto.kex.mlkem import MlKem
from ikepy.crypto.prf import PrfFunction
from ikepy.crypto.secret import Secret
from ikepy.errors import IntegrityError
from ikepy.sa.message import fragments
from ikepy.sa.state import ike_keys
from ikepy.wire.constants import KeGroup
from ikepy.wire.message import decode_payloads, encode_payloads
from ikepy.wire.payloads import Payload

IV, TAG = 8, 16


class PlainCipher:
    """In the place of `SkCipher` with AES-GCM: the plaintext, and a keyed hash of all."""

    def __init__(
        self,
        encr: int,
        key_bits: int | None,
        integ: int | None,
        sk_e: Secret,
        sk_a: None,
        *,
        first_iv: int = 0,
    ) -> None:
        self._key = sk_e.expose()
        self.next_iv = first_iv

    def body_length(self, plaintext_length: int) -> int:
        return IV + plaintext_length + 1 + TAG

    def seal(self, prefix: bytes, plaintext: bytes, random: Callable[[int], bytes]) -> bytes:
        message = b"%b%b%b\0" % (prefix, self.next_iv.to_bytes(IV, "big"), plaintext)
        self.next_iv += 1
        return message + blake2b(message, digest_size=TAG, key=self._key).digest()

    def open(self, message: bytes, offset: int) -> bytes:
        sealed, tag = message[:-TAG], message[-TAG:]
        if blake2b(sealed, digest_size=TAG, key=self._key).digest() != tag:
            raise IntegrityError("wrong integrity check value")
        return sealed[offset + IV : -1]


def adding(method: DiffieHellman) -> DiffieHellman:
    """In the place of a group: what both derive is the sum of their private values."""

    def key_pair(drawn: bytes) -> tuple[bytes, Derive]:
        private = int.from_bytes(drawn[:16], "big")

        def derive(peer_public: bytes) -> bytes:
            return (private + int.from_bytes(peer_public[:32], "big")).to_bytes(32, "big")

        return private.to_bytes(32, "big").ljust(method.size, b"\0"), derive

    return replace(method, key_pair=key_pair, is_element=lambda public: True)


class HashedKem:
    """In the place of ML-KEM's keys: who has seen key and ciphertext knows the secret."""

    def __init__(self, public: bytes, ciphertext_size: int) -> None:
        self._public, self._size = public, ciphertext_size

    def public_bytes_raw(self) -> bytes:
        return self._public

    def public_key(self) -> HashedKem:
        return self

    def encapsulate(self) -> tuple[bytes, bytes]:
        ciphertext = blake2b(self._public).digest().ljust(self._size, b"\0")
        return self.decapsulate(ciphertext), ciphertext

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return blake2b(ciphertext, digest_size=32, key=blake2b(self._public).digest()).digest()


def hashing(method: MlKem) -> MlKem:
    """In the place of a parameter set of ML-KEM."""
    return replace(
        method,
        of_seed=lambda seed: HashedKem(seed.ljust(method.key_size, b"\0"), method.ciphertext_size),
        of_public=lambda public: HashedKem(public, method.ciphertext_size),
    )


HASHING = tuple(map(hashing, mlkem.METHODS))
ADDING = tuple(
    adding(method)
    for method in (*montgomery.METHODS, *ecp.METHODS)
    if method.group in (KeGroup.CURVE_25519, KeGroup.ECP_256)
)


def compute(function: PrfFunction, key: Secret | bytes, *chunks: bytes) -> bytes:
    """In the place of `PrfFunction.compute`."""
    secret = key.expose() if isinstance(key, Secret) else key
    return blake2b(b"".join(chunks), digest_size=function.size, key=blake2b(secret).digest()).digest()


def plus(function: PrfFunction, key: Secret | bytes, seed: bytes, length: int) -> Secret:
    """In the place of `PrfFunction.plus`."""
    secret = blake2b(key.expose() if isinstance(key, Secret) else key).digest()
    blocks = (
        blake2b(seed, digest_size=64, key=secret, salt=n.to_bytes(2, "big")).digest()
        for n in range(-(-length // 64))
    )
    return Secret(b"".join(blocks)[:length])


class Codec:
    """The chains of payloads that were encoded, so that none needs to be decoded."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], tuple[Payload, ...]] = {}

    def encode(self, payloads: Sequence[Payload]) -> tuple[int, bytes]:
        first, chain = encode_payloads(payloads)
        self._known[first, chain] = tuple(payloads)
        return first, chain

    def decode(self, first: int, data: bytes) -> tuple[Payload, ...]:
        known = self._known.get((first, data))
        return decode_payloads(first, data) if known is None else known


@contextmanager
def crypto() -> Iterator[None]:
    """Machines have the stand-ins as long as this lasts."""
    codec = Codec()
    swaps: list[tuple[Any, str, object]] = [
        (ike_keys, "SkCipher", PlainCipher),
        (PrfFunction, "compute", compute),
        (PrfFunction, "plus", plus),
        (fragments, "encode_payloads", codec.encode),
        (fragments, "decode_payloads", codec.decode),
    ]
    real = [getattr(owner, name) for owner, name, _ in swaps]
    for owner, name, stand_in in swaps:
        setattr(owner, name, stand_in)
    try:
        with registry.registered(*ADDING, *HASHING):
            yield
    finally:
        for (owner, name, _), before in zip(swaps, real, strict=True):
            setattr(owner, name, before)
