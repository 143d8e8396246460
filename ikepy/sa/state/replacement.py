"""The states of IKE_SAs that replace others or are replaced: by rekey, reauthentication or crossing set-ups
(RFC 7296 2.4, 2.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")  # the IKE_SA


@dataclass(frozen=True, slots=True)
class Rekeyed(Generic[S]):
    """An IKE_SA that was rekeyed and awaits the peer's delete until `until`.

    `by`: the IKE_SA that took over its children; None if it had none, as the redundant one of two colliding
    rekeys. `then_deletes`: the IKE_SA that is deleted once this one has ended.
    """

    until: float
    by: S | None = None
    then_deletes: S | None = None


@dataclass(frozen=True, slots=True)
class Superseded(Generic[S]):
    """An IKE_SA that a newer one of the peer supersedes; we delete it `at` this time, unless the peer does.

    `last`: the latest time for that; `at` is put off while the peer still sets up children on the newer one.
    """

    by: S
    at: float
    last: float


@dataclass(slots=True)
class Replacing(Generic[S]):
    """What an IKE_SA does with older ones of the same peers.

    `olds`: to be deleted once their children are up here. `settles_at`: until then they stay, as the peer
    still sets up children. `yields_to`: the preferred one of two set-ups that crossed, if this one is
    redundant.
    """

    olds: list[S] = field(default_factory=list)
    settles_at: float | None = None
    yields_to: S | None = None
