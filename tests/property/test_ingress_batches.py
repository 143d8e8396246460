"""GRO reads and spans of rows are delivered as their packets would be one by one."""

from __future__ import annotations

import socket
from dataclasses import replace
from time import sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp.net.sockets import SocketKind
from esp.packet.selectors import Selector
from esp.sa.outbound import OutboundSa
from esp.sa.suites import Suite
from tests.property.datapath_bed import DatapathBed
from tests.property.packet_sequences import arrivals, filled
from tests.property.test_egress_batches import SUITES
from tests.unit.esp.bed import GCM
from tests.unit.tun.plain import ACK, PSH, UDP, Flow, Packet, checksum

accidents = st.lists(
    st.tuples(st.sampled_from(["corrupt", "lose", "repeat", "swap"]), st.integers(0, 39)), max_size=4
)


def suffer(rows: list[bytes], accident: str, index: int) -> None:
    """What happens to ESP packets under way: rows keep their size."""
    index %= len(rows)
    if index == len(rows) - 1:
        return  # it may be the short one
    match accident:
        case "corrupt":
            rows[index] = rows[index][:20] + bytes([rows[index][20] ^ 1]) + rows[index][21:]
        case "lose":
            del rows[index]
        case "repeat":
            rows.insert(index, rows[index])
        case "swap" if index:
            rows[index], rows[index - 1] = rows[index - 1], rows[index]


@given(
    arrivals(),
    accidents,
    st.sampled_from(SUITES),
    st.booleans(),
    st.sampled_from([0, 64, 4096]),
    st.booleans(),
)
@settings(deadline=None)
def test_as_the_straight_path(
    packets: list[bytes], mishaps: list[tuple[str, int]], suite: Suite, esn: bool, window: int, alone: bool
) -> None:
    """`alone`: as packets that come after pauses, which take the fast path."""
    with (
        DatapathBed(suite, esn=esn, window=window) as bed,
        DatapathBed(suite, esn=esn, window=window) as other,
    ):
        other.alone = alone
        rows = [bytes(row) for row in bed.sender().seal_batch(packets)]
        for accident, index in mishaps:
            suffer(rows, accident, index)
        bed.arrive(rows)
        for row in rows:
            other.arrive([row])
        assert bed.delivered() == other.delivered()
        assert bed.counters.sa(0).drops == other.counters.sa(0).drops
        assert bed.counters.sa(0).in_bytes == other.counters.sa(0).in_bytes
        bed.arrive(rows)  # once more, and nothing new comes of it
        assert window == 0 or bed.delivered() == []


@given(
    st.lists(st.lists(st.integers(1, 200), min_size=1, max_size=40), max_size=6),
    st.sampled_from([64, 100, 4096]),
)
@settings(deadline=None)
def test_replays_and_reordering_over_trains(sends: list[list[int]], window: int) -> None:
    """Batches of any of 200 packets: each is delivered at most once, and the right one."""
    with DatapathBed(GCM, window=window) as bed:
        packets = [Packet(Flow(protocol=UDP), number.to_bytes(4, "big")).octets() for number in range(1, 201)]
        sealed = [bytes(row) for row in bed.sender().seal_batch(packets)]
        seen: set[bytes] = set()
        top = 0
        for send in sends:
            bed.arrive([sealed[number - 1] for number in send])
            found = bed.delivered()
            assert len(set(found)) == len(found)
            assert not seen & set(found)
            assert set(found) <= {packets[number - 1] for number in send}
            seen |= set(found)
            fresh = {packets[number - 1] for number in send if number > top}
            if max(send) - top < window:
                assert fresh <= seen
            top = max(top, *send)


def test_a_train_of_one_flow_is_one_frame() -> None:
    packets = list(Packet(Flow(), filled(20_000, b"data"), flags=ACK | PSH).split(1000))
    with DatapathBed(GCM) as bed:
        bed.arrive(bed.sender().seal_batch([packet.octets() for packet in packets]))
        assert len(bed.kernel.recv(1 << 17)) == 10 + 40 + 20_000


