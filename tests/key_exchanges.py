"""Key exchanges for tests: one end's, and slow ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Begun, KeyExchange, Random, Response
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
