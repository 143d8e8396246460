"""Tells whether the kernel routes a path to a peer out of this host, or into a tunnel of ours.

A tunnel of ours is no way to a peer: a path through it would seem to work, for the probe is carried by the
very SAs that are to move there (RFC 4555 3.5). So each path is looked up in the kernel's routing table before
IKE tries it, chooses it or answers on it; answers are remembered for a second. ESP is not looked up here: a
worker finds what routes lead back into a device (`esp.datapath.loop_detection`), whenever they change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Protocol

from ikepy.sa.api.path import Address, Path

SECONDS = 1.0  # for which an answer of the kernel's is used
MOST = 4096  # answers


class RoutingTable(Protocol):
    """The module `tun.network`."""

    def outlet(self, remote: Address, local: Address) -> str | None: ...


class RouteCheck:
    """Asks the kernel, and remembers its answers by the two addresses."""

    def __init__(
        self,
        network: RoutingTable,
        devices: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`devices` gives the names that our own have now."""
        self._network = network
        self._devices = devices
        self._clock = clock
        self._known: dict[tuple[Address, Address], tuple[float, str | None]] = {}

    @property
    def devices(self) -> Collection[str]:
        """The names of our own devices."""
        return self._devices()

    def leads_out(self, path: Path) -> bool:
        """False if the routes lead the path into a device of ours. Without a route, sending fails by
        itself."""
        return self.tunnel(path) is None

    def tunnel(self, path: Path) -> str | None:
        """The device of ours that the routes lead this path into, if it is one."""
        key, now = (path.local.address, path.remote.address), self._clock()
        until, found = self._known.get(key, (0.0, None))
        if now < until:
            return found
        name = self._network.outlet(path.remote.address, path.local.address)
        found = name if name in self.devices else None
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[key] = now + SECONDS, found
        return found

    def forget(self) -> None:
        """Routes have changed."""
        self._known.clear()
