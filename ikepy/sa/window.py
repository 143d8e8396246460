"""Message IDs, retransmission and the reply cache of one IKE_SA, window size 1 (RFC 7296 2.1 to 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ikepy.sa.path import Path


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
    attempt: int = 0


class Arrival(Enum):
    """What a request's message ID makes it."""

    NEW = auto()
    REPEATED = auto()
    STALE = auto()


class Window:
    """One request of ours and one of the peer's at a time."""

    def __init__(self, retransmission: Retransmission) -> None:
        self._retransmission = retransmission
        self._next_request = 0
        self._expected = 0
        self._reply: tuple[bytes, ...] | None = None
        self.outstanding: Outstanding | None = None

    @property
    def next_request(self) -> int:
        """The message ID that our next request takes."""
        return self._next_request

    def arrival(self, message_id: int) -> Arrival:
        """Whether a request with this ID is new, repeats the last one, or is to be dropped."""
        if message_id == self._expected:
            return Arrival.NEW
        if self._reply is not None and message_id == self._expected - 1:
            return Arrival.REPEATED
        return Arrival.STALE

    @property
    def cached_reply(self) -> tuple[bytes, ...] | None:
        """The datagrams of the response to the peer's last request."""
        return self._reply

    def answered(self, reply: tuple[bytes, ...]) -> None:
        """The expected request was answered with `reply`: it stays at hand for a repetition."""
        self._reply = reply
        self._expected += 1

    def sent(self, datagrams: tuple[bytes, ...], path: Path, now: float, chance: float) -> None:
        """Our request with the ID `next_request` was sent."""
        due = now + self._retransmission.wait(0, chance)
        self.outstanding = Outstanding(self._next_request, datagrams, path, due)
        self._next_request += 1

    def redirect(self, path: Path) -> None:
        """What is sent again goes over `path`."""
        if self.outstanding is not None:
            self.outstanding.path = path

    def hasten(self, now: float) -> None:
        """Send the outstanding request again at once, with all of its tries: the network has changed."""
        if self.outstanding is not None:
            self.outstanding.due, self.outstanding.attempt = now, 0

    def restart(self) -> None:
        """IKE_SA_INIT starts over with message ID 0 (after COOKIE or INVALID_KE_PAYLOAD, RFC 7296 2.6)."""
        self.outstanding = None
        self._next_request = 0

    def expects(self, message_id: int) -> bool:
        """Whether a response with this ID answers our outstanding request."""
        return self.outstanding is not None and self.outstanding.message_id == message_id

    def finished(self) -> None:
        """The outstanding request was answered."""
        self.outstanding = None

    def retransmit(self, now: float, chance: float) -> Outstanding | None:
        """The request to send again now; None if nothing is due or all tries are used up."""
        request = self.outstanding
        if request is None or now < request.due or request.attempt >= self._retransmission.tries:
            return None
        request.attempt += 1
        request.due = now + self._retransmission.wait(request.attempt, chance)
        return request

    def exhausted(self, now: float) -> bool:
        """Whether the peer let the last try go unanswered."""
        request = self.outstanding
        return request is not None and now >= request.due and request.attempt >= self._retransmission.tries

    @property
    def deadline(self) -> float | None:
        return None if self.outstanding is None else self.outstanding.due
