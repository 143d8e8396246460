"""esp.worker: what comes in and goes out over loopback, and how it takes what control says."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from time import sleep

import pytest

from esp.inbound import InboundSa
from esp.messages import (
    Acquire,
    ActivateOutbound,
    AddDevice,
    AddSocket,
    Fault,
    ForwardEsp,
    InstallInbound,
    InstallOutbound,
    NotPermitted,
    PeerMoved,
    RemoveChild,
    RemoveDevice,
    RemoveOutbound,
    RemoveSocket,
    SocketKind,
    Stray,
    UnknownSpi,
    UpdatePath,
)
from esp.outbound import OutboundSa
from esp.packet import flow_of
from esp.policy import Policy
from esp.selectors import Selector
from esp.sockets import open_raw_group, open_udp
from esp.suites import AES_CBC, CHACHA20_POLY1305, HMAC_SHA2_256_128, Suite, suite_for
from tests.unit.esp.bed import GCM, LOOPBACK, QUIET, SECONDS, Bed, inbound, outbound, to
from tests.unit.esp.packets import ANY, ipv4, ipv6, keys_for

SUITES = [GCM, suite_for(CHACHA20_POLY1305, None, None), suite_for(AES_CBC, 128, HMAC_SHA2_256_128)]
PACKETS = [ipv4(payload=bytes(range(n))) for n in range(100)] + [ipv6(payload=bytes(1400))]


class Peer:
    """A UDP socket beside the worker, as its peer."""

    def __init__(self, worker_port: int) -> None:
        self.sock = open_udp(LOOPBACK, 0)
        self.sock.settimeout(SECONDS)
        self.port = int(self.sock.getsockname()[1])
        self._worker_port = worker_port

    def sa(self, spi: int, suite: Suite = GCM, used: int = 0) -> OutboundSa:
        return OutboundSa(spi, suite, keys_for(suite, spi), False, used)

    def send(self, *datagrams: bytes | memoryview) -> None:
        for datagram in datagrams:
            self.sock.sendto(datagram, ("127.0.0.1", self._worker_port))

    def receive(self) -> bytes:
        return self.sock.recv(65536)

    def receives_nothing(self) -> bool:
        self.sock.settimeout(QUIET)
        try:
            self.sock.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(SECONDS)
        return False


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one


@pytest.fixture
def port(bed: Bed) -> int:
    """The bed's worker has a UDP socket on this port, and device 1."""
    bed.add_device()
    return bed.add_socket(open_udp(LOOPBACK, 0))


@pytest.fixture
def peer(port: int) -> Iterator[Peer]:
    one = Peer(port)
    yield one
    one.sock.close()


def paths(port: int, peer: Peer) -> dict[str, object]:
    return {"local_port": port, "remote_port": peer.port}


# Two workers


def connect(one: Bed, other: Bed, address: tuple[str, str], kind: SocketKind, suite: Suite) -> None:
    """Two workers with an SA each way, each with one device."""
    local, remote = (IPv6Address(a) if ":" in a else IPv4Address(a) for a in address)
    port_one, port_other = one.sockets[0].getsockname()[1], other.sockets[0].getsockname()[1]
    if kind is SocketKind.RAW:
        port_one = port_other = 0
    there = {"local_address": local, "local_port": port_one, "remote_address": remote}
    there |= {"remote_port": port_other, "encap": kind is SocketKind.UDP, "suite": suite}
    back = {"local_address": remote, "local_port": port_other, "remote_address": local}
    back |= {"remote_port": port_one, "encap": kind is SocketKind.UDP, "suite": suite}
    other.tell(inbound(1, 0x1001, **back))
    other.settle()
    one.tell(inbound(1, 0x2000, **there))
    one.settle()
    one.tell(outbound(1, 0x1001, **there))
    other.tell(outbound(1, 0x2000, **back))


def carry(source: Bed, destination: Bed) -> None:
    for packet in PACKETS:
        source.devices[1].send(packet)
    assert [destination.devices[1].recv(65536) for _ in PACKETS] == PACKETS


