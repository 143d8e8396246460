"""Frames that a device hands over one behind the other, in one turn of the worker."""

from __future__ import annotations

from dataclasses import replace
from inspect import ismethod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp.sa.outbound import LIMIT
from esp.sa.suites import Suite
from tests.property.datapath_bed import SPI, DatapathBed
from tests.property.packet_sequences import filled
from tests.property.test_egress_batches import SUITES, assert_numbers_once, errors, failing, opened, plain
from tests.unit.esp.bed import GCM, outbound, to
from tests.unit.tun.plain import ACK, CWR, PSH, UDP, Flow, Packet
from tun.gso import GsoFrame
from tun.virtio import PLAIN

FLOWS = [
    Flow(),
    Flow(ports=(1, 2)),
    Flow(tos=2),
    Flow(version=6),
    Flow(protocol=UDP),
    Flow(tcp_options=bytes(12)),
]
# Of a flow: how many segments, of what size, octets that the last one lacks; in what flow
turns = st.lists(
    st.tuples(
        st.sampled_from(FLOWS),
        st.integers(1, 70),
        st.sampled_from([536, 1386]),
        st.sampled_from([0, 0, 0, 5, 535]),
        st.sampled_from([ACK, ACK | PSH, ACK | CWR]),
        st.sampled_from([0, 0, 0, 1]),  # what its numbers are off
    ),
    max_size=8,
)


pytestmark = pytest.mark.usefixtures("turns_without_haste")


