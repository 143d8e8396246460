"""Seals and opens batches: ESP packets in the rows of a layout, under one SA or many (RFC 4303 3.3 and 3.4).

All SAs of a batch have one format (IV, ICV, ESN), so that their packets share a row layout. What differs from
row to row (SPI, salt, sequence number, IV) is written by numpy, a column at a time; then there is one AEAD
call a packet.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, repeat
from operator import attrgetter, call, mul
from typing import Any

import numpy as np

from esp.packet.drop_reasons import Drop
from esp.packet.row_layouts import (
    BE32,
    STEPS,
    LowHalves,
    RowLayout,
    RowLayouts,
    SequenceNumbers,
    address_keys,
    all_equal,
)
from esp.sa.ciphers import InvalidTag
from esp.sa.inbound import InboundSa, OpenedBatch, OpenedRows
from esp.sa.outbound import OutboundSa
from esp.sa.suites import ESP_HEADER, TRAILER

Column = int | LowHalves  # the same number for all rows, or one for each

_SPI_SALT = struct.Struct(">II")
_SEQUENCE, _AEAD = attrgetter("sequence"), attrgetter("aead")
_LENGTH_FIELD = {4: (2, 4), 6: (4, 6)}  # first octet and end of the length in IP headers


def seal_runs(
    layouts: RowLayouts,
    layout: RowLayout,
    size: int,
    sas: Sequence[OutboundSa],
    counts: Sequence[int],
    shorts: Sequence[int],
) -> tuple[Sequence[int], SequenceNumbers]:
    """Seal inner packets of `size` octets and one IP version, which are laid out in the rows of a layout, in
    runs of one SA each. Returns how many of each run, and their sequence numbers. The former is `counts`
    itself if all are sealed, and no SA of several is low.

    `counts`: packets of each run; `shorts`: octets by which its last one is shorter. All SAs have one format.
    Whatever this raises, no sequence number is used again.
    """
    sa = sas[0]
    if max(map(_SEQUENCE, sas)) >= sa.batch_until:
        if len(sas) > 1:
            return _seal_run_by_run(layouts, layout, size, sas, counts, shorts)
        if sa.limit - sa.sequence < counts[0]:
            counts, shorts = (sa.limit - sa.sequence,), (0,)
            if not counts[0]:
                return counts, STEPS[:0]
    count = sum(counts)
    sequences = _take_sequences(sas, counts, count)
    texts, bodies = _write_trailers(layout, size, sa, counts, shorts, count)
    spis, salts, calls = _columns(sas, counts, count)
    layout.spis[:count], layout.seq_lows[:count] = spis, sequences
    if sa.suite.random_iv:
        length = sa.suite.iv_length
        ivs = np.frombuffer(os.urandom(length * count), np.uint8).reshape(count, length)
        layout.array[:count, ESP_HEADER : sa.start] = ivs
    else:
        layout.ivs[:count] = sequences
    nonces, aad = _nonces_and_aad(layouts, layout, sa, spis, salts, sequences)
    columns = nonces, texts, aad, bodies
    # Under one SA without `call`, which costs a packet of 64 octets 1.5 %.
    each = map(sa.aead.call, *columns) if len(sas) == 1 else map(call, calls, *columns)
    deque(each, maxlen=0)  # the fastest loop in Python
    return counts, sequences


def _seal_run_by_run(
    layouts: RowLayouts,
    layout: RowLayout,
    size: int,
    sas: Sequence[OutboundSa],
    counts: Sequence[int],
    shorts: Sequence[int],
) -> tuple[Sequence[int], SequenceNumbers]:
    """`seal_runs`, if one SA is near the end of its sequence numbers."""
    found = [
        seal_runs(layouts, layout.from_row(at), size, (sa,), (count,), (short_by,))
        for sa, at, count, short_by in zip(sas, accumulate(counts, initial=0), counts, shorts, strict=False)
    ]
    return [count for (count,), _ in found], np.concatenate([sequences for _, sequences in found])


def _take_sequences(sas: Sequence[OutboundSa], counts: Sequence[int], count: int) -> SequenceNumbers:
    """Take the next sequence numbers of each run's SA, one for each of `count` rows."""
    if len(sas) == 1:
        first = sas[0].sequence + 1
        sas[0].sequence += count
        return np.arange(first, first + count, dtype=np.uint64)
    firsts = []
    if len(sas) == count:  # a packet each
        for sa in sas:
            sa.sequence = number = sa.sequence + 1
            firsts.append(number)
        return np.frombuffer(array("Q", firsts), np.uint64)  # twice as fast as np.array
    for sa, packets in zip(sas, counts, strict=True):
        firsts.append(sa.sequence + 1)
        sa.sequence += packets
    bases = np.array(firsts, np.uint64) - np.fromiter(accumulate(counts, initial=0), np.uint64, len(firsts))
    return bases.repeat(counts) + STEPS[:count]


