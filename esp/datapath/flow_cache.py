"""Flow cache: per-flow fast paths for packets that come alone.

After a pause the CPU's caches are cold, so every function and every object that a lone packet touches costs
time. What other packets look up step by step is kept in one closure for each flow (egress) and each SPI
(ingress). Any change of an SA, a path, a socket or a device invalidates all of them.
"""

from __future__ import annotations

from collections.abc import Callable

from esp.net.transport import SocketAddress, Transport

EgressFastPath = Callable[[int, int], bool]
"""Sends the packet in the first row, given its length and TOS octet; False: nothing was done."""
IngressFastPath = Callable[[memoryview, SocketAddress, Transport], None]
"""Opens and delivers one ESP packet, given its source address and the socket it came to."""

MAX_FLOWS = 1024  # of one device, or of all SPIs; all are forgotten when there are more


class FlowCache:
    """The fast paths that are known: egress by addresses (`esp.packet.headers.address_key`), ingress by
    SPI."""

    __slots__ = ("_egress", "ingress")

    def __init__(self) -> None:
        self._egress: dict[int, dict[bytes, EgressFastPath]] = {}
        self.ingress: dict[int, IngressFastPath] = {}

    def egress(self, device_id: int) -> dict[bytes, EgressFastPath]:
        """The fast paths of a device: always the same dictionary, also after `invalidate`."""
        return self._egress.setdefault(device_id, {})

    def invalidate(self) -> None:
        """Forget all: an SA, a path, a socket or a device has changed."""
        self.ingress.clear()
        for flows in self._egress.values():
            flows.clear()

    def remove_device(self, device_id: int) -> None:
        """Forget all, and that there was this device."""
        self.invalidate()
        self._egress.pop(device_id, None)
