"""Our own ESP out of a device of ours: dropped and counted, however it is read; all else passes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from esp.datapath.loop_detection import LocalEndpoints
from esp.ipc.messages import Acquire, Looped
from esp.net.sockets import open_udp
from esp.packet.headers import address_key, flow_of
from tests.property.datapath_bed import SPI, DatapathBed
from tests.unit.esp.bed import DEVICE, GCM, LOOPBACK, Bed
from tests.unit.esp.packets import ICMP, TCP, UDP, ipv4, ipv6, ports
from tun.virtio import PLAIN

ESP = 50
OWN = "127.0.0.1"  # where the worker's sockets are


@pytest.fixture
def fast() -> Iterator[DatapathBed]:
    with DatapathBed(GCM) as one:
        yield one


def looping(bed: DatapathBed) -> list[bytes]:
    """ESP as it leaves: in UDP, and by itself."""
    return [
        ipv4(OWN, "10.2.0.1", ports(bed.port, 4500, 40), protocol=UDP),
        ipv4(OWN, "10.2.0.1", bytes(40), protocol=ESP),
    ]


def passing(bed: DatapathBed) -> list[bytes]:
    """Of the same size and between the same addresses, or with something else of it."""
    return [
        ipv4(OWN, "10.2.0.1", bytes(40), protocol=ICMP),
        ipv4(OWN, "10.2.0.1", ports(bed.port, 80, 40), protocol=TCP),
        ipv4(OWN, "10.2.0.1", ports(bed.port ^ 1, 4500, 40), protocol=UDP),
        ipv4("10.1.0.1", "10.2.0.1", ports(bed.port, 4500, 40), protocol=UDP),
        ipv4("10.1.0.1", "10.2.0.1", bytes(40), protocol=ESP),
    ]


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("count", [1, 2, 16])
def test_it_ends_here_however_many_come_and_whatever_came_before(
    fast: DatapathBed, alone: bool, count: int
) -> None:
    """What was found for other packets of the same addresses does not hold for it, nor the reverse."""
    fast.alone = alone
    for other in passing(fast):
        for packet in looping(fast):
            for sent in (other, packet, other):
                fast.send([PLAIN + sent] * count)
                assert [int.from_bytes(each[:4], "big") for each in fast.sent()] == (
                    [] if sent is packet else [SPI] * count
                )
    assert fast.counters.drops() == {"loop": count * len(passing(fast)) * len(looping(fast))}


def test_among_others_in_one_burst(fast: DatapathBed) -> None:
    packets = [packet for pair in zip(passing(fast), looping(fast) * 3, strict=False) for packet in pair]
    fast.send([PLAIN + packet for packet in packets * 4])
    assert len(fast.sent()) == 4 * len(passing(fast))
    assert fast.counters.drops() == {"loop": 4 * (len(packets) - len(passing(fast)))}


def test_control_is_told_now_and_then_and_asked_for_no_sa(bed: Bed) -> None:
    port = bed.add_socket(open_udp(LOOPBACK, 0))
    device = bed.add_device(5, trap=True)
    for _ in range(20):
        device.send(ipv4(OWN, "10.2.0.1", ports(port, 4500, 40), protocol=UDP))
    bed.wait_for(lambda: bed.counters.drops() == {"loop": 20})
    assert bed.hear(Looped) == Looped(5, ip_address("10.2.0.1"))
    assert bed.hears_nothing(Looped)
    assert bed.hears_nothing(Acquire)
    assert DEVICE != 5


def test_a_socket_that_is_gone_sends_nothing_any_more() -> None:
    ends = LocalEndpoints()
    packet = ipv4(OWN, "10.2.0.1", ports(4500, 4500, 40), protocol=UDP)
    ends.set([(LOOPBACK, 4500)])
    assert ends.sent(flow_of(packet))
    assert ends.may_have_sent(address_key(packet))
    ends.set([])
    assert not ends.sent(flow_of(packet))
    assert not ends.may_have_sent(address_key(packet))


def test_ipv6_and_what_is_bound_to_no_address() -> None:
    ends = LocalEndpoints()
    ends.set([(ip_address("2001:db8:1::1"), 0), (ip_address("0.0.0.0"), 4500)])
    assert ends.sent(flow_of(ipv6(payload=bytes(40), next_header=ESP)))
    assert ends.may_have_sent(address_key(ipv6()))
    assert not ends.sent(flow_of(ipv6(payload=ports(4500, 4500), next_header=UDP)))
    assert not ends.sent(flow_of(ipv6("2001:db8:1::2", payload=bytes(40), next_header=ESP)))
    assert not ends.may_have_sent(address_key(ipv4("0.0.0.0")))
