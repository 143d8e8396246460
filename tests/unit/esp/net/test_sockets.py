"""esp.net.sockets and esp.net.bpf: which socket the kernel gives a datagram to."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from esp.net import cmsg
from esp.net.bpf import attach_outside, attach_raw_filter, attach_reuseport, raw_program, reuseport_program
from esp.net.sockets import BUFFER, PROMPT_BUFFER, open_group, open_raw, open_udp, size_queue
from tests.unit.esp.bed import QUIET, SECONDS

Address = IPv4Address | IPv6Address
ADDRESSES: list[Address] = [IPv4Address("127.0.0.1"), IPv6Address("::1")]


def esp(spi: int) -> bytes:
    return struct.pack("!II", spi, 1) + bytes(60)


@contextmanager
def opened(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        for sock in sockets:
            stack.enter_context(sock)
        yield sockets


def arrivals(sockets: list[socket.socket], count: int) -> list[tuple[int, bytes]]:
    """The index of the socket and the data of each of `count` datagrams; then there are no more."""
    found: list[tuple[int, bytes]] = []
    while len(found) < count:
        ready, _, _ = select.select(sockets, [], [], SECONDS)
        assert ready, f"only {found}"
        found += [(sockets.index(sock), sock.recv(65536)) for sock in ready]
    assert not select.select(sockets, [], [], QUIET)[0]
    return found


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_group_is_steered_by_spi(address: Address, workers: int) -> None:
    spis = [256, 257, 258, 0xFFFFFFFF, 0x80000000, 1000, 1001, 1002, 1003, 1004]
    with opened(open_group(address, 0, workers)) as group, open_udp(address, 0) as peer:
        target = group[0].getsockname()[:2]
        for spi in spis:
            peer.sendto(esp(spi), target)
        expected = sorted((1 + spi % workers, esp(spi)) for spi in spis)
        assert sorted(arrivals(group, len(spis))) == expected


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_all_of_a_group_read_coalesced_datagrams(address: Address) -> None:
    """The kernel coalesces for any of them, the first datagram steers: control's is one of them."""
    with opened(open_group(address, 0, 2)) as group, open_udp(address, 0) as peer:
        for spi in (0, 0x1000, 0x1001):
            peer.sendmsg([esp(spi), esp(0x1001)], cmsg.udp_segment(68), 0, group[0].getsockname()[:2])
        for index, spi in enumerate((0, 0x1000, 0x1001)):
            data, ancillary, _, _ = group[index].recvmsg(65536, cmsg.SPACE)
            assert data == esp(spi) + esp(0x1001)
            assert cmsg.parse(ancillary).udp_segment == 68


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_what_comes_by_a_device_is_not_let_in(address: Address) -> None:
    """Whatever other indices there are, in rows or alone; and the next filter replaces this one."""
    loopback = socket.if_nametoindex("lo")
    with open_udp(address, 0) as sock, open_udp(address, 0) as peer:
        target = sock.getsockname()[:2]
        for others in ([], [7000, 7001, 7002, 9000], list(range(5000, 9000, 2))):
            attach_outside(sock, [*others, loopback, loopback + 1])
            peer.sendto(b"in vain", target)
            assert not select.select([sock], [], [], QUIET)[0]
            attach_outside(sock, [*others, loopback + 1])
            peer.sendto(b"let in", target)
            assert arrivals([sock], 1) == [(0, b"let in")]


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_ike_and_what_is_short_goes_to_control(address: Address) -> None:
    datagrams = [bytes(4) + b"IKE message", b"\xff", b"", b"abc", bytes(4)]
    with opened(open_group(address, 0, 3)) as group, open_udp(address, 0) as peer:
        for datagram in datagrams:
            peer.sendto(datagram, group[0].getsockname()[:2])
        assert sorted(arrivals(group, 5)) == sorted((0, datagram) for datagram in datagrams)


@pytest.mark.root
@pytest.mark.parametrize("address", [IPv4Address("127.7.0.1"), IPv6Address("::1")], ids=str)
def test_raw_sockets_get_their_own_slot_only(address: Address) -> None:
    spis = [256, 257, 258, 1003, 0xFFFFFFFF]
    with opened([open_raw(address) for _ in range(3)]) as group, open_raw(address) as peer:
        for slot, sock in enumerate(group):
            attach_raw_filter(sock, address.version, slot, 3)
        for spi in spis:
            peer.sendto(esp(spi), (str(address), 0))
        header = 20 if address.version == 4 else 0
        found = [(index, data[header:]) for index, data in arrivals(group, len(spis))]
        assert sorted(found) == sorted((spi % 3, esp(spi)) for spi in spis)


@pytest.mark.root
def test_raw_filter_minds_ip_options() -> None:
    address = IPv4Address("127.7.0.1")
    with open_raw(address) as sock, open_raw(address) as peer:
        attach_raw_filter(sock, 4, 1, 2)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x01\x01\x00")
        peer.sendto(esp(1000), (str(address), 0))
        peer.sendto(esp(1001), (str(address), 0))
        ((_, data),) = arrivals([sock], 1)
        assert (data[0], data[24:]) == (0x46, esp(1001))


def test_sockets_do_not_block_and_let_routers_fragment() -> None:
    for address in ADDRESSES:
        with open_udp(address, 0) as sock:
            assert not sock.getblocking()
            level, option = (socket.IPPROTO_IP, 10) if address.version == 4 else (socket.IPPROTO_IPV6, 23)
            assert sock.getsockopt(level, option) == 0
            limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= min(BUFFER, limit)


def test_a_prompt_reader_has_a_short_queue() -> None:
    with open_udp(ADDRESSES[0], 0) as sock:
        long = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        size_queue(sock, prompt=True)
        limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
        short = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert short in (2 * PROMPT_BUFFER, 2 * min(PROMPT_BUFFER, limit))  # the kernel doubles
        size_queue(sock, prompt=False)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == long


def test_a_port_in_use() -> None:
    with open_udp(ADDRESSES[0], 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            open_group(ADDRESSES[0], port, 2)


def test_both_versions_on_one_port() -> None:
    with open_udp(IPv6Address("::"), 0) as six, open_udp(IPv4Address(0), six.getsockname()[1]) as four:
        assert six.getsockname()[1] == four.getsockname()[1]


def test_impossible_steering() -> None:
    with open_udp(ADDRESSES[0], 0, reuse_port=True) as sock:
        with pytest.raises(ValueError, match="0 workers"):
            attach_reuseport(sock, 0)
        for slot in (-1, 2):
            with pytest.raises(ValueError, match="slot"):
                attach_raw_filter(sock, 4, slot, 2)


def test_programs_jump_inside_themselves() -> None:
    for program in (reuseport_program(4), raw_program(4, 1, 2), raw_program(6, 1, 2)):
        for index, (_, if_true, if_false, _) in enumerate(program):
            assert index + 1 + max(if_true, if_false) < len(program) or index == len(program) - 1
