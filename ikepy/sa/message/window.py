"""Message IDs, request window, retransmission and response cache of one IKE_SA (RFC 7296 2.1 to 2.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from ikepy.sa.api.path import Path


@dataclass(frozen=True, slots=True)
class Retransmission:
    """When an unanswered request is sent again: after timeout * base^n seconds, `tries` times.

    `jitter`: the largest share (0 to 1) by which a wait is shortened at random; `limit` caps it (0: no cap).
    Times are in seconds.
    """

    timeout: float = 4.0
    base: float = 1.8
    tries: int = 5
    jitter: float = 0.0
    limit: float = 0.0

    def wait(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the `attempt`-th sending (0: the first); `chance` in [0, 1)."""
        seconds: float = self.timeout * self.base**attempt
        if self.limit:
            seconds = min(seconds, self.limit)
        return seconds * (1.0 - self.jitter * chance)


@dataclass(slots=True)
class Outstanding:
    """A request of ours that awaits its response."""

    message_id: int
    datagrams: tuple[bytes, ...]  # several where it is fragmented (RFC 7383)
    path: Path
    due: float  # when to send it again or give up
    since: float  # when it was sent first, or the network changed
    attempt: int = 0
    others: list[Path] = field(default_factory=list)  # still to get a copy, one after the other
    others_at: float = 0.0
    spacing: float = 0.0  # seconds between two such copies
    held: bool = False  # its response is being processed: no retransmission


SPACING = 0.25  # seconds between two copies of a request on different paths, at most


class RequestState(Enum):
    """How a request is classified by its message ID."""

    NEW = auto()  # in the window, not processed yet
    PENDING = auto()  # its response is not ready yet
    REPEATED = auto()
    STALE = auto()


@dataclass(frozen=True, slots=True)
class WindowState:
    """What a window is when nothing is outstanding, for another machine to go on with."""

    next_request: int
    most_ours: int
    expected: int
    most_theirs: int
    replies: dict[int, tuple[bytes, ...]]  # our cached responses, by message ID


