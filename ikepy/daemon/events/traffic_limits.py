"""Tells the machine how much CHILD_SAs carry, for lifetimes in octets and packets (RFC 4301 4.4.2.1)."""

from __future__ import annotations

import asyncio

from ikepy.config.model import Child, Config
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.interfaces import Counters

INTERVAL = 1.0  # seconds


def is_limited(child: Child) -> bool:
    """Whether a lifetime in octets or packets is configured."""
    return any((child.rekey_bytes, child.life_bytes, child.rekey_packets, child.life_packets))


def is_needed(config: Config) -> bool:
    """Whether any child of the configuration has such a lifetime."""
    return any(is_limited(child) for each in config.connections.values() for child in each.children.values())


class EspHeard:
    """Tells when ESP came in under a child. The machine asks, so that thousands of idle children cost
    nothing."""

    def __init__(self, children: ChildTable, counters: Counters) -> None:
        self._children = children
        self._counters = counters

    def __call__(self, child_id: int) -> float | None:
        """Monotonic seconds, up to one second too early; None: never, or there is no such child."""
        child = self._children.get(child_id)
        block = None if child is None else self._counters(child.device.slot)
        if child is None or block is None:
            return None
        return float(block.of_child(child.counter, child_id).in_last) or None


class TrafficWatch:
    """Reads the workers' counters once a second, and tells the machine; idle if no child has such a
    lifetime."""

    def __init__(
        self, config: Config, runner: EffectsRunner, children: ChildTable, counters: Counters
    ) -> None:
        self._needed = is_needed(config)
        self._runner = runner
        self._children = children
        self._counters = counters
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = None
        if self._needed:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._look)

    def replace_config(self, config: Config) -> None:
        """Watch from now on, or no longer, as `config` has such lifetimes."""
        self._needed = is_needed(config)
        if self._timer is None:
            self.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.start()  # first: a fault costs this look, and not those that follow
        for child in self._children:
            block = self._counters(child.device.slot)
            if block is None:
                continue
            octets, packets = block.volume(child.counter, child.child_id)
            if packets != child.packets:  # the machine is told of those that are not idle
                child.packets = packets
                self._runner.usage(child.child_id, octets, packets)
