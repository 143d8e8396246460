"""TLS messages in EAP packets: flags, lengths, fragments and their acknowledgements (RFC 5216 2.1.5, 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ikepy.eap.turns import Message, Once
from ikepy.errors import WireError
from ikepy.wire.reader import Reader

LENGTH, MORE, START = 0x80, 0x40, 0x20  # flags
FRAGMENT = 1024  # octets of TLS in a packet; charon's default
MAX_MESSAGE = 65536  # octets of one flight
MOST_FRAGMENTS = 72  # of one flight: MAX_MESSAGE in fragments of 910 octets
ACKNOWLEDGEMENT = b"\0"

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Collected:
    """What has come of a flight. `total`: octets that were announced; None if they were not."""

    octets: bytes = b""
    total: int | None = None
    fragments: int = 0

    def add(self, data: bytes) -> tuple[Collected, bool]:
        """With one more fragment, and whether more follow. WireError if it is malformed or too much."""
        reader = Reader(data)
        flags = reader.u8()
        total = reader.u32() if flags & LENGTH else self.total
        if flags & START:
            raise WireError("a start out of order")
        if total is not None and total > MAX_MESSAGE:
            raise WireError(f"{total} octets are announced, at most {MAX_MESSAGE}")
        if self.total is not None and total != self.total:
            raise WireError("two fragments announce different lengths")
        fragment, more = reader.rest(), bool(flags & MORE)
        octets = self.octets + fragment
        if more and not fragment:
            raise WireError("a fragment of zero length")
        if len(octets) > (MAX_MESSAGE if total is None else total):
            raise WireError("more octets than announced")
        if self.fragments == MOST_FRAGMENTS:
            raise WireError(f"more than {MOST_FRAGMENTS} fragments")
        if not more and total is not None and len(octets) != total:
            raise WireError(f"{len(octets)} octets, and {total} were announced")
        return Collected(octets, total, self.fragments + 1), more


@dataclass(frozen=True, slots=True)
class Flights(Generic[M]):
    """Sends and collects flights. `say`: data of a packet, and what takes the next one; `fail`: why."""

    say: Callable[[bytes, Callable[[Message], M]], M]
    fail: Callable[[str], M]

    def send(self, octets: bytes, then: Callable[[bytes], M]) -> M:
        """Send a flight, collect the other end's, and give it to `then`: empty for an acknowledgement."""
        return self._send(_fragments(octets), then)

    def start(self, then: Callable[[bytes], M]) -> M:
        """Ask for the first flight, and collect it."""
        return self._say(bytes([START]), partial(self._collect, Collected(), then))

    def _send(self, parts: tuple[bytes, ...], then: Callable[[bytes], M]) -> M:
        first, *rest = parts
        if rest:
            return self._say(first, partial(self._acknowledged, tuple(rest), then))
        return self._say(first, partial(self._collect, Collected(), then))

    def _acknowledged(self, rest: tuple[bytes, ...], then: Callable[[bytes], M], message: Message) -> M:
        if message.data != ACKNOWLEDGEMENT:
            return self.fail("EAP-TLS: a fragment out of order, in place of an acknowledgement")
        return self._send(rest, then)

    def _collect(self, before: Collected, then: Callable[[bytes], M], message: Message) -> M:
        try:
            collected, more = before.add(message.data)
        except WireError as error:
            return self.fail(f"EAP-TLS: {error}")
        if more:
            return self._say(ACKNOWLEDGEMENT, partial(self._collect, collected, then))
        return then(collected.octets)

    def _say(self, data: bytes, following: Callable[[Message], M]) -> M:
        return self.say(data, Once(following, self.fail("EAP-TLS: another packet in place of the same one")))


def _fragments(octets: bytes) -> tuple[bytes, ...]:
    """Packets' data: the first one with the whole length if there are several."""
    parts = [octets[start : start + FRAGMENT] for start in range(0, len(octets), FRAGMENT)] or [b""]
    if len(parts) == 1:
        return (b"\0" + parts[0],)
    first = bytes([LENGTH | MORE]) + len(octets).to_bytes(4, "big") + parts[0]
    middle = (bytes([MORE]) + part for part in parts[1:-1])
    return (first, *middle, b"\0" + parts[-1])
