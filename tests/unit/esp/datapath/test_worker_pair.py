"""esp.datapath.worker: two of them over loopback, under every suite and on every kind of socket."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest

from esp.ipc.messages import ForwardIke
from esp.net.bpf import attach_raw_filter
from esp.net.sockets import SocketKind, open_raw, open_udp
from esp.sa.suites import AES_CBC, CHACHA20_POLY1305, HMAC_SHA2_256_128, Suite, suite_for
from tests.unit.esp.bed import GCM, LOOPBACK, SECONDS, Bed, inbound, outbound
from tests.unit.esp.packets import ipv4, ipv6

SUITES = [GCM, suite_for(CHACHA20_POLY1305, None, None), suite_for(AES_CBC, 128, HMAC_SHA2_256_128)]
PACKETS = [ipv4(payload=bytes(range(n))) for n in range(100)] + [ipv6(payload=bytes(1400))]


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
    other.sync()
    one.tell(inbound(1, 0x2000, **there))
    one.sync()
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
            sock = open_raw(ip)
            attach_raw_filter(sock, ip.version, slot, 2)
            bed.add_socket(sock, ip, SocketKind.RAW)
            bed.add_device()
        connect(one, other, address, SocketKind.RAW, suite)
        carry(one, other)
        carry(other, one)
        check_counters(one, other)
        assert one.counters.drops() == other.counters.drops() == {}


@pytest.mark.parametrize("anywhere", [IPv4Address("0.0.0.0"), IPv6Address("::")])
def test_a_socket_for_all_addresses(anywhere: IPv4Address | IPv6Address) -> None:
    """It sends from the SA's local address and says where a forwarded message came in."""
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
        bed.sync()
        device.send(ipv4())
        assert peer.recvfrom(65536)[1][:2] == (str(local), port)
        peer.sendto(bytes(4) + b"IKE message", (str(local), port))
        forwarded = bed.hear(ForwardIke)
        assert (forwarded.local_address, forwarded.data) == (local, b"IKE message")
