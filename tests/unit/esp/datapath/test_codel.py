"""Queues that stand: when their senders are told, and how."""

from __future__ import annotations

from dataclasses import replace

import pytest

from esp.datapath.codel import CoDel
from esp.datapath.limits import TURN_PACKETS
from esp.datapath.tun_batch import MAX_ROW_PACKET
from esp.packet import ecn
from tests.property.datapath_bed import DatapathBed
from tests.property.test_egress_batches import opened, plain
from tests.unit.esp.bed import GCM
from tests.unit.tun.plain import ACK, UDP, Flow, Packet


def told(codel: CoDel, begin: float, end: float, empty: tuple[float, ...] = ()) -> list[float]:
    """When, if something is read each millisecond and nothing is left at those times."""
    found = []
    for step in range(round(begin * 1000), round(end * 1000)):
        now = step / 1000
        if now in empty:
            codel.note_empty()
        elif codel.should_signal(now):
            found.append(now)
    return found


def test_one_that_gets_empty_in_time_is_left_alone() -> None:
    assert told(CoDel(), 1, 2, empty=(1.09, 1.18, 1.27, 1.36, 1.45, 1.54, 1.63, 1.72, 1.81, 1.9)) == []


def test_one_that_stands_is_told_ever_more_often() -> None:
    """RFC 8289 3.3: an interval divided by the square root of how many there were."""
    wanted = [1.1]
    while wanted[-1] < 3:
        wanted.append(wanted[-1] + 0.1 / len(wanted) ** 0.5)
    assert told(CoDel(), 1, 3) == pytest.approx(wanted[:-1], abs=0.0015)


def test_a_pause_is_no_queue() -> None:
    """The last turn may have read just as much as there was."""
    codel = CoDel()
    assert not codel.should_signal(1.0)
    assert not codel.should_signal(60.0)
    assert not codel.should_signal(60.09)
    assert codel.should_signal(60.1)


def test_one_that_stands_again_soon_is_told_as_often_as_before() -> None:
    codel = CoDel()
    assert len(told(codel, 1, 2, empty=(1.999,))) > 20
    assert len(told(codel, 2, 2.3)) > 10
    assert len(told(codel, 10, 10.3)) == 3


@pytest.fixture
def every_frame_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame is one whose sender is told."""
    monkeypatch.setattr("esp.datapath.codel.INTERVAL", 0.0)


def work(version: int, tos: int) -> Packet:
    return Packet(Flow(version=version, tos=tos, tcp_options=bytes(4)), bytes(range(250)) * 16, 7, ACK, 9)


@pytest.mark.usefixtures("every_frame_signals")
@pytest.mark.parametrize("version", [4, 6])
def test_a_sender_that_knows_no_marks_loses_one_packet(version: int) -> None:
    with DatapathBed(GCM) as bed:
        packet = work(version, 0x28)
        for _ in range(2):
            bed.kernel.send(packet.frame(1000))
        bed.read_all()
        assert opened(bed, bed.sent()) == 2 * plain((packet, 1000))[1:]
        sa = bed.counters.sa(0)
        assert sa.drops == {"congestion": 2}
        assert (sa.out_packets, sa.out_seq) == (6, 6)


@pytest.mark.usefixtures("every_frame_signals")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mark", [ecn.ECT0, ecn.ECT1])
def test_one_that_does_gets_its_packets_marked(version: int, mark: int) -> None:
    """Inside, and outside as RFC 6040 4.1 has it; the receiver says it, and nothing is lost."""
    with DatapathBed(GCM) as bed:
        bed.peer.setsockopt(0, 13, 1)  # IP_RECVTOS
        packet = work(version, 0x28 | mark)
        bed.kernel.send(packet.frame(1000))
        bed.read_all()
        found: list[bytearray] = []
        while len(found) < 4:
            data, ancillary, _, _ = bed.peer.recvmsg(2000, 100)
            assert [octets[0] for _, _, octets in ancillary] == [0x28 | ecn.CE]
            found.append(bytearray(data))
        marked = replace(packet, flow=replace(packet.flow, tos=0x28 | ecn.CE))
        assert opened(bed, found) == plain((marked, 1000))
        assert bed.counters.sa(0).drops == {}


@pytest.mark.usefixtures("every_frame_signals")
@pytest.mark.parametrize("tos", [0, ecn.ECT0])
def test_senders_of_packets_that_are_padded_are_told_too(tos: int) -> None:
    """They are sealed one by one, which takes longer than all at once."""
    with DatapathBed(GCM) as bed:
        bed.sa.set_tfc(1200)
        packet = work(4, tos)
        bed.kernel.send(packet.frame(1000))
        bed.read_all()
        marked = replace(packet, flow=replace(packet.flow, tos=tos | ecn.CE))
        wanted = plain((marked, 1000)) if tos else plain((packet, 1000))[1:]
        assert opened(bed, bed.sent()) == wanted
        assert bed.counters.sa(0).drops == ({} if tos else {"congestion": 1})


@pytest.mark.usefixtures("every_frame_signals")
def test_lone_packets_are_left_alone() -> None:
    with DatapathBed(GCM) as bed:
        packets = [replace(work(4, 0), payload=b"%d" % number) for number in range(20)]
        for packet in packets:
            bed.kernel.send(packet.frame(0))
        bed.read_all()
        assert opened(bed, bed.sent()) == [packet.octets() for packet in packets]
        assert bed.counters.sa(0).drops == {}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What CoDel is told, while no turn ends because it takes long."""
    told: list[str] = []
    monkeypatch.setattr("esp.datapath.egress.TURN_SECONDS", 60.0)  # on a slow machine a turn may end before
    monkeypatch.setattr(CoDel, "note_empty", lambda self: told.append("empty"))
    monkeypatch.setattr(CoDel, "should_signal", lambda self, now: told.append("read"))
    return told


def test_a_turn_that_leaves_nothing_says_so(said: list[str]) -> None:
    with DatapathBed(GCM) as bed:
        for _ in range(7):
            bed.kernel.send(Packet(Flow(), bytes(60_000)).frame(1300))
        bed.read_once()
        bed.read_once()
        assert said == 5 * ["read"] + 2 * ["read"] + ["empty"]


@pytest.mark.parametrize("length", [1000, MAX_ROW_PACKET, MAX_ROW_PACKET + 1, 8000])
def test_a_turn_takes_packets_of_any_length(said: list[str], length: int) -> None:
    """Behind one that is longer than its row, too, there may be more."""
    with DatapathBed(GCM) as bed:
        packet = Packet(Flow(protocol=UDP), bytes(length - 28))
        for _ in range(TURN_PACKETS + 10):
            bed.kernel.send(packet.frame(0))
        assert bed.read_once() == TURN_PACKETS
        assert said == []
        assert bed.read_once() == 10
        assert said == ["empty"]
        assert opened(bed, bed.sent()) == [packet.octets()] * (TURN_PACKETS + 10)


def test_a_device_that_has_nothing_after_a_pause_says_so(said: list[str]) -> None:
    with DatapathBed(GCM) as bed:
        bed.alone = True
        assert bed.read_once() == 1
        assert said == ["empty"]