def follow(work: list[tuple[Flow, int, int, int, int, int]]) -> list[tuple[Packet, int]]:
    """Frames and their segments' sizes: those of one flow go on where the one before ended, mostly."""
    numbers: dict[Flow, tuple[int, int]] = {}
    cases = []
    for flow, count, gso, lacks, flags, off in work:
        sequence, identification = numbers.get(flow, (0xFFFFF000, 0xFFF0))
        size = min(count * gso, 60_000 // gso * gso) - lacks
        packet = Packet(flow, filled(size, b"\xffabc"), sequence + off, flags, identification + off)
        segments = -(-size // gso)
        numbers[flow] = (sequence + size) & 0xFFFFFFFF, (identification + segments) & 0xFFFF
        cases.append((replace(packet, sequence=packet.sequence & 0xFFFFFFFF), gso))
    return cases


@given(turns, st.sampled_from(SUITES), st.booleans(), st.one_of(st.none(), st.integers(0, 300)))
@settings(deadline=None)
def test_frames_of_one_turn(
    work: list[tuple[Flow, int, int, int, int, int]], suite: Suite, esn: bool, left: int | None
) -> None:
    """What arrives is what went in, in order, up to the end of the numbers."""
    cases = follow(work)
    wanted = [octets for case in cases for octets in plain(case)]
    with DatapathBed(suite, esn=esn) as bed:
        if left is not None:
            bed.sa.sequence = LIMIT[esn] - left
        first = bed.sa.sequence + 1
        for packet, gso in cases:
            bed.kernel.send(packet.frame(gso))
        bed.read_all()
        found = bed.sent()
        able = len(wanted) if left is None else min(left, len(wanted))
        numbers = [int.from_bytes(one[4:8], "big") for one in found]
        assert numbers == [number & 0xFFFFFFFF for number in range(first, first + able)]
        if left is None:
            assert opened(bed, found) == wanted
        sa = bed.counters.sa(0)
        assert (sa.out_packets, sa.out_bytes) == (able, sum(map(len, wanted[:able])))
        assert sum(sa.drops.values()) == len(wanted) - able


@pytest.mark.parametrize("apart", [0, 7])
def test_they_leave_together(apart: int) -> None:
    """Alone, each of the three frames would need two sends."""
    wrap, kept = failing([])
    with DatapathBed(GCM, wrap=wrap) as bed:
        size = 46 * 1398
        for number in range(3):
            packet = Packet(Flow(), bytes(size), number * (size + apart), ACK, 46 * number)
            bed.kernel.send(packet.frame(1398))
        bed.egress.read_device(bed.device)
        assert len(kept[0].tried) == 138
        assert kept[0].sends == 4
        assert len(bed.sent()) == 138


@pytest.mark.parametrize("gso", [1386, 1448, 1200])
def test_there_is_room_for_five_of_the_longest_frames(gso: int) -> None:
    """As the kernel makes them, up to 65,535 octets: nothing of them is sealed apart."""
    wrap, kept = failing([])
    with DatapathBed(GCM, wrap=wrap) as bed:
        flow = Flow(tcp_options=bytes(12))
        count = (65_535 - 52) // gso
        packet = Packet(flow, bytes(count * gso), flags=ACK)
        for number in range(5):
            bed.kernel.send(replace(packet, identification=count * number).frame(gso))
        bed.egress.read_device(bed.device)
        sent = bed.sent()
        assert len(sent) == len(kept[0].tried) == 5 * count
        assert kept[0].sends == -(-5 * count // (65_507 // len(sent[0])))


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_no_suite_is_left_out(suite: Suite) -> None:
    with DatapathBed(suite) as bed:
        bed.peer.setsockopt(17, 104, 1)  # what left together is read together
        for number in range(3):
            bed.kernel.send(Packet(Flow(), bytes(5000), 5000 * number, ACK, 5 * number).frame(1000))
        bed.read_all()
        assert len(bed.sent()) == 1


def test_packets_of_one_size_whose_headers_differ() -> None:
    """Options of TCP, and options of IP."""
    flows = [Flow(), Flow(tcp_options=bytes(12)), Flow(ip_options=bytes(12)), Flow()]
    packets = [Packet(flow, filled(4000, b"data")) for flow in flows]
    cases = [(packet, 1000 - packet.headers + 40) for packet in packets]
    with DatapathBed(GCM) as bed:
        for packet, gso in cases:
            bed.kernel.send(packet.frame(gso))
        bed.egress.read_device(bed.device)
        assert opened(bed, bed.sent()) == [octets for case in cases for octets in plain(case)]


def test_frames_under_two_sas_do_not_mix() -> None:
    other = SPI + 1
    with DatapathBed(GCM) as bed:
        ends = {"local_port": bed.port, "remote_port": bed.peer_port}
        bed.database.install_outbound(outbound(2, other, slot=1, **ends, **to("10.9.0.0/16")))
        mine = Packet(Flow(), bytes(3000)).frame(1000)
        # To 10.9.0.1: the kernel has the rest of the checksums to do
        theirs = mine[: len(PLAIN) + 16] + bytes([10, 9, 0, 1]) + mine[len(PLAIN) + 20 :]
        for octets in (mine, theirs, mine):
            bed.kernel.send(octets)
        bed.read_all()
        found = [(int.from_bytes(one[:4], "big"), int.from_bytes(one[4:8], "big")) for one in bed.sent()]
        assert found == [(SPI, 1), (SPI, 2), (SPI, 3), (other, 1), (other, 2), (other, 3),
                         (SPI, 4), (SPI, 5), (SPI, 6)]  # fmt: skip
        assert bed.counters.sa(0).out_packets == 6
        assert bed.counters.sa(1).out_packets == 3


@given(turns, st.lists(errors, max_size=40), st.lists(st.booleans(), max_size=10), st.integers(0, 400))
@settings(deadline=None)
def test_no_number_is_used_twice_whatever_fails(
    work: list[tuple[Flow, int, int, int, int, int]], plan: list[int], faults: list[bool], left: int
) -> None:
    """Sends fail, sealing or cutting breaks half-way through a turn, the numbers run out."""
    wrap, kept = failing(plan)

    def maybe(name: str) -> None:
        original = getattr(GsoFrame, name)

        def call(*args: object) -> object:
            if faults and faults.pop():
                raise KeyError("broken")
            return original(*args)

        patch.setattr(GsoFrame, name, staticmethod(call) if ismethod(original) else call)

    with DatapathBed(GCM, wrap=wrap) as bed, pytest.MonkeyPatch.context() as patch:
        maybe("copy_payloads")
        maybe("write_headers")
        bed.sa.sequence = LIMIT[False] - left
        for packet, gso in follow(work):
            bed.kernel.send(packet.frame(gso))
        for _ in range(len(work) + 1):
            try:
                bed.read_all()
            except KeyError:
                continue
        assert_numbers_once(bed, kept[0])