def check_counters(source: Bed, destination: Bed) -> None:
    octets = sum(map(len, PACKETS))
    source.wait_for(lambda: source.sa().out_packets == len(PACKETS))
    out = source.sa()
    assert (out.out_packets, out.out_bytes, out.out_seq) == (len(PACKETS), octets, len(PACKETS))
    destination.wait_for(lambda: destination.sa().in_packets == len(PACKETS))
    assert destination.sa().in_bytes == octets
    assert destination.sa().in_last > 0
    assert source.sa().drops == destination.sa().drops == {}


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("address", [("127.0.0.1", "127.0.0.2"), ("::1", "::1")])
def test_two_workers_in_udp(address: tuple[str, str], suite: Suite) -> None:
    with Bed() as one, Bed(slot=1, workers=2) as other:
        for bed, text in zip((one, other), address, strict=True):
            ip = IPv6Address(text) if ":" in text else IPv4Address(text)
            bed.add_socket(open_udp(ip, 0), ip)
            bed.add_device()
        connect(one, other, address, SocketKind.UDP, suite)
        carry(one, other)
        carry(other, one)
        check_counters(one, other)
        check_counters(other, one)


@pytest.mark.root
@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("address", [("127.7.0.1", "127.7.0.2"), ("::1", "::1")])
def test_two_workers_in_protocol_50(address: tuple[str, str], suite: Suite) -> None:
    """On ::1 both workers' sockets see every packet: the filters keep the other one's away."""
    with Bed(slot=0, workers=2) as one, Bed(slot=1, workers=2) as other:
        for slot, (bed, text) in enumerate(zip((one, other), address, strict=True)):
            ip = IPv6Address(text) if ":" in text else IPv4Address(text)
            group = open_raw_group(ip, 2)
            bed.add_socket(group[slot], ip, SocketKind.RAW)
            group[1 - slot].close()
            bed.add_device()
        connect(one, other, address, SocketKind.RAW, suite)
        carry(one, other)
        carry(other, one)
        check_counters(one, other)
        assert one.counters.drops() == other.counters.drops() == {}


@pytest.mark.parametrize("anywhere", [IPv4Address("0.0.0.0"), IPv6Address("::")])
def test_a_socket_for_all_addresses(anywhere: IPv4Address | IPv6Address) -> None:
    """It sends from the SA's local address and says where a stray came in."""
    local = IPv4Address("127.0.0.5") if anywhere.version == 4 else IPv6Address("::1")
    family = socket.AF_INET if anywhere.version == 4 else socket.AF_INET6
    with Bed() as bed, socket.socket(family, socket.SOCK_DGRAM) as peer:
        port = bed.add_socket(open_udp(anywhere, 0), anywhere)
        device = bed.add_device()
        peer.bind(("127.0.0.1" if anywhere.version == 4 else "::1", 0))
        peer.settimeout(SECONDS)
        peer_address = LOOPBACK if anywhere.version == 4 else IPv6Address("::1")
        ends = {"local_address": local, "local_port": port, "remote_address": peer_address}
        bed.tell(outbound(1, 0x1001, remote_port=peer.getsockname()[1], **ends))
        bed.settle()
        device.send(ipv4())
        assert peer.recvfrom(65536)[1][:2] == (str(local), port)
        peer.sendto(bytes(4) + b"IKE message", (str(local), port))
        stray = bed.hear(Stray)
        assert (stray.local_address, stray.data) == (local, b"IKE message")


# Packets that are not for an SA


def test_ike_goes_to_control(bed: Bed, port: int, peer: Peer) -> None:
    peer.send(bytes(4) + b"an IKE message")
    assert bed.hear(Stray) == Stray(LOOPBACK, port, LOOPBACK, peer.port, b"an IKE message")


