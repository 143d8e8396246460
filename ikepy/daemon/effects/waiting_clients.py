"""The clients that wait for the outcome of a command: each gets one, whatever happens to the command."""

from __future__ import annotations

import asyncio

from ikepy.sa.api.commands import Command, Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Outcome

FAULT = "ikepy failed at this by a fault of its own, which the daemon's log tells; please report it"
ENDING = "the daemon is ending"


class Waiting:
    """Futures of outcomes, by the commands' tickets."""

    def __init__(self) -> None:
        self._futures: dict[int, asyncio.Future[Outcome]] = {}

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._futures

    def expect(self, ticket: int) -> asyncio.Future[Outcome]:
        """To be called before the command is given to the machine."""
        future = self._futures[ticket] = asyncio.get_running_loop().create_future()
        return future

    def forget(self, ticket: int) -> None:
        """Its client waits no more."""
        self._futures.pop(ticket, None)

    def tell(self, outcome: Outcome) -> None:
        """The first one counts."""
        future = self._futures.pop(outcome.ticket, None)
        if future is not None and not future.done():
            future.set_result(outcome)

    def failed(self, command: Command, text: str) -> None:
        """The machine did not take it."""
        if isinstance(command, Initiate | Terminate | Rekey):
            self.tell(Outcome(command.ticket, False, text))

    def end(self) -> None:
        """Nothing follows any more."""
        for ticket in tuple(self._futures):
            self.tell(Outcome(ticket, False, ENDING))
