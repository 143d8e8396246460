"""What the fast path puts on the wire decrypts to the packets that went in, and never repeats a nonce."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation

from esp.ipc.messages import SequenceLow
from esp.net.mmsg import IoVectors, Sender
from esp.packet.drop_reasons import Drop
from esp.sa.outbound import LIMIT, OutboundSa
from esp.sa.suites import (
    AES_CBC,
    AES_CCM_16,
    AES_CMAC_96,
    AES_CTR,
    AES_GCM_8,
    AES_XCBC_96,
    CHACHA20_POLY1305,
    HMAC_SHA1_96,
    HMAC_SHA2_256_128,
    NULL,
    NULL_AES_GMAC,
    TRIPLE_DES_CBC,
    Suite,
    suite_for,
)
from tests.property.datapath_bed import SPI, DatapathBed, Wrap
from tests.property.packet_sequences import filled, frames
from tests.unit.esp.bed import GCM, outbound, to
from tests.unit.esp.packets import keys_for
from tests.unit.tun.plain import ACK, PSH, UDP, Flow, Packet
from tun.virtio import PLAIN

SUITES = [
    GCM,
    suite_for(CHACHA20_POLY1305, None, None),
    suite_for(AES_GCM_8, 256, None),
    suite_for(AES_CBC, 128, HMAC_SHA2_256_128),
    suite_for(AES_CCM_16, 128, None),
    suite_for(NULL_AES_GMAC, 128, None),
    suite_for(AES_CTR, 128, AES_XCBC_96),
    suite_for(TRIPLE_DES_CBC, None, HMAC_SHA1_96),
    suite_for(NULL, None, AES_CMAC_96),
]

lone = st.builds(
    lambda size, filling, protocol: (Packet(Flow(protocol=protocol), filled(size, filling)), 0),
    st.integers(0, 200),
    st.sampled_from([b"\0", b"xyz"]),
    st.sampled_from([UDP, 6]),
)
small_frames = frames().filter(lambda case: len(case[0].payload) < 20_000)


def plain(case: tuple[Packet, int]) -> list[bytes]:
    packet, gso = case
    return [one.octets() for one in packet.split(gso)] if gso else [packet.octets()]


def opened(bed: DatapathBed, datagrams: Iterable[bytearray]) -> list[bytes]:
    result = bed.single_packet_sa().open_batch([memoryview(one) for one in datagrams])
    assert result.drops == {}
    return [bytes(packet) for packet in result.packets]


@given(st.lists(st.one_of(small_frames, lone), max_size=5), st.sampled_from(SUITES), st.booleans())
@settings(deadline=None)
def test_out_decrypts_to_what_went_in(cases: list[tuple[Packet, int]], suite: Suite, esn: bool) -> None:
    wanted = [octets for case in cases for octets in plain(case)]
    with DatapathBed(suite, esn=esn) as bed:
        found = []
        for packet, gso in cases:
            bed.send([packet.frame(gso)])
            found += bed.sent()
        assert [int.from_bytes(one[4:8], "big") for one in found] == list(range(1, len(wanted) + 1))
        assert opened(bed, found) == wanted
        sa = bed.counters.sa(0)
        assert (sa.out_packets, sa.out_bytes) == (len(wanted), sum(map(len, wanted)))
        assert bed.told == []


@pytest.mark.parametrize("version", [4, 6])
def test_scapy_decrypts_a_train(version: int) -> None:
    packet = Packet(Flow(version=version, tos=0xB8), filled(5000, b"data"), flags=ACK | PSH)
    with DatapathBed(GCM) as bed:
        bed.send([packet.frame(1200)])
        datagrams = bed.sent()
    key = keys_for(GCM, SPI)
    association = SecurityAssociation(
        ESP, spi=SPI, crypt_algo="AES-GCM", crypt_key=key, tunnel_header=IP(src="127.0.0.1", dst="127.0.0.1")
    )
    inner = IP if version == 4 else IPv6
    found = []
    for datagram in datagrams:
        outer = IP(bytes(IP(src="127.0.0.1", dst="127.0.0.1", proto=50) / ESP(bytes(datagram))))
        found.append(bytes(inner(bytes(association.decrypt(outer)))))
    assert found == plain((packet, 1200))


@given(
    st.lists(st.tuples(lone, st.integers(1, 20)), min_size=1, max_size=4),
    st.sampled_from(SUITES),
    st.booleans(),
)
@settings(deadline=None)
def test_bursts_of_lone_packets(cases: list[tuple[tuple[Packet, int], int]], suite: Suite, esn: bool) -> None:
    """Read in one turn: those alike are sealed together, their checksums finished together."""
    with DatapathBed(suite, esn=esn) as bed:
        for (packet, _), times in cases:
            for _ in range(times):
                bed.kernel.send(packet.frame(0))
        bed.read_all()
        found = bed.sent()
        wanted = [packet.octets() for (packet, _), times in cases for _ in range(times)]
        assert [int.from_bytes(one[4:8], "big") for one in found] == list(range(1, len(wanted) + 1))
        assert opened(bed, found) == wanted


def test_small_packets_of_one_size_leave_together() -> None:
    """Each read of the peer's takes all that left together."""
    case = Packet(Flow(protocol=UDP), bytes(36))
    with DatapathBed(GCM) as bed:
        bed.peer.setsockopt(17, 104, 1)
        for _ in range(20):
            bed.kernel.send(case.frame(0))
        bed.kernel.send(Packet(Flow(protocol=UDP), bytes(30)).frame(0))
        bed.read_all()
        length = 16 + 64 + 2 + 2 + 16
        assert [len(one) for one in bed.sent()] == [20 * length, length - 8]