def test_unknown_spi_is_told_but_not_too_often(bed: Bed, port: int, peer: Peer) -> None:
    for _ in range(100):
        peer.send(bytes((0, 0, 1, 2)) + bytes(60))
    bed.wait_for(lambda: bed.counters.drops() == {"unknown_spi": 100})
    assert bed.hear(UnknownSpi) == UnknownSpi(0x102, LOOPBACK, port, LOOPBACK, peer.port)
    told = 1
    while not bed.hears_nothing(UnknownSpi):
        told += 1
    assert told < 30


def test_keepalives_and_junk(bed: Bed, peer: Peer) -> None:
    peer.send(b"\xff", b"\xff", b"", b"\x00", b"\x00\x00\x01\x00\x00\x00\x00")
    bed.wait_for(lambda: bed.counters.drops() == {"keepalive": 2, "malformed": 3})


def test_foreign_spi_goes_to_its_worker() -> None:
    """Slot 1 gets what belongs to slot 0; control takes it there."""
    with Bed(slot=0, workers=2) as right, Bed(slot=1, workers=2) as wrong:
        device = right.add_device()
        port = wrong.add_socket(open_udp(LOOPBACK, 0))
        right.tell(inbound(1, 0x1000, local_port=port))
        peer = Peer(port)
        with peer.sock:
            peer.send(*peer.sa(0x1000).seal_batch([ipv4()]))
            forward = wrong.hear(ForwardEsp)
            assert (forward.local_port, forward.remote_port) == (port, peer.port)
            right.tell(forward)
            assert device.recv(65536) == ipv4()


def test_forwarded_nonsense_goes_nowhere(bed: Bed, port: int) -> None:
    for data in (b"", bytes(7), bytes(8), b"\0\0\1\1" + bytes(60)):
        bed.tell(ForwardEsp(True, LOOPBACK, port, LOOPBACK, 1, data))
    bed.settle()
    assert bed.counters.drops() == {"malformed": 2, "unknown_spi": 2}
    assert bed.hears_nothing(ForwardEsp)


# Packets under an SA


def test_drops_are_counted_under_their_reason(bed: Bed, port: int, peer: Peer) -> None:
    selectors = {"ts_local": (Selector.of("10.2.0.0/16"),), "ts_remote": (Selector.of("10.1.0.0/16"),)}
    bed.tell(inbound(1, 0x1001, **paths(port, peer), **selectors))
    sa = peer.sa(0x1001)
    good, foreign, forged = (bytes(row) for row in sa.seal_batch([ipv4(), ipv4("10.9.0.1"), ipv4()]))
    peer.send(good, good, foreign, forged[:-1] + bytes([forged[-1] ^ 1]), good[:20])
    drops = {"replay": 1, "selectors": 1, "integrity": 1, "malformed": 1}
    bed.wait_for(lambda: bed.sa().drops == drops)
    bed.wait_for(lambda: bed.sa().in_packets == 1)
    assert bed.devices[1].recv(65536) == ipv4()


