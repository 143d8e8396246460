"""Defines a task: one elementary job over one or more exchanges of an IKE_SA.

The queue (`task_queue`) and the IKE_SA use only this interface, and know no class of `tasks/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Protocol, TypeVar

from ikepy.config.model import Child
from ikepy.sa.api.effects import Effect, Outcome
from ikepy.sa.api.ends import End
from ikepy.sa.negotiation.collision import Nonces
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.target_ticket import TargetTicket
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload


class TaskKind(Enum):
    """Every kind of task; each is a class in `tasks/`."""

    INIT = auto()
    INTERMEDIATE = auto()  # an exchange between these two
    AUTH = auto()
    CHILD_CREATE = auto()
    CHILD_REKEY = auto()
    IKE_REKEY = auto()
    DELETE_CHILD = auto()
    DELETE_IKE = auto()
    DISCARD_SPI = auto()
    LIVENESS = auto()
    NOTIFY = auto()
    UPDATE_ADDRESSES = auto()  # this and the next two: MOBIKE
    ROUTABILITY_CHECK = auto()
    ADDRESS_LIST = auto()


# Tasks that create or replace a child: a request of the peer's may collide with theirs.
CREATING = frozenset({TaskKind.CHILD_CREATE, TaskKind.CHILD_REKEY})
# Tasks that create, replace or delete a child: no end begins one while the IKE_SA is being rekeyed.
OF_CHILDREN = CREATING | {TaskKind.DELETE_CHILD, TaskKind.DISCARD_SPI}
# Tasks that create, replace or delete no SA.
HARMLESS = frozenset(
    {
        TaskKind.LIVENESS,
        TaskKind.NOTIFY,
        TaskKind.UPDATE_ADDRESSES,
        TaskKind.ROUTABILITY_CHECK,
        TaskKind.ADDRESS_LIST,
    }
)

S = TypeVar("S")  # the IKE_SA


class Task(Protocol[S]):
    """A job as initiator: builds requests and handles their responses.

    `wanted`: the child to bring up. `replaces`: the child_id of the child that it replaces; `removes`: of the
    child that it deletes, `outdated`: only as it is of a former configuration, `spare`: only if another one
    for its traffic stays. `ends`: if it ends the IKE_SA, why.
    """

    kind: ClassVar[TaskKind]
    wanted: WantedChild | None = None
    replaces: int | None = None
    removes: int | None = None
    outdated: bool = False
    spare: bool = False
    ends: End | None = None

    @property
    def midway(self) -> bool:
        """Whether its next request goes on with what an earlier one began (RFC 9370 2.2.4)."""
        return False

    @property
    def exchange(self) -> ExchangeType:
        """The exchange type of the next request."""
        ...

    def request(self, sa: S, now: float) -> list[Payload] | None:
        """The payloads of the next request; None if there is nothing left to do."""
        ...

    def response(self, sa: S, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """Handle the response. PeerError if it is not acceptable."""
        ...

    def failed(self, sa: S, reason: str) -> list[Effect]:
        """Conclude a task that can't be done, or need not: refused, IKE_SA gone, nothing left to do."""
        return []

    def about(self, sa: S) -> frozenset[str] | None:
        """The names of the children that it changes; None if no other task may run beside it."""
        return None

    def intends(self, sa: S) -> Child | None:
        """The configuration of the child that it will add; None if it adds none."""
        return None if self.wanted is None else self.wanted.config

    def collide(self, child: ChildSa | None, nonces: Nonces) -> None:
        """Note that the peer's colliding request for the same child has made `child`.

        None: it is about to, as its additional key exchanges follow (RFC 9370 2.2.4).
        """
        return

    def collide_with(self, successor: S | None, nonces: Nonces) -> None:
        """Note that the peer's rekey of the same IKE_SA has made `successor`, or is about to."""
        return

    @property
    def colliding(self) -> S | None:
        """The IKE_SA of the peer's rekey that crossed this one, or what has replaced that, if it stands."""
        return None

    def overtaken_by_delete(self, spi_out: int) -> None:
        """Note the delete of an unknown child: it may be the one that our response will announce."""
        return

    def settle_collision(self, sa: S, now: float) -> list[Effect]:
        """As `sa` ends: if the peer's rekey of it collided with this one, its IKE_SA gets the children."""
        return []


@dataclass(frozen=True, slots=True)
class Answer:
    """A responder's result: the payloads to send, and the effects to run before and after sending them.

    `keys`: of the IKE_SA from the next message on, if the exchange has extended them (RFC 9370 2.2.2).
    """

    payloads: list[Payload]
    before: list[Effect] = field(default_factory=list)
    after: list[Effect] = field(default_factory=list)
    keys: IkeSaKeys | None = None


def outcomes(tickets: Sequence[int], ok: bool, text: str) -> list[Effect]:
    """Outcomes for everybody who waits for a command (ticket 0: nobody does).

    None yet for a command some of whose targets have not told theirs.
    """
    effects: list[Effect] = []
    for ticket in tickets:
        if isinstance(ticket, TargetTicket):
            effects += ticket.outcome(ok, text)
        elif ticket:
            effects.append(Outcome(ticket, ok, text))
    return effects