runs = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.sampled_from([0, 36, 37, 1300]),
        st.sampled_from([Flow(protocol=UDP), Flow(version=6, protocol=UDP), Flow(protocol=UDP, tos=1)]),
    ),
    max_size=6,
)


@given(runs, st.sampled_from(SUITES), st.booleans(), st.one_of(st.none(), st.integers(0, 60)))
@settings(deadline=None)
def test_lone_packets_read_together(
    work: list[tuple[int, int, Flow]], suite: Suite, esn: bool, left: int | None
) -> None:
    """Runs of one size and single packets in between, up to the end of the numbers."""
    wanted = []
    with DatapathBed(suite, esn=esn) as bed:
        if left is not None:
            bed.sa.sequence = LIMIT[esn] - left
        for count, size, flow in work:
            for number in range(count):
                packet = Packet(flow, filled(size, bytes([number, 255])), identification=number)
                wanted.append(packet.octets())
                bed.kernel.send(packet.frame(0))
        bed.read_all()
        found = bed.sent()
        able = len(wanted) if left is None else min(left, len(wanted))
        first = bed.sa.sequence - able + 1
        numbers = [int.from_bytes(one[4:8], "big") for one in found]
        assert numbers == [number & 0xFFFFFFFF for number in range(first, first + able)]
        if left is None:
            assert opened(bed, found) == wanted
        assert bed.counters.sa(0).out_bytes == sum(map(len, wanted[:able]))


@given(st.lists(lone, max_size=8), st.sampled_from(SUITES), st.booleans(), st.integers(0, 10))
@settings(deadline=None)
def test_lone_packets_after_pauses(
    cases: list[tuple[Packet, int]], suite: Suite, esn: bool, left: int
) -> None:
    """They take the fast path: what arrives and what is counted is the same."""
    with DatapathBed(suite, esn=esn) as alone, DatapathBed(suite, esn=esn) as together:
        for bed, quiet in ((alone, True), (together, False)):
            bed.sa.sequence = LIMIT[esn] - left
            bed.alone = quiet
            for packet, _ in cases:
                bed.send([packet.frame(0)])
        found, wanted = alone.sent(), together.sent()
        same = 8 if suite.random_iv else None  # such a suite's IV is random
        assert [one[:same] for one in found] == [one[:same] for one in wanted]
        mine, theirs = (replace(bed.counters.sa(0), out_last=0) for bed in (alone, together))
        assert mine == theirs
        assert alone.said == together.said
        assert len(found) == min(left, len(cases))


