"""CREATE_CHILD_SA exchanges of the peer that go on in IKE_FOLLOWUP_KE (RFC 9370 2.2.4).

Until the last additional key exchange there is no new SA, only what is kept here to make it. A blob that only
we understand, the link, says which of them a request continues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ikepy.config.model import Child
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect
from ikepy.sa.state.task import Answer
from ikepy.wire.constants import NotifyType

MOST = 8  # at once on one IKE_SA
TIMEOUT = 20.0  # seconds until the next exchange must have begun; a request may be lost twice
LINK_SIZE = 8  # octets

Finish = Callable[[Sequence[Secret], float], Answer]
GiveUp = Callable[[float], list[Effect]]


@dataclass(frozen=True, slots=True)
class Followup:
    """One of them: the methods that are still to come, and the secrets so far.

    `finish` makes the SA with all secrets and gives what the last response has besides its KE payload; it may
    raise PeerError. `give_up` is called if the peer does not go on. `replaces`: the child_id of the child
    that is rekeyed; `rekeys_ike`: it is the IKE_SA. `intends`: the configuration of the child to come.
    """

    methods: tuple[int, ...]
    secrets: tuple[Secret, ...]
    finish: Finish
    give_up: GiveUp
    replaces: int | None = None
    rekeys_ike: bool = False
    intends: Child | None = None

    def after(self, secret: Secret) -> Followup:
        """With the secret of its next key exchange."""
        return replace(self, methods=self.methods[1:], secrets=(*self.secrets, secret))


class Followups:
    """All of one IKE_SA, by link."""

    def __init__(self) -> None:
        self._all: dict[bytes, tuple[Followup, float]] = {}

    def check_room(self) -> None:
        """PeerError TEMPORARY_FAILURE if there are too many."""
        if len(self._all) >= MOST:
            raise PeerError(NotifyType.TEMPORARY_FAILURE, f"{MOST} exchanges wait for the peer to go on")

    def add(self, link: bytes, followup: Followup, now: float) -> None:
        """Wait for the peer to go on. Another one that replaces the same SA is forgotten: it began anew."""
        if followup.replaces is not None:
            self.forget_rekey(followup.replaces)
        if followup.rekeys_ike:
            self.forget_ike_rekey()
        self._all[link] = followup, now + TIMEOUT

    def get(self, link: bytes) -> Followup | None:
        """One that may go on."""
        found = self._all.get(link)
        return None if found is None or not found[0].methods else found[0]

    def take(self, link: bytes) -> None:
        """Remove one that has gone on."""
        self._all.pop(link, None)

    def prolong(self, link: bytes, now: float) -> None:
        """The peer has gone on: what it asks for may take its time."""
        self._all[link] = self._all[link][0], now + TIMEOUT

    def fail(self, link: bytes, now: float) -> None:
        """One can't go on: it is given up at once."""
        found = self._all.get(link)
        if found is not None:
            self._all[link] = replace(found[0], methods=()), now

    def rekeys(self, child_id: int) -> bool:
        """Whether the peer is about to replace this child."""
        return any(one.replaces == child_id for one, _ in self._all.values())

    @property
    def intended(self) -> list[Child]:
        """The configurations of the children to come."""
        return [one.intends for one, _ in self._all.values() if one.intends is not None]

    @property
    def rekeys_ike(self) -> bool:
        """Whether the peer is about to replace the IKE_SA."""
        return any(one.rekeys_ike for one, _ in self._all.values())

    def forget_rekey(self, child_id: int) -> None:
        """Our own rekey of this child stays."""
        self._keep(lambda one: one.replaces != child_id)

    def forget_ike_rekey(self) -> None:
        """Our own rekey of the IKE_SA stays."""
        self._keep(lambda one: not one.rekeys_ike)

    def forget(self) -> None:
        """The IKE_SA has ended, or is rekeyed."""
        self._all.clear()

    def expire(self, now: float) -> list[Effect]:
        """Give up those that the peer has not continued in time."""
        effects: list[Effect] = []
        for link in [link for link, (_, until) in self._all.items() if until <= now]:
            followup, _ = self._all.pop(link)
            effects += followup.give_up(now)
        return effects

    @property
    def deadline(self) -> float | None:
        return min((until for _, until in self._all.values()), default=None)

    def _keep(self, wanted: Callable[[Followup], bool]) -> None:
        self._all = {link: entry for link, entry in self._all.items() if wanted(entry[0])}
