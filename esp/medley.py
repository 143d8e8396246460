"""A medley: packets alike, one behind the other, each under an SA of its own (RFC 4303 3.3 and 3.4).

All must be under AEADs with their full ICV (RFC 4106, RFC 7634), which share one layout, and with ESN or all
without. What differs from row to row is written in columns, and then there is one call a packet.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain, repeat
from operator import attrgetter, call

import numpy as np

from esp.counters import Drop
from esp.database import Seats
from esp.inbound import InboundSa
from esp.outbound import OutboundSa, trailer_of
from esp.suites import AEAD_START, FULL_ICV, TRAILER, exhaust, open_each
from esp.trains import BE64, MOST_ROWS, STEPS, Numbers, Octets, Train, Trains, address_keys, alike

START, ICV = AEAD_START, FULL_ICV  # where the inner packet begins, and what is behind it
SHORTEST = START + TRAILER + ICV
_STAMP = 8
_BLOCK = 4
_MODULUS = 1 << 64
_SEQUENCE = attrgetter("sequence")
_LENGTHS = {4: (2, 4), 6: (4, 6)}  # where IP has its length


def size_of(length: int) -> int:
    """The length of the ESP packet of an inner packet of `length` octets."""
    return START + ICV + length + TRAILER + _padding(length)


def _padding(length: int) -> int:
    return -(length + TRAILER) % _BLOCK


def seal(trains: Trains, train: Train, seats: Seats, length: int) -> Numbers | None:
    """Seal inner packets of one `length` and one IP version in the rows of a layout of `trains`, each under
    its SA; their sequence numbers. None, and nothing has been done, if that is unusual for one of them.

    Whatever this raises, the numbers are not used again.
    """
    sas, esn, count = seats.sas, seats.esn, len(seats.sas)
    if count > MOST_ROWS or esn.count(esn[0]) < count or max(map(_SEQUENCE, sas)) >= sas[0].plain_until:
        return None
    numbers = _take_numbers(sas)
    end = START + length
    trailer = trailer_of(train.rows[0][START] >> 4, _padding(length))
    train.array[:count, end : end + len(trailer)] = trailer
    nonces, associated = _head(trains, train, _table(seats.stamps), numbers, esn[0])
    exhaust(map(call, seats.calls, nonces, train.texts, associated, train.bodies))
    return numbers


def go_together(sa: OutboundSa, other: OutboundSa) -> bool:
    """Whether packets of both have the same layout and can be sealed by one `seal_runs`."""
    one, another = sa.member, other.member
    return one is not None and another is not None and one.esn == another.esn


def seal_runs(trains: Trains, train: Train, runs: Sequence[tuple[OutboundSa, int, int]]) -> bool:
    """Seal what was laid out in the rows of a layout of `trains`: under each SA so many packets, the last of
    them an ESP packet of so many octets. All SAs must be ones that `go_together`. False, and nothing has been
    done, if the numbers of one come to their end.

    Whatever this raises, the numbers are not used again.
    """
    if any(sa.sequence >= sa.plain_until for sa, _, _ in runs):
        return False
    members = [sa.member for sa, _, _ in runs if sa.member is not None]
    counts = [count for _, count, _ in runs]
    numbers = _take_runs(runs, counts)
    table = _table([member.stamp * count for member, count in zip(members, counts, strict=True)])
    nonces, associated = _head(trains, train, table, numbers, members[0].esn)
    calls = chain.from_iterable(
        repeat(member.call, count) for member, count in zip(members, counts, strict=True)
    )
    texts, bodies = _ends(train, runs)
    exhaust(map(call, calls, nonces, texts, associated, bodies))
    return True


def _take_runs(runs: Sequence[tuple[OutboundSa, int, int]], counts: Sequence[int]) -> Numbers:
    """The next sequence numbers of each, used up from now on."""
    bases = []  # what a row's number has more than the row's own
    at = 0
    for sa, count, _ in runs:
        bases.append((sa.sequence + 1 - at) % _MODULUS)
        sa.sequence += count
        at += count
    return np.array(bases, np.uint64).repeat(counts) + STEPS[:at]


def _ends(
    train: Train, runs: Sequence[tuple[OutboundSa, int, int]]
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Plaintexts, and what becomes of them: all rows are full, but the last one of a run may be shorter."""
    texts, bodies = train.texts, train.bodies
    if all(last == train.stride for _, _, last in runs):
        return texts, bodies
    texts, bodies = texts.copy(), bodies.copy()
    at = 0
    for _, count, last in runs:
        at += count
        row = train.rows[at - 1]
        texts[at - 1], bodies[at - 1] = row[START : last - ICV], row[START:last]
    return texts, bodies


