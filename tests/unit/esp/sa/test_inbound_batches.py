"""esp.sa.batch.open_rows: a batch gives what its packets give one by one, in rows where all are
uniform."""

from __future__ import annotations

import pytest

from esp.packet.drop_reasons import Drop
from esp.packet.policy import Policy
from esp.packet.row_layouts import RowLayouts
from esp.packet.selectors import Selector
from esp.sa.batch import open_rows
from esp.sa.inbound import InboundSa, OpenedBatch
from esp.sa.suites import Suite
from tests.unit.esp.bed import GCM
from tests.unit.esp.packets import ANY, EACH_KIND, ipv4, ipv6, keys_for, lead_up, sa_pair
from tests.unit.esp.sa.test_inbound import SPI, sealed, tight

SIZE = 60


def receiver(suite: Suite, policy: Policy | None = None, window: int = 64) -> InboundSa:
    return InboundSa(SPI, suite, keys_for(suite), False, window, policy or Policy(ANY, ANY))


def opened(sa: InboundSa, rows: list[memoryview], headroom: int = 0) -> OpenedBatch | None:
    """The last one may be shorter than the others."""
    layouts, suite = RowLayouts(65536), sa.suite
    layout = layouts.layout(len(rows[0]), sa.start, suite.icv_length)
    for place, row in zip(layout.rows, rows, strict=False):
        place[: len(row)] = row
    found = open_rows(layouts, layout, [sa], len(rows), len(rows[-1]), headroom)
    return None if found is None else found[0]


def packets_of(found: OpenedBatch) -> list[bytes]:
    return [bytes(one) for one in (found.packets if found.rows is None else found.rows.packets())]


def v4(destination: str = "10.2.0.1") -> bytes:
    return tight(ipv4(destination=destination, payload=bytes(SIZE)), 4)


def v6(size: int = SIZE) -> bytes:
    return tight(ipv6(payload=bytes(size)), 41)


def rows_of(suite: Suite, plaintexts: list[bytes], first: int = 1) -> list[memoryview]:
    return [sealed(suite, text, first + index) for index, text in enumerate(plaintexts)]


def longer(plaintext: bytes, size: int, next_header: int) -> bytes:
    """Another inner packet in as many octets: what it lacks is TFC padding (RFC 4303 2.7)."""
    packet = ipv4(payload=bytes(size)) if next_header == 4 else ipv6(payload=bytes(size))
    pad = plaintext[-2]
    return packet + bytes(len(plaintext) - len(packet) - pad - 2) + plaintext[-2 - pad :]


def identified(number: int) -> bytes:
    text = bytearray(v4())
    text[4:6] = (257 * number).to_bytes(2, "big")
    return bytes(text)


TRAINS = {
    "IPv4": [v4()] * 5,
    "IPv6": [v6()] * 5,
    "identifications": [identified(number) for number in range(5)],
    "a shorter last one": [v4(), v4(), tight(ipv4(payload=bytes(7)), 4)],
    "a shorter last one of IPv6": [v6(), v6(), v6(7)],
    "two": [v4()] * 2,
    "one": [v4()],
    "one and a shorter one": [v4(), tight(ipv4(payload=bytes(7)), 4)],
    "next headers": [tight(ipv6(payload=bytes(SIZE), next_header=one), 41) for one in (6, 17, 58)],
    "a shorter last one as long as the others inside": [longer(v4(), 7, 4)] * 2
    + [tight(ipv4(payload=bytes(7)), 4)],
}
MIXED = {
    "an IPv4 length": [v4(), longer(v4(), SIZE - 3, 4), v4()],
    "an IPv6 length": [v6(), longer(v6(), SIZE - 3, 41), v6()],
    "an IPv6 length in its first octet": [v6(600), longer(v6(600), 344, 41), v6(600)],
    "the first one's IPv6 length": [longer(v6(), SIZE - 3, 41), v6(), v6()],
    "versions": [v4()[:-2] + b"\0\x04", longer(v6(SIZE - 20), SIZE - 20, 41)],
    "a dummy": [v4(), v4()[:-1] + b"\x3b", v4()],
    "a dummy first": [v4()[:-1] + b"\x3b", v4(), v4()],
    "a transport packet": [v4(), v4(), v4()[:-1] + b"\x06"],
    "the other version's trailer": [v4(), v4()[:-1] + b"\x29"],
    "a dummy as the shorter last one": [v4(), v4(), b"\1" * 14 + b"\x0e\x3b"],
    "a malformed one as the shorter last one": [v4(), v4(), b"\x55" + bytes(13) + b"\0\x04"],
    "a longer packet in the shorter last one": [
        longer(v4(), 7, 4),
        longer(v4(), 7, 4),
        tight(ipv4(payload=bytes(15)), 4),
    ],
    "a malformed one": [v4(), b"\x55" + v4()[1:], v4()],
}


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("name", TRAINS)
@pytest.mark.parametrize("headroom", [0, 8])
def test_packets_that_are_alike_come_out_as_rows(suite: Suite, name: str, headroom: int) -> None:
    rows = rows_of(suite, TRAINS[name])
    wanted = receiver(suite).open_batch([memoryview(bytearray(row)) for row in rows])
    found = opened(receiver(suite), rows, headroom)
    assert found is not None
    assert found.rows is not None
    assert (found.valid, found.newest, found.drops) == (True, True, {})
    assert found.rows.headroom == headroom
    assert found.rows.array.shape[0] == len(rows)
    assert [one[headroom:] for one in packets_of(found)] == [bytes(one) for one in wanted.packets]


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("name", MIXED)
def test_packets_that_differ_come_out_one_by_one(suite: Suite, name: str) -> None:
    texts = MIXED[name]
    assert len(set(map(len, texts[:-1]))) == 1, "rows of a layout are of one length, but the last"
    rows = rows_of(suite, texts)
    wanted = receiver(suite).open_batch([memoryview(bytearray(row)) for row in rows])
    found = opened(receiver(suite), rows)
    assert found is not None
    assert found.rows is None
    assert (found.valid, found.newest, found.drops) == (wanted.valid, wanted.newest, wanted.drops)
    assert packets_of(found) == [bytes(one) for one in wanted.packets]


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
@pytest.mark.parametrize("forged", [0, 1, 2])
@pytest.mark.parametrize("last", ["whole", "short"])
def test_a_forged_packet_takes_no_other_with_it(suite: Suite, forged: int, last: str) -> None:
    rows = rows_of(suite, TRAINS["a shorter last one"] if last == "short" else [v4()] * 3)
    rows[forged][-1] ^= 1
    sa = receiver(suite)
    found = opened(sa, rows)
    assert found is not None
    assert found.rows is None
    assert (found.valid, found.newest) == (True, True)
    assert found.drops == {Drop.INTEGRITY: 1}
    assert len(found.packets) == 2
    rows[forged][-1] ^= 1
    fresh = rows_of(suite, [v4()] * 3)
    assert sa.open_batch([fresh[forged]]).drops == {}, "the forged one has not moved the window"
    others = [row for number, row in enumerate(fresh) if number != forged]
    assert sa.open_batch(others).drops == {Drop.REPLAY: 2}


