"""UDP GSO and GRO as the kernel has them on a link: sizes that a path refuses, what is coalesced for whom."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from esp.net.sockets import SocketKind, open_udp
from esp.net.transport import GSO_RETRY, GsoSend, Transport
from tests.netns.namespaces import MakeNamespace, connect

pytestmark = pytest.mark.root

LEFT, RIGHT = ip_address("192.0.2.1"), ip_address("192.0.2.2")
PORT = 4500


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
