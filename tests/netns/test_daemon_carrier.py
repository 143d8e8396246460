"""A device that has just been plugged sends at once; one that is unplugged is told of at once."""

from __future__ import annotations

import os
import socket
import time
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest
from pyroute2 import IPRoute

from tests.netns.kernel import configure
from tests.netns.namespaces import Namespace
from tun import carrier
from tun.device import PacketIo, TunDevice
from tun.links import IFF_LOWER_UP

ROUNDS = 40
TOLD = 0.4  # seconds; the kernel by itself takes up to 1


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


@pytest.mark.root
def test_routing_daemons_hear_of_a_lost_carrier_at_once(namespace: Namespace) -> None:
    def inside() -> list[float]:
        seconds = []
        with TunDevice.create("vti0") as tun, IPRoute() as kernel:
            configure("vti0", [ip_interface("169.254.10.1/30")], [], 1400, None)
            kernel.bind()
            for _ in range(4):
                carrier.plug(tun)
                time.sleep(0.05)
                begin = time.monotonic()
                carrier.unplug(tun)
                while not any(_lost(event) for event in kernel.get()):
                    pass
                seconds.append(time.monotonic() - begin)
        return seconds

    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert sorted(namespace.call(inside))[1] < (TOLD if release >= (6, 8) else 1.5)


def _lost(event: Any) -> bool:
    return event["event"] == "RTM_NEWLINK" and not event["flags"] & IFF_LOWER_UP
