"""What a task is: one elementary job over one or more exchanges of an IKE_SA.

The queue (`task_queue`) and the IKE_SA know tasks by what stands here, and no single one of `tasks/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Protocol, TypeVar

from ikepy.config.model import Child
from ikepy.sa.api.effects import Effect, Outcome
from ikepy.sa.negotiation.collision import Nonces
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.phase import End
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload


class TaskKind(Enum):
    """Every kind of task that there is; each is a class in `tasks/`."""

    INIT = auto()
    AUTH = auto()
    CHILD_CREATE = auto()
    CHILD_REKEY = auto()
    IKE_REKEY = auto()
    DELETE_CHILD = auto()
    DELETE_IKE = auto()
    DISCARD_SPI = auto()
    LIVENESS = auto()
    NOTIFY = auto()
    UPDATE_ADDRESSES = auto()  # the last three: MOBIKE
    ROUTABILITY_CHECK = auto()
    ADDRESS_LIST = auto()


# Tasks that make a child, or a new one in its place: a message of the peer's may cross theirs.
CREATING = frozenset({TaskKind.CHILD_CREATE, TaskKind.CHILD_REKEY})
# Tasks that leave the SAs what they are.
HARMLESS = frozenset(
    {
        TaskKind.LIVENESS,
        TaskKind.NOTIFY,
        TaskKind.UPDATE_ADDRESSES,
        TaskKind.ROUTABILITY_CHECK,
        TaskKind.ADDRESS_LIST,
    }
)

S = TypeVar("S", contravariant=True)  # the IKE_SA


class Task(Protocol[S]):
    """The initiator form: builds requests and takes their responses.

    `wanted`: the child that it is to bring up. `replaces`: the child_id of one that it replaces; `removes`:
    of one that nobody wants any more. `ends`: why the IKE_SA is to end with it.
    """

    kind: ClassVar[TaskKind]
    wanted: WantedChild | None = None
    replaces: int | None = None
    removes: int | None = None
    ends: End | None = None

    @property
    def exchange(self) -> ExchangeType:
        """The exchange of its next request."""
        ...

    def request(self, sa: S, now: float) -> list[Payload] | None:
        """The payloads of its next request; None if there is nothing left to do."""
        ...

    def response(self, sa: S, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """What the response brings about. PeerError if it is not acceptable."""
        ...

    def failed(self, sa: S, reason: str) -> list[Effect]:
        """The job can't be done, or need not: refused, the IKE_SA is gone, nothing is left."""
        return []

    def about(self, sa: S) -> frozenset[str] | None:
        """The names of the children that it changes; None if nothing may run beside it."""
        return None

    def intends(self, sa: S) -> Child | None:
        """The child that is to stand when it is done, beside those that stand now."""
        return None if self.wanted is None else self.wanted.config

    def collide(self, child: ChildSa, nonces: Nonces) -> None:
        """A request of the peer's for the same child, which crossed this one's, has made `child`."""
        return

    def overtaken_by_delete(self, spi_out: int) -> None:
        """The peer deletes a child that we don't know: perhaps the one that its response will tell us of."""
        return

    def settle_collision(self, sa: S, now: float) -> list[Effect]:
        """`sa` ends: if the peer's rekey of it crossed this one, that stays and gets the children."""
        return []


@dataclass(frozen=True, slots=True)
class Answer:
    """The responder form's result: `before` is run before the response is sent, `after` after it."""

    payloads: list[Payload]
    before: list[Effect] = field(default_factory=list)
    after: list[Effect] = field(default_factory=list)


def outcomes(tickets: Sequence[int], ok: bool, text: str) -> list[Effect]:
    """Tell everybody who waits for a command (ticket 0: nobody does)."""
    return [Outcome(ticket, ok, text) for ticket in tickets if ticket]
