"""UDP GSO and GRO as the kernel has them on a link: sizes that a path refuses, what is coalesced for whom."""

from __future__ import annotations

import array
import asyncio
import fcntl
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_address

import pytest

from esp.ipc.messages import ForwardEsp
from esp.net import cmsg
from esp.net.sockets import SocketKind, open_group, open_udp
from esp.net.transport import GSO_RETRY, GsoSend, Transport
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.net.reception import Reception
from tests.netns import gateways
from tests.netns.gateways import Pair, Side, configuration, ping
from tests.netns.namespaces import MakeNamespace, Namespace, connect, wait_until

pytestmark = pytest.mark.root

LEFT, RIGHT = ip_address("192.0.2.1"), ip_address("192.0.2.2")
PORT = 4500
PEER_PORTS = range(4500, 4512)  # behind a NAT
FLUSH = 50_000_000  # nanoseconds for which NAPI holds what it may coalesce
LEFTS = (
    gateways.LEFT,
    Side("gwc", "192.0.2.3", "169.254.20.1", ("10.1.0.0/24",)),
    Side("gwe", "192.0.2.5", "169.254.30.1", ("10.1.0.0/24",)),
)
RIGHTS = (
    gateways.RIGHT,
    Side("gwd", "192.0.2.4", "169.254.20.2", ("10.4.0.0/24",)),
    Side("gwf", "192.0.2.6", "169.254.30.2", ("10.6.0.0/24",)),
)
SIOCETHTOOL, ETHTOOL_STSO, ETHTOOL_SGRO = 0x8946, 0x1F, 0x2C  # linux/sockios.h, linux/ethtool.h