def test_a_full_device_is_counted(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(inbound(1, 0x1001, **paths(port, peer)))
    sa = peer.sa(0x1001)
    for _ in range(20):  # more than a socket pair holds
        already = bed.sa().in_packets
        peer.send(*sa.seal_batch([ipv4(payload=bytes(1000))] * 50))
        bed.wait_for(partial(taken_in, bed, already + 50))
    assert bed.sa().drops["device"] > 0
    assert bed.sa().in_packets == 1000


def taken_in(bed: Bed, packets: int) -> bool:
    return bed.sa().in_packets >= packets


def test_install_overtaken_by_its_first_packet(bed: Bed, port: int, peer: Peer) -> None:
    """Control installs, then answers; the peer's packet must not be faster than the installation."""
    for round_number in range(50):
        spi = 0x1000 + round_number
        bed.tell(inbound(round_number, spi, **paths(port, peer)))
        peer.send(*peer.sa(spi).seal_batch([ipv4()]))
        assert bed.devices[1].recv(65536) == ipv4()
    assert bed.counters.drops() == {}


def test_peer_moved_is_told_for_fresh_packets_only(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(inbound(7, 0x1001, **paths(port, peer)))
    late, first, second, third = (bytes(row) for row in peer.sa(0x1001).seal_batch([ipv4()] * 4))
    peer.send(first)
    bed.devices[1].recv(65536)
    other = Peer(port)
    with other.sock:
        other.send(first)  # a replay
        other.send(second[:-1] + b"\0")  # forged
        other.send(late)  # valid, but older than what came from the known address
        assert bed.devices[1].recv(65536) == ipv4()
        assert bed.hears_nothing(PeerMoved)
        other.send(second)
        assert bed.hear(PeerMoved) == PeerMoved(7, LOOPBACK, other.port)
        other.send(third)
        assert bed.hears_nothing(PeerMoved)  # not twice in a second
        bed.wait_for(lambda: bed.sa().in_packets == 4)


def test_what_the_selectors_refuse_is_told_now_and_then(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(inbound(7, 0x2001, ts_local=(Selector.of("10.2.0.0/24"),), local_port=port))
    bed.settle()
    outside = ipv4(destination="10.9.0.1", payload=bytes(1000))
    peer.send(*peer.sa(0x2001).seal_batch([ipv4(), outside, outside]))
    told = bed.hear(NotPermitted)
    assert (told.child_id, told.start) == (7, outside[:64])
    assert bed.hears_nothing(NotPermitted)
    assert bed.sa().drops == {"selectors": 2}


def test_packets_go_where_update_path_says(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, local_port=port, remote_port=9))
    bed.tell(UpdatePath(1, True, LOOPBACK, port, LOOPBACK, peer.port))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert peer.receive()[:4] == b"\x00\x00\x10\x01"


def test_tfc_padding_is_changed_with_the_path(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer), tfc_padding=1000))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert len(peer.receive()) == 8 + 8 + 1000 + 4 + 16
    bed.tell(UpdatePath(1, True, LOOPBACK, port, LOOPBACK, peer.port, 500))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert len(peer.receive()) == 8 + 8 + 500 + 2 + 2 + 16


# Outbound choice


def spi_of(datagram: bytes) -> int:
    return int.from_bytes(datagram[:4], "big")


def test_narrowest_then_newest(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where, **to("10.2.0.0/24")))
    bed.tell(outbound(2, 0x1002, **where, **to("10.2.0.0/16")))
    bed.settle()
    sent = {"10.2.0.9": 0x1001, "10.2.9.9": 0x1002}
    for destination, spi in sent.items():
        bed.devices[1].send(ipv4(destination=destination))
        assert spi_of(peer.receive()) == spi
    bed.tell(outbound(3, 0x1003, **where, **to("10.2.0.0/24")))
    bed.settle()
    bed.devices[1].send(ipv4(destination="10.2.0.9"))
    assert spi_of(peer.receive()) == 0x1003
    bed.tell(RemoveOutbound(3))
    bed.settle()
    bed.devices[1].send(ipv4(destination="10.2.0.9"))
    assert spi_of(peer.receive()) == 0x1001


def test_no_sa_is_counted(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer), **to("10.2.0.0/16")))
    bed.settle()
    bed.devices[1].send(ipv4(destination="10.3.0.1"))
    bed.devices[1].send(ipv6())
    bed.devices[1].send(b"\x00not IP")
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 2, "malformed": 1})
    assert bed.hears_nothing(Acquire)


