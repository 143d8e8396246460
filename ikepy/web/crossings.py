"""Puts together what both ends see of one datagram: when it left, when it arrived, and what became of it
between.

Behind a NAT the two see other addresses, and on a bad link other octets, so that they are matched by their
content.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

REMEMBERED = 2000  # datagrams
MATCHED = 200  # of the last ones an arrival may be
PATIENCE = 30.0  # seconds that a datagram may be under way


@dataclass(frozen=True, slots=True)
class View:
    """What one end sees: `node` sent or received these octets (an IKE message without non-ESP marker)."""

    node: str
    time: float
    source: str
    destination: str
    octets: bytes


@dataclass(slots=True)
class Crossing:
    """One datagram. `sent` None: it was seen at its destination alone. `fates`: what was done to it on the
    way."""

    number: int
    sent: View | None
    arrivals: list[View] = field(default_factory=list)
    fates: list[str] = field(default_factory=list)

    @property
    def first(self) -> View:
        """The view that there is."""
        return self.arrivals[0] if self.sent is None else self.sent

    @property
    def changed(self) -> bool:
        """Whether other octets arrived than were sent."""
        return self.sent is not None and any(one.octets != self.sent.octets for one in self.arrivals)

    def describe(self) -> dict[str, object]:
        """For a page."""
        return {
            "number": self.number,
            "sent": None if self.sent is None else view(self.sent),
            "arrivals": [view(one) for one in self.arrivals],
            "fates": self.fates,
            "changed": self.changed,
        }


def view(one: View) -> dict[str, object]:
    """One end's view, without the octets."""
    return {
        "node": one.node,
        "time": one.time,
        "source": one.source,
        "destination": one.destination,
        "octets": len(one.octets),
    }


class Crossings:
    """The last datagrams between two ends."""

    def __init__(self) -> None:
        self._all: deque[Crossing] = deque(maxlen=REMEMBERED)
        self._count = 0

    def sent(self, one: View) -> Crossing:
        """A datagram leaves an end."""
        return self._new(one)

    def arrived(self, one: View) -> Crossing:
        """A datagram arrives at an end: the crossing that it completes, or a new one that nobody was seen to
        send."""
        found = self._match(one)
        if found is None:
            found = self._new(None)
        found.arrivals.append(one)
        return found

    def meddled(self, octets: bytes, fate: str) -> Crossing | None:
        """Something is done on the way to the datagram with these octets."""
        found = next(
            (one for one in self._latest() if one.sent is not None and one.sent.octets == octets), None
        )
        if found is not None:
            found.fates.append(fate)
        return found

    def _new(self, one: View | None) -> Crossing:
        self._count += 1
        crossing = Crossing(self._count, one)
        self._all.append(crossing)
        return crossing

    def _latest(self) -> Iterator[Crossing]:
        for place in range(len(self._all) - 1, max(-1, len(self._all) - 1 - MATCHED), -1):
            yield self._all[place]

    def _match(self, one: View) -> Crossing | None:
        """The same octets, rather one that has not arrived; else those of a message of the same header that
        are lost."""
        sent = [
            crossing
            for crossing in self._latest()
            if crossing.sent is not None
            and crossing.sent.node != one.node
            and one.time - crossing.sent.time < PATIENCE
        ]
        equal = [
            crossing for crossing in sent if crossing.sent is not None and crossing.sent.octets == one.octets
        ]
        missing = [crossing for crossing in equal if not crossing.arrivals]
        if equal:
            # Copies leave in order: the oldest that is missing, unless it was dropped.
            alive = [
                crossing for crossing in missing if not any("dropped" in fate for fate in crossing.fates)
            ]
            return (alive or missing or equal)[-1]
        head = one.octets[:28]
        return next(
            (
                crossing
                for crossing in sent
                if not crossing.arrivals
                and crossing.sent is not None
                and crossing.sent.octets[:28] == head
                and len(crossing.sent.octets) == len(one.octets)
            ),
            None,
        )
