"""esp.sa.inbound: what is let through, and the reason for everything else."""

from __future__ import annotations

import pytest

from esp.packet.drop_reasons import Drop
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.inbound import InboundSa, OpenedBatch
from esp.sa.outbound import OutboundSa
from esp.sa.suites import ESP_HEADER, Suite
from tests.unit.esp.bed import GCM
from tests.unit.esp.packets import ANY, EACH_KIND, ipv4, ipv6, keys_for, lead_up, sa_pair, seal_row

SPI = 0x1001


def sealed(suite: Suite, plaintext: bytes, sequence: int = 1) -> memoryview:
    """An authentic packet with any plaintext and trailer whatever."""
    row = bytearray(suite.overhead + len(plaintext))
    row[:ESP_HEADER] = SPI.to_bytes(4, "big") + sequence.to_bytes(4, "big")
    start = ESP_HEADER + suite.iv_length
    row[start : start + len(plaintext)] = plaintext
    seal_row(suite, keys_for(suite), memoryview(row), sequence)
    return memoryview(row)


def with_trailer(payload: bytes, next_header: int, pad: int = 0) -> bytes:
    """Aligned for every suite by octets between payload and padding (TFC padding, RFC 4303 2.7)."""
    tfc = -(len(payload) + pad + 2) % 16
    return payload + bytes(tfc) + bytes(pad) + bytes((pad, next_header))


def tight(inner: bytes, next_header: int) -> bytes:
    """Aligned by padding, as a rule."""
    return with_trailer(inner, next_header, -(len(inner) + 2) % 16)


