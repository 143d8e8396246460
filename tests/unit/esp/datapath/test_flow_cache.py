"""The single-packet fast path does what the full path does, also right after any change."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from esp.datapath.flow_cache import MAX_FLOWS
from esp.ipc.messages import UpdateSaPath
from esp.packet import ecn
from esp.packet.selectors import Selector
from esp.sa.outbound import OutboundSa
from tests.property.datapath_bed import SPI, DatapathBed
from tests.unit.esp.bed import DEVICE, GCM, LOOPBACK, inbound, outbound
from tests.unit.esp.packets import ipv4, ipv6, keys_for
from tests.unit.tun.plain import UDP, Flow, Packet
from tun.virtio import PLAIN

NEW = 0x1002


@pytest.fixture
def bed() -> Iterator[DatapathBed]:
    """A worker whose flow cache has `ipv4()` and `ipv6()`, egress and ingress."""
    with DatapathBed(GCM) as one:
        one.alone = True
        sender = one.sender()
        for packet in (ipv4(), ipv6()):
            one.send([PLAIN + packet])
            one.arrive(sender.seal_batch([packet]))
            assert one.delivered() == [packet]
        assert spis(one) == [SPI, SPI]
        yield one


def spis(bed: DatapathBed) -> list[int]:
    return [int.from_bytes(each[:4], "big") for each in bed.sent()]


def ends(bed: DatapathBed) -> dict[str, object]:
    return {"local_port": bed.port, "remote_port": bed.peer_port}


def marked(tos: int) -> bytes:
    return ipv4()[:1] + bytes([tos]) + ipv4()[2:]


def path(bed: DatapathBed, remote_port: int | None = None, tfc_padding: int = 0) -> UpdateSaPath:
    port = bed.peer_port if remote_port is None else remote_port
    return UpdateSaPath(1, True, LOOPBACK, bed.port, LOOPBACK, port, tfc_padding)


def _newer(bed: DatapathBed) -> None:
    bed.database.install_outbound(outbound(2, NEW, **ends(bed)))


def _narrower(bed: DatapathBed) -> None:
    networks = (Selector.of("10.2.0.0/16"), Selector.of("2001:db8:2::/64"))
    bed.database.install_outbound(outbound(2, NEW, ts_remote=networks, **ends(bed)))


def _standby_is_next(bed: DatapathBed) -> None:
    bed.database.install_outbound(outbound(2, NEW, standby=True, **ends(bed)))
    bed.send([PLAIN + ipv4()])
    assert spis(bed) == [SPI]
    bed.database.remove_pair(1)


def _standby_is_needed(bed: DatapathBed) -> None:
    bed.database.install_outbound(outbound(2, NEW, standby=True, **ends(bed)))
    bed.send([PLAIN + ipv4()])
    assert spis(bed) == [SPI]
    bed.database.activate(2)


@pytest.mark.parametrize("change", [_newer, _narrower, _standby_is_next, _standby_is_needed])
@pytest.mark.parametrize("packet", [ipv4(), ipv6()], ids=["IPv4", "IPv6"])
def test_another_sa(bed: DatapathBed, change: Callable[[DatapathBed], None], packet: bytes) -> None:
    change(bed)
    bed.send([PLAIN + packet] * 2)
    assert spis(bed) == [NEW, NEW]


@pytest.mark.parametrize("packet", [ipv4(), ipv6()], ids=["IPv4", "IPv6"])
def test_no_outbound_sa(bed: DatapathBed, packet: bytes) -> None:
    bed.database.remove_outbound(1)
    bed.send([PLAIN + packet])
    assert bed.sent() == []
    assert bed.counters.drops() == {"no_sa": 1}
    bed.arrive(OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 10).seal_batch([packet]))
    assert bed.delivered() == [packet]
    bed.database.remove_pair(1)
    bed.arrive(OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 11).seal_batch([packet]))
    assert bed.delivered() == []


@pytest.mark.parametrize("packet", [ipv4(), ipv6()], ids=["IPv4", "IPv6"])
def test_no_sa(bed: DatapathBed, packet: bytes) -> None:
    bed.database.remove_pair(1)
    bed.send([PLAIN + packet])
    bed.arrive(OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 10).seal_batch([packet]))
    assert (bed.sent(), bed.delivered()) == ([], [])
    assert bed.counters.drops() == {"no_sa": 1, "unknown_spi": 1}


def test_no_device(bed: DatapathBed) -> None:
    """Its SAs have gone with it, and the next one of that number begins anew."""
    bed.database.remove_device(DEVICE)
    bed.send([PLAIN + ipv4()])
    bed.arrive(OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 10).seal_batch([ipv4()]))
    assert (bed.sent(), bed.delivered()) == ([], [])
    bed.database.install_outbound(outbound(2, NEW, **ends(bed)))
    take = bed.egress.single_packet_reader(bed.device)
    for _ in range(2):
        bed.kernel.send(PLAIN + ipv4())
        assert take() == 1
    assert spis(bed) == [NEW, NEW]


def test_another_path(bed: DatapathBed) -> None:
    bed.database.update_path(path(bed, remote_port=bed.port))  # to our own socket, where nobody reads it here
    bed.send([PLAIN + ipv4()])
    assert bed.sent() == []
    assert bed.counters.sa(0).out_packets == 3


def test_tfc_padding_from_now_on(bed: DatapathBed) -> None:
    bed.database.update_path(path(bed, tfc_padding=1000))
    bed.send([PLAIN + ipv4()])
    assert [len(each) for each in bed.sent()] == [bed.sa.esp_length(1000)]


def test_no_socket(bed: DatapathBed) -> None:
    bed.egress.set_transports([])
    bed.send([PLAIN + ipv4()])
    assert bed.sent() == []
    assert bed.counters.sa(0).drops == {"no_socket": 1}


def test_a_send_that_fails_is_counted(bed: DatapathBed) -> None:
    bed.database.update_path(path(bed, remote_port=0))
    for _ in range(2):
        bed.send([PLAIN + ipv4()])
    assert bed.counters.sa(0).out_packets == 2
    assert sum(bed.counters.sa(0).drops.values()) == 2
    assert bed.counters.sa(0).out_seq == bed.sa.sequence == 4


def test_selectors_with_ports() -> None:
    """The addresses do not tell which SA it is."""
    with DatapathBed(GCM) as bed:
        bed.alone = True
        odd = (Selector.of("0.0.0.0/0", protocol=17, first_port=7, last_port=7),)
        bed.database.install_outbound(outbound(2, NEW, ts_remote=odd, **ends(bed)))
        for port in (7, 8, 7, 8):
            bed.send([Packet(Flow(protocol=UDP, ports=(5, port)), b"x").frame(0)])
        assert spis(bed) == [NEW, SPI, NEW, SPI]


def test_marks_are_the_packets_own(bed: DatapathBed) -> None:
    """One fast path serves all packets of two addresses, of any TOS octet (RFC 4301 5.1.2.1)."""
    bed.peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    for tos in (0, 0x28, 0, 0x2A):
        bed.send([PLAIN + marked(tos)])
        _, ancillary, _, _ = bed.peer.recvmsg(1 << 16, 100)
        assert [data[0] for _, _, data in ancillary] == [tos]


def test_congestion_is_told_inside(bed: DatapathBed) -> None:
    """RFC 6040 4.2, however plain the packets before and behind are."""
    sender = OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 2)
    for outer in (0, ecn.CE, ecn.CE, 0):
        bed.peer.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, outer)
        bed.arrive(sender.seal_batch([marked(ecn.ECT0)]))
        assert [packet[1] for packet in bed.delivered()] == [outer or ecn.ECT0]


def test_trains_where_packets_came_alone(bed: DatapathBed) -> None:
    sender = OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 2)
    for count in (3, 3, 1, 7, 7, 1):
        bed.arrive(sender.seal_batch([ipv4()] * count))
        assert bed.delivered() == [ipv4()] * count


@pytest.mark.parametrize("length", range(8))
def test_a_short_datagram_behind_a_packet(bed: DatapathBed, length: int) -> None:
    """What is left of that in memory must not be taken for its SPI."""
    short = b"\xff" if length == 1 else SPI.to_bytes(4, "big")[:length].ljust(length, b"\0")
    bed.peer.sendto(short, ("127.0.0.1", bed.port))
    bed.ingress.single_packet_reader(bed.transport)()
    bed.run_deferred()
    assert bed.counters.drops() == ({"keepalive": 1} if length == 1 else {"malformed": 1})


@pytest.mark.parametrize("length", [0, 5, 10, 29])
def test_a_short_read_behind_a_packet(bed: DatapathBed, length: int) -> None:
    bed.send([(PLAIN + ipv4())[:length]])
    assert bed.sent() == []
    assert bed.counters.drops() == {"malformed": 1}


def test_not_too_many_are_known() -> None:
    with DatapathBed(GCM, slots=2) as bed:
        bed.alone = True
        for number in range(MAX_FLOWS + 10):
            bed.send([PLAIN + ipv4(destination=f"10.3.{number >> 8}.{number & 255}")])
            bed.sent()
        assert len(bed.database.flow_cache.egress(DEVICE)) == 10
        for number in range(MAX_FLOWS + 10):
            spi, keys = 0x10000 + number, number.to_bytes(GCM.key_length, "big")
            bed.database.install_inbound(inbound(10 + number, spi, keys=keys, **ends(bed)))
        for number in range(MAX_FLOWS + 10):
            spi, keys = 0x10000 + number, number.to_bytes(GCM.key_length, "big")
            bed.arrive(OutboundSa(spi, GCM, keys, False).seal_batch([ipv4()]))
            assert bed.delivered() == [ipv4()]
        assert len(bed.database.flow_cache.ingress) == 10


def test_a_forged_packet_is_counted_and_changes_nothing(bed: DatapathBed) -> None:
    forged = bytearray(OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 50).seal_batch([ipv4()])[0])
    forged[-1] ^= 1
    bed.arrive([bytes(forged)])
    assert bed.delivered() == []
    assert bed.counters.sa(0).drops == {"integrity": 1}
    bed.arrive(OutboundSa(SPI, GCM, keys_for(GCM, SPI), False, 2).seal_batch([ipv4()]))
    assert bed.delivered() == [ipv4()]


def test_no_more_than_the_selectors_permit() -> None:
    here = (Selector.of("10.2.0.0/16"),)
    with DatapathBed(GCM, selectors=here) as bed:
        bed.alone = True
        inside, outside = ipv4("10.2.0.1", "10.2.0.2"), ipv4("10.9.0.1", "10.2.0.2")
        sender = bed.sender()
        for packet in (inside, outside, inside, outside):
            bed.arrive(sender.seal_batch([packet]))
        assert bed.delivered() == [inside, inside]
        assert bed.counters.sa(0).drops == {"selectors": 2}
