"""Events of addresses, links and routes, with a real kernel: merged, filtered, and none is missed."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network

import pytest

from tests.netns.kernel import add_route, remove_route
from tests.netns.namespaces import Namespace, wait_until
from tun import network
from tun.watch import QUIET, Changes, Link, Watch

pytestmark = pytest.mark.root

PATIENCE = 2.0


def watched(
    namespace: Namespace,
    scenario: Callable[[asyncio.Queue[Changes]], Awaitable[None]],
) -> None:
    """Run the scenario inside with a queue that gets what every call back says."""

    async def inside() -> None:
        told: asyncio.Queue[Changes] = asyncio.Queue()
        watch = Watch(told.put_nowait)
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

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        await asyncio.sleep(3 * QUIET)
        while not told.empty():
            told.get_nowait()
        await asyncio.to_thread(namespace.ip, *change)
        await asyncio.wait_for(told.get(), PATIENCE)

    watched(namespace, scenario)


def test_a_route_of_type_local_that_others_make_is_told(namespace: Namespace) -> None:
    """The kernel's own in that table are not: each address has one."""
    address = ip_address("198.51.100.7")
    assert not namespace.call(lambda: network.is_local(address))

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        await asyncio.to_thread(namespace.ip, "route", "add", "local", "198.51.100.0/24", "dev", "lo")
        await asyncio.wait_for(told.get(), PATIENCE)

    watched(namespace, scenario)
    assert namespace.call(lambda: network.is_local(address))
    assert namespace.call(lambda: network.is_local(ip_address("127.0.0.2")))
    assert not namespace.call(lambda: network.is_local(ip_address("0.0.0.0")))


NEIGHBOUR = """
import asyncio, socket, sys
from ipaddress import ip_address
from tun import network
from tun.rtnetlink import Hop
from tun.watch import Watch

async def exempt():
    network.exempt(ip_address("203.0.113.9"), Hop(socket.if_nametoindex("d0")), None)
    told = asyncio.Event()
    watch = Watch(lambda changes: told.set() if changes.gone else None)
    print("watches", flush=True)
    await asyncio.wait_for(told.wait(), 20)
    print("told", flush=True)
    watch.close()

asyncio.run(exempt()) if sys.argv[1] == "exempt" else network.end_exemptions()
"""


def test_another_daemon_of_the_same_pid_is_another_one(namespace: Namespace) -> None:
    """Two containers of a pod: one network namespace, and both are process 1 of their own PID namespace."""
    cable(namespace)
    namespace.ip("link", "set", "d0", "up")
    as_first = ("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", NEIGHBOUR)
    first = namespace.start(*as_first, "exempt")
    assert first.stdout is not None
    assert first.stdout.readline() == "watches\n"
    namespace.run(*as_first, "end")
    assert first.stdout.readline() == "told\n"


def test_a_burst_is_told_once(namespace: Namespace) -> None:
    cable(namespace)
    lines = "".join(f"addr add 192.0.2.{n}/32 dev d0\n" for n in range(1, 200))

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        await asyncio.to_thread(namespace.run, "ip", "-batch", "-", text=lines)
        await asyncio.wait_for(told.get(), PATIENCE)
        await asyncio.sleep(3 * QUIET)
        assert told.empty()

    watched(namespace, scenario)


def test_changes_without_an_end_are_told_meanwhile(namespace: Namespace) -> None:
    cable(namespace)

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            for word in ("add", "del"):
                await asyncio.to_thread(namespace.ip, "addr", word, "192.0.2.1/32", "dev", "d0")
        assert told.qsize() >= 2

    watched(namespace, scenario)


async def drain(told: asyncio.Queue[Changes]) -> None:
    await asyncio.sleep(3 * QUIET)
    while not told.empty():
        told.get_nowait()


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ("addr add 169.254.10.1/30 dev d0", False),
        ("route add 10.2.0.0/24 dev d0", False),
        ("route del 10.3.0.0/24 dev d0", True),
        ("link set d0 down", True),
    ],
)
def test_it_is_told_which_device_it_was_and_whether_there_is_room(
    namespace: Namespace, change: str, gone: bool
) -> None:
    cable(namespace)
    namespace.ip("link", "set", "d0", "up")
    namespace.ip("route", "add", "10.3.0.0/24", "dev", "d0")

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        index = socket.if_nametoindex("d0")
        await drain(told)
        await asyncio.to_thread(namespace.ip, *change.split())
        changes = await asyncio.wait_for(told.get(), PATIENCE)
        assert index in changes.devices
        assert changes.gone is gone
        assert not changes.all

    watched(namespace, scenario)


def test_what_a_link_is_now(namespace: Namespace) -> None:
    """Of one that was up all the time: else the kernel has taken something off it."""
    cable(namespace)
    namespace.ip("link", "set", "d0", "up")

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        index = socket.if_nametoindex("d0")
        await drain(told)
        await asyncio.to_thread(namespace.ip, "link", "set", "d0", "mtu", "1300")
        changes = await asyncio.wait_for(told.get(), PATIENCE)
        assert changes.links == {index: Link(True, 1300)}
        assert not changes.devices
        assert changes.outside(set())
        assert not changes.outside({index})

    watched(namespace, scenario)


def test_routes_of_ours_do_not_count(namespace: Namespace) -> None:
    cable(namespace)
    namespace.ip("link", "set", "d0", "up")

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        await drain(told)
        add_route("d0", ip_network("10.2.0.0/24"), None)
        remove_route("d0", ip_network("10.2.0.0/24"), None)
        await asyncio.sleep(3 * QUIET)
        assert told.empty()

    watched(namespace, scenario)


def test_an_overrun_is_a_reason_to_look(namespace: Namespace) -> None:
    """More events than the socket holds, while the daemon is busy (ENOBUFS): told, and it goes on."""
    cable(namespace)
    namespace.ip("link", "set", "d0", "up")
    lines = "".join(f"route add 10.{n // 250}.{n % 250}.0/24 dev d0\n" for n in range(4000))

    async def scenario(told: asyncio.Queue[Changes]) -> None:
        namespace.run("ip", "-batch", "-", text=lines)  # the loop stands still
        assert (await asyncio.wait_for(told.get(), PATIENCE)).all
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
    wait_until(has_link, "carrier")  # the kernel's link watch may take a second
    namespace.ip("link", "set", "d0-peer", "down")
    wait_until(lambda: not has_link(), "no carrier")
    assert not namespace.call(network.has_link, "nosuch0")
