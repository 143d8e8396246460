"""Two rekeys of one SA that cross: which of the two new SAs is redundant (RFC 7296 2.8.1 and 2.8.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Nonces:
    """The nonces of one CREATE_CHILD_SA exchange."""

    initiator: bytes
    responder: bytes

    @property
    def lowest(self) -> bytes:
        return min(self.initiator, self.responder)


@dataclass(frozen=True, slots=True)
class Colliding(Generic[T]):
    """A request of the peer's that crossed ours for the same SA: what it made (`sa`), and its nonces."""

    sa: T
    nonces: Nonces


def ours_is_redundant(ours: Nonces, theirs: Nonces) -> bool:
    """Whether the SA of our exchange has the lowest of the four nonces, so that we delete it again.

    Both ends come to the same answer, for they see the same four nonces. Nonces are compared as octet
    strings. Equal ones can't happen by chance; then each end keeps its own, and a delete follows either way.
    """
    return ours.lowest < theirs.lowest