def _head(
    trains: Trains, train: Train, marks: Octets, numbers: Numbers, esn: bool
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Write SPI, sequence number and IV of each row; nonces and associated data."""
    count = len(marks)
    train.array[:count, :4] = marks[:, :4]
    train.lows[:count] = train.ivs[:count] = numbers
    return _beside(trains, train, marks, numbers if esn else None)


def _take_numbers(sas: Sequence[OutboundSa]) -> Numbers:
    """The next sequence number of each, used up from now on; an SA that comes again has the one behind."""
    taken = []
    for sa in sas:
        sa.sequence = number = sa.sequence + 1
        taken.append(number)
    return np.frombuffer(array("Q", taken), np.uint64)  # twice as fast as np.array


def _table(stamps: Sequence[bytes]) -> Octets:
    return np.frombuffer(b"".join(stamps), np.uint8).reshape(-1, _STAMP)


def _beside(
    trains: Trains, train: Train, marks: Octets, numbers: Numbers | None
) -> tuple[Sequence[memoryview], Sequence[memoryview]]:
    """Nonces and associated data; `numbers` are those of ESNs."""
    count = len(marks)
    trains.set_salts(marks[:, 4:])
    trains.nonce_numbers[:count] = train.ivs[:count]
    if numbers is None:
        return trains.nonces[:count], train.heads
    trains.associated_rows[:count, :4] = marks[:, :4]
    trains.associated_rows[:count, 4:].view(BE64)[:, 0] = numbers
    return trains.nonces[:count], trains.associated


def can_open(sas: Sequence[InboundSa], train: Train) -> list[int] | None:
    """The sequence numbers of the packets in the rows of a layout, each under its SA, if all could be
    accepted and a medley is nothing unusual for any of them."""
    members = [sa.member for sa in sas]
    if len(sas) > MOST_ROWS or None in members or len({member.esn for member in members if member}) > 1:
        return None
    lows: list[int] = train.lows[: len(sas)].tolist()
    numbers = [sa.check(low) for sa, low in zip(sas, lows, strict=True)]
    found = [number for number in numbers if number is not None]
    return found if len(found) == len(sas) else None


def open_rows(
    trains: Trains, train: Train, sas: Sequence[InboundSa], numbers: Sequence[int]
) -> dict[int, Drop]:
    """Open what `can_open` has given numbers; why a packet, by index, is to be dropped.

    The others are recorded as seen. If one SA has several packets, each is judged by what came before it.
    """
    members = [sa.member for sa in sas if sa.member is not None]
    stamps, calls, esn = zip(*members, strict=True)
    esns: Numbers | None = np.array(numbers, np.uint64) if esn[0] else None
    nonces, associated = _beside(trains, train, _table(stamps), esns)
    failed = open_each(call, (calls, nonces, train.bodies, associated, train.texts))
    drops = {}
    for index, (sa, number) in enumerate(zip(sas, numbers, strict=True)):
        if index in failed or not sa.mark(number):
            seen = sa.check(number & 0xFFFFFFFF) is None
            drops[index] = Drop.REPLAY if seen else Drop.INTEGRITY
    return drops


def inner_size(train: Train, sas: Sequence[InboundSa]) -> int | None:
    """The length of opened packets, if it is one length, one IP version and one length of padding, and all
    are permitted; None if they have to be looked at one by one."""
    count = len(sas)
    rows = train.array[:count, START : train.stride - ICV]
    size = sas[0].inner(train.texts[0])
    if isinstance(size, Drop) or not alike(rows[:, -TRAILER:]) or not alike(rows[:, :1]):
        return None
    version = train.texts[0][0] >> 4
    first, end = _LENGTHS[version]
    if not alike(rows[:, first:end]):
        return None
    for sa, text, key in zip(sas, train.texts, address_keys(rows, version), strict=False):
        policy = sa.policy
        if not (policy.permits_addresses(version, key) or policy.permits_inbound(text[:size])):
            return None
    return size
