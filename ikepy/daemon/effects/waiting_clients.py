"""Clients that wait for the outcome of a command: each gets exactly one, also if the command fails."""

from __future__ import annotations

import asyncio
import itertools

from ikepy.sa.api.commands import Command, Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Outcome

FAULT = "ikepy failed at this by a fault of its own, which the daemon's log tells; please report it"
ENDING = "the daemon is ending"


class Waiting:
    """The futures of outcomes, by the commands' tickets."""

    def __init__(self) -> None:
        self._futures: dict[int, asyncio.Future[Outcome]] = {}
        self._tickets = itertools.count(1)

    def ticket(self) -> int:
        """A number for the next command, which no other client's command has."""
        return next(self._tickets)

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._futures

    def expect(self, ticket: int) -> asyncio.Future[Outcome]:
        """A future of the outcome. To be called before the command is given to the machine."""
        future = self._futures[ticket] = asyncio.get_running_loop().create_future()
        return future

    def forget(self, ticket: int) -> None:
        """The client waits no more."""
        self._futures.pop(ticket, None)

    def tell(self, outcome: Outcome) -> None:
        """Give its client an outcome; later ones for the same ticket are ignored."""
        future = self._futures.pop(outcome.ticket, None)
        if future is not None and not future.done():
            future.set_result(outcome)

    def failed(self, command: Command, text: str) -> None:
        """The machine did not take the command: tell its client why."""
        if isinstance(command, Initiate | Terminate | Rekey):
            self.tell(Outcome(command.ticket, False, text))

    def end(self) -> None:
        """Tell all clients that the daemon ends."""
        for ticket in tuple(self._futures):
            self.tell(Outcome(ticket, False, ENDING))