def test_gso_is_back_once_the_path_takes_the_size_again(make_namespace: MakeNamespace) -> None:
    """Received by a socket with GRO, where a veth pair leaves whole what was sent at once."""
    left, right = make_namespace("left"), make_namespace("right")
    connect(left, right, "eth0", "eth0", [f"{LEFT}/24"], [f"{RIGHT}/24"])
    now, told = [0.0], list[str]()
    sock = left.call(open_udp, LEFT, PORT)
    transport = Transport(sock, SocketKind.UDP, 4, LEFT, PORT, told.append, lambda: now[0])
    peer = Transport(right.call(open_udp, RIGHT, PORT), SocketKind.UDP, 4, RIGHT, PORT)

    def reads() -> list[int]:
        """How many datagrams of a batch each read gives."""
        assert not transport.send_gso(
            GsoSend([memoryview(bytearray(1400 * 20))], 1400, 20), LEFT, (str(RIGHT), PORT)
        )
        buffer, found = memoryview(bytearray(1 << 16)), list[int]()
        while (received := peer.receive(buffer)) is not None:
            found.append(received.length // received.segment)
        return found

    assert reads() == [20]
    left.ip("link", "set", "eth0", "mtu", "1300")
    assert reads() == [1] * 20
    left.ip("link", "set", "eth0", "mtu", "1500")
    assert reads() == [1] * 20
    now[0] += GSO_RETRY
    assert reads() == [20]
    assert len(told) == 1
    assert told[0].startswith(f"packets of 1400 octets to {RIGHT} leave one by one")
    transport.close()
    peer.close()


@contextmanager
def received_by_napi(make_namespace: MakeNamespace) -> Iterator[tuple[Namespace, Namespace]]:
    """Two hosts on a link whose right end receives as a NIC does: what comes shortly after another is
    coalesced."""
    left, right = make_namespace("left"), make_namespace("right")
    connect(left, right, "eth0", "eth0", [f"{LEFT}/24"], [f"{RIGHT}/24"])
    left.call(ethtool, "eth0", ETHTOOL_STSO, 0)  # else the other end has no use for NAPI (veth_xmit)
    right.call(ethtool, "eth0", ETHTOOL_SGRO, 1)
    for name, value in (("gro_flush_timeout", FLUSH), ("napi_defer_hard_irqs", 2)):
        right.run("sh", "-c", f"echo {value} > /sys/class/net/eth0/{name}")
    yield left, right


def ethtool(device: str, command: int, value: int) -> None:
    """`ethtool -K DEVICE ...`."""
    request = array.array("I", [command, value])
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", device.encode(), request.buffer_info()[0]))


def esp(spi: int, number: int, octets: int) -> bytes:
    return struct.pack("!II", spi, number) + bytes(octets - 8)


def read_all(group: list[socket.socket], octets: int) -> list[tuple[int, list[bytes]]]:
    """The index of the socket and the datagrams of each read, until there are so many octets."""
    found: list[tuple[int, list[bytes]]] = []
    while sum(len(one) for _, datagrams in found for one in datagrams) < octets:
        ready, _, _ = select.select(group, [], [], 5)
        assert ready, f"only {found}"
        for sock in ready:
            data, ancillary, _, _ = sock.recvmsg(65536, cmsg.SPACE)
            size = cmsg.parse(ancillary).udp_segment or len(data)
            found.append((group.index(sock), [data[at : at + size] for at in range(0, len(data), size)]))
    return found


def test_every_peers_esp_is_coalesced(make_namespace: MakeNamespace) -> None:
    """The kernel asks one socket of the group whether it may, which a hash of the ports and addresses
    picks."""
    with received_by_napi(make_namespace) as (left, right), ExitStack() as stack:
        group = right.call(open_group, RIGHT, PORT, 2)
        for sock in group:
            stack.enter_context(sock)
        for port in PEER_PORTS:
            peer = stack.enter_context(left.call(open_udp, LEFT, port))
            for number in range(6):
                peer.sendto(esp(0x1000, number, 1000), (str(RIGHT), PORT))
            reads = read_all(group, 6 * 1000)
            assert {index for index, _ in reads} == {1}
            assert len(reads) < 6, f"of the peer's port {port} nothing was coalesced"


def test_what_comes_from_one_port_reaches_one_worker(make_namespace: MakeNamespace) -> None:
    """The first SPI of what is coalesced names it: why the tunnels of one peer share a worker."""
    with received_by_napi(make_namespace) as (left, right), ExitStack() as stack:
        group = right.call(open_group, RIGHT, PORT, 2)
        for sock in group:
            stack.enter_context(sock)
        mixed = 0
        for port in PEER_PORTS:
            peer = stack.enter_context(left.call(open_udp, LEFT, port))
            for number in range(6):
                peer.sendto(esp(0x1000 + number % 2, number, 1000), (str(RIGHT), PORT))
            mixed += any(len({row[:4] for row in rows}) == 2 for _, rows in read_all(group, 6 * 1000))
        assert mixed


def test_esp_right_behind_an_ike_message_is_not_lost(make_namespace: MakeNamespace) -> None:
    """Which the kernel coalesces if it is no longer than that, and gives to control as a whole."""
    with received_by_napi(make_namespace) as (left, right), ExitStack() as stack:
        listeners = right.call(Listeners.open, [RIGHT], (500, PORT), 2, False)
        ike, forwarded = list[bytes](), list[ForwardEsp]()
        listeners.forward_esp = forwarded.append
        workers = [one.sock for slot in range(2) for one in listeners.of_slot(slot)]
        direct: list[bytes] = []

        async def scenario() -> None:
            listeners.start(Reception(lambda data, path: ike.append(data)))
            for port in PEER_PORTS:
                peer = stack.enter_context(left.call(open_udp, LEFT, port))
                peer.sendto(bytes(4) + bytes(300), (str(RIGHT), PORT))
                for number in range(3):
                    peer.sendto(esp(0x1001, number, 304 - 100 * (number == 2)), (str(RIGHT), PORT))
            async with asyncio.timeout(5):
                while len(ike) < len(PEER_PORTS) or len(forwarded) + len(direct) < 3 * len(PEER_PORTS):
                    await asyncio.sleep(0.01)
                    for sock in select.select(workers, [], [], 0)[0]:
                        direct.extend(datagram for _, row in read_all([sock], 1) for datagram in row)
            await listeners.close()

        asyncio.run(scenario())
        assert ike == [bytes(300)] * len(PEER_PORTS)
        assert forwarded, "nothing was coalesced"
        assert listeners.stray == 0
        assert {(one.remote_address, one.tos) for one in forwarded} == {(LEFT, 0)}


def tunnels(own: tuple[Side, ...], peer: tuple[Side, ...], workers: int, child: str) -> str:
    """Connections c0, c1 ... over vti0, vti1 ..., all in UDP."""
    found = "".join(
        configuration(
            one, other, name=f"c{number}", device=f"vti{number}", connection="encap = true", child=child
        )
        for number, (one, other) in enumerate(zip(own, peer, strict=True))
    )
    return f"{found}[daemon]\nworkers = {workers}\n"


def test_tunnels_to_one_peer_are_on_one_worker(pair: Pair) -> None:
    """What comes from one port is coalesced, see above. Another peer's tunnel is apart."""
    ours = LEFTS[0], replace(LEFTS[1], outer=LEFTS[0].outer)
    peers = RIGHTS[0], replace(RIGHTS[1], outer=RIGHTS[0].outer)
    pair.right.namespace.ip("addr", "add", "10.4.0.1/24", "dev", "lo")
    pair.right.start(tunnels(peers, ours, 2, 'start_action = "none"'))
    pair.left.start(tunnels(ours, peers, 1, 'start_action = "start"'))
    wait_until(lambda: len(pair.left.children()) == len(pair.right.children()) == 2, "both are up")
    for own, peer in zip(ours, peers, strict=True):
        assert ping(pair.left.namespace, own, peer)
    assert list(pair.right.drops()) == ["control", "worker 0 (vti0, vti1)"]
    pair.right.namespace.ip("addr", "add", f"{RIGHTS[2].outer}/24", "dev", "eth0")
    pair.right.reload(tunnels((*peers, RIGHTS[2]), (*ours, LEFTS[2]), 2, 'start_action = "none"'))
    wait_until(lambda: "worker 1 (vti2)" in pair.right.drops(), "the third one's device")