def test_standby_until_activated(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(outbound(2, 0x1002, **where, standby=True))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    bed.tell(ActivateOutbound(2))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1002


def test_standby_until_the_first_valid_packet(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(inbound(2, 0x2002, **where))
    bed.tell(outbound(2, 0x1002, **where, standby=True))
    bed.settle()
    row = bytes(peer.sa(0x2002).seal_batch([ipv4()])[0])
    peer.send(row[:-1] + bytes([row[-1] ^ 1]))
    bed.wait_for(lambda: bed.sa().drops == {"integrity": 1})
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    peer.send(row)
    bed.devices[1].recv(65536)
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1002


@pytest.mark.parametrize("remove", [RemoveOutbound, RemoveChild])
def test_standby_takes_over_when_the_last_active_one_goes(
    bed: Bed, port: int, peer: Peer, remove: type[RemoveOutbound | RemoveChild]
) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(outbound(2, 0x1002, **where, standby=True))
    bed.tell(remove(1))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1002


def test_removed_child_is_gone_in_both_directions(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(inbound(1, 0x2001, **where))
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(RemoveChild(1))
    bed.settle()
    bed.devices[1].send(ipv4())
    peer.send(*peer.sa(0x2001).seal_batch([ipv4()]))
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 1, "unknown_spi": 1})


def test_remove_outbound_leaves_inbound(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(inbound(1, 0x2001, **where))
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(RemoveOutbound(1))
    bed.settle()
    peer.send(*peer.sa(0x2001).seal_batch([ipv4()]))
    assert bed.devices[1].recv(65536) == ipv4()


# Trap


def test_a_trapped_packet_is_not_lost(bed: Bed) -> None:
    port = bed.add_socket(open_udp(LOOPBACK, 0))
    device = bed.add_device(5, trap=True)
    peer = Peer(port)
    with peer.sock:
        device.send(ipv4(payload=b"first"))
        assert bed.hear(Acquire) == Acquire(
            5, (Selector.of("10.1.0.1/32", 253), Selector.of("10.2.0.1/32", 253))
        )
        device.send(ipv4(destination="10.9.0.1"))
        device.send(ipv4(payload=b"second"))
        bed.hear(Acquire)
        where = {"device_id": 5, **paths(port, peer), **to("10.2.0.0/16")}
        bed.tell(outbound(1, 0x1001, **where, standby=True))
        assert peer.receives_nothing()
        bed.tell(ActivateOutbound(1))
        sent = [peer.receive(), peer.receive()]
        receiver = InboundSa(0x1001, GCM, keys_for(GCM, 0x1001), False, 64, Policy(ANY, ANY))
        opened = receiver.open_batch([memoryview(bytearray(row)) for row in sent])
        assert opened.packets == [ipv4(payload=b"first"), ipv4(payload=b"second")]
        bed.tell(outbound(2, 0x1002, **{**where, **to("10.9.0.0/16")}))
        assert spi_of(peer.receive()) == 0x1002
        assert bed.counters.drops() == {}


def test_a_child_that_carries_a_part_traps_the_rest(bed: Bed, port: int, peer: Peer) -> None:
    """The device is no trap; packets wait as long as that child is there, and are asked for again."""
    where = {**paths(port, peer), **to("10.2.0.0/24")}
    bed.tell(outbound(1, 0x1001, **where, trap=True))
    bed.settle()
    others = [ipv4(destination="10.3.0.1"), ipv4(destination="10.4.0.1")]
    for packet in others:
        bed.devices[1].send(packet)
        assert bed.hear(Acquire) == Acquire(1, flow_of(packet).selectors())
    bed.tell(outbound(2, 0x1002, **{**where, **to("10.3.0.0/24")}, trap=True))
    assert spi_of(peer.receive()) == 0x1002
    assert bed.hear(Acquire) == Acquire(1, flow_of(others[1]).selectors()), "it still waits"
    bed.tell(RemoveChild(1))
    bed.tell(RemoveChild(2))
    bed.settle()
    bed.devices[1].send(others[0])
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 1})


def test_what_the_kernel_says_of_itself_asks_for_nothing(bed: Bed) -> None:
    bed.add_device(5, trap=True).send(ipv6(payload=bytes((143, 0, 0, 0)), next_header=58))
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 1})
    assert bed.hears_nothing(Acquire)


def test_acquire_and_the_queue_are_bounded(bed: Bed) -> None:
    device = bed.add_device(5, trap=True)
    for _ in range(100):
        device.send(ipv4())
    bed.wait_for(lambda: bed.counters.drops() == {"queue_full": 36})
    told = 0
    while not bed.hears_nothing(Acquire):
        told += 1
    assert 1 <= told <= 4


