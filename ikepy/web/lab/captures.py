"""Keeps what each gateway sent and received, IKE and ESP, to be exported."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ikepy.dissect.datagrams import ESP, UDP, Datagram
from ikepy.dissect.keys import Keys
from ikepy.sa.api.path import Endpoint
from ikepy.web import exports
from ikepy.web.lab.frames import Frame
from ikepy.web.lab.udp import Datagram as Found
from ikepy.web.window import Download

PACKETS = 20_000  # of one gateway
OCTETS = 16 << 20


class Captures:
    """The last datagrams of each node of `ends`."""

    def __init__(self, ends: Iterable[str]) -> None:
        self._kept: dict[str, deque[Datagram]] = {end: deque() for end in ends}
        self._octets = dict.fromkeys(self._kept, 0)

    @property
    def offered(self) -> list[dict[str, str]]:
        """The files, for a page."""
        return [
            *(
                {
                    "name": f"{end}.pcapng",
                    "title": f"What {end} saw",
                    "text": "a capture, with all keys in its comment",
                }
                for end in self._kept
            ),
            exports.WIRESHARK,
        ]

    def add(self, frame: Frame, found: Found) -> None:
        """A datagram on the uplink of a node."""
        source = Endpoint(found.source, found.source_port)
        destination = Endpoint(found.destination, found.destination_port)
        protocol = UDP if found.source_port else ESP
        kept = self._kept[frame.node]
        kept.append(Datagram(frame.time, source, destination, found.payload, protocol))
        self._octets[frame.node] += len(found.payload)
        while len(kept) > PACKETS or self._octets[frame.node] > OCTETS:
            self._octets[frame.node] -= len(kept.popleft().payload)

    def export(self, name: str, keys: Keys) -> Download | None:
        """One of the files; None if it is none of these."""
        captures = {f"{end}.pcapng": kept for end, kept in self._kept.items()}
        if name == exports.WIRESHARK["name"]:
            return exports.wireshark(captures, keys)
        return exports.capture(name, captures[name], keys) if name in captures else None