def test_five_segments_are_one_frame() -> None:
    packets = list(Packet(Flow(), filled(5000, b"data")).split(1000))
    with DatapathBed(GCM) as bed:
        bed.arrive(bed.sender().seal_batch([packet.octets() for packet in packets]))
        assert len(bed.kernel.recv(1 << 17)) == 10 + 40 + 5000


def test_fragments_are_never_merged() -> None:
    """Nor what says that more of them follow, although its checksums are right."""
    octets = []
    for packet in Packet(Flow(), filled(6000, b"data")).split(1000):
        head = bytearray(packet.octets())
        head[6] |= 0x20
        head[10:12] = bytes(2)
        head[10:12] = checksum(bytes(head[:20])).to_bytes(2, "big")
        octets.append(bytes(head))
    with DatapathBed(GCM) as bed:
        bed.arrive(bed.sender().seal_batch(octets))
        assert [bed.kernel.recv(1 << 17)[10:] for _ in octets] == octets


def test_two_flows_in_a_train_are_two_frames() -> None:
    one, other = (list(Packet(Flow(ports=(p, 1)), filled(5000, b"data")).split(1000)) for p in (1, 2))
    with DatapathBed(GCM) as bed:
        bed.arrive(bed.sender().seal_batch([packet.octets() for packet in one + other]))
        assert [len(bed.kernel.recv(1 << 17)) for _ in range(2)] == [10 + 40 + 5000] * 2


@pytest.mark.parametrize("field", [10, 36])
def test_a_checksum_of_ones_stays_what_it_is(field: int) -> None:
    """That of IPv4, or of TCP. It is right, but the kernel would write zeros."""
    packets = list(Packet(Flow(), filled(20_000, b"data")).split(1000))
    lacks = int.from_bytes(packets[0].octets()[field : field + 2], "big")  # until the first one's is 0
    if field == 10:
        packets = [replace(one, identification=one.identification + lacks) for one in packets]
    else:
        packets = [replace(one, flow=Flow(window=Flow().window + lacks)) for one in packets]
    octets = [one.octets() for one in packets]
    assert octets[0][field : field + 2] == bytes(2)
    octets[0] = octets[0][:field] + b"\xff\xff" + octets[0][field + 2 :]
    with DatapathBed(GCM) as bed:
        bed.arrive(bed.sender().seal_batch(octets))
        assert bed.delivered() == octets


@pytest.mark.parametrize("ends", [True, False])
def test_a_turn_ends_where_the_senders_did(ends: bool) -> None:
    """Two turns of a sender wait, three frames each, cut into sends without regard to frames: each is read
    by itself and its frames come out whole, unless too little would be opened together."""
    size, rows = 1000, 44 if ends else 12
    with DatapathBed(GCM) as bed:
        sender = bed.sender()
        for turn in range(2):
            flows = [Flow(ports=(3 * turn + number, 1)) for number in range(3)]
            frames = [Packet(flow, filled(rows * size, b"data")).split(size) for flow in flows]
            sealed = [bytes(each) for each in sender.seal_batch([one.octets() for f in frames for one in f])]
            share = len(sealed) // 4 + 1  # the last send is shorter than the others
            for at in range(0, len(sealed), share):
                segment = (17, 103, len(sealed[0]).to_bytes(2, "little"))
                send = b"".join(sealed[at : at + share])
                bed.peer.sendmsg([send], [segment], 0, ("127.0.0.1", bed.port))
        bed.ingress.unfinished = True  # as the read before may have been
        bed.ingress.read_transport(bed.transport)
        assert not bed.ingress.unfinished
        found = [len(bed.kernel.recv(1 << 17)) for _ in range(3)]
        assert found == [10 + 40 + rows * size] * 3
        assert bool(bed.delivered()) is not ends
        bed.ingress.read_transport(bed.transport)
        assert bool(bed.delivered()) is ends


