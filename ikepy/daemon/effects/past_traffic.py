"""What children carried that are gone: a rekey begins an SA's counters anew, a child's total goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from esp.ipc.counters import SaCounters
from ikepy.daemon.effects.children import Child
from ikepy.daemon.interfaces import Counters


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets, and octets of inner packets; `drops` by reason."""

    in_packets: int = 0
    in_bytes: int = 0
    out_packets: int = 0
    out_bytes: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)

    def plus(self, counters: SaCounters) -> Traffic:
        """This and what an SA has carried."""
        drops = dict(self.drops)
        for reason, number in counters.drops.items():
            drops[reason] = drops.get(reason, 0) + number
        return Traffic(
            self.in_packets + counters.in_packets,
            self.in_bytes + counters.in_bytes,
            self.out_packets + counters.out_packets,
            self.out_bytes + counters.out_bytes,
            drops,
        )


class PastTraffic:
    """Sums by connection and child. What a worker counts after control has removed an SA is not in them."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.sums: dict[tuple[str, str], Traffic] = {}

    def forget(self, connection: str) -> None:
        """The connection is configured no more."""
        self.sums = {key: traffic for key, traffic in self.sums.items() if key[0] != connection}

    def note(self, child: Child) -> None:
        """Add a child that is being removed, while its counters stand."""
        block = self._counters(child.device.slot)
        if block is not None:
            key = (child.device.connection.name, child.name)
            carried = block.of_child(child.counter, child.child_id)
            self.sums[key] = self.sums.get(key, Traffic()).plus(carried)
