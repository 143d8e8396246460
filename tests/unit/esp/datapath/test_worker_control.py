"""esp.datapath.worker: how it takes what control says, and what it costs."""

from __future__ import annotations

import resource
import socket
from dataclasses import replace
from functools import partial
from ipaddress import IPv6Address
from time import sleep

import pytest

from esp.ipc.messages import (
    Acquire,
    AddDevice,
    AddInboundSa,
    AddOutboundSa,
    AddSocket,
    DeviceBroken,
    Fault,
    ForwardIke,
    RemoveDevice,
    RemoveSaPair,
    RemoveSocket,
    SetMss,
    UpdateSaPath,
)
from esp.net.sockets import SocketKind, open_udp
from tests.unit.esp.bed import GCM, LOOPBACK, SECONDS, Bed, inbound, outbound
from tests.unit.esp.packets import ipv4, keys_for
from tests.unit.esp.peer import Peer, paths, spi_of


def test_messages_that_cannot_be_obeyed(bed: Bed, port: int) -> None:
    bad: dict[str, AddInboundSa | AddOutboundSa] = {
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
    bed.tell(RemoveSaPair(1))
    bed.tell(outbound(1, 0x1002, **where))
    assert "installed before" in bed.hear(Fault).text
    same_keys = replace(outbound(2, 0x1003, **where), keys=keys_for(GCM, 0x1001))
    bed.tell(same_keys)
    assert bed.hear(Fault).child_id == 2
    bed.tell(outbound(3, 0x1004, **where))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1004


def test_malformed_messages_are_answered_and_survived(bed: Bed) -> None:
    for data in (b"\xff", b"\x02", b"\x02" + bytes(7), b"\x02" + bytes(9), b"\x00"):
        bed.control.send(data)
        assert bed.hear(Fault).child_id == 0
    bed.sync()


def test_counters_start_at_zero_for_a_new_child(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.sync()
    bed.devices[1].send(ipv4())
    peer.receive()
    bed.wait_for(lambda: bed.sa().out_packets == 1)
    bed.tell(inbound(1, 0x2001, **where))
    bed.sync()
    assert bed.sa().out_packets == 1
    bed.tell(RemoveSaPair(1))
    bed.tell(inbound(2, 0x2002, **where))
    bed.sync()
    assert bed.sa().out_packets == 0


def test_remove_device_forgets_its_sas(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(inbound(1, 0x2001, **paths(port, peer)))
    bed.tell(RemoveDevice(1))
    bed.sync()
    assert bed.devices[1].recv(10) == b""  # its descriptor is closed
    peer.send(*peer.sa(0x2001).seal_batch([ipv4()]))
    bed.wait_for(lambda: bed.counters.drops() == {"unknown_spi": 1})
    bed.add_device()
    bed.tell(inbound(2, 0x2002, **paths(port, peer)))
    peer.send(*peer.sa(0x2002).seal_batch([ipv4()]))
    assert bed.devices[1].recv(65536) == ipv4()


def test_a_broken_device_is_told_once_and_costs_no_cpu(bed: Bed, port: int) -> None:
    bed.devices[1].close()
    assert bed.hear(DeviceBroken).device_id == 1
    before = resource.getrusage(resource.RUSAGE_SELF)
    sleep(0.3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.15
    assert bed.hears_nothing(DeviceBroken)


def test_devices_get_their_mss(bed: Bed) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        bed.tell(AddDevice(3, "vti3", False, 1300, 1280), theirs.fileno())
        bed.tell(SetMss(3, 1200, 1180))
        bed.tell(SetMss(4, 1000, 980))  # of a device that is not there
        assert bed.hears_nothing(Fault)
    assert bed.wrapped == [(1300, 1280), (1200, 1180)]


@pytest.mark.parametrize("broken", [False, True], ids=["in time", "after it was told"])
def test_a_device_that_was_made_again_goes_on_with_its_sas(
    bed: Bed, port: int, peer: Peer, broken: bool
) -> None:
    """Both ways, through the new descriptor alone."""
    bed.tell(inbound(1, 0x1000, **paths(port, peer)))
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    if broken:
        bed.devices[1].close()
        bed.hear(DeviceBroken)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(SECONDS)
        bed.tell(AddDevice(1, "vti1", False, 0, 0), theirs.fileno())
        theirs.close()
        peer.send(*peer.sa(0x1000).seal_batch([ipv4()]))
        assert ours.recv(65536) == ipv4()
        ours.send(ipv4())
        assert peer.receive()[:4] == (0x1001).to_bytes(4, "big")


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
    bed.tell(UpdateSaPath(1, True, LOOPBACK, new_port, LOOPBACK, peer.port))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert peer.sock.recvfrom(65536)[1][1] == new_port


def test_a_socket_is_closed(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    bed.tell(RemoveSocket(0))
    bed.tell(RemoveSocket(77))
    bed.sync()
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


def test_raw_socket_is_no_udp_socket(bed: Bed) -> None:
    with open_udp(LOOPBACK, 0) as sock:
        bed.tell(AddSocket(0, 4, SocketKind.RAW, LOOPBACK, 0), sock.fileno())
        assert "RAW" in bed.hear(Fault).text


def test_an_idle_worker_sleeps(bed: Bed, port: int) -> None:
    bed.add_device(9, trap=True).send(ipv4())
    bed.hear(Acquire)
    before = resource.getrusage(resource.RUSAGE_SELF)
    sleep(0.3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_nvcsw - before.ru_nvcsw < 50


def test_control_that_does_not_read_does_not_stop_packets(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    bed.sync()
    for _ in range(300):
        peer.send(bytes(4) + bytes(20000))
        sleep(0.001)
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    bed.hear(ForwardIke)
    bed.sync()