def test_a_batch_that_is_full_still_takes_the_rest_of_a_frame() -> None:
    """Each of the three frames was sent in three sends, and eight are a turn."""
    with DatapathBed(GCM) as bed:
        sender = bed.sender()
        for number in range(3):
            frame = Packet(Flow(), filled(35_000, b"data"), 35_000 * number, ACK, 35 * number)
            sealed = [bytes(each) for each in sender.seal_batch([one.octets() for one in frame.split(1000)])]
            segment = (17, 103, len(sealed[0]).to_bytes(2, "little"))
            for at in range(0, 35, 12):
                send = b"".join(sealed[at : at + 12])
                bed.peer.sendmsg([send], [segment], 0, ("127.0.0.1", bed.port))
        bed.ingress.read_transport(bed.transport)
        assert len(bed.delivered()) == 105


def test_nobody_prolongs_a_batch_without_end() -> None:
    """Reads of ever other sizes: each may be the beginning of more, none is the rest of the one before."""
    with DatapathBed(GCM) as bed:
        for number in range(40):
            segment = (17, 103, (100 + number % 2).to_bytes(2, "little"))
            bed.peer.sendmsg([bytes([1]) * 2 * (100 + number % 2)], [segment], 0, ("127.0.0.1", bed.port))
        bed.ingress.read_transport(bed.transport)
        assert bed.counters.drops() == {"unknown_spi": 18}


def test_a_batch_of_lone_packets_ends_when_it_is_full() -> None:
    with DatapathBed(GCM) as bed:
        packets = [Packet(Flow(protocol=UDP), b"%05d" % number).octets() for number in range(100)]
        for row in bed.sender().seal_batch(packets):
            bed.peer.sendto(row, ("127.0.0.1", bed.port))
        assert bed.ingress.read_transport(bed.transport) == 64
        assert len(bed.delivered()) == 64


@pytest.mark.parametrize(
    ("sends", "unfinished"),
    [([30], True), ([30, 30], True), ([30, 30, 29], False), ([30, 0.5], False), ([0, 0], False)],
)
def test_whether_more_is_under_way(sends: list[float], unfinished: bool) -> None:
    """A sender's sends are equal but for a shorter last one, in packets or in its last packet. 0: a lone
    packet; 0.5: a send whose last packet is short."""
    with DatapathBed(GCM) as bed:
        sender = bed.sender()
        for size in sends:
            packets = Packet(Flow(), filled(int(size) * 1000 or 1500 if size else 500, b"data")).split(1000)
            rows = [bytes(each) for each in sender.seal_batch([one.octets() for one in packets])]
            segment = [(17, 103, len(rows[0]).to_bytes(2, "little"))] if len(rows) > 1 else []
            bed.peer.sendmsg([b"".join(rows)], segment, 0, ("127.0.0.1", bed.port))
        bed.ingress.unfinished = not unfinished
        bed.ingress.read_transport(bed.transport)
        assert bed.ingress.unfinished is unfinished


def test_packets_without_udp_are_never_unfinished() -> None:
    """Whatever was read from another socket before."""
    with DatapathBed(GCM) as bed:
        bed.transport.kind = SocketKind.RAW
        bed.ingress.unfinished = True
        assert bed.ingress.read_transport(bed.transport) == 1
        assert not bed.ingress.unfinished


@pytest.mark.parametrize("version", [4, 6])
def test_selectors_hold_in_a_train(version: int) -> None:
    packets = [packet.octets() for packet in Packet(Flow(version=version), bytes(5000)).split(1000)]
    permitted = (Selector.of("10.0.0.0/8"), Selector.of("fd00::/8"))
    forbidden = (Selector.of("10.2.0.0/16"), Selector.of("fd02::/64"))
    with DatapathBed(GCM, selectors=permitted) as bed:
        bed.arrive(bed.sender().seal_batch(packets))
        assert bed.delivered() == packets
    with DatapathBed(GCM, selectors=forbidden) as bed:
        bed.arrive(bed.sender().seal_batch(packets))
        assert bed.delivered() == []
        assert bed.counters.sa(0).drops == {"selectors": 5}