def test_a_frame_where_a_lone_packet_was_expected() -> None:
    packet = Packet(Flow(), filled(5000, b"data"))
    with DatapathBed(GCM) as bed:
        bed.alone = True
        bed.send([packet.frame(1200)])
        assert opened(bed, bed.sent()) == plain((packet, 1200))
        assert bed.read_once() == 1  # nothing


def test_counting_late_does_not_set_the_sequence_number_back() -> None:
    frame = Packet(Flow(), filled(5000, b"data")).frame(1200)
    lone = Packet(Flow(protocol=UDP), b"lone").frame(0)
    with DatapathBed(GCM) as bed:
        take = bed.egress.single_packet_reader(bed.device)
        for octets in (lone, frame):
            bed.kernel.send(octets)
            take()
        bed.run_deferred()
        assert bed.counters.sa(0).out_seq == bed.sa.sequence == 6


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0, 36, 37])), max_size=40),
    st.lists(st.sampled_from([0, 0, errno.EPERM, errno.ENOBUFS]), max_size=4),
)
@settings(deadline=None)
def test_packets_of_several_sas_that_go_the_same_way(work: list[tuple[bool, int]], plan: list[int]) -> None:
    """They leave together, each under its SA, and are counted there: also those that are not sent."""
    other = SPI + 1
    with DatapathBed(GCM, wrap=lambda sock: cast(socket.socket, FailingSocket(sock, plan))) as bed:
        ends = {"local_port": bed.port, "remote_port": bed.peer_port}
        bed.database.install_outbound(outbound(2, other, slot=1, **ends, **to("10.9.0.0/16")))
        bed.transport.sender = FailingSender(plan, [])
        for elsewhere, size in work:
            octets = Packet(Flow(protocol=UDP), bytes(size)).octets()
            if elsewhere:
                octets = octets[:16] + bytes([10, 9, 0, 1]) + octets[20:]
            bed.kernel.send(PLAIN + octets)
        bed.read_all()
        sent = bed.sent()
        for slot, spi, mine in ((0, SPI, False), (1, other, True)):
            numbers = [
                int.from_bytes(one[4:8], "big") for one in sent if int.from_bytes(one[:4], "big") == spi
            ]
            count = sum(elsewhere is mine for elsewhere, _ in work)
            counted = bed.counters.sa(slot)
            assert numbers == sorted(set(numbers))
            assert counted.out_packets == len(numbers)
            assert counted.out_packets + sum(counted.drops.values()) == counted.out_seq == count


class FailingSocket:
    """A socket whose sends fail as planned. What was tried is kept."""

    def __init__(self, sock: socket.socket, plan: list[int]) -> None:
        self._sock = sock
        self._plan = plan
        self.tried: list[bytes] = []
        self.sends = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)

    def _fail(self) -> None:
        number = self._plan.pop() if self._plan else 0
        if number:
            raise OSError(number, os.strerror(number))

    def sendmsg(
        self,
        buffers: list[memoryview],
        ancillary: list[tuple[int, int, bytes]],
        flags: int,
        remote: tuple[str, int],
    ) -> int:
        segment = next((int.from_bytes(data, "little") for level, kind, data in ancillary if kind == 103), 0)
        data = b"".join(buffers)
        self.sends += 1
        self.tried += [
            data[at : at + (segment or len(data))] for at in range(0, len(data), segment or len(data))
        ]
        self._fail()
        return self._sock.sendmsg(buffers, ancillary, flags, remote)

    def sendto(self, data: memoryview, remote: tuple[str, int]) -> int:
        self.tried.append(bytes(data))
        self._fail()
        return self._sock.sendto(data, remote)


def failing(plan: list[int]) -> tuple[Wrap, list[FailingSocket]]:
    """The `wrap` of a bed, and where its socket is found then."""
    kept: list[FailingSocket] = []

    def wrap(sock: socket.socket) -> socket.socket:
        kept.append(FailingSocket(sock, plan))
        return cast(socket.socket, kept[0])

    return wrap, kept


