"""ML-KEM as a key exchange method (FIPS 203, draft-ietf-ipsecme-ikev2-mlkem).

The initiator's public value is an encapsulation key, the responder's a ciphertext. ML-KEM-512 is missing, as
`cryptography` does not have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)

from ikepy.crypto.kex.method import UNACCEPTABLE, Begun, Random, Response, invalid
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import KeGroup

SEED_SIZE = 64  # bytes: d | z (FIPS 203 7.1)


class EncapsulationKey(Protocol):
    """The library's public key, of any parameter set."""

    def encapsulate(self) -> tuple[bytes, bytes]:
        """The shared secret, and its ciphertext."""
        ...

    def public_bytes_raw(self) -> bytes: ...


class DecapsulationKey(Protocol):
    """The library's private key."""

    def decapsulate(self, ciphertext: bytes) -> bytes: ...

    def public_key(self) -> EncapsulationKey: ...


@dataclass(frozen=True, slots=True)
class MlKem:
    """A parameter set. `key_size`, `ciphertext_size`: bytes of what the initiator, the responder sends.

    `of_seed` makes a private key of SEED_SIZE bytes; `of_public` raises ValueError for an encapsulation key
    that is not reduced (the modulus check of FIPS 203 7.2).
    """

    group: KeGroup
    seconds: float
    key_size: int
    ciphertext_size: int
    of_seed: Callable[[bytes], DecapsulationKey]
    of_public: Callable[[bytes], EncapsulationKey]

    @property
    def id(self) -> int:
        return self.group

    @property
    def name(self) -> str:
        return self.group.name

    def begin(self, random: Random) -> Callable[[], Begun]:
        seed = random(SEED_SIZE)

        def compute() -> Begun:
            private = self.of_seed(seed)
            return Begun(self, private.public_key().public_bytes_raw(), private.decapsulate)

        return compute

    def respond(self, random: Random, public: bytes) -> Callable[[], Response]:
        """As `KeyExchange.respond`. The library draws the secret itself: it takes no randomness from us."""

        def compute() -> Response:
            secret, ciphertext = self._key(public).encapsulate()
            return ciphertext, Secret(secret)

        return compute

    def check_initiator(self, public: bytes) -> None:
        self._key(public)

    def check_responder(self, public: bytes) -> None:
        """The type check of FIPS 203 7.3. A changed ciphertext gives another secret, and no error."""
        if len(public) != self.ciphertext_size:
            raise invalid(self.name, "wrong length")

    def _key(self, public: bytes) -> EncapsulationKey:
        if len(public) != self.key_size:
            raise invalid(self.name, "wrong length")
        try:
            return self.of_public(public)
        except ValueError:
            raise invalid(self.name, UNACCEPTABLE) from None


# Seconds: measured with `python -m benchmarks.kex` and rounded up.
METHODS = (
    MlKem(
        KeGroup.ML_KEM_768,
        seconds=0.00015,
        key_size=1184,
        ciphertext_size=1088,
        of_seed=MLKEM768PrivateKey.from_seed_bytes,
        of_public=MLKEM768PublicKey.from_public_bytes,
    ),
    MlKem(
        KeGroup.ML_KEM_1024,
        seconds=0.0002,
        key_size=1568,
        ciphertext_size=1568,
        of_seed=MLKEM1024PrivateKey.from_seed_bytes,
        of_public=MLKEM1024PublicKey.from_public_bytes,
    ),
)
