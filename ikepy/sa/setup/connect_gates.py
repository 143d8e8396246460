"""Limits how many set-ups of ours run at once to one address of a peer, over all connections to it.

Responders limit the half-open IKE_SAs of one address (RFC 7296 2.6): charon demands a COOKIE from the third
on and ignores requests from the fifth on (`cookie_threshold_ip`, `block_threshold`), and so do we. Of a
thousand simultaneous set-ups most would be ignored, and come up after retransmissions, if at all.
"""

from __future__ import annotations

from collections import Counter, deque

from ikepy.sa.api.path import Address
from ikepy.sa.setup.demand import Demand, Key
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase

AT_ONCE = 4
PATIENCE = 2.0  # seconds after which a set-up does not count any more, even if it has not ended


class ConnectGates:
    """Counts the set-ups under way to each address of a peer, and queues the demands beyond AT_ONCE."""

    def __init__(self) -> None:
        self._under_way: dict[
            int, tuple[Address, float]
        ] = {}  # by ike_id, oldest first: until when it counts
        self._counts: Counter[Address] = Counter()
        self._queues: dict[Address, deque[Demand]] = {}
        self._waiting: set[Key] = set()  # in the queues, and not taken back meanwhile
        self._open: dict[Address, None] = {}  # addresses at which a set-up has ended: their queue may go on

    def __bool__(self) -> bool:
        """Whether any demand waits."""
        return bool(self._waiting)

    def lets_in(self, address: Address) -> bool:
        """Whether one more set-up to this address may begin."""
        return self._counts[address] < AT_ONCE

    def wait(self, address: Address, demand: Demand) -> None:
        """Queue the children that don't wait yet; those that a packet needs go first."""
        queue = self._queues.setdefault(address, deque())
        for name in demand.children:
            key = demand.connection.name, name
            if key in self._waiting:
                continue
            self._waiting.add(key)
            if demand.packet is None:
                queue.append(demand.only(name))
            else:
                queue.appendleft(demand.only(name))

    def begun(self, sa: IkeSa, now: float) -> None:
        address = sa.path.remote.address
        self._under_way[sa.ike_id] = address, now + PATIENCE
        self._counts[address] += 1

    def update(self, sa: IkeSa) -> None:
        """Stop counting a set-up that has ended."""
        if sa.phase is not Phase.CONNECTING and sa.ike_id in self._under_way:
            self._leave(sa.ike_id)

    def take_back(self, key: Key) -> None:
        """Forget a child that waits: it is begun otherwise, or not at all."""
        self._waiting.discard(key)

    def waits(self, key: Key) -> bool:
        """Whether this child waits for its turn."""
        return key in self._waiting

    @property
    def waiting(self) -> list[Key]:
        """The names of the waiting children, each with its connection's."""
        return list(self._waiting)

    @property
    def deadline(self) -> float | None:
        """When the next demand may begin: `-inf` at once, None if none waits."""
        if not self._waiting:
            return None
        if self._open:
            return float("-inf")
        return next((until for _, until in self._under_way.values()), None)

    def pop(self, now: float) -> Demand | None:
        """Remove and return a demand whose turn it is; None if there is none."""
        for ike_id, (_, until) in list(self._under_way.items()):
            if until > now:
                break
            self._leave(ike_id)
        while self._open:
            address = next(iter(self._open))
            queue = self._queues.get(address)
            if not queue or not self.lets_in(address):
                del self._open[address]
                if not queue:
                    self._queues.pop(address, None)
                continue
            demand = queue.popleft()
            key = demand.connection.name, demand.children[0]
            if key in self._waiting:
                self._waiting.discard(key)
                return demand
        return None

    def clear(self) -> None:
        """Forget all demands that wait."""
        self._queues.clear()
        self._waiting.clear()
        self._open.clear()

    def _leave(self, ike_id: int) -> None:
        address, _ = self._under_way.pop(ike_id)
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]
        if address in self._queues:
            self._open[address] = None
