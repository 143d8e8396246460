"""esp.datapath.worker: what comes in over its sockets, for an SA or for none."""

from __future__ import annotations

import socket
import time
from functools import partial

import pytest

from esp.ipc.messages import BusyChanged, ForwardEsp, ForwardIke, NotPermitted, PeerMoved, UnknownSpi
from esp.net.sockets import open_udp
from esp.packet import ecn
from esp.packet.selectors import Selector
from tests.unit.esp.bed import LOOPBACK, Bed, inbound
from tests.unit.esp.packets import ipv4
from tests.unit.esp.peer import Peer, paths


def test_ike_goes_to_control(bed: Bed, port: int, peer: Peer) -> None:
    peer.send(bytes(4) + b"an IKE message")
    assert bed.hear(ForwardIke) == ForwardIke(LOOPBACK, port, LOOPBACK, peer.port, b"an IKE message")


def test_unknown_spi_is_told_but_not_too_often(bed: Bed, port: int, peer: Peer) -> None:
    for _ in range(100):
        peer.send(bytes((0, 0, 1, 2)) + bytes(60))
    bed.wait_for(lambda: bed.counters.drops() == {"unknown_spi": 100})
    assert bed.hear(UnknownSpi) == UnknownSpi(0x102, LOOPBACK, port, LOOPBACK, peer.port)
    told = 1
    while not bed.hears_nothing(UnknownSpi):
        told += 1
    assert told < 30


def test_a_flood_of_strangers_does_not_make_a_worker_busy(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(inbound(1, 0x2002, **paths(port, peer)))
    bed.sync()
    sender = peer.sa(0x2002)
    for row in map(bytes, sender.seal_batch([ipv4()] * 100)):
        peer.send(row[:-1] + bytes([row[-1] ^ 1]), bytes((0, 0, 1, 2)) + bytes(60))
    bed.wait_for(lambda: bed.sa().drops == {"integrity": 100})
    assert bed.hears_nothing(BusyChanged)
    time.sleep(1.1)
    bed.make_busy(lambda: peer.send(*sender.seal_batch([ipv4()] * 100)))


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


def test_a_foreign_spi_takes_the_outer_ecn_field_to_its_worker() -> None:
    """RFC 6040 4.2 is done where the packet is opened."""
    capable = memoryview(bytearray(ipv4()))
    capable[1] = ecn.ECT0
    with Bed(slot=0, workers=2) as right, Bed(slot=1, workers=2) as wrong:
        device = right.add_device()
        port = wrong.add_socket(open_udp(LOOPBACK, 0))
        right.tell(inbound(1, 0x1000, local_port=port))
        peer = Peer(port)
        with peer.sock:
            peer.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28 | ecn.CE)
            peer.send(*peer.sa(0x1000).seal_batch([capable]))
            forward = wrong.hear(ForwardEsp)
            assert forward.tos == 0x28 | ecn.CE
            right.tell(forward)
            assert device.recv(65536)[1] == ecn.CE


def test_forwarded_nonsense_goes_nowhere(bed: Bed, port: int) -> None:
    for data in (b"", bytes(7), bytes(8), b"\0\0\1\1" + bytes(60)):
        bed.tell(ForwardEsp(True, 0, LOOPBACK, port, LOOPBACK, 1, data))
    bed.sync()
    assert bed.counters.drops() == {"malformed": 2, "unknown_spi": 2}
    assert bed.hears_nothing(ForwardEsp)


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


def test_what_came_in_elsewhere_is_a_replay(bed: Bed, port: int, peer: Peer) -> None:
    """One packet and many, all authentic, up to the right edge that the SA starts with."""
    bed.tell(inbound(1, 0x1001, **paths(port, peer), replay_top=100))
    rows = peer.sa(0x1001).seal_batch([ipv4()] * 102)
    peer.send(rows[99])
    bed.wait_for(lambda: bed.sa().drops == {"replay": 1})
    peer.send(*rows[:100])
    bed.wait_for(lambda: bed.sa().drops == {"replay": 101})
    peer.send(*rows[100:])
    bed.wait_for(lambda: bed.sa().in_packets == 2)
    peer.send(rows[101])
    bed.wait_for(lambda: bed.sa().drops == {"replay": 102})


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


@pytest.mark.parametrize("window", [0, 64])
def test_peer_moved_is_told_for_fresh_packets_only(bed: Bed, port: int, peer: Peer, window: int) -> None:
    """Also where replays are delivered: who has recorded a packet shall not lead the peer's away."""
    bed.tell(inbound(7, 0x1001, **paths(port, peer), replay_window=window))
    late, first, second, third = (bytes(row) for row in peer.sa(0x1001).seal_batch([ipv4()] * 4))
    peer.send(first)
    bed.devices[1].recv(65536)
    other = Peer(port)
    with other.sock:
        other.send(first)  # a replay
        other.send(second[:-1] + b"\0")  # forged
        other.send(late)  # valid, but older than what came from the known address
        for _ in range(1 if window else 2):
            assert bed.devices[1].recv(65536) == ipv4()
        assert bed.hears_nothing(PeerMoved)
        other.send(second)
        assert bed.hear(PeerMoved) == PeerMoved(7, LOOPBACK, other.port)
        other.send(third)
        assert bed.hears_nothing(PeerMoved)  # not twice in a second
        bed.wait_for(lambda: bed.sa().in_packets == (4 if window else 5))


def test_what_the_selectors_refuse_is_told_now_and_then(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(inbound(7, 0x2001, ts_local=(Selector.of("10.2.0.0/24"),), local_port=port))
    bed.sync()
    outside = ipv4(destination="10.9.0.1", payload=bytes(1000))
    peer.send(*peer.sa(0x2001).seal_batch([ipv4(), outside, outside]))
    told = bed.hear(NotPermitted)
    assert (told.child_id, told.start) == (7, outside[:64])
    assert bed.hears_nothing(NotPermitted)
    assert bed.sa().drops == {"selectors": 2}
