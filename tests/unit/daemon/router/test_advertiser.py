"""Interfaces that are configured and removed again: what was opened for one is closed."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address

import pytest

from ikepy.config.model import Config
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.router import icmp_socket, interface_advertiser, schedule
from ikepy.daemon.router.advertiser import RouterAdvertiser
from tests.unit.daemon.fakes import FakeNetwork, FakeTun
from tests.unit.daemon.in_loop import in_loop
from tun import links

NONE = Config()
ANNOUNCED = Config(router_advertisements={"lo": RouterAdvertisement(name="lo")})


@in_loop
async def test_the_socket_of_an_interface_that_is_removed_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "MIN_DELAY_BETWEEN_RAS", 0.01)
    monkeypatch.setattr(interface_advertiser, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(links, "has_link", lambda name: True)
    monkeypatch.setattr(links, "link_local_address", lambda name: IPv6Address("fe80::1"))
    monkeypatch.setattr(links, "ethernet_address", lambda name: bytes(6))
    monkeypatch.setattr(icmp_socket, "send", lambda *message: None)
    opened: list[socket.socket] = []

    def open_socket(name: str, index: int) -> socket.socket:
        opened.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
        return opened[-1]

    devices = DeviceTable(NONE, 1, FakeTun, FakeNetwork())
    router = RouterAdvertiser(ANNOUNCED, devices, EventBus(), open_socket)
    router.start()  # without a tunnel it is taken back what one before may have announced
    for _ in range(3):
        assert opened[-1].fileno() >= 0
        router.replace_config(NONE)
        async with asyncio.timeout(20):
            while opened[-1].fileno() >= 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        before = len(opened)
        await asyncio.sleep(0.1)  # in which the former interface would be looked at again
        assert len(opened) == before
        router.replace_config(ANNOUNCED)
    await router.end()
    assert all(one.fileno() < 0 for one in opened)
