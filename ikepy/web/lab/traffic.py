"""Counts what crosses each link of the picture, and how long answers take there.

A round trip on a link is the time from a request that passes to its answer that comes back: an ICMP echo
(RFC 792, RFC 4443) or an IKE exchange (RFC 7296 2.1). On L3 nobody sees the pings: ESP hides them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ikepy.lab.dissect import Frame as Stack
from ikepy.lab.dissect import dissect
from ikepy.web.lab.frames import Frame
from ikepy.web.lab.inner import Echo, echo_of
from ikepy.web.lab.picture import Link
from ikepy.web.lab.udp import datagram_of

QUIET = ("ARP", "neighbours")
WAITING = 512  # requests whose answer may still come


@dataclass(slots=True)
class Count:
    """What has crossed a link since the beginning. `rtt`: of the last answer, in milliseconds; `kinds`:
    packets of each kind since the last `take`, with their direction (to b: True)."""

    packets: list[int] = field(default_factory=lambda: [0, 0])  # to b, to a
    octets: list[int] = field(default_factory=lambda: [0, 0])
    rtt: float | None = None
    stack: str = ""
    kinds: dict[tuple[str, bool], int] = field(default_factory=dict)


class Traffic:
    """The counts of all links."""

    def __init__(self, links: Iterable[Link]) -> None:
        self._links = {link.key: link for link in links}
        self._counts = {link.name: Count() for link in self._links.values()}
        self._waiting: OrderedDict[tuple[str, object], float] = OrderedDict()

    def add(self, frame: Frame) -> None:
        """Count a frame, if it is on a link's device."""
        link = self._links.get((frame.node, frame.device))
        if link is None:
            return
        stack = dissect(frame.octets, frame.link)
        if stack.layers[-1] in QUIET:
            return
        count = self._counts[link.name]
        to_b = frame.outgoing is (link.node == link.a)
        count.packets[not to_b] += 1
        count.octets[not to_b] += len(frame.octets)
        count.stack = " / ".join(stack.layers)
        kind = kind_of(stack)
        count.kinds[kind, to_b] = count.kinds.get((kind, to_b), 0) + 1
        self._time(link.name, frame, count)

    def _time(self, link: str, frame: Frame, count: Count) -> None:
        question = _question(frame)
        if question is None:
            return
        key, is_answer = question
        if is_answer:
            begin = self._waiting.pop((link, key), None)
            if begin is not None:
                count.rtt = 1000 * max(frame.time - begin, 0.0)
        else:
            self._waiting.setdefault((link, key), frame.time)
            if len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)

    def take(self) -> dict[str, object]:
        """The links on which something crossed since the last time."""
        told: dict[str, object] = {}
        for name, count in self._counts.items():
            if count.kinds:
                told[name] = {**self._told(count), "kinds": [[*key, n] for key, n in count.kinds.items()]}
                count.kinds = {}
        return told

    def whole(self) -> dict[str, object]:
        """All counts."""
        return {name: {**self._told(count), "kinds": []} for name, count in self._counts.items()}

    def _told(self, count: Count) -> dict[str, object]:
        return {"packets": count.packets, "octets": count.octets, "rtt": count.rtt, "stack": count.stack}


def kind_of(stack: Stack) -> str:
    """The colour of a frame: what a student would call it."""
    if any(layer.startswith("IKE ") for layer in stack.layers):
        return "ike"
    if "ESP" in stack.layers or "NAT keepalive" in stack.layers:
        return "esp"
    return "vxlan" if any(layer.startswith("VXLAN") for layer in stack.layers) else "ip"


def _question(frame: Frame) -> tuple[object, bool] | None:
    """What identifies request and answer, and which of the two this is."""
    echo: Echo | None = echo_of(frame.octets, frame.link)
    if echo is not None:
        return echo.key, echo.is_reply
    datagram = datagram_of(frame.octets, frame.link)
    if datagram is None or datagram.ike is None or len(datagram.ike) < 28:
        return None
    head = datagram.ike
    return (head[:8], head[18], head[19] & 0x08 ^ (0x08 if head[19] & 0x20 else 0), head[20:24]), bool(
        head[19] & 0x20
    )
