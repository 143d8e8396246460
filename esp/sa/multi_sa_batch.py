"""Seals and opens a batch of equal-size packets under many SAs in one pass (RFC 4303 3.3 and 3.4).

All SAs must use AEADs with their full ICV (RFC 4106, RFC 7634), which share one row layout, and ESN all or
none. What differs from row to row (SPI, salt, sequence number) is written by numpy, a column at a time; then
there is one AEAD call a packet.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from operator import attrgetter, call
from typing import Protocol

import numpy as np

from esp.packet.drop_reasons import Drop
from esp.packet.row_layouts import (
    BE64,
    MAX_ROWS,
    STEPS,
    Octets,
    RowLayout,
    RowLayouts,
    SequenceNumbers,
    address_keys,
    all_equal,
)
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa, trailer_of
from esp.sa.suites import AEAD_START, FULL_ICV, TRAILER, exhaust, open_each

START, ICV = AEAD_START, FULL_ICV  # where the inner packet begins, and the octets of the ICV
MIN_LENGTH = START + TRAILER + ICV
_SPI_SALT = 8
_BLOCK = 4
_MODULUS = 1 << 64
_SEQUENCE = attrgetter("sequence")
_LENGTH_FIELD = {4: (2, 4), 6: (4, 6)}  # first octet and end of the length in IP headers


class SealColumns(Protocol):
    """What `seal_each` needs of the SAs of a batch, a column each; all SAs have an `AeadContext`."""

    @property
    def sas(self) -> Sequence[OutboundSa]: ...

    @property
    def spi_salts(self) -> Sequence[bytes]: ...

    @property
    def calls(self) -> Sequence[Callable[..., object]]: ...

    @property
    def esn(self) -> Sequence[bool]: ...


def esp_length(length: int) -> int:
    """The length of the ESP packet of an inner packet of `length` octets."""
    return START + ICV + length + TRAILER + _padding(length)


def _padding(length: int) -> int:
    return -(length + TRAILER) % _BLOCK


def seal_each(
    layouts: RowLayouts, layout: RowLayout, columns: SealColumns, length: int
) -> SequenceNumbers | None:
    """Seal inner packets of one `length` and one IP version in the rows of a layout, each under its SA.
    Returns their sequence numbers; None, and nothing was done, if the SAs can't share a batch.

    Whatever this raises, no sequence number is used again.
    """
    sas, esn, count = columns.sas, columns.esn, len(columns.sas)
    if count > MAX_ROWS or esn.count(esn[0]) < count or max(map(_SEQUENCE, sas)) >= sas[0].batch_until:
        return None
    sequences = _take_sequences(sas)
    end = START + length
    trailer = trailer_of(layout.rows[0][START] >> 4, _padding(length))
    layout.array[:count, end : end + len(trailer)] = trailer
    nonces, aad = _write_headers(layouts, layout, _spi_salt_table(columns.spi_salts), sequences, esn[0])
    exhaust(map(call, columns.calls, nonces, layout.plaintexts, aad, layout.ciphertexts))
    return sequences


def share_layout(sa: OutboundSa, other: OutboundSa) -> bool:
    """Whether both SAs have the same row layout and one `seal_runs` can seal packets of both."""
    one, another = sa.aead, other.aead
    return one is not None and another is not None and one.esn == another.esn


def seal_runs(layouts: RowLayouts, layout: RowLayout, runs: Sequence[tuple[OutboundSa, int, int]]) -> bool:
    """Seal the packets that were laid out in the rows of a layout. A run is an SA, its number of rows, and
    the octets of its last ESP packet; all SAs `share_layout`. False, and nothing was done, if one SA is near
    the end of its sequence numbers.

    Whatever this raises, no sequence number is used again.
    """
    if any(sa.sequence >= sa.batch_until for sa, _, _ in runs):
        return False
    contexts = [sa.aead for sa, _, _ in runs if sa.aead is not None]
    counts = [count for _, count, _ in runs]
    sequences = _take_run_sequences(runs, counts)
    table = _spi_salt_table([aead.spi_salt * count for aead, count in zip(contexts, counts, strict=True)])
    nonces, aad = _write_headers(layouts, layout, table, sequences, contexts[0].esn)
    calls = chain.from_iterable(
        repeat(aead.call, count) for aead, count in zip(contexts, counts, strict=True)
    )
    texts, bodies = _texts_and_ciphertexts(layout, runs)
    exhaust(map(call, calls, nonces, texts, aad, bodies))
    return True


def _take_run_sequences(
    runs: Sequence[tuple[OutboundSa, int, int]], counts: Sequence[int]
) -> SequenceNumbers:
    """Take the next sequence numbers of each run's SA, one for each row."""
    bases = []  # by run: sequence number minus row index
    at = 0
    for sa, count, _ in runs:
        bases.append((sa.sequence + 1 - at) % _MODULUS)
        sa.sequence += count
        at += count
    return np.array(bases, np.uint64).repeat(counts) + STEPS[:at]