def test_nothing_but_forged_packets() -> None:
    rows = rows_of(GCM, [v4()] * 3)
    for row in rows:
        row[-1] ^= 1
    found = opened(receiver(GCM), rows)
    assert found is not None
    assert (found.valid, found.newest, found.packets) == (False, False, [])
    assert found.drops == {Drop.INTEGRITY: 3}


@pytest.mark.parametrize("window", [0, 64])
def test_newest(window: int) -> None:
    sa = receiver(GCM, window=window)
    assert sa.open_batch([sealed(GCM, v4(), 10)]).newest
    late = opened(sa, rows_of(GCM, [v4()] * 3, first=5))
    assert late is not None
    assert (late.valid, late.newest) == (True, False)
    fresh = opened(sa, rows_of(GCM, [v4()] * 3, first=11))
    assert fresh is not None
    assert fresh.newest


def test_a_replay_among_them_leaves_all_to_be_opened_one_by_one() -> None:
    sa = receiver(GCM)
    sa.open_batch([sealed(GCM, v4(), 2)])
    rows = rows_of(GCM, [v4()] * 3)
    assert opened(sa, rows) is None
    assert sa.open_batch(rows).drops == {Drop.REPLAY: 1}


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_the_last_one_may_be_too_short_for_any_packet(suite: Suite) -> None:
    shortest = suite.overhead + 2
    rows = rows_of(suite, [v4()] * 2)
    for length in (shortest - 1, suite.icv_length, 8):
        assert opened(receiver(suite), [*rows, memoryview(bytearray(length))]) is None
    found = opened(receiver(suite), [*rows, memoryview(bytearray(shortest))])
    if found is not None:
        assert found.drops == {Drop.INTEGRITY: 1}


@pytest.mark.parametrize("other", ["10.2.0.9", "10.3.0.1"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_selectors_hold_for_each_of_them(other: str, at: int) -> None:
    policy = Policy((Selector.of("10.2.0.1/32"),), ANY)
    texts = [v4()] * 3
    texts[at] = v4(destination=other)
    found = opened(receiver(GCM, policy), rows_of(GCM, texts))
    assert found is not None
    assert found.drops == {Drop.SELECTORS: 1}
    assert len(found.packets) == 2
    assert found.not_permitted.startswith(texts[at][:20])
    assert len(found.not_permitted) == 64


def test_only_the_first_refused_packet_is_kept() -> None:
    policy = Policy((Selector.of("10.2.0.1/32"),), ANY)
    texts = [v4(destination="10.3.0.1"), v4(destination="10.4.0.1"), v4()]
    found = opened(receiver(GCM, policy), rows_of(GCM, texts))
    assert found is not None
    assert found.drops == {Drop.SELECTORS: 2}
    assert found.not_permitted == texts[0][:64]


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_extended_sequence_numbers(suite: Suite) -> None:
    """Over the edge of 32 bits, the last one shorter."""
    used = (1 << 32) - 3
    outbound, inbound = sa_pair(suite, esn=True, used=used)
    lead_up(inbound, suite, used)
    packets = [*[ipv4(payload=bytes(SIZE))] * 4, ipv4(payload=bytes(7))]
    found = opened(inbound, outbound.seal_batch(packets))
    assert found is not None
    assert (found.valid, found.newest, found.drops) == (True, True, {})
    assert packets_of(found) == packets
