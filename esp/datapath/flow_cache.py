"""Lanes: how packets travel that come alone, above all after a pause, in as few steps as can be.

Nothing is in the CPU's caches after a pause, so that each function and each object on the way tells. What
other packets look up one by one is kept in a closure for each flow and each SA, until anything changes that
it may depend on: then all of them are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

from esp.net.transport import SocketAddress, Transport

EgressFastPath = Callable[[int, int], bool]
"""Of the length of the packet in the first row and its TOS octet; False: nothing has been done."""
IngressFastPath = Callable[[memoryview, SocketAddress, Transport], None]
"""Of an ESP packet in a datagram of its own, and where it came from."""

MAX_FLOWS = 1024  # of one device, or of all SAs; all are forgotten when there are more


class FlowCache:
    """Those known, on the way out by the packet's addresses (`esp.packet.headers.address_key`), on the way in
    by SPI."""

    __slots__ = ("_egress", "ingress")

    def __init__(self) -> None:
        self._egress: dict[int, dict[bytes, EgressFastPath]] = {}
        self.ingress: dict[int, IngressFastPath] = {}

    def egress(self, device_id: int) -> dict[bytes, EgressFastPath]:
        """Those of a device: the same object, whatever is forgotten."""
        return self._egress.setdefault(device_id, {})

    def invalidate(self) -> None:
        """An SA, a path, a socket or a device has changed."""
        self.ingress.clear()
        for flows in self._egress.values():
            flows.clear()

    def remove_device(self, device_id: int) -> None:
        """There is no such device any more."""
        self.invalidate()
        self._egress.pop(device_id, None)
