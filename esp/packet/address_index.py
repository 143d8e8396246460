"""Index of selectors by address: finds those of thousands that contain an address (RFC 4301 4.4.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from esp.packet.selectors import BITS, Selector

T = TypeVar("T")

_Bucket = tuple[int, int, int]  # IP version, host bits, network


class AddressIndex(Generic[T]):
    """Values by the address ranges of selectors. A network is found by its prefix, other ranges by a linear
    scan.

    Protocols and ports are not considered.
    """

    __slots__ = ("_host_bits", "_networks", "_ranges", "_used")

    def __init__(self) -> None:
        self._networks: dict[_Bucket, list[T]] = {}
        self._used: Counter[tuple[int, int]] = Counter()  # IP version and host bits of those networks
        self._host_bits: dict[int, tuple[int, ...]] = dict.fromkeys(BITS, ())
        self._ranges: list[tuple[Selector, T]] = []

    def add(self, selectors: Iterable[Selector], value: T) -> None:
        for each in selectors:
            bucket = _bucket(each)
            if bucket is None:
                self._ranges.append((each, value))
            else:
                self._networks.setdefault(bucket, []).append(value)
                self._count(bucket, 1)

    def remove(self, selectors: Iterable[Selector], value: T) -> None:
        """Remove what `add` has added. ValueError or KeyError if it is not there."""
        for each in selectors:
            bucket = _bucket(each)
            if bucket is None:
                self._ranges.remove((each, value))
            else:
                self._networks[bucket].remove(value)
                if not self._networks[bucket]:
                    del self._networks[bucket]
                self._count(bucket, -1)

    def _count(self, bucket: _Bucket, change: int) -> None:
        version, bits, _ = bucket
        known = self._used[version, bits]
        self._used[version, bits] = known + change
        if not known or not known + change:
            self._used += Counter()  # without those that are 0
            self._host_bits[version] = tuple(sorted(b for v, b in self._used if v == version))

    def find(self, version: int, address: int) -> Iterator[T]:
        """The values whose selectors contain this address, some perhaps twice."""
        for bits in self._host_bits[version]:
            yield from self._networks.get((version, bits, address >> bits), ())
        for selector, value in self._ranges:
            if selector.version == version and selector.first <= address <= selector.last:
                yield value


def _bucket(selector: Selector) -> _Bucket | None:
    """The bucket of a selector's network; None if its addresses are not one network."""
    bits = selector.host_bits
    return None if bits is None else (selector.version, bits, selector.first >> bits)
