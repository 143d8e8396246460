"""Receives packets of protocol 50 by recvmmsg into a ring of rows, and finds the spans of uniform ones
(raw(7))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from esp.net import cmsg, mmsg
from esp.net.transport import Received, Transport
from esp.packet.row_layouts import Octets, RowLayouts, all_equal

_ROWS = 64
_ROW = 1 << 16
_PITCH = _ROW + 33 * 64  # no power of two: such rows would compete for a few lines of the CPU's cache


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Where received ESP packets stand in an arena: `count` of `stride` octets, the last one of `last`, from
    row `first` on, a row every `pitch` octets.

    Row 0 begins `offset` octets into the arena.
    """

    layouts: RowLayouts
    offset: int
    first: int
    stride: int
    count: int
    last: int
    pitch: int

    def rows(self) -> list[memoryview]:
        start = self.offset + self.first * self.pitch
        starts = range(start, start + self.count * self.pitch, self.pitch)
        rows = [self.layouts.arena[at : at + self.stride] for at in starts]
        rows[-1] = rows[-1][: self.last]
        return rows

    def column(self, first: int, end: int) -> Octets:
        """Octets `first` to `end` of every packet, a row each."""
        start = self.offset + self.first * self.pitch + first
        return np.ndarray((self.count, end - first), np.uint8, self.layouts.arena, start, (self.pitch, 1))


class RawReceiveRing:
    """64 rows of 64 KiB; memory that no packet has touched costs nothing."""

    __slots__ = ("_layouts", "_receiver")

    def __init__(self) -> None:
        self._layouts = RowLayouts((_ROWS + 1) * _PITCH, _PITCH)
        self._receiver = mmsg.Receiver(self._layouts.arena, _PITCH, _ROW)

    def read(self, transport: Transport, most: int) -> Iterator[tuple[Received, RowSpan]]:
        """Receive up to `most` packets. Uniform ones that follow each other are one span."""
        count = transport.receive_many(self._receiver, min(most, _ROWS))
        if count > 1:
            last = self._receiver.uniform_last_length(count)
            # Of what an IPv4 raw socket gives, too: the length of the IP header and its TOS octet
            heads = np.ndarray((count, 2), np.uint8, self._layouts.arena, 0, (_PITCH, 1))
            if last is not None and (transport.version == 6 or all_equal(heads)):
                yield self._span(transport, 0, count, self._receiver.message(0), last)
                return
        yield from self._spans(transport, [self._receiver.message(row) for row in range(count)])

    def _spans(
        self, transport: Transport, messages: list[mmsg.ReceivedMessage]
    ) -> Iterator[tuple[Received, RowSpan]]:
        keys = [self._key(transport, row, message) for row, message in enumerate(messages)]
        at = 0
        while at < len(messages):
            length = messages[at].length
            end = at + 1
            while end < len(messages) and keys[end] == keys[at] and messages[end].length <= length:
                end += 1
                if messages[end - 1].length < length:
                    break
            yield self._span(transport, at, end - at, messages[at], messages[end - 1].length)
            at = end

    def _span(
        self, transport: Transport, first: int, count: int, message: mmsg.ReceivedMessage, last: int
    ) -> tuple[Received, RowSpan]:
        """The span of `count` uniform packets from row `first` on, received as `message`."""
        offset, tos = self._key(transport, first, message)[:2]
        length = max(0, message.length - offset)
        local = cmsg.parse(mmsg.parse_control(message.control)).local_address or transport.local_address
        received = Received(length, length, tos, mmsg.parse_name(message.name), local)
        return received, RowSpan(self._layouts, offset, first, length, count, max(0, last - offset), _PITCH)

    def _key(
        self, transport: Transport, row: int, message: mmsg.ReceivedMessage
    ) -> tuple[int, int, bytes, bytes]:
        """What packets of one span have in common: length of the outer header, TOS octet, source, ancillary
        data."""
        if transport.version == 4:  # an IPv4 raw socket gives the IP header, too
            octets = self._layouts.arena[row * _PITCH :]
            return (octets[0] & 0x0F) * 4, octets[1], message.name, message.control
        tos = cmsg.parse(mmsg.parse_control(message.control)).tos
        return 0, tos, message.name, message.control
