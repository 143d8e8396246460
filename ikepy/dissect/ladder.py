"""The ladder: the messages of a capture in their order, each between two ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ikepy.dissect.message import Kind, Message
from ikepy.sa.api.path import Address


class Ladder:
    """Messages by their numbers. One that comes again, with more known of it, takes its former place."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._messages: dict[int, Message] = {}
        self._left: dict[frozenset[Address], Address] = {}
        for message in messages:
            self.add(message)

    def add(self, message: Message) -> None:
        """A new message, or more of one that is there."""
        self._messages[message.number] = message
        ends = frozenset((message.source.address, message.destination.address))
        self._left.setdefault(ends, message.source.address)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages.values())

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, number: int) -> Message:
        return self._messages[number]

    def get(self, number: int) -> Message | None:
        return self._messages.get(number)

    @property
    def begin_s(self) -> float:
        """When the first message came; times are shown from there on."""
        return min((one.time_s for one in self), default=0.0)

    def goes_right(self, message: Message) -> bool:
        """Whether it goes from the left end to the right one: who speaks first stands on the left."""
        ends = frozenset((message.source.address, message.destination.address))
        return self._left[ends] == message.source.address

    def ends(self, message: Message) -> tuple[str, str]:
        """Left and right end, with ports."""
        source, destination = str(message.source), str(message.destination)
        return (source, destination) if self.goes_right(message) else (destination, source)

    def of_kind(self, *kinds: Kind) -> Ladder:
        """Those messages alone."""
        return Ladder(one for one in self if one.kind in kinds)