# Sending


def test_no_socket_for_the_local_address(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, local_address=IPv4Address("127.0.0.9"), local_port=port))
    bed.settle()
    bed.devices[1].send(ipv4())
    bed.wait_for(lambda: bed.sa().drops == {"no_socket": 1})
    assert bed.sa().out_packets == 0


def test_send_errors_are_counted_and_survived(bed: Bed, port: int, peer: Peer) -> None:
    """A socket bound to loopback can't send elsewhere; 0.0.0.1 is nowhere; 65,535 octets don't fit UDP."""
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    bed.tell(
        outbound(
            2, 0x1002, slot=1, local_port=port, remote_address=IPv4Address("192.0.2.1"), **to("10.3.0.0/16")
        )
    )
    bed.settle()
    bed.devices[1].send(ipv4(payload=bytes(65490)))
    bed.wait_for(lambda: bed.sa().drops == {"too_big": 1})
    bed.devices[1].send(ipv4(destination="10.3.0.1"))
    bed.wait_for(lambda: sum(bed.sa(1).drops.values()) == 1)
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    bed.wait_for(lambda: bed.sa().out_packets == 1)
    assert bed.sa().out_seq == 2


# What control says


def test_messages_that_cannot_be_obeyed(bed: Bed, port: int) -> None:
    bad: dict[str, InstallInbound | InstallOutbound] = {
        "device 77": inbound(1, 0x1001, device_id=77),
        "counters 99": outbound(2, 0x1001, slot=99),
        "octets of keys": inbound(3, 0x1001, keys=b"short"),
        "no SPI": outbound(4, 0),
        "replay window": inbound(5, 0x1001, replay_window=5000),
        "different versions": inbound(6, 0x1001, remote_address=IPv6Address("::1")),
        "a port above": outbound(7, 0x1001, remote_port=70000),
    }
    for text, message in bad.items():
        bed.tell(message)
        fault = bed.hear(Fault)
        assert text in fault.text
        assert fault.child_id == message.child_id
        assert repr(message.keys) not in fault.text


def test_spi_of_another_worker_or_in_use() -> None:
    with Bed(slot=1, workers=2) as bed:
        bed.add_device()
        bed.tell(inbound(1, 0x1000))
        assert "another worker" in bed.hear(Fault).text
        bed.tell(inbound(1, 0x1001))
        bed.tell(inbound(2, 0x1001))
        assert bed.hear(Fault).child_id == 2
        bed.tell(inbound(1, 0x1003))
        assert bed.hear(Fault).child_id == 1


