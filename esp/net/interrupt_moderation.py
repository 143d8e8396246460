"""Interrupt moderation: when a worker reads a device or socket, which one first, and when it yields its CPU.

A network card delays its interrupts so that packets gather. Here each wake-up costs a worker as much as ten
packets, so packets that come one by one and close together, or to a busy worker, are left to gather. Frames
and GRO reads have gathered already, unless a busy worker has been faster than its peer, which is still
sending what it has sealed together.
"""

from __future__ import annotations

_GATHER = 0.0005  # seconds that packets are left to gather
_WINDOW = 0.001  # seconds in which reads are counted
_MANY_READS = 3  # reads of lone packets in a window; after more of them it is better to wait
_WORTH_WAITING = 4  # packets of a read that justify the wait before it
_FULL_READ = 32  # packets of a read that would have come together without a wait
_BULK = 16  # packets of a read from which on it is a bulk read
_IDLE = 0.001  # seconds without packets after which the next one is likely to come alone
_BUSY_HOLD = 1.0  # seconds for which a busy read keeps the worker busy
_STRETCH = 0.01  # seconds of work without a pause after which the CPU is yielded
_YIELD = 0.0005  # seconds: a twentieth of that
_PAUSE = 0.00005  # seconds without work that count as a pause


class InterruptModeration:
    """When one source, a device or a socket, is read; all times are monotonic seconds."""

    __slots__ = ("_reads", "_since", "bulk", "idle_from", "not_before")

    def __init__(self) -> None:
        self.bulk = False  # the last read was bulk: other sources that are ready come first
        self.not_before = 0.0  # the source is left to gather until then
        self.idle_from = 0.0  # after that the source has been idle
        self._since = 0.0
        self._reads = 0

    def note_read(self, now: float, lone: int, busy: bool = False, unfinished: bool = False) -> bool:
        """Note a read that began at `now`: its number of lone packets, 0 if it gave frames or GRO reads too;
        `unfinished` if the rest of these is probably under way. Returns whether it was a busy read. Lone
        packets of a `busy` worker always gather: most are acknowledgements of what keeps it busy, one read
        alone costs as much as several, and it takes the CPU from the processes that make the traffic."""
        self.idle_from = now + _IDLE
        self.bulk = not 0 < lone < _BULK
        if self.not_before:
            many = lone >= _WORTH_WAITING
        else:
            if now >= self._since + _WINDOW:
                self._since, self._reads = now, 0
            self._reads += lone > 0
            many = self._reads > _MANY_READS
        if not lone or lone >= _FULL_READ:
            self.not_before = now + _GATHER if unfinished else 0.0
            return True
        self.not_before = now + _GATHER if many or busy else 0.0
        return many


class BusyState:
    """Whether a worker is busy with authentic traffic: packets that anyone can send to its sockets must not
    give it priority over other processes. Changes at most twice a second."""

    __slots__ = ("_not_before", "_until", "busy")

    def __init__(self) -> None:
        self.busy = False
        self._until = 0.0
        self._not_before = 0.0

    def note_busy_read(self, now: float, unauthenticated: bool) -> bool | None:
        """Note a busy read at `now` (monotonic seconds), `unauthenticated` if nothing in it was authentic.
        Returns the new value of `busy`, None if it stays."""
        if unauthenticated:
            self._not_before = now + _BUSY_HOLD
            return False if self.busy else None
        self._until = now + _BUSY_HOLD
        return True if not self.busy and now >= self._not_before else None

    def is_over(self, now: float) -> bool:
        """After a read at `now` that was not busy: whether the busy state ends."""
        return self.busy and now >= self._until


class CpuYield:
    """When a worker of real-time priority yields its CPU to ordinary processes. From one that never sleeps
    the kernel takes the CPU for a twentieth of each second, at once (sched(7), sched_rt_runtime_us), and
    packets would wait that long."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = 0.0

    def after(self, begin: float, end: float) -> float:
        """The worker has polled from `begin` to `end` (monotonic seconds). Returns the seconds to sleep now,
        mostly 0."""
        worked = end - self._since
        if end - begin < _PAUSE and worked < _STRETCH:
            return 0.0
        self._since = end
        return _YIELD if end - begin < _PAUSE and worked < 2 * _STRETCH else 0.0
