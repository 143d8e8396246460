"""Set-ups of ours to one address of a peer's begin a few at a time, whoever has how many connections to it.

A peer that protects itself from strangers lets few half-open IKE_SAs of one address stand: charon asks for a
COOKIE from three on and answers nothing from five on (`cookie_threshold_ip`, `block_threshold`), and so do
we. A thousand at once would be answered by silence, and come up after retransmissions, if at all.
"""

from __future__ import annotations

from collections import Counter, deque

from ikepy.sa.api.path import Address
from ikepy.sa.setup.demand import Demand, Key
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase

AT_ONCE = 4
PATIENCE = 2.0  # seconds after which the next one begins, though none before it has come to an end


class ConnectGates:
    """The set-ups that are under way, by the peer's address, and those that wait for their turn there."""

    def __init__(self) -> None:
        self._under_way: dict[
            int, tuple[Address, float]
        ] = {}  # by ike_id, oldest first: until when it counts
        self._counts: Counter[Address] = Counter()
        self._queues: dict[Address, deque[Demand]] = {}
        self._waiting: set[Key] = set()  # those in the queues that nobody has begun or taken back meanwhile
        self._open: dict[Address, None] = {}  # addresses whose queue may go on

    def __bool__(self) -> bool:
        """Whether any waits."""
        return bool(self._waiting)

    def lets_in(self, address: Address) -> bool:
        """Whether one more may begin."""
        return self._counts[address] < AT_ONCE

    def wait(self, address: Address, demand: Demand) -> None:
        """Its children wait for their turn, or go on with that; what a packet asks for goes first."""
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
        """A set-up may have come to its end."""
        if sa.phase is not Phase.CONNECTING and sa.ike_id in self._under_way:
            self._leave(sa.ike_id)

    def take_back(self, key: Key) -> None:
        """This one is begun otherwise, or not at all."""
        self._waiting.discard(key)

    @property
    def waiting(self) -> list[Key]:
        """Connections and children."""
        return list(self._waiting)

    @property
    def deadline(self) -> float | None:
        """When the next one may begin."""
        if not self._waiting:
            return None
        if self._open:
            return float("-inf")
        return next((until for _, until in self._under_way.values()), None)

    def pop(self, now: float) -> Demand | None:
        """One whose turn it is."""
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
        """None of those that wait is to begin."""
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
