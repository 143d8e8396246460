"""Lone packets read one behind the other: which of them are sealed in one go."""

from __future__ import annotations

import pytest

from esp.datapath.tun_batch import Run, TunBatch
from esp.packet.headers import address_key
from tests.unit.esp.packets import ipv4, ipv6

FEWEST = 6


def runs(packets: list[bytes], begin: int = 3) -> list[Run]:
    burst = TunBatch()
    for row, packet in enumerate(packets, begin):
        burst.packet(row, len(packet))[:] = packet
    return list(burst.runs(begin, [len(packet) for packet in packets], FEWEST))


def to(number: int) -> bytes:
    return ipv4(destination=f"10.2.0.{number}")


@pytest.mark.parametrize("count", [FEWEST - 1, FEWEST, FEWEST + 3])
def test_a_long_flow_among_others_is_a_run_of_its_own(count: int) -> None:
    packets = [to(1), to(2), *[to(3)] * count, to(4), to(5)]
    keys = [address_key(packet) for packet in packets]
    apart = [Run(3, 2, keys[:2]), Run(5, count), Run(5 + count, 2, keys[-2:])]
    assert runs(packets) == (apart if count >= FEWEST else [Run(3, len(packets), keys)])


def test_round_robin_is_one_run() -> None:
    for period in range(2, 9):
        packets = [to(number % period) for number in range(30)]
        assert runs(packets) == [Run(3, 30, [address_key(packet) for packet in packets])]


def test_one_flow_and_another_shape() -> None:
    assert runs([to(1)] * 9) == [Run(3, 9)]
    assert runs([to(1)] * 9 + [ipv6()] * 9) == [Run(3, 9), Run(12, 9)]
