"""Message IDs, retransmission and the reply cache of one IKE_SA (RFC 7296 2.1 to 2.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from ikepy.sa.api.path import Path


@dataclass(frozen=True, slots=True)
class Retransmission:
    """When an unanswered request is sent again: after timeout * base^n seconds, `tries` times.

    `jitter` is the largest share (0 to 1) that chance takes off a wait; `limit` caps a wait (0: no cap).
    Times are in seconds.
    """

    timeout: float = 4.0
    base: float = 1.8
    tries: int = 5
    jitter: float = 0.0
    limit: float = 0.0

    def wait(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the `attempt`-th sending (0: the first); `chance` is in [0, 1)."""
        seconds: float = self.timeout * self.base**attempt
        if self.limit:
            seconds = min(seconds, self.limit)
        return seconds * (1.0 - self.jitter * chance)


@dataclass(slots=True)
class Outstanding:
    """Our request that waits for its response."""

    message_id: int
    datagrams: tuple[bytes, ...]  # several where it is fragmented (RFC 7383)
    path: Path
    due: float  # when to send it again or give up
    since: float  # when it was sent first, or the network changed
    attempt: int = 0
    others: list[Path] = field(default_factory=list)  # to be sent on yet, one after the other
    others_at: float = 0.0
    spacing: float = 0.0  # seconds between two of these
    held: bool = False  # its response is here and being worked on: it is not sent again


SPACING = 0.25  # seconds between two copies of a request on different paths, at most


class RequestState(Enum):
    """What a request's message ID makes it."""

    NEW = auto()  # in the window, and not worked on yet
    PENDING = auto()  # its response is not ready yet
    REPEATED = auto()
    STALE = auto()


class Window:
    """So many requests of the peer's, and so many of ours, may be under way at a time: at first one.

    Those of the peer's are taken in any order, and as many of our responses are kept.
    """

    def __init__(self, retransmission: Retransmission) -> None:
        self._retransmission = retransmission
        self._next_request = 0
        self._most_ours = 1
        self._most_theirs = 1
        self._expected = 0  # all before it are answered
        self._replies: dict[int, tuple[bytes, ...]] = {}
        self._pending: set[int] = set()  # requests that are worked on
        self.outstanding: dict[int, Outstanding] = {}  # by message ID, oldest first

    # -- the peer's requests -----------------------------------------------------------------------

    def open(self, size: int) -> None:
        """Take so many of the peer's requests at once, for it was told so; never fewer than before."""
        self._most_theirs = max(self._most_theirs, size)

    def arrival(self, message_id: int) -> RequestState:
        """Whether a request with this ID is new, repeats one that we know, or is to be dropped."""
        if message_id in self._replies:
            return RequestState.REPEATED
        if message_id in self._pending:
            return RequestState.PENDING
        if self._expected <= message_id < self._expected + self._most_theirs:
            return RequestState.NEW
        return RequestState.STALE

    def begun(self, message_id: int) -> None:
        """A new request is worked on, and will be answered."""
        self._pending.add(message_id)

    def reply(self, message_id: int) -> tuple[bytes, ...]:
        """The datagrams of the response to one of the peer's last requests."""
        return self._replies.get(message_id, ())

    def answered(self, message_id: int, reply: tuple[bytes, ...]) -> None:
        """A new request was answered with `reply`: it stays at hand for a repetition."""
        self._pending.discard(message_id)
        self._replies[message_id] = reply
        while self._expected in self._replies:
            self._expected += 1
        oldest = self._expected - self._most_theirs
        for known in [known for known in self._replies if known < oldest]:
            del self._replies[known]

    # -- our requests ------------------------------------------------------------------------------

    def widen(self, size: int) -> None:
        """The peer takes so many requests at once; never fewer than before (2.3)."""
        self._most_ours = max(self._most_ours, size)

    @property
    def next_request(self) -> int:
        """The message ID that our next request takes."""
        return self._next_request

    @property
    def has_room(self) -> bool:
        """Whether the peer takes one more request now."""
        oldest = next(iter(self.outstanding), self._next_request)
        return self._next_request - oldest < self._most_ours

    def sent(self, datagrams: tuple[bytes, ...], path: Path, now: float, chance: float) -> None:
        """Our request with the ID `next_request` was sent."""
        due = now + self._retransmission.wait(0, chance)
        message_id = self._next_request
        self.outstanding[message_id] = Outstanding(message_id, datagrams, path, due, now)
        self._next_request += 1

    def redirect(self, path: Path) -> None:
        """What is sent again goes over `path`."""
        for request in self.outstanding.values():
            request.path, request.others = path, []

    def hasten(self, now: float) -> None:
        """Send what is outstanding again at once, with all of its tries: the network has changed."""
        for request in self._unanswered:
            request.due, request.since, request.attempt = now, now, 0

    def restart(self) -> None:
        """IKE_SA_INIT starts over with message ID 0 (after COOKIE or INVALID_KE_PAYLOAD, RFC 7296 2.6)."""
        self.outstanding.clear()
        self._next_request = 0

    def finished(self, message_id: int) -> Outstanding | None:
        """A request was answered; None if it is not outstanding."""
        return self.outstanding.pop(message_id, None)

    def resume(self, request: Outstanding) -> None:
        """The only request was not answered after all: what came was nonsense."""
        request.held = False
        self.outstanding[request.message_id] = request

    def hold(self, request: Outstanding) -> None:
        """Its response is here, but nothing follows from it yet."""
        request.held = True
        self.outstanding[request.message_id] = request
        self.outstanding = dict(sorted(self.outstanding.items()))

    def is_held(self, message_id: int) -> bool:
        """Whether the response to this request is being worked on."""
        request = self.outstanding.get(message_id)
        return request is not None and request.held

    @property
    def _unanswered(self) -> list[Outstanding]:
        return [request for request in self.outstanding.values() if not request.held]

    def forget(self) -> None:
        """Nobody waits for any response any more."""
        self.outstanding.clear()

    def retransmit(self, now: float, chance: float) -> Outstanding | None:
        """A request to send again now; None if nothing is due or all tries are used up."""
        for request in self._unanswered:
            if now >= request.due and request.attempt < self._retransmission.tries:
                request.attempt += 1
                request.due = now + self._retransmission.wait(request.attempt, chance)
                return request
        return None

    def exhausted(self, now: float) -> bool:
        """Whether the peer let the last try of a request go unanswered."""
        tries = self._retransmission.tries
        return any(now >= request.due and request.attempt >= tries for request in self._unanswered)

    def spread(self, request: Outstanding, others: list[Path], now: float) -> None:
        """Send what was sent again just now on other paths, too, one after the other.

        Not all at once: a peer that works on the copy which came first may ignore those that come meanwhile
        (charon does), and that copy's path may be one that no answer gets back on.
        """
        request.others = others
        request.spacing = min(SPACING, (request.due - now) / (len(others) + 1))
        request.others_at = now + request.spacing

    def spread_next(self, now: float) -> tuple[Outstanding, Path] | None:
        """A request to send on another path now; None if nothing is due."""
        for request in self._unanswered:
            if request.others and now >= request.others_at:
                request.others_at = now + request.spacing
                return request, request.others.pop(0)
        return None

    def prolong(self, now: float) -> None:
        """Have one more try of each request that has used up its own."""
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