class FailingSender(Sender):
    """Sends of many at once that fail as planned."""

    def __init__(self, plan: list[int], tried: list[bytes]) -> None:
        super().__init__()
        self._plan = plan
        self._tried = tried

    def send(
        self,
        sock: socket.socket,
        vectors: IoVectors,
        remote: tuple[str, int],
        ancillary: list[tuple[int, int, bytes]],
    ) -> list[int]:
        results = []
        for address, length in zip(map(int, vectors.addresses), map(int, vectors.lengths), strict=True):
            self._tried.append(ctypes.string_at(address, length))
            number = self._plan.pop() if self._plan else 0
            one = IoVectors([address], [length])
            results += [number] if number else super().send(sock, one, remote, ancillary)
        return results


errors = st.sampled_from(
    [0, 0, 0, errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOBUFS, errno.EAGAIN, errno.EPERM]
)


@given(
    st.lists(st.one_of(small_frames, lone), max_size=8),
    st.lists(errors, max_size=40),
    st.lists(st.booleans(), max_size=10),
    st.integers(0, 60),
)
@settings(deadline=None)
def test_no_number_is_used_twice_whatever_fails(
    cases: list[tuple[Packet, int]], plan: list[int], faults: list[bool], left: int
) -> None:
    """Sends fail, segments are refused, the cutting itself breaks, the numbers run out."""
    wrap, kept = failing(plan)
    with DatapathBed(GCM, wrap=wrap) as bed:
        bed.transport.sender = FailingSender(plan, kept[0].tried)
        bed.sa.sequence = LIMIT[False] - left
        for packet, gso in cases:
            broken = faults.pop() if faults else False
            with pytest.MonkeyPatch.context() as patch:
                if broken:
                    patch.setattr("tun.gso.little_sums", _break)
                try:
                    bed.send([packet.frame(gso)])
                except KeyError:
                    assert broken
        assert_numbers_once(bed, kept[0])


def assert_numbers_once(bed: DatapathBed, sock: FailingSocket) -> None:
    """A packet may be tried again as it is; another one may not have its number. What was sent is counted."""
    seen: dict[bytes, bytes] = {}
    for datagram in sock.tried:
        assert seen.setdefault(datagram[4:16], datagram) == datagram
    sent = [bytes(datagram[4:16]) for datagram in bed.sent()]
    assert len(set(sent)) == len(sent) == bed.counters.sa(0).out_packets
    assert bed.sa.sequence <= LIMIT[False]


def _break(*_: object) -> None:
    raise KeyError("broken")


def test_refused_segments_are_told_once_and_nothing_is_lost() -> None:
    packet = Packet(Flow(), filled(5000, b"data"))
    wrap, _ = failing([errno.EIO])
    with DatapathBed(GCM, wrap=wrap) as bed:
        for _ in range(3):
            bed.send([packet.frame(1200)])
        assert opened(bed, bed.sent()) == plain((packet, 1200)) * 3
        assert len(bed.told) == 1
        assert bed.counters.sa(0).drops == {}


def test_a_size_that_a_path_refuses_is_remembered_for_it() -> None:
    large, little = (Packet(Flow(), filled(size, b"data")) for size in (5000, 900))
    wrap, _ = failing([errno.EMSGSIZE])
    with DatapathBed(GCM, wrap=wrap) as bed:
        bed.send([large.frame(1200), large.frame(1200), little.frame(300)])
        assert opened(bed, bed.sent()) == plain((large, 1200)) * 2 + plain((little, 300))
        assert len(bed.told) == 1


def test_the_numbers_run_out_in_the_middle_of_a_frame() -> None:
    packet = Packet(Flow(), filled(5000, b"data"))
    with DatapathBed(GCM) as bed:
        bed.sa.sequence = LIMIT[False] - 3
        bed.send([packet.frame(1000)] * 2)
        assert len(bed.sent()) == 3
        assert bed.counters.sa(0).drops == {Drop.EXHAUSTED.text: 7}