class Window:
    """Limits how many requests are outstanding in each direction: one, until a larger window is announced.

    The peer's requests are accepted in any order; a window's worth of our responses is cached.
    """

    def __init__(self, retransmission: Retransmission) -> None:
        self._retransmission = retransmission
        self._next_request = 0
        self._most_ours = 1
        self._most_theirs = 1
        self._expected = 0  # every earlier ID is answered
        self._replies: dict[int, tuple[bytes, ...]] = {}
        self._pending: set[int] = set()  # requests being processed
        self.outstanding: dict[int, Outstanding] = {}  # by message ID, oldest first

    # -- another machine goes on -------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether no request is outstanding in either direction."""
        return not (self.outstanding or self._pending)

    def state(self) -> WindowState:
        """The state of a settled window."""
        return WindowState(
            self._next_request, self._most_ours, self._expected, self._most_theirs, dict(self._replies)
        )

    def go_on(self, state: WindowState) -> None:
        """Take over what another machine's window was."""
        self._next_request, self._most_ours = state.next_request, state.most_ours
        self._expected, self._most_theirs = state.expected, state.most_theirs
        self._replies = dict(state.replies)

    # -- the peer's requests -----------------------------------------------------------------------

    def retime(self, retransmission: Retransmission) -> None:
        """Send requests again by other times: those to come, and those under way from their next wait on."""
        self._retransmission = retransmission

    def open(self, size: int) -> None:
        """Accept `size` requests of the peer's at once, as we announced; the window never shrinks (2.3)."""
        self._most_theirs = max(self._most_theirs, size)

    def arrival(self, message_id: int) -> RequestState:
        """Classify a request of the peer's by its message ID."""
        if message_id in self._replies:
            return RequestState.REPEATED
        if message_id in self._pending:
            return RequestState.PENDING
        if self._expected <= message_id < self._expected + self._most_theirs:
            return RequestState.NEW
        return RequestState.STALE

    @property
    def newest(self) -> int:
        """The highest message ID of a request of the peer's that is being processed; else the next one's."""
        return max(self._pending, default=self._expected)

    @property
    def expected(self) -> int:
        """The lowest message ID of a request of the peer's that is not answered yet."""
        return self._expected

    def knows_answered(self, message_id: int) -> bool:
        """Whether the peer has shown that it has our response: it has sent a request beyond the window."""
        return self._expected > message_id + self._most_theirs

    def begun(self, message_id: int) -> None:
        """Note that a new request is being processed, and will be answered."""
        self._pending.add(message_id)

    def reply(self, message_id: int) -> tuple[bytes, ...]:
        """The datagrams of our cached response to a request; none if it is not cached."""
        return self._replies.get(message_id, ())

    def answered(self, message_id: int, reply: tuple[bytes, ...]) -> None:
        """Cache `reply`, the response to a request, for retransmissions."""
        self._pending.discard(message_id)
        self._replies[message_id] = reply
        while self._expected in self._replies:
            self._expected += 1
        oldest = self._expected - self._most_theirs
        for known in [known for known in self._replies if known < oldest]:
            del self._replies[known]

    # -- our requests ------------------------------------------------------------------------------

    def widen(self, size: int) -> None:
        """Send up to `size` requests at once, as the peer announced; the window never shrinks (2.3)."""
        self._most_ours = max(self._most_ours, size)

    @property
    def next_request(self) -> int:
        """The message ID that our next request takes."""
        return self._next_request

    @property
    def has_room(self) -> bool:
        """Whether the peer's window permits one more request now."""
        oldest = next(iter(self.outstanding), self._next_request)
        return self._next_request - oldest < self._most_ours

    def sent(self, datagrams: tuple[bytes, ...], path: Path, now: float, chance: float) -> None:
        """Record that our request with the ID `next_request` was sent."""
        due = now + self._retransmission.wait(0, chance)
        message_id = self._next_request
        self.outstanding[message_id] = Outstanding(message_id, datagrams, path, due, now)
        self._next_request += 1

    def redirect(self, path: Path) -> None:
        """Send retransmissions over `path` from now on."""
        for request in self.outstanding.values():
            request.path, request.others = path, []

    def hasten(self, now: float) -> None:
        """Retransmit outstanding requests at once and reset their tries: the network has changed."""
        for request in self._unanswered:
            request.due, request.since, request.attempt = now, now, 0

    def restart(self) -> None:
        """Start IKE_SA_INIT over with message ID 0, after COOKIE or INVALID_KE_PAYLOAD (RFC 7296 2.6)."""
        self.outstanding.clear()
        self._next_request = 0

    def awaited(self, message_id: int) -> Outstanding | None:
        """Our request that a response answers; None if there is none, or its response is being processed."""
        request = self.outstanding.get(message_id)
        return None if request is None or request.held else request

    def finished(self, message_id: int) -> None:
        """Take an answered request out of the window."""
        self.outstanding.pop(message_id, None)

    def resume(self, request: Outstanding) -> None:
        """Put back a request whose supposed response turned out to be unusable; it is the only one."""
        request.held = False
        self.outstanding[request.message_id] = request

    def hold(self, request: Outstanding) -> None:
        """Put back a request whose response is being processed: it stays in the window, but is not resent."""
        request.held = True
        self.outstanding[request.message_id] = request
        self.outstanding = dict(sorted(self.outstanding.items()))

    def is_held(self, message_id: int) -> bool:
        """Whether the response to this request is being processed."""
        request = self.outstanding.get(message_id)
        return request is not None and request.held

    @property
    def _unanswered(self) -> list[Outstanding]:
        return [request for request in self.outstanding.values() if not request.held]

    def forget(self) -> None:
        """Drop all outstanding requests."""
        self.outstanding.clear()

    def retransmit(self, now: float, chance: float) -> Outstanding | None:
        """A request to retransmit now; None if none is due or all tries are used up."""
        for request in self._unanswered:
            if now >= request.due and request.attempt < self._retransmission.tries:
                request.attempt += 1
                request.due = now + self._retransmission.wait(request.attempt, chance)
                return request
        return None

    def exhausted(self, now: float) -> bool:
        """Whether the last try of a request timed out."""
        tries = self._retransmission.tries
        return any(now >= request.due and request.attempt >= tries for request in self._unanswered)

    def spread(self, request: Outstanding, others: list[Path], now: float) -> None:
        """Send copies of a request just retransmitted on other paths too, one after the other.

        They are spaced because a peer that processes the first copy may ignore those that arrive meanwhile
        (charon does), and its response may not get back on the first copy's path.
        """
        request.others = others
        request.spacing = min(SPACING, (request.due - now) / (len(others) + 1))
        request.others_at = now + request.spacing

    def spread_next(self, now: float) -> tuple[Outstanding, Path] | None:
        """A request and the other path to send it on now; None if none is due."""
        for request in self._unanswered:
            if request.others and now >= request.others_at:
                request.others_at = now + request.spacing
                return request, request.others.pop(0)
        return None

    def prolong(self, now: float) -> None:
        """Grant one more try to each request that has used up its own."""
        for request in self._unanswered:
            if now >= request.due and request.attempt >= self._retransmission.tries:
                request.attempt = self._retransmission.tries - 1

    def silent_since(self) -> float | None:
        """When the oldest unanswered request was sent first, None if there is none."""
        return min([request.since for request in self._unanswered], default=None)

    @property
    def deadline(self) -> float | None:
        if not self.outstanding:
            return None
        times = [min(one.due, one.others_at) if one.others else one.due for one in self._unanswered]
        return min(times, default=None)