def test_an_outbound_sa_is_never_installed_again(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(RemoveChild(1))
    bed.tell(outbound(1, 0x1002, **where))
    assert "installed before" in bed.hear(Fault).text
    same_keys = replace(outbound(2, 0x1003, **where), keys=keys_for(GCM, 0x1001))
    bed.tell(same_keys)
    assert bed.hear(Fault).child_id == 2
    bed.tell(outbound(3, 0x1004, **where))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1004


def test_malformed_messages_are_answered_and_survived(bed: Bed) -> None:
    for data in (b"\xff", b"\x02", b"\x02" + bytes(7), b"\x02" + bytes(9), b"\x00"):
        bed.control.send(data)
        assert bed.hear(Fault).child_id == 0
    bed.settle()


def test_counters_start_at_zero_for_a_new_child(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.settle()
    bed.devices[1].send(ipv4())
    peer.receive()
    bed.wait_for(lambda: bed.sa().out_packets == 1)
    bed.tell(inbound(1, 0x2001, **where))
    bed.settle()
    assert bed.sa().out_packets == 1
    bed.tell(RemoveChild(1))
    bed.tell(inbound(2, 0x2002, **where))
    bed.settle()
    assert bed.sa().out_packets == 0


def test_remove_device_forgets_its_sas(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(inbound(1, 0x2001, **paths(port, peer)))
    bed.tell(RemoveDevice(1))
    bed.settle()
    assert bed.devices[1].recv(10) == b""  # its descriptor is closed
    peer.send(*peer.sa(0x2001).seal_batch([ipv4()]))
    bed.wait_for(lambda: bed.counters.drops() == {"unknown_spi": 1})
    bed.add_device()
    bed.tell(inbound(2, 0x2002, **paths(port, peer)))
    peer.send(*peer.sa(0x2002).seal_batch([ipv4()]))
    assert bed.devices[1].recv(65536) == ipv4()


def test_a_broken_device_is_told_once_and_costs_no_cpu(bed: Bed, port: int) -> None:
    bed.devices[1].close()
    fault = bed.hear(Fault)
    assert "vti1" in fault.text
    before = resource.getrusage(resource.RUSAGE_SELF)
    sleep(0.3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.15
    assert bed.hears_nothing(Fault)


def test_devices_get_their_mss_and_one_id_is_one_device(bed: Bed) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        bed.tell(AddDevice(3, "vti3", False, 1300, 1280), theirs.fileno())
        bed.tell(AddDevice(3, "vti3", False, 1300, 1280), theirs.fileno())
        assert "device 3 is here already" in bed.hear(Fault).text
    assert bed.wrapped == [(1300, 1280)]


def test_sockets_that_are_none(bed: Bed) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        bed.tell(AddSocket(0, 4, SocketKind.UDP, LOOPBACK, 4500), theirs.fileno())
        assert "not a socket for UDP and IPv4" in bed.hear(Fault).text
    with open("/dev/null", "rb") as file:  # noqa: PTH123
        bed.tell(AddSocket(0, 4, SocketKind.UDP, LOOPBACK, 4500), file.fileno())
        bed.hear(Fault)
    with open_udp(LOOPBACK, 0) as sock:
        bed.tell(AddSocket(0, 6, SocketKind.UDP, LOOPBACK, 4500), sock.fileno())
        bed.hear(Fault)


def test_a_socket_is_replaced(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    with open_udp(LOOPBACK, 0) as fresh:
        new_port = fresh.getsockname()[1]
        bed.tell(AddSocket(0, 4, SocketKind.UDP, LOOPBACK, new_port), fresh.fileno())
    bed.tell(UpdatePath(1, True, LOOPBACK, new_port, LOOPBACK, peer.port))
    bed.settle()
    bed.devices[1].send(ipv4())
    assert peer.sock.recvfrom(65536)[1][1] == new_port


def test_a_socket_is_closed(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    bed.tell(RemoveSocket(0))
    bed.tell(RemoveSocket(77))
    bed.settle()
    bed.sockets.pop().close()  # ours was the last one but the worker's
    bed.wait_for(partial(is_free, port))
    bed.devices[1].send(ipv4())
    bed.wait_for(lambda: bed.sa().drops == {"no_socket": 1})


def is_free(port: int) -> bool:
    try:
        open_udp(LOOPBACK, port).close()
    except OSError:
        return False
    return True


def test_an_idle_worker_sleeps(bed: Bed, port: int) -> None:
    bed.add_device(9, trap=True).send(ipv4())
    bed.hear(Acquire)
    before = resource.getrusage(resource.RUSAGE_SELF)
    sleep(0.3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_nvcsw - before.ru_nvcsw < 50


def test_control_that_does_not_read_does_not_stop_packets(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    bed.settle()
    for _ in range(300):
        peer.send(bytes(4) + bytes(20000))
        sleep(0.001)
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    bed.hear(Stray)
    bed.settle()


def test_raw_socket_is_no_udp_socket(bed: Bed) -> None:
    with open_udp(LOOPBACK, 0) as sock:
        bed.tell(AddSocket(0, 4, SocketKind.RAW, LOOPBACK, 0), sock.fileno())
        assert "RAW" in bed.hear(Fault).text
