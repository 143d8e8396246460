"""Inbound SA: replay check, decryption, trailer and selector check, in batches (RFC 4303 3.4, RFC 4301
5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from esp.packet.drop_reasons import Drop
from esp.packet.headers import IPV4_HEADER, IPV4_NO_OPTIONS, NEXT_HEADER, ip_length
from esp.packet.policy import Policy
from esp.packet.replay import ReplayWindow
from esp.packet.row_layouts import Octets, RowLayout, RowLayouts, all_equal
from esp.sa.suites import AEAD_START, ESP_HEADER, FULL_ICV, TRAILER, InvalidTag, Suite, opener, refuse_copy

_DUMMY = 59
_KEPT_OF_REFUSED = 64  # octets of a refused packet that the message to control carries
_TUNNEL = frozenset(NEXT_HEADER.values())


@dataclass(frozen=True, slots=True)
class OpenedRows:
    """Inner packets of one length, but the last one, each with `headroom` octets in front."""

    array: Octets
    headroom: int
    size: int
    last: int


@dataclass(slots=True)
class OpenedBatch:
    """The result of opening a batch of one SA: inner packets and drops."""

    packets: list[memoryview] = field(default_factory=list)  # inner packets, in order
    rows: OpenedRows | None = None  # or in rows, if they are uniform
    drops: dict[Drop, int] = field(default_factory=dict)
    valid: bool = False  # at least one packet was authentic and no replay
    newest: bool = False  # and one of these has advanced the replay window
    not_permitted: bytes = b""  # start of the first inner packet that the selectors refused

    def split_rows(self) -> None:
        """Replace `rows` by `packets`."""
        if self.rows is not None:
            array, headroom = self.rows.array, self.rows.headroom
            lengths = [self.rows.size] * (len(array) - 1) + [self.rows.last]
            self.packets = [
                memoryview(row)[: headroom + length] for row, length in zip(array, lengths, strict=True)
            ]
            self.rows = None

    def drop(self, reason: Drop, count: int = 1) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + count


class InboundSa:
    """Opens ESP packets under one key."""

    __slots__ = (
        "_min_length",
        "_opener",
        "_window",
        "aead",
        "check",
        "mark",
        "policy",
        "spi",
        "start",
        "suite",
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
    ) -> None:
        """`replay_top`: the right edge of the replay window at the start (`ReplayWindow`). Raises ValueError
        for an impossible SPI, key length, window or right edge."""
        if not 0 < spi < 1 << 32:
            raise ValueError(f"{spi} is no SPI")
        self.spi = spi
        self.suite = suite
        self.policy = policy
        self._opener = opener(suite, keys, esn)
        self._window = ReplayWindow(replay_window, esn, replay_top)
        self.aead = self._opener.aead_context(spi)
        self.check, self.mark = self._window.check, self._window.mark  # for multi-SA batches
        self.start = ESP_HEADER + suite.iv_length  # of the plaintext
        self._min_length = suite.overhead + TRAILER

    def open_batch(self, rows: Sequence[memoryview], headroom: int = 0) -> OpenedBatch:
        """Open ESP packets (from the SPI on), one by one, in place. Inner packets are views into `rows`.

        `headroom`: octets in front of each inner packet that its view has too, at most the ESP header and
        the IV.
        """
        opened = OpenedBatch()
        before = self._window.top
        for row in rows:
            self._unwrap_into(opened, row, self._open(row), headroom)
        opened.newest = opened.valid and (self._window.top > before or not self._window.size)
        return opened

    def open_single(self, row: memoryview, headroom: int) -> memoryview | OpenedBatch:
        """Open one packet. Returns the view of the inner packet if it advances the replay window and is
        permitted, else an `OpenedBatch`."""
        aead, window = self.aead, self._window
        if aead is None or len(row) < self._min_length:
            return self.open_batch([row], headroom)
        spi_salt, decrypt_into, esn = aead
        low = int.from_bytes(row[4:8], "big")
        sequence = low if low > window.top and not esn else window.above_top(low)
        if sequence is None:
            return self.open_batch([row], headroom)
        # `Opener.open` and `inner_length` of plain IPv4, inlined: after a pause every call is slow
        # (esp.datapath.flow_cache).
        plaintext = row[AEAD_START:-FULL_ICV]
        aad = spi_salt[:4] + sequence.to_bytes(8, "big") if esn else row[:ESP_HEADER]
        try:
            decrypt_into(spi_salt[4:] + row[ESP_HEADER:AEAD_START], row[AEAD_START:], aad, plaintext)
        except InvalidTag:
            return OpenedBatch(drops={Drop.INTEGRITY: 1})
        window.advance(sequence)
        length: int | Drop = len(plaintext) - TRAILER - plaintext[-2]
        if (
            plaintext[-1] != NEXT_HEADER[4]
            or length <= IPV4_HEADER
            or plaintext[0] != IPV4_NO_OPTIONS
            or plaintext[2] << 8 | plaintext[3] != length
            or not self.policy.permits_addresses(4, bytes(plaintext[12:20]))
        ):
            length = self.inner_length(plaintext)
        if not isinstance(length, Drop):
            return row[AEAD_START - headroom : AEAD_START + length]
        opened = OpenedBatch(valid=True, newest=True)
        self._append_inner(opened, row, plaintext, headroom)
        return opened

    def open_layout(
        self, layouts: RowLayouts, layout: RowLayout, count: int, last: int, headroom: int
    ) -> OpenedBatch | None:
        """Open the first `count` rows of a layout at once, the last one of `last` octets.

        None, and nothing was changed, if they have to be opened one by one.
        """
        if last < self._min_length:
            return None
        before = self._window.top
        numbers = self._window.check_batch(layout.seq_lows[:count])
        if numbers is None:
            return None
        opened = OpenedBatch()
        full = count - (last < layout.stride)
        failed = self._opener.open_layout(layouts, layout, numbers[:full]) if full else []
        if full < count and self._opener.open(layout.rows[full][:last], numbers[full]) is None:
            failed.append(full)
        if failed:
            opened.drop(Drop.INTEGRITY, len(failed))
            numbers = [number for index, number in enumerate(numbers) if index not in failed]
        self._window.mark_batch(numbers)
        opened.valid = bool(numbers)
        opened.newest = opened.valid and (self._window.top > before or not self._window.size)
        opened.rows = None if failed else self._uniform_rows(layout, count, last, headroom)
        if opened.rows is None:
            for index in sorted(set(range(count)) - set(failed)):
                row = layout.rows[index] if index < full else layout.rows[index][:last]
                self._append_inner(opened, row, row[self.start : len(row) - self.suite.icv_length], headroom)
        return opened

    def _uniform_rows(self, layout: RowLayout, count: int, last: int, headroom: int) -> OpenedRows | None:
        """The inner packets as rows if all have one version, length (but the last one) and permitted
        addresses; None if they have to be looked at one by one."""
        start = self.start
        array = layout.array[:count]
        end = layout.stride - self.suite.icv_length
        ends = last - self.suite.icv_length
        full = count - (last < layout.stride)
        first = layout.plaintexts[0]
        size = self.inner_length(first)
        if isinstance(size, Drop) or not all_equal(array[:full, end - TRAILER : end]):
            return None
        length = size
        # The version and, in IPv4, the length
        if not all_equal(array[:full, start : start + 4]):
            return None
        if first[0] >> 4 == 6 and not all_equal(array[:full, start + 4 : start + 6]):
            return None
        if full < count:
            tail = self.inner_length(layout.rows[full][start:ends])
            if isinstance(tail, Drop) or tail > size:
                return None
            length = tail
        if not self.policy.permits_rows(array[:, start:]):
            return None
        return OpenedRows(array[:, start - headroom :], headroom, size, length)

    def _open(self, row: memoryview) -> memoryview | Drop:
        """Check, decrypt and mark one packet: its plaintext with trailer, or the reason to drop it."""
        if len(row) < self._min_length:
            return Drop.MALFORMED
        sequence = self._window.check(int.from_bytes(row[4:8], "big"))
        if sequence is None:
            return Drop.REPLAY
        plaintext = self._opener.open(row, sequence)
        if plaintext is None:
            return Drop.INTEGRITY
        return plaintext if self._window.mark(sequence) else Drop.REPLAY

    def unwrap(self, row: memoryview, plaintext: memoryview | Drop, headroom: int) -> OpenedBatch:
        """Unwrap one packet that was opened, or count the reason to drop it."""
        opened = OpenedBatch()
        self._unwrap_into(opened, row, plaintext, headroom)
        return opened

    def _unwrap_into(
        self, opened: OpenedBatch, row: memoryview, plaintext: memoryview | Drop, headroom: int
    ) -> None:
        if isinstance(plaintext, Drop):
            opened.drop(plaintext)
        else:
            opened.valid = True
            self._append_inner(opened, row, plaintext, headroom)

    def _append_inner(
        self, opened: OpenedBatch, row: memoryview, plaintext: memoryview, headroom: int
    ) -> None:
        length = self.inner_length(plaintext)
        if isinstance(length, Drop):
            opened.drop(length)
            if length is Drop.SELECTORS and not opened.not_permitted:
                opened.not_permitted = bytes(plaintext[:_KEPT_OF_REFUSED])
        else:
            opened.packets.append(row[self.start - headroom : self.start + length])

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
