"""A bounded queue of messages that serves their owners round robin, one message each.

An owner may have as many messages waiting as there are free places, so that the more owners there are, the
fewer places each of them has (dynamic thresholds; Choudhury and Hahne, 1998).
`ikepy.daemon.effects.fair_queue` is for jobs whose cost is known, and has no bounds.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from ikepy.sa.api.path import Path

Waiting = tuple[bytes, Path]


@dataclass(slots=True)
class _Owner:
    octets: int = 0
    queue: deque[Waiting] = field(default_factory=deque)


class RoundRobin:
    """Holds up to `most` messages of `octets` octets together, and up to `most_of_one` of one owner."""

    def __init__(self, most: int, most_of_one: int, octets: int) -> None:
        self._free = most
        self._free_octets = octets
        self._most_of_one = most_of_one
        self._owners: OrderedDict[Hashable, _Owner] = OrderedDict()  # in the order of their turns
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, owner: Hashable, datagram: bytes, path: Path) -> bool:
        """Let a message wait. False: there is no room for it."""
        one = self._owners.get(owner) or _Owner()
        size = len(datagram)
        if len(one.queue) >= min(self._most_of_one, self._free) or one.octets + size > self._free_octets:
            return False
        self._owners[owner] = one
        one.queue.append((datagram, path))
        one.octets += size
        self._count += 1
        self._free -= 1
        self._free_octets -= size
        return True

    def take(self) -> Waiting:
        """Remove and return the next message. Raises IndexError if none waits."""
        if not self._owners:
            raise IndexError("nothing waits")
        owner, one = next(iter(self._owners.items()))
        datagram, path = one.queue.popleft()
        one.octets -= len(datagram)
        if one.queue:
            self._owners.move_to_end(owner)
        else:
            del self._owners[owner]
        self._count -= 1
        self._free += 1
        self._free_octets += len(datagram)
        return datagram, path

    def clear(self) -> None:
        """Drop all of them."""
        while self._owners:
            self.take()
