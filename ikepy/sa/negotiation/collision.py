"""Decides which of two new SAs is redundant when rekeys of one SA collide (RFC 7296 2.8.1 and 2.8.2)."""

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
    """The SA made by the peer's request that collided with ours for the same SA, and its nonces."""

    sa: T
    nonces: Nonces


def ours_is_redundant(ours: Nonces, theirs: Nonces) -> bool:
    """Whether our exchange has the lowest of the four nonces, so that we delete the SA that it made.

    Both ends see the same four nonces and reach the same answer. Nonces are compared as octet strings. Equal
    ones don't occur by chance; each end would keep its own SA, and a delete follows either way.
    """
    return ours.lowest < theirs.lowest
