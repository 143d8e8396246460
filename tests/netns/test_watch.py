"""Events of addresses, links and routes, with a real kernel: merged, filtered, and none is missed."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address

import pytest

from tests.netns.namespaces import Namespace
from tun import network
from tun.watch import QUIET, Watch

pytestmark = pytest.mark.root

PATIENCE = 2.0


def watched(
    namespace: Namespace,
    scenario: Callable[[asyncio.Queue[float]], Awaitable[None]],
    ignored: Collection[str] = (),
) -> None:
    """Run the scenario inside with a queue that gets the time of every call back."""

    async def inside() -> None:
        told: asyncio.Queue[float] = asyncio.Queue()
        indices = [socket.if_nametoindex(name) for name in ignored]
        watch = Watch(lambda: told.put_nowait(time.monotonic()), indices)
        try:
            await scenario(told)
        finally:
            watch.close()

    namespace.call(lambda: asyncio.run(inside()))


def cable(namespace: Namespace, name: str = "d0") -> None:
    """A device, down, whose other end is up."""
    namespace.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
    namespace.ip("link", "set", f"{name}-peer", "up")


@pytest.mark.parametrize(
    "change",
    [
        ("addr", "add", "192.0.2.1/24", "dev", "d0"),
        ("addr", "add", "2001:db8::1/64", "dev", "d0", "nodad"),
        ("link", "set", "d0", "up"),
        ("link", "del", "d0"),
        ("link", "set", "lo", "down"),
        ("route", "add", "unreachable", "198.51.100.0/24"),
    ],
    ids=" ".join,
)
def test_each_kind_of_change_is_told(namespace: Namespace, change: tuple[str, ...]) -> None:
    cable(namespace)

    async def scenario(told: asyncio.Queue[float]) -> None:
        await asyncio.sleep(3 * QUIET)
        while not told.empty():
            told.get_nowait()
        await asyncio.to_thread(namespace.ip, *change)
        await asyncio.wait_for(told.get(), PATIENCE)

    watched(namespace, scenario)


def test_a_burst_is_told_once(namespace: Namespace) -> None:
    cable(namespace)
    lines = "".join(f"addr add 192.0.2.{n}/32 dev d0\n" for n in range(1, 200))

    async def scenario(told: asyncio.Queue[float]) -> None:
        await asyncio.to_thread(namespace.run, "ip", "-batch", "-", text=lines)
        await asyncio.wait_for(told.get(), PATIENCE)
        await asyncio.sleep(3 * QUIET)
        assert told.empty()

    watched(namespace, scenario)


def test_changes_without_an_end_are_told_meanwhile(namespace: Namespace) -> None:
    cable(namespace)

    async def scenario(told: asyncio.Queue[float]) -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            for word in ("add", "del"):
                await asyncio.to_thread(namespace.ip, "addr", word, "192.0.2.1/32", "dev", "d0")
        assert told.qsize() >= 2

    watched(namespace, scenario)


def test_our_own_devices_do_not_count(namespace: Namespace) -> None:
    cable(namespace)
    cable(namespace, "vti0")
    namespace.ip("link", "set", "vti0", "up")

    async def scenario(told: asyncio.Queue[float]) -> None:
        await asyncio.sleep(3 * QUIET)
        while not told.empty():
            told.get_nowait()
        for change in (
            "addr add 169.254.10.1/30 dev vti0",
            "route add 10.2.0.0/24 dev vti0",
            "link set vti0 mtu 1300",
            "link set vti0 down",
        ):
            await asyncio.to_thread(namespace.ip, *change.split())
        await asyncio.sleep(3 * QUIET)
        assert told.empty()
        await asyncio.to_thread(namespace.ip, "link", "set", "d0", "up")
        await asyncio.wait_for(told.get(), PATIENCE)

    watched(namespace, scenario, ignored=["vti0", "vti0-peer"])


def test_an_overrun_is_a_reason_to_look(namespace: Namespace) -> None:
    """More events than the socket holds, while the daemon is busy (ENOBUFS): told, and it goes on."""
    cable(namespace)
    namespace.ip("link", "set", "d0", "up")
    lines = "".join(f"route add 10.{n // 250}.{n % 250}.0/24 dev d0\n" for n in range(4000))

    async def scenario(told: asyncio.Queue[float]) -> None:
        namespace.run("ip", "-batch", "-", text=lines)  # the loop stands still
        await asyncio.wait_for(told.get(), PATIENCE)
        await asyncio.sleep(3 * QUIET)
        while not told.empty():
            told.get_nowait()
        await asyncio.to_thread(namespace.ip, "addr", "add", "192.0.2.1/24", "dev", "d0")
        await asyncio.wait_for(told.get(), PATIENCE)

    watched(namespace, scenario)


def test_addresses_with_their_devices(namespace: Namespace) -> None:
    cable(namespace)
    namespace.ip("link", "set", "d0", "up")
    namespace.ip("addr", "add", "192.0.2.1/24", "dev", "d0")
    namespace.ip("addr", "add", "2001:db8::1/64", "dev", "d0", "nodad")
    found = {one.address: one.device for one in namespace.call(network.host_addresses)}
    assert found[ip_address("192.0.2.1")] == found[ip_address("2001:db8::1")] == "d0"
    assert found[ip_address("127.0.0.1")] == "lo"
    assert not any(address.is_link_local for address in found)


def test_a_link_is_up_and_has_carrier(namespace: Namespace) -> None:
    cable(namespace)

    def has_link() -> bool:
        return namespace.call(network.has_link, "d0")

    assert not has_link()
    namespace.ip("link", "set", "d0", "up")
    assert has_link()
    namespace.ip("link", "set", "d0-peer", "down")
    assert not has_link()
    assert not namespace.call(network.has_link, "nosuch0")