def receiver(suite: Suite = GCM, window: int = 64) -> InboundSa:
    return InboundSa(SPI, suite, keys_for(suite), False, window, Policy(ANY, ANY))


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_every_octet_is_authenticated(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    row = bytes(outbound.seal_batch([ipv4()])[0])
    for index in range(4, len(row)):
        forged = bytearray(row)
        forged[index] ^= 0x40
        opened = inbound.open_batch([memoryview(forged)])
        assert opened.drops == {Drop.INTEGRITY: 1}
        assert not opened.valid
    assert inbound.open_batch([memoryview(bytearray(row))]).packets == [ipv4()]


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_truncated(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    row = bytes(outbound.seal_batch([ipv4()])[0])
    for length in range(len(row)):
        opened = inbound.open_batch([memoryview(bytearray(row[:length]))])
        assert opened.drops in ({Drop.MALFORMED: 1}, {Drop.INTEGRITY: 1})


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize(
    ("plaintext", "reason"),
    [
        (with_trailer(ipv4(), 59), Drop.DUMMY),
        (with_trailer(b"", 59), Drop.DUMMY),
        (bytes(14) + b"\x0e\x3b", Drop.DUMMY),  # padding and nothing else
        (bytes(14) + b"\x0e\x04", Drop.MALFORMED),
        (with_trailer(ipv4(), 6), Drop.NEXT_HEADER),  # transport mode
        (with_trailer(ipv4(), 41), Drop.NEXT_HEADER),
        (with_trailer(ipv6(), 4), Drop.NEXT_HEADER),
        (with_trailer(b"\x55" + bytes(40), 4), Drop.MALFORMED),
        (with_trailer(b"", 4), Drop.MALFORMED),
        (with_trailer(ipv4()[:-1], 4, pad=11), Drop.MALFORMED),
        (bytes(14) + bytes((15, 4)), Drop.MALFORMED),  # more padding than there is
        (ipv4() + bytes(10) + bytes((31, 4)), Drop.MALFORMED),  # the same behind a whole packet
    ],
)
def test_trailer_and_inner_packet(suite: Suite, plaintext: bytes, reason: Drop) -> None:
    opened = receiver(suite).open_batch([sealed(suite, plaintext)])
    assert opened.drops == {reason: 1}
    assert opened.packets == []
    assert opened.valid


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("inner", [ipv4(payload=b"abc"), ipv6()])
@pytest.mark.parametrize("pad", [0, 1, 200, 255])
def test_padding_and_tfc_padding_are_cut(suite: Suite, inner: bytes, pad: int) -> None:
    next_header = 4 if inner[0] >> 4 == 4 else 41
    opened = receiver(suite).open_batch([sealed(suite, with_trailer(inner + bytes(500), next_header, pad))])
    assert opened.packets == [inner]


def test_a_dummy_moves_the_window() -> None:
    inbound = receiver()
    dummy = sealed(GCM, with_trailer(b"", 59), sequence=100)
    again = memoryview(bytearray(dummy))
    assert inbound.open_batch([dummy]).newest
    assert inbound.open_batch([again]).drops == {Drop.REPLAY: 1}


def claiming(octets: int, rest: bytes, packet: bytes) -> bytes:
    """An IPv4 packet whose header says that it has so many octets; `rest`: what stands behind that."""
    return packet[:2] + octets.to_bytes(2, "big") + rest + packet[4 + len(rest) :]


# What would pass for a whole packet if other octets than the length were read as such.
ODD_LENGTHS = [
    claiming(255, b"\x15", ipv4(payload=b"x")),
    claiming(0x0215, b"", ipv4(payload=b"x")),
    claiming(0x0501, b"", ipv4(payload=bytes(237))),
    claiming(256, b"", ipv4(payload=bytes(492))),
    b"\x55\x45" + ipv4(payload=b"x")[2:],
    b"\x46\x45" + ipv4(payload=b"x")[2:],
]


@pytest.mark.parametrize("text", ODD_LENGTHS)
def test_how_long_an_inner_packet_is_stands_in_its_header(text: bytes) -> None:
    opened = receiver().open_batch([sealed(GCM, tight(text, 4))])
    if text[2:4] == b"\1\0":
        assert opened.packets == [text[:256]], "what is behind it is TFC padding"
    else:
        assert (opened.packets, opened.drops) == ([], {Drop.MALFORMED: 1})


def test_one_packet_that_somebody_else_has_opened() -> None:
    row = memoryview(bytearray(receiver().start) + ipv4() + bytes((0, 4)) + bytes(16))
    plaintext = row[receiver().start : -16]
    found = OpenedBatch()
    receiver().unwrap(found, row, plaintext, 4)
    assert (len(found.packets), found.valid, found.drops) == (1, True, {})
    assert found.packets[0][4:] == ipv4()
    receiver().unwrap(found, row, Drop.REPLAY, 4)
    assert (len(found.packets), found.drops) == (1, {Drop.REPLAY: 1})


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("window", [0, 64])
def test_a_lone_packet_is_a_batch_of_one(suite: Suite, window: int) -> None:
    """Of every kind: what comes out, what is counted, what it says of the peer."""
    here = (Selector.of("10.2.0.0/24"),)
    policy = Policy(here, ANY)
    lone, batch = (InboundSa(SPI, suite, keys_for(suite), False, window, policy) for _ in range(2))
    rows = [
        sealed(suite, with_trailer(ipv4(), 4), 5),
        sealed(suite, with_trailer(ipv4(), 4), 5),  # a replay
        sealed(suite, with_trailer(ipv4(), 4), 4),  # late
        sealed(suite, with_trailer(b"", 59), 6),
        sealed(suite, with_trailer(ipv4(), 6), 7),
        sealed(suite, with_trailer(ipv4("10.2.0.9", "10.1.0.9"), 4), 8),  # not for these selectors
        memoryview(bytearray(sealed(suite, with_trailer(ipv4(), 4), 9)[:-1])),
        memoryview(bytearray(7)),
        sealed(suite, with_trailer(ipv4(), 4), 10),
        sealed(suite, tight(ipv4(payload=b"x"), 4), 11),
        sealed(suite, tight(ipv4(payload=b"x"), 41), 12),
        sealed(suite, tight(ipv4(payload=b"x"), 59), 13),
        sealed(suite, tight(b"\x45\0\0\x13" + ipv4()[4:19], 4), 14),
        sealed(suite, tight(b"\x45\0\0\x14" + ipv4()[4:20], 4), 15),
        sealed(suite, tight(ipv4(payload=b"x" * 40)[:40], 4), 16),
        sealed(suite, tight(b"\x46" + ipv4(payload=b"x" * 4)[1:], 4), 17),
        sealed(suite, with_trailer(ipv4(payload=b"x"), 4, 255), 18),
        sealed(suite, tight(ipv4(payload=b"x"), 4), 19),
        sealed(suite, tight(ipv4(destination="10.2.0.0", payload=b"x"), 4), 20),
        sealed(suite, tight(b"\x45\0\0\x13" + ipv4(destination="10.2.0.0")[4:19], 4), 21),
        sealed(suite, tight(ipv4(destination="10.3.0.1", payload=b"x"), 4), 22),
        sealed(suite, tight(ipv4("10.2.0.1", "10.1.0.1", payload=b"x"), 4), 23),
        *(sealed(suite, tight(text, 4), 24 + number) for number, text in enumerate(ODD_LENGTHS)),
    ]
    for row in rows:
        wanted = batch.open_batch([memoryview(bytearray(row))], 8)
        found = lone.open_single(row, 8)
        if isinstance(found, memoryview):
            found = OpenedBatch([found], valid=True, newest=True)
        assert found == wanted


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("esn", [False, True])
def test_a_lone_packet_that_is_newer_than_all_before(suite: Suite, esn: bool) -> None:
    """Nothing but the view comes out, whatever octets its number has, and over the edge of 32 bits."""
    last = (1 << 32) + 2 if esn else (1 << 32) - 1
    for used in (0, 0xFFFF, 0xFF_FFFF, 0x7FFF_FFFD, last - 3):
        outbound, inbound = sa_pair(suite, esn=esn, used=used)
        if esn:
            lead_up(inbound, suite, used)
        rows = outbound.seal_batch([ipv4(payload=b"x"), ipv6(payload=b"y"), ipv4()])
        copies = [memoryview(bytearray(row)) for row in rows]
        for row, packet in zip(rows, (ipv4(payload=b"x"), ipv6(payload=b"y"), ipv4()), strict=True):
            found = inbound.open_single(row, 4)
            assert isinstance(found, memoryview)
            assert found[4:] == packet
        for row in copies:
            assert inbound.open_single(row, 4) == OpenedBatch(drops={Drop.REPLAY: 1})


def test_the_high_half_of_a_lone_packet_is_authenticated() -> None:
    later = OutboundSa(SPI, GCM, keys_for(GCM), True, last_sequence=(1 << 32) + 4)
    _, inbound = sa_pair(GCM, esn=True)
    (row,) = later.seal_batch([ipv4()])
    assert inbound.open_single(row, 0) == OpenedBatch(drops={Drop.INTEGRITY: 1})


def test_replays_in_one_batch_and_in_two() -> None:
    outbound, inbound = sa_pair(GCM)
    row = bytes(outbound.seal_batch([ipv4()])[0])
    copies = [memoryview(bytearray(row)) for _ in range(3)]
    opened = inbound.open_batch(copies[:2])
    assert (len(opened.packets), opened.drops) == (1, {Drop.REPLAY: 1})
    opened = inbound.open_batch(copies[2:])
    assert (opened.packets, opened.valid, opened.newest) == ([], False, False)


def test_a_forged_packet_does_not_move_the_window() -> None:
    outbound, inbound = sa_pair(GCM)
    good, *_ = outbound.seal_batch([ipv4()])
    far = sealed(GCM, with_trailer(ipv4(), 4), sequence=1_000_000)
    far[-1] ^= 1
    assert inbound.open_batch([far]).drops == {Drop.INTEGRITY: 1}
    assert inbound.open_batch([good]).packets == [ipv4()]


@pytest.mark.parametrize("window", [0, 64])
def test_newest_is_only_what_is_newer_than_all_before(window: int) -> None:
    outbound, inbound = sa_pair(GCM)[0], receiver(window=window)
    one, two, three = outbound.seal_batch([ipv4()] * 3)
    assert inbound.open_batch([two]).newest
    late = inbound.open_batch([one])
    assert (late.valid, late.newest) == (True, False)
    assert inbound.open_batch([three]).newest


def test_without_a_window_replays_come_through() -> None:
    outbound, _ = sa_pair(GCM)
    inbound = receiver(window=0)
    row = bytes(outbound.seal_batch([ipv4()])[0])
    for newest in (True, False):
        opened = inbound.open_batch([memoryview(bytearray(row))])
        assert opened.packets == [ipv4()]
        assert opened.newest is newest


def test_selectors() -> None:
    here, there = (Selector.of("10.2.0.0/24"),), (Selector.of("10.1.0.0/24"),)
    outbound, inbound = sa_pair(GCM, ts_local=here, ts_remote=there)
    packets = [ipv4(), ipv4("10.2.0.9", "10.1.0.9"), ipv4("10.1.1.1"), ipv6()]
    opened = inbound.open_batch(outbound.seal_batch(packets))
    assert opened.packets == packets[:1]
    assert opened.drops == {Drop.SELECTORS: 3}
    assert opened.not_permitted.startswith(packets[1]), "the first one's start is kept"
    assert len(opened.not_permitted) <= 64


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_esn_over_the_edge(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite, esn=True, used=(1 << 32) - 3)
    lead_up(inbound, suite, (1 << 32) - 2)
    rows = outbound.seal_batch([ipv4()] * 6)
    assert {int.from_bytes(row[4:8], "big") for row in rows} == {0xFFFFFFFE, 0xFFFFFFFF, 0, 1, 2, 3}
    opened = inbound.open_batch([rows[3], rows[0], rows[5], rows[1], rows[2], rows[4]])
    assert (len(opened.packets), opened.drops) == (6, {})


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_the_high_half_is_authenticated(suite: Suite) -> None:
    """The same 32 bits, 2^32 numbers later: only the right ones open."""
    later = OutboundSa(SPI, suite, keys_for(suite), True, last_sequence=(1 << 32) + 4)
    _, inbound = sa_pair(suite, esn=True)
    assert inbound.open_batch(later.seal_batch([ipv4()])).drops == {Drop.INTEGRITY: 1}


@pytest.mark.parametrize("spi", [0, 1 << 32])
def test_impossible_spi(spi: int) -> None:
    with pytest.raises(ValueError, match="no SPI"):
        InboundSa(spi, GCM, keys_for(GCM), False, 64, Policy(ANY, ANY))


@pytest.mark.parametrize("spi", [1, (1 << 32) - 1])
def test_the_first_and_the_last_spi(spi: int) -> None:
    assert InboundSa(spi, GCM, keys_for(GCM), False, 64, Policy(ANY, ANY)).spi == spi
