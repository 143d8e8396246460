"""One inbound SA: replay check, opening, trailer, selectors, in batches (RFC 4303 3.4, RFC 4301 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from esp.counters import Drop
from esp.packet import NEXT_HEADER, ip_length
from esp.policy import Policy
from esp.replay import ReplayWindow
from esp.suites import TRAILER, Suite, opener, refuse_copy

_DUMMY = 59
_TUNNEL = frozenset(NEXT_HEADER.values())


@dataclass(slots=True)
class Opened:
    """What came out of a batch."""

    packets: list[memoryview] = field(default_factory=list)  # inner packets, in order
    drops: dict[Drop, int] = field(default_factory=dict)
    valid: bool = False  # at least one had a right ICV and was no replay
    newest: bool = False  # and one of those was newer than all before


class InboundSa:
    """Opens ESP packets under one key."""

    __slots__ = ("_opener", "_policy", "_shortest", "_window", "spi", "suite")
    __reduce__ = refuse_copy

    def __init__(
        self, spi: int, suite: Suite, keys: bytes, esn: bool, replay_window: int, policy: Policy
    ) -> None:
        """Raises ValueError for an impossible SPI, key length or window."""
        if not 0 < spi < 1 << 32:
            raise ValueError(f"{spi} is no SPI")
        self.spi = spi
        self.suite = suite
        self._policy = policy
        self._opener = opener(suite, keys, esn)
        self._window = ReplayWindow(replay_window, esn)
        self._shortest = suite.overhead + TRAILER

    def open_batch(self, rows: Sequence[memoryview]) -> Opened:
        """The inner packets of ESP packets (from the SPI on), decrypted in place: views into `rows`."""
        opened = Opened()
        before = self._window.top
        for row in rows:
            plaintext = self._open(row)
            if isinstance(plaintext, memoryview):
                opened.valid = True
                plaintext = self._inner(plaintext)
            if isinstance(plaintext, memoryview):
                opened.packets.append(plaintext)
            else:
                opened.drops[plaintext] = opened.drops.get(plaintext, 0) + 1
        opened.newest = opened.valid and (self._window.top > before or not self._window.size)
        return opened

    def _open(self, row: memoryview) -> memoryview | Drop:
        """Plaintext with trailer of a packet that is authentic and no replay."""
        if len(row) < self._shortest:
            return Drop.MALFORMED
        sequence = self._window.check(int.from_bytes(row[4:8], "big"))
        if sequence is None:
            return Drop.REPLAY
        plaintext = self._opener.open(row, sequence)
        if plaintext is None:
            return Drop.INTEGRITY
        return plaintext if self._window.mark(sequence) else Drop.REPLAY

    def _inner(self, plaintext: memoryview) -> memoryview | Drop:
        """The inner packet in front of padding, trailer and TFC padding (RFC 4303 2.4 to 2.7)."""
        next_header = plaintext[-1]
        end = len(plaintext) - TRAILER - plaintext[-2]
        if end < 0:
            return Drop.MALFORMED
        if next_header == _DUMMY:
            return Drop.DUMMY
        if next_header not in _TUNNEL:
            return Drop.NEXT_HEADER
        packet = plaintext[:end]
        length = ip_length(packet)
        if length is None:
            return Drop.MALFORMED
        if NEXT_HEADER[packet[0] >> 4] != next_header:
            return Drop.NEXT_HEADER
        packet = packet[:length]
        return packet if self._policy.permits_inbound(packet) else Drop.SELECTORS
