"""The IKE machine's randomness, from the operating system (RFC 4086), and SPIs that encode their worker."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection

FIRST_SPI = 256  # RFC 4303 2.1: 0 is for local use, 1 to 255 are reserved
LAST_SPI = 0xFFFFFFFF
REMEMBERED = 1024  # SPIs that were handed out, and perhaps are not installed yet
ATTEMPTS = 1000


class SystemEntropy:
    """The source of SPIs, nonces, jitter and key-exchange scalars (`ikepy.sa.api.entropy`).

    `slot_of` gives the worker slot of a connection's device, `live` the inbound SPIs that are installed.
    """

    def __init__(
        self, workers: int, slot_of: Callable[[str], int], live: Callable[[], Collection[int]]
    ) -> None:
        self._workers = workers
        self._slot_of = slot_of
        self._live = live
        self._recent: dict[int, None] = {}  # the oldest first
        self._system = random.SystemRandom()

    def random(self, n: int) -> bytes:
        """`n` bytes."""
        return os.urandom(n)

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return self._system.random()

    def child_spi(self, connection: str) -> int:
        """An SPI that is not in use, with SPI mod workers == the worker slot of the connection's device."""
        slot = self._slot_of(connection)
        if not 0 <= slot < self._workers:
            raise ValueError(f"slot {slot} of {self._workers}")
        first = -(-(FIRST_SPI - slot) // self._workers)  # the smallest k with k * workers + slot >= FIRST_SPI
        count = (LAST_SPI - slot) // self._workers - first + 1
        live = self._live()
        for _ in range(ATTEMPTS):
            spi = (first + self._system.randrange(count)) * self._workers + slot
            if spi not in live and spi not in self._recent:
                self._recent[spi] = None
                if len(self._recent) > REMEMBERED:
                    del self._recent[next(iter(self._recent))]
                return spi
        raise RuntimeError("no free SPI found")
