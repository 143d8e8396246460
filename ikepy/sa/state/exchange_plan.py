"""The exchanges that set up an IKE_SA: IKE_SA_INIT, any number of further ones, IKE_AUTH (RFC 9242 3.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from ikepy.sa.state.task import Answer, Task
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload
from ikepy.wire.proposal import Proposal

S = TypeVar("S")  # the IKE_SA


class FurtherExchange(Protocol[S]):
    """An exchange between IKE_SA_INIT and IKE_AUTH, for one IKE_SA: protected, but nobody is authenticated.

    It may extend the key schedule: the initiator's task by `IkeSa.extend_keys` when it has the response, the
    responder's answer by `Answer.keys`.
    """

    @property
    def exchange(self) -> ExchangeType: ...

    def initiate(self) -> Task[S]:
        """Our side of it as initiator; at its end the task calls `tasks.next_exchange.initiate`."""
        ...

    def respond(self, sa: S, payloads: Sequence[Payload], now: float) -> Answer:
        """Answer the peer's request; PeerError ends the IKE_SA. May raise ResultPending."""
        ...


class ExchangePlan(Generic[S]):
    """What is left of a set-up after IKE_SA_INIT. IKE_AUTH is last, and may take several rounds."""

    def __init__(self, further: Iterable[FurtherExchange[S]] = ()) -> None:
        self._further = deque(further)

    @property
    def next(self) -> FurtherExchange[S] | None:
        """The exchange that comes next; None: it is IKE_AUTH."""
        return self._further[0] if self._further else None

    @property
    def permitted(self) -> ExchangeType:
        """The only exchange that the initiator may begin now."""
        return ExchangeType.IKE_AUTH if self.next is None else self.next.exchange

    def advance(self) -> None:
        """The next exchange has begun, as initiator, or is over, as responder. IKE_AUTH stays."""
        if self._further:
            self._further.popleft()


# What an IKE_SA needs that agreed on this IKE proposal, between IKE_SA_INIT and IKE_AUTH.
PlanOf = Callable[[S, Proposal], Sequence[FurtherExchange[S]]]


def auth_alone(sa: S, chosen: Proposal) -> Sequence[FurtherExchange[S]]:
    """Nothing: IKE_AUTH follows at once."""
    return ()
