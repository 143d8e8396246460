"""The CHILD_SAs that are installed in workers: the device, counter slot and SPI of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView
from dataclasses import dataclass
from typing import Literal

from esp.sa.suites import Suite
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.errors import IkeError
from ikepy.sa.api.capacity import Capacity


class TooManyChildren(IkeError):  # noqa: N818  a state of the table
    """All counter slots of a worker are in use."""


@dataclass(slots=True)
class Child:
    """A CHILD_SA in a worker."""

    child_id: int
    device: VtiDevice
    counter: int  # its slot in the worker's counters
    suite: Suite
    name: str  # of its configuration
    spi_in: int | None = None
    packets: int = 0  # carried when `TrafficWatch` looked last
    tfc_padding: int | Literal["mtu"] = 0  # of what it sends: as configured, if the peer takes it

    @property
    def tfc_octets(self) -> int:
        """The octets that inner packets are padded to, at most the device's MTU; 0: no padding."""
        mtu = self.device.mtu
        return mtu if self.tfc_padding == "mtu" else min(self.tfc_padding, mtu)


class ChildTable:
    """All installed children, by child_id, and the free counter slots of each worker."""

    def __init__(self, workers: int, counters: int) -> None:
        self._children: dict[int, Child] = {}
        self._spis: dict[int, int] = {}  # inbound SPI -> child_id
        self._counters = counters
        self._used = [0] * workers  # counter slots of each worker that were ever in use
        self._free: list[list[int]] = [[] for _ in range(workers)]  # those that are not any more
        self.removing: Callable[[Child], None] = lambda child: None  # called while its counters stand

    def get(self, child_id: int) -> Child | None:
        return self._children.get(child_id)

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._children.values()))

    @property
    def spis(self) -> KeysView[int]:
        """The inbound SPIs in use."""
        return self._spis.keys()

    def add(self, child_id: int, device: VtiDevice, suite: Suite, name: str) -> Child:
        """The record of a child, a new one with a counter slot if there is none; `name`: its configuration's.

        Raises TooManyChildren.
        """
        child = self._children.get(child_id)
        if child is None:
            counter = self._free_counter(device.slot)
            child = self._children[child_id] = Child(child_id, device, counter, suite, name)
        return child

    def room(self, slot: int) -> Capacity:
        """How many more children a worker can have."""
        return Capacity(self._counters - self._used[slot] + len(self._free[slot]), self._counters)

    def _free_counter(self, slot: int) -> int:
        """A slot that was used before, if there is one: the pages of the others take no memory."""
        if self._free[slot]:
            return self._free[slot].pop()
        counter = self._used[slot]
        if counter == self._counters:
            raise TooManyChildren(f"worker {slot} has no room for another child")
        self._used[slot] += 1
        return counter

    def set_spi(self, child: Child, spi: int) -> None:
        child.spi_in = spi
        self._spis[spi] = child.child_id

    def remove(self, child_id: int) -> Child | None:
        """Forget a child, and free its counter slot; None if it is not known."""
        child = self._children.pop(child_id, None)
        if child is not None:
            self.removing(child)
            self._free[child.device.slot].append(child.counter)
            if child.spi_in is not None:
                self._spis.pop(child.spi_in, None)
        return child

    def of_slot(self, slot: int) -> list[Child]:
        return [child for child in self._children.values() if child.device.slot == slot]
