"""The IKE machine's only source of randomness, injected so that tests can replay runs and set collisions."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """Draws SPIs, nonces, key-exchange scalars, IVs and jitter."""

    def random(self, n: int) -> bytes:
        """`n` unpredictable bytes."""
        ...

    def child_spi(self, connection: str) -> int:
        """A fresh inbound ESP SPI (256 or more) that names the worker of the connection's device."""
        ...

    def uniform(self) -> float:
        """A number in [0, 1), for jitter."""
        ...