def test_marks_of_the_inner_header_are_on_the_outer_one() -> None:
    with DatapathBed(GCM) as bed:
        bed.peer.setsockopt(socket.IPPROTO_IP, 13, 1)
        for tos, gso, flow in ((0xB8, 1000, Flow(tos=0xB8)), (0x03, 0, Flow(version=6, tos=3))):
            bed.send([Packet(flow, bytes(3000 if gso else 30)).frame(gso)])
            for _ in range(3 if gso else 1):
                _, ancillary, _, _ = bed.peer.recvmsg(65536, 64)
                assert [data for _, kind, data in ancillary if kind == socket.IP_TOS] == [bytes([tos])]


def test_lone_packets_of_one_turn_have_marks_of_their_own() -> None:
    marks = [0xB8, 0xB8, 0, 0xB8]
    with DatapathBed(GCM) as bed:
        bed.peer.setsockopt(socket.IPPROTO_IP, 13, 1)
        for tos in marks:
            bed.kernel.send(Packet(Flow(tos=tos), bytes(30)).frame(0))
        bed.read_once()
        told = [bed.peer.recvmsg(65536, 64)[1] for _ in marks]
        assert [data for (_, _, data), *_ in told] == [bytes([tos]) for tos in marks]


def test_a_few_lone_packets_tell_that_numbers_get_scarce() -> None:
    with DatapathBed(GCM) as bed:
        bed.sa.sequence = bed.sa.low_from - 4
        for expected in ([], [SequenceLow(1)]):
            for _ in range(3):
                bed.kernel.send(Packet(Flow(), bytes(30)).frame(0))
            bed.read_once()
            assert bed.said == expected
        assert bed.counters.sa(0).out_seq == bed.sa.low_from + 2


def test_a_frame_without_an_sa_is_counted() -> None:
    with DatapathBed(GCM) as bed:
        bed.device.device_id = 7
        bed.send([Packet(Flow(), bytes(3000)).frame(1000), Packet(Flow(), b"x").frame(0), bytes(30)])
        assert bed.counters.drops() == {"no_sa": 4, "malformed": 1}


def test_an_sa_is_not_confused_by_the_one_before_it() -> None:
    """The lone packet of one SA lies behind that of another one in the arena, whose header is longer."""
    cbc = suite_for(AES_CBC, 128, HMAC_SHA2_256_128)
    sas = [OutboundSa(1, GCM, keys_for(GCM, 1), False), OutboundSa(2, cbc, keys_for(cbc, 2), False)]
    packet = Packet(Flow(), bytes(100)).octets()
    for sa in sas:
        arena = memoryview(bytearray(1000))
        arena[100 : 100 + len(packet)] = packet
        sealed = sa.seal_in_place(arena, 100, len(packet))
        assert sealed is not None
        other = OutboundSa(sa.spi, sa.suite, keys_for(sa.suite, sa.spi), False)
        if sa.suite is GCM:
            assert sealed == other.seal_batch([packet])[0]
        assert len(sealed) == len(other.seal_batch([packet])[0])


def test_tfc_padding_from_a_device_of_frames() -> None:
    """Frames and lone packets leave one by one then, each padded; `UpdatePath` says to what."""
    frame = Packet(Flow(), filled(5000, b"data"), flags=ACK | PSH)
    lone = Packet(Flow(protocol=UDP), bytes(36))
    with DatapathBed(GCM) as bed:
        bed.sa.set_tfc(1400)
        bed.send([lone.frame(0), frame.frame(1200), lone.frame(0)])
        found = bed.sent()
        assert {len(one) for one in found} == {bed.sa.esp_length(1400)}
        wanted = [lone.octets(), *plain((frame, 1200)), lone.octets()]
        assert opened(bed, found) == wanted
        sa = bed.counters.sa(0)
        assert (sa.out_packets, sa.out_bytes) == (len(wanted), sum(map(len, wanted)))
