"""A device of a worker: how it is read, how soon again, and what waits for an SA there."""

from __future__ import annotations

from dataclasses import dataclass, field

from esp.limits import RateLimit, WaitingRoom
from esp.pace import Pace
from esp.standing import Standing
from esp.trains import FrameDevice, PacketDevice

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
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
    acquire: RateLimit = field(default_factory=lambda: RateLimit(*_ACQUIRE))
    looped: RateLimit = field(default_factory=lambda: RateLimit(*_LOOPED))
    frames: FrameDevice | None = field(init=False)
    pace: Pace = field(default_factory=Pace)
    standing: Standing = field(default_factory=Standing)

    def fileno(self) -> int:
        return self.fd

    def __post_init__(self) -> None:
        self.frames = self.io if isinstance(self.io, FrameDevice) else None
