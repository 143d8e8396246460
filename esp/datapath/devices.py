"""A device of a worker: how it is read, how soon again, and what waits for an SA there."""

from __future__ import annotations

from dataclasses import dataclass, field

from esp.datapath.codel import CoDel
from esp.datapath.device_io import FrameDevice, PacketDevice
from esp.datapath.limits import PacketQueue, RateLimit
from esp.net.interrupt_moderation import InterruptModeration

# One so many seconds, after a burst
_ACQUIRE = (1.0, 4)
_LOOPED = (10.0, 1)


class BrokenDevice(Exception):  # noqa: N818  what it is
    """Nothing can be read from this device any more."""


@dataclass(slots=True, eq=False)
class Device:
    """`frames` is the same as `io` if it has offloads."""

    device_id: int
    name: str
    trap: bool
    io: PacketDevice
    fd: int
    waiting: PacketQueue = field(default_factory=PacketQueue)
    acquire: RateLimit = field(default_factory=lambda: RateLimit(*_ACQUIRE))
    looped: RateLimit = field(default_factory=lambda: RateLimit(*_LOOPED))
    frames: FrameDevice | None = field(init=False)
    moderation: InterruptModeration = field(default_factory=InterruptModeration)
    codel: CoDel = field(default_factory=CoDel)

    def fileno(self) -> int:
        return self.fd

    def __post_init__(self) -> None:
        self.frames = self.io if isinstance(self.io, FrameDevice) else None