def _texts_and_ciphertexts(
    layout: RowLayout, runs: Sequence[tuple[OutboundSa, int, int]]
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Plaintexts and ciphertexts of the rows, of which the last one of a run may be short."""
    texts, bodies = layout.plaintexts, layout.ciphertexts
    if all(last == layout.stride for _, _, last in runs):
        return texts, bodies
    texts, bodies = texts.copy(), bodies.copy()
    at = 0
    for _, count, last in runs:
        at += count
        row = layout.rows[at - 1]
        texts[at - 1], bodies[at - 1] = row[START : last - ICV], row[START:last]
    return texts, bodies


def _write_headers(
    layouts: RowLayouts, layout: RowLayout, spi_salts: Octets, sequences: SequenceNumbers, esn: bool
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Write SPI, sequence number and IV of each row; returns nonces and AAD."""
    count = len(spi_salts)
    layout.array[:count, :4] = spi_salts[:, :4]
    layout.seq_lows[:count] = layout.ivs[:count] = sequences
    return _nonces_and_aad(layouts, layout, spi_salts, sequences if esn else None)


def _take_sequences(sas: Sequence[OutboundSa]) -> SequenceNumbers:
    """Take the next sequence number of each SA; one that comes twice gives two."""
    taken = []
    for sa in sas:
        sa.sequence = number = sa.sequence + 1
        taken.append(number)
    return np.frombuffer(array("Q", taken), np.uint64)  # twice as fast as np.array


def _spi_salt_table(stamps: Sequence[bytes]) -> Octets:
    return np.frombuffer(b"".join(stamps), np.uint8).reshape(-1, _SPI_SALT)


def _nonces_and_aad(
    layouts: RowLayouts, layout: RowLayout, spi_salts: Octets, sequences: SequenceNumbers | None
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Fill in nonces and AAD of the rows. `sequences`: 64-bit numbers with ESN, else None."""
    count = len(spi_salts)
    layouts.set_salts(spi_salts[:, 4:])
    layouts.nonce_ivs[:count] = layout.ivs[:count]
    if sequences is None:
        return layouts.nonces[:count], layout.esp_headers
    layouts.aad_rows[:count, :4] = spi_salts[:, :4]
    layouts.aad_rows[:count, 4:].view(BE64)[:, 0] = sequences
    return layouts.nonces[:count], layouts.aad


def check_each(sas: Sequence[InboundSa], layout: RowLayout) -> list[int] | None:
    """Check the rows of a layout against the replay window of each one's SA. Returns the 64-bit sequence
    numbers; None if one is refused or the SAs can't share a batch."""
    contexts = [sa.aead for sa in sas]
    if len(sas) > MAX_ROWS or None in contexts or len({aead.esn for aead in contexts if aead}) > 1:
        return None
    lows: list[int] = layout.seq_lows[: len(sas)].tolist()
    sequences = [sa.check(low) for sa, low in zip(sas, lows, strict=True)]
    found = [number for number in sequences if number is not None]
    return found if len(found) == len(sas) else None


def open_rows(
    layouts: RowLayouts, layout: RowLayout, sas: Sequence[InboundSa], sequences: Sequence[int]
) -> dict[int, Drop]:
    """Open the rows that `check_each` has accepted, and mark them in the replay windows. Returns the reason
    of each packet to drop, by index.

    Several packets of one SA are checked in order, each against the ones before it.
    """
    contexts = [sa.aead for sa in sas if sa.aead is not None]
    stamps, calls, esn = zip(*contexts, strict=True)
    esns: SequenceNumbers | None = np.array(sequences, np.uint64) if esn[0] else None
    nonces, aad = _nonces_and_aad(layouts, layout, _spi_salt_table(stamps), esns)
    failed = open_each(call, (calls, nonces, layout.ciphertexts, aad, layout.plaintexts))
    drops = {}
    for index, (sa, number) in enumerate(zip(sas, sequences, strict=True)):
        if index in failed or not sa.mark(number):
            seen = sa.check(number & 0xFFFFFFFF) is None
            drops[index] = Drop.REPLAY if seen else Drop.INTEGRITY
    return drops


def uniform_inner_length(layout: RowLayout, sas: Sequence[InboundSa]) -> int | None:
    """The inner length of opened packets if it is the same for all, with one IP version and padding, and all
    are permitted by their SAs; None if they have to be unwrapped one by one."""
    count = len(sas)
    rows = layout.array[:count, START : layout.stride - ICV]
    size = sas[0].inner_length(layout.plaintexts[0])
    if isinstance(size, Drop) or not all_equal(rows[:, -TRAILER:]) or not all_equal(rows[:, :1]):
        return None
    version = layout.plaintexts[0][0] >> 4
    first, end = _LENGTH_FIELD[version]
    if not all_equal(rows[:, first:end]):
        return None
    for sa, text, key in zip(sas, layout.plaintexts, address_keys(rows, version), strict=False):
        policy = sa.policy
        if not (policy.permits_addresses(version, key) or policy.permits_inbound(text[:size])):
            return None
    return size
