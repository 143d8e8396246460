"""A TUN device of a worker, with the state that belongs to it: moderation, CoDel, packets that wait for an
SA."""

from __future__ import annotations

from dataclasses import dataclass, field

from esp.datapath.codel import CoDel
from esp.datapath.device_io import FrameDevice, PacketDevice
from esp.datapath.limits import KeyedRateLimit, PacketQueue, RateLimit
from esp.net.interrupt_moderation import InterruptModeration

# seconds between two messages, after a burst of so many
_ACQUIRE = (1.0, 2)  # to one destination
_ACQUIRE_TOGETHER = (0.05, 32)
_LOOPED = (10.0, 1)
_NO_SA = (1.0, 10)


class BrokenDevice(Exception):  # noqa: N818  names the state
    """Nothing can be read from this device any more."""


@dataclass(slots=True, eq=False)
class Device:
    """One device. `frames` is `io` if it has segmentation offload, else None."""

    device_id: int
    name: str
    trap: bool
    io: PacketDevice
    fd: int
    waiting: PacketQueue = field(default_factory=PacketQueue)
    acquire: KeyedRateLimit = field(default_factory=lambda: KeyedRateLimit(_ACQUIRE, _ACQUIRE_TOGETHER))
    looped: RateLimit = field(default_factory=lambda: RateLimit(*_LOOPED))
    no_sa: RateLimit = field(default_factory=lambda: RateLimit(*_NO_SA))
    untold: int = 0  # packets without an SA of which control was not told
    frames: FrameDevice | None = field(init=False)
    moderation: InterruptModeration = field(default_factory=InterruptModeration)
    codel: CoDel = field(default_factory=CoDel)

    def fileno(self) -> int:
        return self.fd

    def __post_init__(self) -> None:
        self.frames = self.io if isinstance(self.io, FrameDevice) else None
