"""Inbound SA: replay check, decryption, trailer and selector check, packet by packet (RFC 4303 3.4, RFC 4301
5.2); `esp.sa.batch` opens many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from esp.packet.drop_reasons import Drop
from esp.packet.headers import IPV4_HEADER, IPV4_NO_OPTIONS, NEXT_HEADER, ip_length
from esp.packet.policy import Policy
from esp.packet.replay import ReplayWindow
from esp.packet.row_layouts import Octets, RowLayout
from esp.packet.transport import Headers
from esp.sa.ciphers import NONCE_SALT, AeadContext, InvalidTag, keyed_aead, refuse_copy
from esp.sa.suites import ESP_HEADER, TRAILER, Suite

_DUMMY = 59
_KEPT_OF_REFUSED = 64  # octets of a refused packet that the message to control carries
_TUNNEL = frozenset(NEXT_HEADER.values())


@dataclass(frozen=True, slots=True)
class OpenedRows:
    """Inner packets of one `size`, but the last one of `last` octets, in the first `count` rows of a layout.
    Each stands, with `headroom` octets in front, from octet `begin` of its row on."""

    layout: RowLayout
    count: int
    begin: int
    headroom: int
    size: int
    last: int

    @property
    def array(self) -> Octets:
        """The packets with their headroom, a row each."""
        return self.layout.array[: self.count, self.begin :]

    def packets(self) -> list[memoryview]:
        """The packets with their headroom."""
        first = self.begin + self.headroom
        found = [row[self.begin : first + self.size] for row in self.layout.rows[: self.count]]
        found[-1] = found[-1][: self.headroom + self.last]
        return found


@dataclass(slots=True)
class OpenedBatch:
    """The result of opening a batch of one SA: inner packets and drops. With `rows` perhaps of many SAs."""

    packets: list[memoryview] = field(default_factory=list)  # inner packets, in order
    rows: OpenedRows | None = None  # or in rows, if all are uniform and permitted
    drops: dict[Drop, int] = field(default_factory=dict)
    valid: bool = False  # at least one packet was authentic and no replay
    newest: bool = False  # and one of these has advanced the replay window
    not_permitted: bytes = b""  # start of the first inner packet that the selectors refused

    def drop(self, reason: Drop, count: int = 1) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + count


class InboundSa:
    """Opens ESP packets under one key."""

    __slots__ = (
        "_icv",
        "_salt",
        "aead",
        "check",
        "format",
        "headroom",
        "mark",
        "min_length",
        "policy",
        "spi",
        "start",
        "suite",
        "transport",
        "window",
    )
    __reduce__ = refuse_copy

    def __init__(
        self,
        spi: int,
        suite: Suite,
        keys: bytes,
        esn: bool,
        replay_window: int,
        policy: Policy,
        *,
        replay_top: int = 0,
        transport: Headers | None = None,
    ) -> None:
        """`replay_top`: the right edge of the replay window at the start (`ReplayWindow`). `transport`:
        transport mode, with what makes the headers. Raises ValueError
        for an impossible SPI, key length, window or right edge."""
        if not 0 < spi < 1 << 32:
            raise ValueError(f"{spi} is no SPI")
        self.spi = spi
        self.suite = suite
        self.policy = policy
        aead, self._salt = keyed_aead(suite, keys)
        self._icv = suite.icv_length
        self.window = ReplayWindow(replay_window, esn, replay_top)
        self.aead = AeadContext(
            spi.to_bytes(4, "big") + self._salt.ljust(NONCE_SALT, b"\0"), aead.decrypt_into, esn
        )
        # SAs of one format can share a batch; those of transport mode have none.
        self.format = suite.format(esn) if transport is None else ()
        self.check, self.mark = self.window.check, self.window.mark  # looked up once, for batches
        self.start = ESP_HEADER + suite.iv_length  # of the plaintext
        self.min_length = suite.overhead + TRAILER
        self.transport = transport
        # Octets in front of an inner packet that can be its headroom; -1: a header has to be put on first
        self.headroom = self.start if transport is None else -1

    def open_batch(self, rows: Sequence[memoryview], headroom: int = 0) -> OpenedBatch:
        """Open ESP packets (from the SPI on), one by one, in place. Inner packets are views into `rows`, or
        copies where the ESP header and the IV are shorter than `headroom`.

        `headroom`: octets in front of each inner packet that its view has too.
        """
        opened, top = OpenedBatch(), self.window.top
        for row in rows:
            self.unwrap(opened, row, self._open(row), headroom)
        opened.newest = opened.valid and self.is_newest(top)
        return opened

    def is_newest(self, top: int) -> bool:
        """Whether an authentic packet has come since with a number above all before, of which `top` was the
        highest. Also without a window, else a replay could lead a peer's packets away (RFC 7296 2.23)."""
        return self.window.top > top

    def open_single(self, row: memoryview, headroom: int) -> memoryview | OpenedBatch:
        """Open one packet; `headroom` is at most ESP header and IV. Returns the view of the inner packet if
        it advances the replay window and is permitted, else an `OpenedBatch`."""
        top = self.window.top
        plaintext = self._open(row)
        length = plaintext if isinstance(plaintext, Drop) else self.inner_length(plaintext)
        if not isinstance(length, Drop) and self.window.top > top:
            return row[self.start - headroom : self.start + length]
        opened = OpenedBatch()
        self.unwrap(opened, row, plaintext, headroom)
        opened.newest = opened.valid and self.is_newest(top)
        return opened

    def _open(self, row: memoryview) -> memoryview | Drop:
        """Check, decrypt and mark one packet: its plaintext with trailer, or the reason to drop it."""
        if len(row) < self.min_length:
            return Drop.MALFORMED
        low, window, (_, decrypt_into, esn) = int.from_bytes(row[4:8], "big"), self.window, self.aead
        ahead = low if low > window.top and not esn else window.above_top(low)  # the usual case
        sequence = window.check(low) if ahead is None else ahead
        if sequence is None:
            return Drop.REPLAY
        start = self.start
        plaintext = row[start : -self._icv]
        aad = bytes(row[:4]) + sequence.to_bytes(8, "big") if esn else row[:ESP_HEADER]
        try:
            decrypt_into(self._salt + row[ESP_HEADER:start], row[start:], aad, plaintext)
        except InvalidTag:
            return Drop.INTEGRITY
        if ahead is not None:
            window.advance(ahead)
        elif not window.mark(sequence):
            return Drop.REPLAY
        return plaintext

    def unwrap(
        self, opened: OpenedBatch, row: memoryview, plaintext: memoryview | Drop, headroom: int
    ) -> None:
        """Add an opened packet, or the reason to drop it, to a batch."""
        if isinstance(plaintext, Drop):
            opened.drop(plaintext)
            return
        opened.valid = True
        if self.transport is not None:
            self._put_header_on(self.transport, opened, plaintext, headroom)
            return
        length = self.inner_length(plaintext)
        if isinstance(length, Drop):
            opened.drop(length)
            if length is Drop.SELECTORS and not opened.not_permitted:
                opened.not_permitted = bytes(plaintext[:_KEPT_OF_REFUSED])
        else:
            begin, end = self.start - headroom, self.start + length
            view = row[begin:end] if begin >= 0 else memoryview(bytearray(-begin) + row[:end])
            opened.packets.append(view)

    def _put_header_on(
        self, headers: Headers, opened: OpenedBatch, plaintext: memoryview, headroom: int
    ) -> None:
        """Add the packet of a payload in transport mode, or the reason to drop it."""
        next_header, end = plaintext[-1], len(plaintext) - TRAILER - plaintext[-2]
        if next_header == _DUMMY:
            opened.drop(Drop.DUMMY)
            return
        packet = None if end < 0 else headers.packet(next_header, plaintext[:end], headroom)
        if packet is None:
            opened.drop(Drop.MALFORMED)
        elif self.policy.permits_inbound(packet[headroom:]):
            opened.packets.append(packet)
        else:
            opened.drop(Drop.SELECTORS)
            opened.not_permitted = opened.not_permitted or bytes(packet[headroom:][:_KEPT_OF_REFUSED])

    def inner_length(self, plaintext: memoryview) -> int | Drop:
        """The length of the inner packet, without padding, trailer and TFC padding (RFC 4303 2.4, 2.7), or
        the reason to drop it."""
        next_header = plaintext[-1]
        end = len(plaintext) - TRAILER - plaintext[-2]
        if end < 0:
            return Drop.MALFORMED
        if next_header == _DUMMY:
            return Drop.DUMMY
        if next_header not in _TUNNEL:
            return Drop.NEXT_HEADER
        packet = plaintext[:end]
        if end > IPV4_HEADER and packet[0] == IPV4_NO_OPTIONS and packet[2] << 8 | packet[3] == end:
            length: int | None = end  # without a call
        else:
            length = ip_length(packet)
        if length is None:
            return Drop.MALFORMED
        if NEXT_HEADER[packet[0] >> 4] != next_header:
            return Drop.NEXT_HEADER
        return length if self.policy.permits_inbound(packet[:length]) else Drop.SELECTORS
