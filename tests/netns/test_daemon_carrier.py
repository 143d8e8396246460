"""A device that has just been plugged sends at once."""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address, ip_interface

import pytest

from tests.netns.kernel import configure
from tests.netns.namespaces import Namespace
from tun import carrier
from tun.device import PacketIo, TunDevice

ROUNDS = 40


@pytest.mark.root
def test_the_first_packet_after_plugging_is_not_lost(namespace: Namespace) -> None:
    def inside() -> int:
        addresses, peers = [ip_interface("169.254.10.1/30")], [ip_address("169.254.10.2")]
        seen = 0
        with TunDevice.create("vti0") as tun, socket.socket(type=socket.SOCK_DGRAM) as sock:
            configure("vti0", addresses, peers, 1400, None)
            packets = PacketIo(tun.fd)
            for _ in range(ROUNDS):
                tun.set_carrier(False)
                time.sleep(0.01)
                packets.read_batch(64)
                carrier.plug(tun)
                sock.sendto(b"now", ("169.254.10.2", 9))
                seen += sum(packet.endswith(b"now") for packet in packets.read_batch(64))
        return seen

    assert namespace.call(inside) == ROUNDS
