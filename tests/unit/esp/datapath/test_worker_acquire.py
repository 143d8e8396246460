"""esp.datapath.worker: packets that need an SA wait for it, and control is asked for one."""

from __future__ import annotations

from esp.ipc.messages import Acquire, ActivateOutboundSa, NoSa, RemoveSaPair
from esp.net.sockets import open_udp
from esp.packet.headers import flow_of
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.inbound import InboundSa
from tests.unit.esp.bed import GCM, LOOPBACK, Bed, outbound, to
from tests.unit.esp.packets import ANY, ipv4, ipv6, keys_for
from tests.unit.esp.peer import Peer, paths, spi_of


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
        bed.tell(ActivateOutboundSa(1))
        sent = [peer.receive(), peer.receive()]
        receiver = InboundSa(0x1001, GCM, keys_for(GCM, 0x1001), False, 64, Policy(ANY, ANY))
        opened = receiver.open_batch([memoryview(bytearray(row)) for row in sent])
        assert opened.packets == [ipv4(payload=b"first"), ipv4(payload=b"second")]
        bed.tell(outbound(2, 0x1002, **{**where, **to("10.9.0.0/16")}))
        assert spi_of(peer.receive()) == 0x1002
        assert bed.counters.drops() == {}


def test_a_child_that_carries_a_part_traps_the_rest(bed: Bed, port: int, peer: Peer) -> None:
    """The device has no trap; packets wait while that SA is installed, and SAs are acquired again."""
    where = {**paths(port, peer), **to("10.2.0.0/24")}
    bed.tell(outbound(1, 0x1001, **where, trap=True))
    bed.sync()
    others = [ipv4(destination="10.3.0.1"), ipv4(destination="10.4.0.1")]
    for packet in others:
        bed.devices[1].send(packet)
        assert bed.hear(Acquire) == Acquire(1, flow_of(packet).selectors())
    bed.tell(outbound(2, 0x1002, **{**where, **to("10.3.0.0/24")}, trap=True))
    assert spi_of(peer.receive()) == 0x1002
    assert bed.hear(Acquire) == Acquire(1, flow_of(others[1]).selectors()), "it still waits"
    bed.tell(RemoveSaPair(1))
    bed.tell(RemoveSaPair(2))
    bed.sync()
    bed.devices[1].send(others[0])
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 1})


def test_what_the_kernel_says_of_itself_asks_for_nothing(bed: Bed) -> None:
    bed.add_device(5, trap=True).send(ipv6(payload=bytes((143, 0, 0, 0)), next_header=58))
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 1})
    assert bed.hears_nothing(Acquire)
    assert bed.hears_nothing(NoSa)


def test_control_is_told_of_packets_without_an_sa(bed: Bed, port: int, peer: Peer) -> None:
    """Of each at first, then now and then; their number is not lost."""
    bed.tell(outbound(1, 0x1001, **paths(port, peer), **to("10.2.0.0/16")))
    bed.sync()
    packet = ipv4(destination="10.3.0.1")
    for _ in range(30):
        bed.devices[1].send(packet)
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 30})
    told, sent = [bed.hear(NoSa)], 30
    assert told == [NoSa(1, 1, flow_of(packet).selectors())]
    while sum(one.count for one in told) < sent:
        try:
            told.append(bed.hear(NoSa, 0.3))
        except AssertionError:  # the rest comes with a later one
            bed.devices[1].send(packet)
            sent += 1
    assert sum(one.count for one in told) == sent > len(told)
    assert bed.hears_nothing(Acquire)


def test_traffic_that_no_child_carries_keeps_none_from_being_acquired(bed: Bed) -> None:
    device = bed.add_device(5, trap=True)
    for _ in range(100):
        device.send(ipv4(destination="10.9.0.1"))
    bed.wait_for(lambda: bed.counters.drops() == {"queue_full": 36})
    while not bed.hears_nothing(Acquire):
        pass
    packet = ipv4(destination="10.2.0.1")
    device.send(packet)
    assert bed.hear(Acquire) == Acquire(5, flow_of(packet).selectors())


def test_acquires_for_ever_new_destinations_are_bounded(bed: Bed) -> None:
    device = bed.add_device(5, trap=True)
    for number in range(250):
        device.send(ipv4(destination=f"10.9.0.{number}"))
    bed.wait_for(lambda: bed.counters.drops() == {"queue_full": 186})
    told = 0
    while not bed.hears_nothing(Acquire):
        told += 1
    assert 32 <= told < 125


def test_acquire_and_the_queue_are_bounded(bed: Bed) -> None:
    device = bed.add_device(5, trap=True)
    for _ in range(100):
        device.send(ipv4())
    bed.wait_for(lambda: bed.counters.drops() == {"queue_full": 36})
    told = 0
    while not bed.hears_nothing(Acquire):
        told += 1
    assert 1 <= told <= 4
