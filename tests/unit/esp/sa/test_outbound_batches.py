"""esp.sa.outbound: packets sealed in place, singly and in row layouts, are those of `seal_batch`."""

from __future__ import annotations

import pytest

from esp.packet.headers import NEXT_HEADER
from esp.packet.row_layouts import MAX_ROWS, RowLayouts
from esp.sa.batch import seal_runs
from esp.sa.outbound import LIMIT, OutboundSa
from esp.sa.suites import Suite
from tests.unit.esp.bed import GCM
from tests.unit.esp.packets import EACH_KIND, ipv4, ipv6, keys_for, open_row, sa_pair

PACKETS = [ipv4(payload=bytes(range(60))), ipv6(payload=bytes(range(40)))]


def sender(suite: Suite, *, esn: bool = False, used: int = 0) -> OutboundSa:
    return sa_pair(suite, esn=esn, used=used)[0]


def assert_as_one_by_one(
    suite: Suite, rows: list[bytes], packets: list[bytes], *, esn: bool, used: int
) -> None:
    """They are what `seal_batch` makes, but for IVs that are random (CBC)."""
    batch = [bytes(row) for row in sender(suite, esn=esn, used=used).seal_batch(packets)]
    assert len(rows) == len(batch)
    for number, (row, wanted) in enumerate(zip(rows, batch, strict=True), used + 1):
        assert meaning(suite, row, number, esn) == meaning(suite, wanted, number, esn)
        if not suite.random_iv:
            assert row == wanted


def meaning(suite: Suite, row: bytes, number: int, esn: bool) -> tuple[bytes, bytes]:
    """Header and plaintext."""
    plaintext = open_row(suite, keys_for(suite), memoryview(bytearray(row)), number, esn=esn)
    assert plaintext is not None
    return row[:8], bytes(plaintext)


def sealed_in_place(sa: OutboundSa, packet: bytes) -> bytes | None:
    arena = memoryview(bytearray(b"\xee" * 4096))
    arena[200 : 200 + len(packet)] = packet
    row = sa.seal_in_place(arena, 200, len(packet))
    if row is None:
        return None
    begin, end = 200 - sa.start, 200 - sa.start + len(row)
    assert bytes(arena[:begin]) == b"\xee" * begin, "nothing in front is touched"
    assert bytes(arena[end:]) == b"\xee" * (4096 - end), "nor behind"
    return bytes(row)


def laid(sa: OutboundSa, layouts: RowLayouts, packets: list[bytes]) -> int:
    """Seal packets of one length, but the last one, which may be shorter; how many fitted."""
    size = len(packets[0])
    layout = sa.layout(layouts, size)
    for row, packet in zip(layout.rows, packets, strict=False):
        row[sa.start : sa.start + len(packet)] = packet
    (sealed,), _ = seal_runs(layouts, layout, size, [sa], [len(packets)], [size - len(packets[-1])])
    return sealed


def rows_of(sa: OutboundSa, layouts: RowLayouts, packets: list[bytes], count: int) -> list[bytes]:
    layout = sa.layout(layouts, len(packets[0]))
    return [
        bytes(row[: sa.esp_length(len(packet))])
        for row, packet in zip(layout.rows, packets[:count], strict=False)
    ]


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("packet", PACKETS, ids=["IPv4", "IPv6"])
def test_a_packet_sealed_in_place(suite: Suite, esn: bool, packet: bytes) -> None:
    used = (1 << 32) - 1 if esn else 6
    sa = sender(suite, esn=esn, used=used)
    found = [row for _ in range(2) if (row := sealed_in_place(sa, packet)) is not None]
    assert_as_one_by_one(suite, found, [packet] * 2, esn=esn, used=used)
    assert sa.sequence == used + 2


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_every_length_in_place(suite: Suite) -> None:
    sa, inbound = sa_pair(suite)
    for size in range(33):
        packet = ipv4(payload=bytes(size))
        row = sealed_in_place(sa, packet)
        assert row is not None
        assert len(row) == sa.esp_length(len(packet))
        assert inbound.open_batch([memoryview(bytearray(row))]).packets == [packet]