def test_one_address_of_many_is_forbidden() -> None:
    packets = [packet.octets() for packet in Packet(Flow(), bytes(5000)).split(1000)]
    strange = bytearray(packets[2])
    strange[15] = 99
    strange[10:12] = bytes(2)
    strange[10:12] = checksum(bytes(strange[:20])).to_bytes(2, "big")
    with DatapathBed(GCM, selectors=(Selector.of("10.1.0.1/32"), Selector.of("10.2.0.1/32"))) as bed:
        bed.arrive(bed.sender().seal_batch([*packets[:2], bytes(strange), *packets[3:]]))
        assert bed.delivered() == packets[:2] + packets[3:]
        assert bed.counters.sa(0).drops == {"selectors": 1}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("inner", "outer", "result"),
    [(2, 3, 3), (1, 3, 3), (3, 3, 3), (2, 1, 1), (1, 2, 1), (0, 1, 0), (0, 3, None)],
)
@pytest.mark.parametrize("count", [1, 10])
def test_congestion_marks(version: int, inner: int, outer: int, result: int | None, count: int) -> None:
    """RFC 6040 4.2, with DSCP 46 inside, for a single packet and in a GRO read."""
    flow = Flow(version=version, tos=0xB8 | inner)
    packets = list(Packet(flow, filled(1000 * count, b"data")).split(1000))
    with DatapathBed(GCM) as bed:
        bed.peer.setsockopt(0, 1, outer)  # IP_TOS
        bed.arrive(bed.sender().seal_batch([packet.octets() for packet in packets]))
        if result is None:
            assert bed.delivered() == []
            assert bed.counters.sa(0).drops == {"ecn": count}
        else:
            marked = Packet(Flow(version=version, tos=0xB8 | result), filled(1000 * count, b"data"))
            assert bed.delivered() == [packet.octets() for packet in marked.split(1000)]


def test_sas_of_two_spis_in_one_read() -> None:
    packets = [packet.octets() for packet in Packet(Flow(), bytes(4000)).split(1000)]
    with DatapathBed(GCM) as bed:
        rows = bed.sender().seal_batch(packets)
        strange = OutboundSa(0x2002, GCM, bytes(20), False).seal_batch(packets)
        bed.arrive([*rows[:2], strange[0], rows[2], strange[1], rows[3]])
        assert bed.delivered() == packets
        assert bed.counters.drops() == {"unknown_spi": 2}


def test_trains_of_two_spis_in_one_read() -> None:
    """The last packet of the read may be a short one."""
    packets = [packet.octets() for packet in Packet(Flow(), bytes(11500)).split(1000)]
    with DatapathBed(GCM) as bed:
        sender = bed.sender()
        first, second = sender.seal_batch(packets[:-1]), sender.seal_batch(packets)
        strange = OutboundSa(0x2002, GCM, bytes(20), False).seal_batch(packets[:-1])
        bed.arrive([*first, *strange, *second])
        assert bed.delivered() == [*packets[:-1], *packets]
        assert bed.counters.drops() == {"unknown_spi": len(strange)}


def test_a_train_of_smaller_packets_behind_a_larger_one() -> None:
    """Both are read in one turn. It is no longer than one packet of the first read, but not its last one."""
    large = [packet.octets() for packet in Packet(Flow(), bytes(6000)).split(1000)]
    small = [packet.octets() for packet in Packet(Flow(version=6), bytes(600)).split(200)]
    with DatapathBed(GCM) as bed:
        sender = bed.sender()
        for packets in (large, small):
            rows = sender.seal_batch(packets)
            segment = (17, 103, len(rows[0]).to_bytes(2, "little"))
            bed.peer.sendmsg([b"".join(rows)], [segment], 0, ("127.0.0.1", bed.port))
        bed.ingress.read_transport(bed.transport)
        assert bed.delivered() == large + small
        assert bed.counters.drops() == {}
        assert bed.counters.sa(0).drops == {}