def _write_trailers(
    layout: RowLayout, size: int, sa: OutboundSa, counts: Sequence[int], shorts: Sequence[int], count: int
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Write the ESP trailers of `count` rows. Returns plaintexts and ciphertexts of the rows, of which the
    last one of a run may be short."""
    texts, bodies = layout.plaintexts, layout.ciphertexts
    version, end = layout.rows[0][sa.start] >> 4, sa.start + size
    trailer = sa.trailer(version, size)
    layout.array[:count, end : end + len(trailer)] = trailer
    if any(shorts):
        texts, bodies = texts.copy(), bodies.copy()
        for at, short_by in zip(accumulate(counts), shorts, strict=True):
            if short_by:
                length = size - short_by
                row = layout.rows[at - 1][: sa.esp_length(length)]
                texts[at - 1], bodies[at - 1] = row[sa.start : -sa.suite.icv_length], row[sa.start :]
                texts[at - 1][length:] = sa.trailer(version, length).data
    return texts, bodies


def _columns(
    sas: Sequence[InboundSa] | Sequence[OutboundSa], counts: Sequence[int], count: int
) -> tuple[Column, Column, Iterable[Callable[..., object]]]:
    """SPIs, salts and calls of `count` rows, given the SA of each run and how many rows it has. SPI and salt
    of a single run are numbers."""
    if len(sas) == 1:
        return *_SPI_SALT.unpack(sas[0].aead.spi_salt), repeat(sas[0].aead.call, count)
    spi_salts, calls, _ = zip(*map(_AEAD, sas), strict=True)
    if len(sas) < count:
        spi_salts = tuple(map(mul, spi_salts, counts))
        calls = tuple(chain.from_iterable(map(repeat, calls, counts)))
    table = np.frombuffer(b"".join(spi_salts), BE32).reshape(-1, 2)
    return table[:, 0], table[:, 1], calls


def _nonces_and_aad(
    layouts: RowLayouts,
    layout: RowLayout,
    sa: InboundSa | OutboundSa,
    spis: Column,
    salts: Column,
    sequences: Sequence[int] | SequenceNumbers,
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Nonces and AAD of the rows of SAs like `sa`; their IVs stand there. `sequences`: of 64 bits."""
    count = len(sequences)
    if sa.suite.random_iv:
        nonces = [row[ESP_HEADER : sa.start] for row in layout.rows[:count]]
    else:
        layouts.nonce_salts[:count], layouts.nonce_ivs[:count] = salts, layout.ivs[:count]
        nonces = layouts.nonces[:count]
    if not sa.aead.esn:
        return nonces, layout.esp_headers
    layouts.aad_spis[:count], layouts.aad_sequences[:count] = spis, sequences
    return nonces, layouts.aad


def open_rows(
    layouts: RowLayouts, layout: RowLayout, sas: Sequence[InboundSa], count: int, last: int, headroom: int
) -> list[OpenedBatch] | None:
    """Check, open and unwrap the first `count` rows of a layout, the last one of `last` octets. `sas`: one SA
    for all rows, or one for each, all of one format.

    Returns one batch with `rows` if all packets are uniform and permitted, else a batch for each of `sas`;
    None, and nothing was changed, if they have to be opened one by one. `headroom` as `InboundSa.open_batch`
    has it.
    """
    sa, top = sas[0], sas[0].window.top
    numbers = _check(sas, layout, count) if last >= sa.min_length else None
    if numbers is None:
        return None
    drops = _open(layouts, layout, sas, numbers, last)
    rows = None if drops else _uniform_rows(layout, sas, count, last, headroom)
    if rows is not None:
        return [OpenedBatch(rows=rows, valid=True, newest=sa.is_newest(top))]
    opened, start, icv = [OpenedBatch() for _ in sas], sa.start, sa.suite.icv_length
    for index in range(count):
        row, which = layout.rows[index] if index < count - 1 else layout.rows[index][:last], index % len(sas)
        sas[which].unwrap(opened[which], row, drops.get(index, row[start:-icv]), headroom)
    opened[0].newest = opened[0].valid and sa.is_newest(top)
    return opened


def _check(sas: Sequence[InboundSa], layout: RowLayout, count: int) -> Sequence[int] | None:
    """Check the rows against the replay windows. Returns the 64-bit sequence numbers; None if one is
    refused."""
    if len(sas) == 1:
        return sas[0].window.check_batch(layout.seq_lows[:count])
    lows: list[int] = layout.seq_lows[:count].tolist()
    found = [number for sa, low in zip(sas, lows, strict=True) if (number := sa.check(low)) is not None]
    return found if len(found) == count else None


def _open(
    layouts: RowLayouts, layout: RowLayout, sas: Sequence[InboundSa], numbers: Sequence[int], last: int
) -> dict[int, Drop]:
    """Open rows whose sequence numbers were accepted, and mark these in the replay windows. Returns the
    reason of each packet to drop, by index.

    Several packets of one SA are checked in order, each against the ones before it.
    """
    sa, count, each = sas[0], len(numbers), len(sas) > 1
    spis, salts, calls = _columns(sas, (), count)
    nonces, aad = _nonces_and_aad(layouts, layout, sa, spis, salts, numbers)
    texts, bodies = layout.plaintexts, layout.ciphertexts
    if last < layout.stride:
        row = layout.rows[count - 1][:last]
        texts = [*texts[: count - 1], row[sa.start : -sa.suite.icv_length]]
        bodies = [*bodies[: count - 1], row[sa.start :]]
    drops = dict.fromkeys(_open_each(tuple(calls), nonces, bodies, aad, texts), Drop.INTEGRITY)
    if not each:
        if drops:
            numbers = [number for index, number in enumerate(numbers) if index not in drops]
        sa.window.mark_batch(numbers)
        return drops
    for index, (one, number) in enumerate(zip(sas, numbers, strict=True)):
        if one.check(number & 0xFFFFFFFF) is None if index in drops else not one.mark(number):
            drops[index] = Drop.REPLAY
    return drops


def _open_each(*columns: Sequence[Any]) -> list[int]:
    """Open each row of `columns`: calls, as many as rows, and their arguments. Returns the rows whose ICV was
    wrong."""
    failed: list[int] = []
    at, count = 0, len(columns[0])
    while at < count:
        done: list[object] = []
        try:
            done.extend(map(call, *([column[at:] for column in columns] if at else columns)))
            break
        except InvalidTag:
            at += len(done)
            failed.append(at)
            at += 1
    return failed


def _uniform_rows(
    layout: RowLayout, sas: Sequence[InboundSa], count: int, last: int, headroom: int
) -> OpenedRows | None:
    """The inner packets of opened rows if all have one version, padding and length (but the last one), and
    are permitted by their SAs; None if they have to be looked at one by one."""
    sa, full = sas[0], count - (last < layout.stride)
    start, icv = sa.start, sa.suite.icv_length
    packets = layout.array[:count, start : layout.stride - icv]
    size = length = sa.inner_length(layout.plaintexts[0])
    if isinstance(size, Drop) or not all_equal(packets[:full, -TRAILER:]) or not all_equal(packets[:, :1]):
        return None
    version = packets.item(0) >> 4
    begin, end = _LENGTH_FIELD[version]
    if not all_equal(packets[:full, begin:end]):
        return None
    if full < count:
        length = sas[-1].inner_length(layout.rows[full][start : last - icv])
        if isinstance(length, Drop) or length > size:
            return None
    if len(sas) == 1:
        permitted = sa.policy.permits_rows(packets)
    else:
        rows = zip(sas, layout.plaintexts, address_keys(packets, version), strict=False)
        permitted = all(
            one.policy.permits_addresses(version, key) or one.policy.permits_inbound(text[:size])
            for one, text, key in rows
        )
    return OpenedRows(layout, count, start - headroom, headroom, size, length) if permitted else None