@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_the_last_number_in_place(suite: Suite, esn: bool) -> None:
    sa = sender(suite, esn=esn, used=LIMIT[esn] - 1)
    assert sealed_in_place(sa, PACKETS[0]) is not None
    assert sealed_in_place(sa, PACKETS[0]) is None
    assert sa.sequence == LIMIT[esn]


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("packet", PACKETS, ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("shorter", [0, 1, 17])
def test_a_train(suite: Suite, esn: bool, packet: bytes, shorter: int) -> None:
    used = (1 << 32) - 3 if esn else 6
    short = ipv4 if packet[0] >> 4 == 4 else ipv6
    header = 20 if packet[0] >> 4 == 4 else 40
    packets = [*[packet] * 4, short(payload=packet[header : len(packet) - shorter])]
    layouts, sa = RowLayouts(65536), sender(suite, esn=esn, used=used)
    assert laid(sa, layouts, packets) == 5
    assert sa.sequence == used + 5
    assert_as_one_by_one(suite, rows_of(sa, layouts, packets, 5), packets, esn=esn, used=used)


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("left", [0, 1, 3, 5, 6])
def test_a_train_for_which_numbers_run_out(suite: Suite, esn: bool, left: int) -> None:
    packets = [*[PACKETS[0]] * 4, ipv4(payload=b"short")]
    layouts, sa = RowLayouts(65536), sender(suite, esn=esn, used=LIMIT[esn] - left)
    fits = min(left, 5)
    assert laid(sa, layouts, packets) == fits
    assert sa.sequence == LIMIT[esn] - left + fits
    assert sa.exhausted is (left <= 5)
    found = rows_of(sa, layouts, packets, fits)
    assert_as_one_by_one(suite, found, packets, esn=esn, used=LIMIT[esn] - left)


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_trailers_name_the_inner_packet(suite: Suite) -> None:
    """RFC 4303 2.4 and 2.6: padding is 1, 2, 3, ..., then its length, then 4 or 41."""
    sa, inbound = sa_pair(suite)
    for packet in (*PACKETS, ipv4(payload=b"1"), ipv6(payload=b"12")):
        row = memoryview(bytearray(sa.seal_batch([packet])[0]))
        assert inbound.open_batch([row]).packets == [packet]
        plaintext = bytes(row[sa.start : len(row) - suite.icv_length])
        padding, next_header = plaintext[-2:]
        assert plaintext == packet + bytes(range(1, padding + 1)) + bytes((padding, next_header))
        assert next_header == NEXT_HEADER[packet[0] >> 4]


def test_spis_and_keys_that_are_impossible() -> None:
    for spi in (1, (1 << 32) - 1):
        assert OutboundSa(spi, GCM, keys_for(GCM), False).spi == spi
    for used, esn in ((0, False), (LIMIT[False], False), (LIMIT[True], True)):
        assert OutboundSa(1, GCM, keys_for(GCM), esn, used).sequence == used


@pytest.mark.parametrize("esn", [False, True])
def test_from_where_numbers_are_watched(esn: bool) -> None:
    sa = sender(GCM, esn=esn)
    assert sa.low_from == LIMIT[esn] // 4 * 3
    assert sa.batch_until == sa.low_from - MAX_ROWS


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("esn", [False, True])
def test_runs_of_several_sas(suite: Suite, esn: bool) -> None:
    """Each run under its SA's numbers, also where those of one run out: the other runs are sealed whole."""
    layouts, packet = RowLayouts(65536), PACKETS[0]
    for left in (100, 2, 0):
        one = sender(suite, esn=esn, used=40)
        other = OutboundSa(0x2002, suite, keys_for(suite, 2), esn, LIMIT[esn] - left)
        layout = one.layout(layouts, len(packet))
        for row in layout.rows[:9]:
            row[one.start : one.start + len(packet)] = packet
        fits = min(left, 3)
        runs = [one, other, one], [2, 3, 4], [0, 0, 0]
        counts, numbers = seal_runs(layouts, layout, len(packet), *runs)
        assert list(counts) == [2, fits, 4]
        first = LIMIT[esn] - left + 1
        assert numbers.tolist()[2 : 2 + fits] == list(range(first, first + fits))
        assert (one.sequence, other.sequence) == (46, LIMIT[esn] - left + fits)
        rows = [bytes(row) for row in layout.rows[:9]]
        assert_as_one_by_one(suite, rows[:2] + rows[5:], [packet] * 6, esn=esn, used=40)
        for number, octets in enumerate(rows[2 : 2 + fits], first):
            plaintext = open_row(suite, keys_for(suite, 2), memoryview(bytearray(octets)), number, esn=esn)
            assert plaintext is not None
            assert bytes(plaintext[: len(packet)]) == packet


def test_a_train_of_one_leaves_other_rows_alone() -> None:
    layouts, sa = RowLayouts(4096), OutboundSa(0x1001, GCM, keys_for(GCM), False)
    packet = PACKETS[0]
    layout = sa.layout(layouts, len(packet))
    layout.array[1:] = 0xEE
    assert laid(sa, layouts, [packet]) == 1
    assert_as_one_by_one(GCM, rows_of(sa, layouts, [packet], 1), [packet], esn=False, used=0)
    assert (layout.array[1:] == 0xEE).all()
    assert (sa.sequence, sa.tfc) == (1, 0)
