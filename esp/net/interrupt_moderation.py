"""When a source of packets is read: which one first, at once or a little later, and when nothing is.

What a network card calls interrupt moderation: each wake costs a worker as much as ten packets, so packets
that come one by one and close together, or to a busy worker, are left to gather. Frames and trains have
gathered already, unless a busy worker has been faster than its peer, which is still sending what it has
sealed together.
"""

from __future__ import annotations

_GATHER = 0.0005  # seconds in which they gather
_WATCHED = 0.001  # seconds
_MANY = 3  # reads of lone packets in that time; with more of them it is better to wait
_FEW = 4  # packets that have gathered and are worth having waited
_ENOUGH = 32  # packets of one read that need not have waited
_LONG = 16  # packets of one read from which on it is a long one
_QUIET = 0.001  # seconds after which a packet is likely to come alone
_CALM = 1.0  # seconds after which what was much is over
_AT_A_STRETCH = 0.01  # seconds of work without a pause
_BREAK = 0.0005  # seconds: a twentieth of that
_PAUSE = 0.00005  # seconds that are one


class InterruptModeration:
    """Of one source; all times are monotonic seconds."""

    __slots__ = ("_reads", "_since", "bulk", "idle_from", "not_before")

    def __init__(self) -> None:
        self.bulk = False  # the last read took long: others that have something come first
        self.not_before = 0.0  # not to be read before that
        self.idle_from = 0.0  # nothing has come for a while if it is later than that
        self._since = 0.0
        self._reads = 0

    def note_read(self, now: float, lone: int, busy: bool = False, unfinished: bool = False) -> bool:
        """The read that began at `now` gave so many lone packets, 0 if there were frames or trains too, of
        which the rest is probably under way if it is `unfinished`; whether that is much. Lone packets of a
        `busy` worker always gather: most are acknowledgements of what keeps it busy, and one read alone costs
        it as much as several, and takes the CPU from those who make the traffic."""
        self.idle_from = now + _QUIET
        self.bulk = not 0 < lone < _LONG
        if self.not_before:
            many = lone >= _FEW
        else:
            if now >= self._since + _WATCHED:
                self._since, self._reads = now, 0
            self._reads += lone > 0
            many = self._reads > _MANY
        if not lone or lone >= _ENOUGH:
            self.not_before = now + _GATHER if unfinished else 0.0
            return True
        self.not_before = now + _GATHER if many or busy else 0.0
        return many


class BusyState:
    """Whether a worker has had much to do lately that is its own traffic: what strangers send to its sockets
    must not bring it before other processes. It changes at most twice a second."""

    __slots__ = ("_not_before", "_until", "busy")

    def __init__(self) -> None:
        self.busy = False
        self._until = 0.0
        self._not_before = 0.0

    def change(self, now: float, unauthenticated: bool) -> bool | None:
        """Much was read at `now` (monotonic seconds), nothing of it authentic if it is `unauthenticated`:
        what is new about `busy`, if anything."""
        if unauthenticated:
            self._not_before = now + _CALM
            return False if self.busy else None
        self._until = now + _CALM
        return True if not self.busy and now >= self._not_before else None

    def is_over(self, now: float) -> bool:
        """Little was read at `now`: whether that is the first sign that it is no longer busy."""
        return self.busy and now >= self._until


class CpuYield:
    """When a worker that comes before ordinary processes leaves its CPU to them for a moment. From one that
    never waits the kernel takes it for a twentieth of each second (sched(7)): all at once, and packets would
    wait that long."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = 0.0

    def after(self, begin: float, end: float) -> float:
        """The worker has looked for packets, or waited for them, from `begin` to `end` (monotonic seconds):
        how long it is to sleep now, in seconds, as a rule 0."""
        worked = end - self._since
        if end - begin < _PAUSE and worked < _AT_A_STRETCH:
            return 0.0
        self._since = end
        return _BREAK if end - begin < _PAUSE and worked < 2 * _AT_A_STRETCH else 0.0
