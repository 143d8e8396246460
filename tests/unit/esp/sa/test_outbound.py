"""esp.sa.outbound: framing, sequence numbers and their end."""

from __future__ import annotations

import pytest

from esp.sa.outbound import LIMIT, OutboundSa
from esp.sa.suites import Suite
from tests.unit.esp.bed import GCM
from tests.unit.esp.packets import EACH_KIND, ipv4, ipv6, keys_for, sa_pair


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_every_length_of_padding(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    packets = [ipv4(payload=bytes(size)) for size in range(33)] + [ipv6(payload=b"6")]
    rows = outbound.seal_batch(packets)
    for row, packet in zip(rows, packets, strict=True):
        assert (len(row) - suite.overhead) % suite.block == 0
        assert len(row) - suite.overhead - len(packet) - 2 < suite.block
    assert inbound.open_batch(rows).packets == packets


def test_numbers_count_on() -> None:
    sa, _ = sa_pair(GCM)
    rows = sa.seal_batch([ipv4()] * 3) + sa.seal_batch([]) + sa.seal_batch([ipv4()])
    assert [int.from_bytes(row[4:8], "big") for row in rows] == [1, 2, 3, 4]
    assert all(bytes(row[:4]) == b"\x00\x00\x10\x01" for row in rows)
    assert sa.sequence == 4


@pytest.mark.parametrize("esn", [False, True])
def test_running_out(esn: bool) -> None:
    sa, _ = sa_pair(GCM, esn=esn, used=LIMIT[esn] - 2)
    assert (sa.low, sa.exhausted) == (True, False)
    rows = sa.seal_batch([ipv4()] * 5)
    assert [bytes(row[4:8]) for row in rows] == [b"\xff\xff\xff\xfe", b"\xff\xff\xff\xff"]
    assert sa.exhausted
    assert sa.seal_batch([ipv4()]) == []
    assert sa.sequence == LIMIT[esn]


@pytest.mark.parametrize("esn", [False, True])
def test_low_long_before(esn: bool) -> None:
    sa, _ = sa_pair(GCM, esn=esn, used=LIMIT[esn] // 4 * 3 - 1)
    assert not sa.low
    sa.seal_batch([ipv4()])
    assert sa.low
    assert not sa.exhausted


def test_esn_counts_beyond_32_bits() -> None:
    sa, _ = sa_pair(GCM, esn=True, used=(1 << 32) - 1)
    row = sa.seal_batch([ipv4()])[0]
    assert row[4:8] == bytes(4)
    assert row[8:16] == (1 << 32).to_bytes(8, "big")  # the IV is the whole number


def test_a_packet_that_fails_uses_its_number_up() -> None:
    sa, _ = sa_pair(GCM)
    with pytest.raises(KeyError):
        sa.seal_batch([ipv4(), b"\x00no IP packet", ipv4()])
    assert sa.sequence == 2
    assert bytes(sa.seal_batch([ipv4()])[0][4:8]) == b"\x00\x00\x00\x03"


@pytest.mark.parametrize("spi", [0, -1, 1 << 32])
def test_impossible_spi(spi: int) -> None:
    with pytest.raises(ValueError, match="no SPI"):
        OutboundSa(spi, GCM, keys_for(GCM), False)


@pytest.mark.parametrize(("used", "esn"), [(-1, False), (1 << 32, False), (1 << 64, True)])
def test_impossible_use(used: int, esn: bool) -> None:
    with pytest.raises(ValueError, match="no sequence number"):
        OutboundSa(1, GCM, keys_for(GCM), esn, used)


@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_tfc_padding_makes_all_alike(suite: Suite) -> None:
    """RFC 4303 2.7: the receiver cuts it, for the inner packet says how long it is."""
    outbound, inbound = sa_pair(suite)
    outbound.set_tfc(200)
    packets = [ipv4(payload=bytes(range(size))) for size in (0, 1, 90, 180)] + [ipv6(payload=b"6")]
    rows = outbound.seal_batch(packets)
    assert {len(row) for row in rows} == {outbound.esp_length(200)}
    (longer,) = outbound.seal_batch([ipv4(payload=bytes(181))])
    assert len(longer) == outbound.esp_length(201)
    assert inbound.open_batch([*rows, longer]).packets == [*packets, ipv4(payload=bytes(181))]
