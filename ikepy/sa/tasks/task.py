"""What a task is: one elementary job over one or more exchanges of an IKE_SA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ikepy.sa.effects import Effect, Outcome
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload

if TYPE_CHECKING:
    from ikepy.sa.ike_sa import IkeSa


class Task(Protocol):
    """The initiator form: builds requests and takes their responses."""

    @property
    def exchange(self) -> ExchangeType:
        """The exchange of its next request."""
        ...

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        """The payloads of its next request; None if there is nothing left to do."""
        ...

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """What the response brings about. PeerError if it is not acceptable."""
        ...

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        """The job can't be done, or need not: refused, the IKE_SA is gone, nothing is left."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The responder form's result: `before` is run before the response is sent, `after` after it."""

    payloads: list[Payload]
    before: list[Effect] = field(default_factory=list)
    after: list[Effect] = field(default_factory=list)


def outcomes(tickets: Sequence[int], ok: bool, text: str) -> list[Effect]:
    """Tell everybody who waits for a command (ticket 0: nobody does)."""
    return [Outcome(ticket, ok, text) for ticket in tickets if ticket]
