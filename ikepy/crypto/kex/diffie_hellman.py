"""Diffie-Hellman as a key exchange method: both ends do the same, in any group (RFC 7296 2.14, RFC 6989)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ikepy.crypto.kex.method import UNACCEPTABLE, Begun, Random, Response, invalid, secret_of
from ikepy.wire.constants import KeGroup

Derive = Callable[[bytes], bytes]  # the peer's public value -> g^ir; ValueError if it is invalid


@dataclass(frozen=True, slots=True)
class DiffieHellman:
    """A group. `size`: bytes of a public value; `drawn`: random bytes of a private one.

    `key_pair` computes a public value and what derives g^ir, of a private value; g^ir has the size of the
    modulus or field in bytes, leading zeros kept, x alone on a curve (RFC 5903 7). `is_element` is the cheap
    check of a public value of the right size; points of small order may show in the result only.
    """

    group: KeGroup
    seconds: float
    size: int
    drawn: int
    key_pair: Callable[[bytes], tuple[bytes, Derive]]
    is_element: Callable[[bytes], bool]

    @property
    def id(self) -> int:
        return self.group

    @property
    def name(self) -> str:
        return self.group.name

    def begin(self, random: Random) -> Callable[[], Begun]:
        private = random(self.drawn)
        return lambda: Begun(self, *self.key_pair(private))

    def respond(self, random: Random, public: bytes) -> Callable[[], Response]:
        private = random(self.drawn)

        def compute() -> Response:
            self.check_initiator(public)
            own, derive = self.key_pair(private)
            return own, secret_of(self.name, derive, public)

        return compute

    def check_initiator(self, public: bytes) -> None:
        if len(public) != self.size:
            raise invalid(self.name, "wrong length")
        if not self.is_element(public):
            raise invalid(self.name, UNACCEPTABLE)

    check_responder = check_initiator
