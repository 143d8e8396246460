"""Key exchanges for tests: one end's, slow ones, and a KEM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import UNACCEPTABLE, Begun, KeyExchange, Random, Response, invalid
from ikepy.crypto.secret import Secret
from ikepy.sa.api.computation import QUICK


def begin(method: int, random: Random) -> Begun:
    """An initiator's key exchange that has begun. LocalMisuse if the method is not supported."""
    return registry.method(method).begin(random)()


@dataclass(frozen=True, slots=True)
class Slow:
    """Another method, said to take just too long to be computed at once."""

    method: KeyExchange
    seconds: float = 3 * QUICK

    @property
    def id(self) -> int:
        return self.method.id

    @property
    def name(self) -> str:
        return self.method.name

    def begin(self, random: Random) -> Callable[[], Begun]:
        compute = self.method.begin(random)
        return lambda: replace(compute(), method=self)

    def respond(self, random: Random, public: bytes) -> Callable[[], Response]:
        return self.method.respond(random, public)

    def check_initiator(self, public: bytes) -> None:
        self.method.check_initiator(public)

    def check_responder(self, public: bytes) -> None:
        self.method.check_responder(public)


@contextmanager
def all_slow() -> Iterator[None]:
    """In this context every method is `Slow`."""
    slow = [Slow(registry.method(transform_id)) for transform_id in registry.supported()]
    with registry.registered(*slow):
        yield


@dataclass(frozen=True, slots=True)
class MlKem768:
    """A key encapsulation mechanism (FIPS 203): no end can do what the other one does."""

    id: int
    seconds: float = 0.0005
    name: str = "ML_KEM_768"
    key_size: int = 1184  # encapsulation key, which the initiator sends
    ciphertext_size: int = 1088  # which the responder sends
    seed_size: int = 64

    def begin(self, random: Random) -> Callable[[], Begun]:
        seed = random(self.seed_size)

        def compute() -> Begun:
            private = MLKEM768PrivateKey.from_seed_bytes(seed)
            return Begun(self, private.public_key().public_bytes_raw(), private.decapsulate)

        return compute

    def respond(self, random: Random, public: bytes) -> Callable[[], Response]:
        def compute() -> Response:
            self.check_initiator(public)
            secret, ciphertext = MLKEM768PublicKey.from_public_bytes(public).encapsulate()
            return ciphertext, Secret(secret)

        return compute

    def check_initiator(self, public: bytes) -> None:
        if len(public) != self.key_size:
            raise invalid(self.name, "wrong length")
        try:
            MLKEM768PublicKey.from_public_bytes(public)  # the modulus check of FIPS 203 7.2
        except ValueError:
            raise invalid(self.name, UNACCEPTABLE) from None

    def check_responder(self, public: bytes) -> None:
        if len(public) != self.ciphertext_size:
            raise invalid(self.name, "wrong length")
