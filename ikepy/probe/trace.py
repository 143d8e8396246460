"""What a case sent, received and judged, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from ikepy.probe.transport import Datagram
from ikepy.probe.verdict import Judgement

MOST_DATAGRAMS = 4000
MOST_OCTETS = 2 << 20


@dataclass(slots=True)
class Trace:
    """Datagrams and judgements of one case. `sent`: datagrams that were permitted to leave.
    `left_out`: those that came when there was no more room."""

    datagrams: list[Datagram] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    sent: int = 0
    left_out: int = 0
    octets: int = 0

    def add(self, datagram: Datagram) -> None:
        """One more; what is sent always has room, as the case bounds it."""
        if not datagram.sent and not self.has_room:
            self.left_out += 1
            return
        self.datagrams.append(datagram)
        self.octets += len(datagram.octets)

    @property
    def has_room(self) -> bool:
        """Whether one more that comes is kept."""
        return len(self.datagrams) < MOST_DATAGRAMS and self.octets < MOST_OCTETS

    def judge(self, expected: str, came: str, *, passed: bool) -> None:
        self.judgements.append(Judgement(expected, came, passed))
