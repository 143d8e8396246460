"""Lone packets between frames, in one turn of the worker: they overtake these, but not their own stream."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp.sa.outbound import OutboundSa
from tests.property.datapath_bed import DatapathBed
from tests.property.packet_sequences import filled
from tests.property.test_egress_batches import failing, opened, plain
from tests.unit.esp.bed import GCM
from tests.unit.tun.plain import ACK, UDP, Flow, Packet

DATA, ACKS, OTHER = Flow(), Flow(ports=(40001, 5201)), Flow(protocol=UDP)
STREAMS = [
    DATA,
    ACKS,
    OTHER,
    Flow(version=6),
    Flow(version=6, ports=(1, 2)),
    Flow(version=6, protocol=UDP),
    Flow(ip_options=bytes([1, 1, 1, 0])),
]
# Of which stream, octets of payload, and the segments' size if it is a frame
packets = st.lists(
    st.tuples(
        st.sampled_from(STREAMS), st.sampled_from([0, 0, 0, 11, 1400, 3000]), st.sampled_from([0, 536])
    ),
    max_size=24,
)

pytestmark = pytest.mark.usefixtures("turns_without_haste")


def number(work: list[tuple[Flow, int, int]]) -> list[tuple[Packet, int]]:
    """No two alike: each has numbers of its own."""
    return [
        (
            Packet(flow, b"%04d" % index + filled(size, b"\xffabc"), 5000 * index, ACK, 10 * index),
            gso if size > gso else 0,
        )
        for index, (flow, size, gso) in enumerate(work)
    ]


@given(packets, st.booleans())
@settings(deadline=None)
def test_each_stream_keeps_its_order(work: list[tuple[Flow, int, int]], esn: bool) -> None:
    cases = number(work)
    with DatapathBed(GCM, esn=esn) as bed:
        for packet, gso in cases:
            bed.kernel.send(packet.frame(gso))
        bed.read_all()
        sent = bed.sent()
        assert [int.from_bytes(one[4:8], "big") for one in sent] == list(range(1, len(sent) + 1))
        found = opened(bed, sent)
        for flow in STREAMS:
            wanted = [octets for case in cases if case[0].flow == flow for octets in plain(case)]
            assert [octets for octets in found if octets in wanted] == wanted
        everything = [octets for case in cases for octets in plain(case)]
        assert sorted(found) == sorted(everything)
        sa = bed.counters.sa(0)
        assert (sa.out_packets, sa.out_bytes) == (len(everything), sum(map(len, everything)))


def frames(count: int) -> list[Packet]:
    """Frames of 46 full packets that follow each other."""
    return [Packet(DATA, bytes(46 * 1398), at * 46 * 1398, ACK, 46 * at) for at in range(count)]


@pytest.mark.parametrize("version", [4, 6])
def test_acknowledgements_do_not_cut_what_is_sealed_together(version: int) -> None:
    """They leave in one send, and so do three frames in four, as without them."""
    wrap, kept = failing([])
    with DatapathBed(GCM, wrap=wrap) as bed:
        acknowledgements = [Packet(replace(ACKS, version=version), sequence=at) for at in range(6)]
        for at, frame in enumerate(frames(3)):
            for each in acknowledgements[2 * at : 2 * at + 2]:
                bed.kernel.send(each.frame(0))
            bed.kernel.send(frame.frame(1398))
        bed.read_all()
        assert kept[0].sends == 5
        found = opened(bed, bed.sent())
        assert found[:6] == [each.octets() for each in acknowledgements]
        assert found[6:] == [octets for frame in frames(3) for octets in plain((frame, 1398))]


def fragment(packet: Packet) -> Packet:
    """A fragment's own first octets are no ports."""

    class Fragment(Packet):
        def ip(self) -> bytes:
            octets = super().ip()
            return octets[:6] + b"\x00\x10" + octets[8:]

    return Fragment(packet.flow, packet.payload, packet.sequence)


@pytest.mark.parametrize(
    "lone",
    [
        Packet(DATA, b"lone", 46 * 1398),
        fragment(Packet(ACKS, b"lone")),
        Packet(replace(ACKS, ip_options=bytes([1, 1, 1, 0])), b"lone"),
    ],
    ids=["same stream", "fragment", "options"],
)
def test_what_may_belong_behind_a_frame_stays_there(lone: Packet) -> None:
    """What was read before both still leaves first, and what is read after them last."""
    with DatapathBed(GCM) as bed:
        early, late = Packet(DATA, b"early", 1), Packet(ACKS, b"late", 2)
        frame = frames(1)[0]
        for packet, gso in (early, 0), (frame, 1398), (lone, 0), (late, 0):
            bed.kernel.send(packet.frame(gso))
        bed.read_all()
        found = opened(bed, bed.sent())
        assert found[0] == early.octets()
        assert found[1:47] == plain((frame, 1398))
        assert [each[-4:] for each in found[47:]] == [b"lone", b"late"]


def test_a_long_packet_is_not_overwritten_by_the_next() -> None:
    with DatapathBed(GCM) as bed:
        work = [
            Packet(ACKS, filled(2500, b"1"), 1),
            Packet(ACKS, filled(2500, b"2"), 2),
            Packet(ACKS, b"3", 3),
        ]
        for packet in (work[0], frames(1)[0], *work[1:]):
            bed.kernel.send(packet.frame(1398 if packet.flow == DATA else 0))
        bed.read_all()
        found = opened(bed, bed.sent())
        assert [each for each in found if len(each) != 1438] == [packet.octets() for packet in work]


def test_a_fault_costs_what_waited_and_nothing_twice() -> None:
    """The frame behind it leaves, and the next turn begins with nothing."""
    with DatapathBed(GCM) as bed, pytest.MonkeyPatch.context() as patch:

        def broken(*arguments: object) -> None:
            raise KeyError("broken")

        frame, after = frames(1)[0], Packet(ACKS, b"after", 9)
        for packet, gso in (Packet(ACKS, b"lost"), 0), (frame, 1398):
            bed.kernel.send(packet.frame(gso))
        with pytest.raises(KeyError), patch.context() as inner:
            inner.setattr(OutboundSa, "seal_in_place", broken)
            bed.read_once()
        bed.database.flow_cache.invalidate()  # what is broken is kept there
        bed.kernel.send(after.frame(0))
        bed.read_all()
        assert opened(bed, bed.sent()) == [*plain((frame, 1398)), after.octets()]