def test_a_datagram_behind_a_train_whose_last_packet_is_short() -> None:
    """What is behind the short packet is overwritten when rows are merged: nothing may stand there."""
    first = [packet.octets() for packet in Packet(Flow(), bytes(5300)).split(1000)]
    second = [Packet(Flow(protocol=UDP), bytes(1400)).octets()]
    with DatapathBed(GCM) as bed:
        sender = bed.sender()
        for packets in (first, second):
            rows = sender.seal_batch(packets)
            segment = [(17, 103, len(rows[0]).to_bytes(2, "little"))] if len(rows) > 1 else []
            bed.peer.sendmsg([b"".join(rows)], segment, 0, ("127.0.0.1", bed.port))
        bed.ingress.read_transport(bed.transport)
        assert bed.delivered() == first + second
        assert bed.said == []


def test_what_the_kernel_had_no_room_for_is_counted() -> None:
    packets = [Packet(Flow(protocol=UDP), bytes(1000)).octets()] * 200
    with DatapathBed(GCM, window=0) as bed:
        bed.transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        bed.arrive(bed.sender().seal_batch(packets[:1]))
        for row in bed.sender().seal_batch(packets):
            bed.peer.sendto(row, ("127.0.0.1", bed.port))
        sleep(0.15)
        bed.ingress.read_transport(bed.transport)
        lost = bed.counters.drops()["socket_queue"]
        assert lost + len(bed.delivered()) == 201


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["good", "replay", "forged", "foreign", "refused", "short"]), st.integers(0, 1400)
        ),
        max_size=8,
    ),
    st.sampled_from(SUITES),
    st.booleans(),
)
@settings(deadline=None)
def test_lone_packets_after_pauses(arriving: list[tuple[str, int]], suite: Suite, esn: bool) -> None:
    """They take the fast path, with the same result."""
    here = (Selector.of("10.2.0.0/16"),)
    with (
        DatapathBed(suite, esn=esn, selectors=here) as alone,
        DatapathBed(suite, esn=esn, selectors=here) as together,
    ):
        sender, good = alone.sender(), Packet(Flow(protocol=UDP), b"first").octets()
        last = bytes(sender.seal_batch([good])[0])
        for kind, size in arriving:
            packet = Packet(Flow(protocol=UDP), filled(size, b"z")).octets()
            if kind == "refused":
                packet = packet[:12] + bytes(8) + packet[20:]
            if kind != "replay":
                last = bytes(sender.seal_batch([packet])[0])
            row = {
                "forged": last[:-1] + bytes([last[-1] ^ 1]),
                "foreign": b"\1" + last[1:],
                "short": last[:7],
            }
            for bed, quiet in ((alone, True), (together, False)):
                bed.alone = quiet
                bed.arrive([row.get(kind, last)])
        assert alone.delivered() == together.delivered()
        mine, theirs = (replace(bed.counters.sa(0), in_last=0) for bed in (alone, together))
        assert mine == theirs
        assert alone.counters.drops() == together.counters.drops()
        assert [type(one) for one in alone.said] == [type(one) for one in together.said]


def test_a_read_that_gives_nothing_is_no_train() -> None:
    """As after an ICMP error, which wakes the worker: GRO reads never make it wait, and an empty read is no
    GRO read."""
    with DatapathBed(GCM) as bed:
        assert bed.ingress.read_transport(bed.transport) == 1
        assert bed.egress.read_device(bed.device) == 1
        rows = [
            bytes(row) for row in bed.sender().seal_batch([Packet(Flow(protocol=UDP), b"x").octets()] * 3)
        ]
        bed.peer.sendmsg([rows[0]], [], 0, ("127.0.0.1", bed.port))
        assert bed.ingress.read_transport(bed.transport) == 1
        segment = (17, 103, len(rows[0]).to_bytes(2, "little"))
        bed.peer.sendmsg([rows[1] + rows[2]], [segment], 0, ("127.0.0.1", bed.port))
        assert bed.ingress.read_transport(bed.transport) == 0
