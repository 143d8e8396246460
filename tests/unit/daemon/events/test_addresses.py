"""Our own addresses come and go while the daemon runs: sockets follow, and the machine is told."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from ikepy.daemon import supervision
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.events import addresses
from ikepy.daemon.net.resolver import Resolver
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.sa.api.commands import LocalAddressesChanged
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address
from tests.unit.daemon.bed import LOOPBACK, Bed, run
from tests.unit.daemon.fakes import FakeNetwork, config
from tun.netlink import HostAddress
from tun.watch import Changes

OTHER, VTI = ip_address("127.0.0.2"), ip_address("127.0.0.3")


def told(*usable: Address, others: tuple[Address, ...] = ()) -> str:
    return f"request {LocalAddressesChanged(usable, others)}"


def has(bed: Bed, *now: Address) -> None:
    bed.network.addresses = list(now)
    for watch in bed.watches:
        watch.changed(Changes(frozenset({2})))


async def until_told(bed: Bed, what: str) -> None:
    while bed.machine.calls[-1] != what:  # noqa: ASYNC110  the machine has no event to wait for
        await asyncio.sleep(0.01)


def answers(address: Address, port: int) -> bool:
    """Whether somebody has the port of this address."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), port))
        except OSError:
            return True
    return False


def test_a_new_address_is_listened_on_before_the_machine_is_told(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        assert not answers(OTHER, bed.ports[0])
        has(bed, LOOPBACK, OTHER)
        await until_told(bed, told(others=(LOOPBACK, OTHER)))
        assert answers(OTHER, bed.ports[0])
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            await loop.sock_sendto(peer, b"\x01", (str(OTHER), bed.ports[0]))
            while not bed.machine.calls[-1].startswith(f"receive 01 {OTHER}"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    run(Bed(control, local_addrs=["%any"]), scenario)


def test_an_address_that_is_gone_keeps_its_sockets_for_a_while(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "LINGER", 0.3)

    async def scenario(bed: Bed) -> None:
        has(bed, LOOPBACK, OTHER)
        await until_told(bed, told(others=(LOOPBACK, OTHER)))
        has(bed, LOOPBACK)
        await until_told(bed, told(others=(LOOPBACK,)))
        assert answers(OTHER, bed.ports[1])
        while answers(OTHER, bed.ports[1]):  # noqa: ASYNC110  the workers close theirs, too
            await asyncio.sleep(0.01)
        assert not answers(OTHER, bed.ports[0])
        has(bed, LOOPBACK, OTHER)
        await until_told(bed, told(others=(LOOPBACK, OTHER)))
        assert answers(OTHER, bed.ports[1])

    run(Bed(control, local_addrs=["%any"]), scenario)


def test_the_loss_of_an_address_is_told_and_its_return_too(
    control: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ikepy")

    async def scenario(bed: Bed) -> None:
        has(bed, LOOPBACK, OTHER)
        await until_told(bed, told(others=(LOOPBACK, OTHER)))
        for _ in range(2):
            caplog.clear()
            has(bed, LOOPBACK)
            await until_told(bed, told(others=(LOOPBACK,)))
            has(bed, LOOPBACK, OTHER)
            await until_told(bed, told(others=(LOOPBACK, OTHER)))
            lines = [record.getMessage() for record in caplog.records if str(OTHER) in record.getMessage()]
            assert lines == [
                f"our address {OTHER} is gone, or its link is down",
                f"our address {OTHER} is back",
            ]

    run(Bed(control, local_addrs=["%any"]), scenario)


def test_an_address_that_is_in_use_by_another_daemon_is_tried_again(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "RETRY", 0.05)

    async def scenario(bed: Bed) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as squatter:
            squatter.bind((str(OTHER), bed.ports[1]))
            calls = len(bed.machine.calls)
            has(bed, LOOPBACK, OTHER)
            while len(bed.machine.calls) < calls + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert bed.machine.calls[-1] == told(others=(LOOPBACK,)), "it can't be used"
            assert not answers(OTHER, bed.ports[0]), "all of its sockets or none"
        await until_told(bed, told(others=(LOOPBACK, OTHER)))

    run(Bed(control, local_addrs=["%any"]), scenario)


def test_an_address_without_a_link_is_not_usable(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        assert told(LOOPBACK) in bed.machine.calls, "a connection names it"
        bed.network.link = False
        has(bed, LOOPBACK)
        await until_told(bed, told())
        assert answers(LOOPBACK, bed.ports[0]), "but it is here: its sockets stay"

    run(Bed(control), scenario)


def test_the_addresses_of_our_own_devices_are_not_for_outside(control: Path) -> None:
    bed = Bed(control, local_addrs=["%any"])

    def inside() -> list[HostAddress]:
        vti = bed.config.connections["a"].vti.name
        return [HostAddress(LOOPBACK, 1, "lo"), HostAddress(VTI, bed.tuns[0].index, vti)]

    bed.network.host_addresses = inside  # type: ignore[method-assign]

    async def scenario(bed: Bed) -> None:
        assert told(others=(LOOPBACK, VTI)) in bed.machine.calls
        assert not answers(VTI, bed.ports[0])

    run(bed, scenario)


def test_an_address_that_is_local_by_a_route_is_served_and_used(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a load balancer's, to which no device has an address (ip-route(8), type local)."""
    monkeypatch.setattr(addresses, "LINGER", 0.05)
    bed = Bed(control, local_addrs=[str(OTHER)])
    bed.network.routed = {OTHER}

    async def scenario(bed: Bed) -> None:
        assert told(OTHER, others=(LOOPBACK,)) in bed.machine.calls
        calls = len(bed.machine.calls)
        has(bed, LOOPBACK)
        while len(bed.machine.calls) == calls:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert answers(OTHER, bed.ports[0]), "nothing has changed"
        bed.network.routed.clear()
        has(bed, LOOPBACK)
        await until_told(bed, told(others=(LOOPBACK,)))
        while answers(OTHER, bed.ports[0]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    run(bed, scenario)


def test_one_that_can_be_bound_but_is_not_here_is_waited_for(control: Path) -> None:
    """By the sysctl ip_nonlocal_bind all can be: who has the address now is not disturbed."""
    bed = Bed(control, local_addrs=[str(OTHER)])

    async def scenario(bed: Bed) -> None:
        assert not answers(OTHER, bed.ports[0])
        has(bed, LOOPBACK, OTHER)
        await until_told(bed, told(OTHER, others=(LOOPBACK,)))
        assert answers(OTHER, bed.ports[0])

    run(bed, scenario)


def test_our_devices_are_listed_as_often_for_many_addresses_as_for_one(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, real = 0, DeviceTable.__iter__

    def devices(table: DeviceTable) -> Iterator[VtiDevice]:
        nonlocal listed
        listed += 1
        return real(table)

    monkeypatch.setattr(DeviceTable, "__iter__", devices)

    async def looks(bed: Bed, count: int) -> int:
        """With so many addresses."""
        here = [LOOPBACK, *(ip_address(f"198.51.100.{number}") for number in range(count))]
        before = listed
        has(bed, *here)
        await until_told(bed, told(LOOPBACK, *here[1:]))
        return listed - before

    async def scenario(bed: Bed) -> None:
        assert await looks(bed, 1) == await looks(bed, 200)

    run(Bed(control), scenario)


def test_a_fault_does_not_end_the_following(
    control: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "FIRST", 0.02)

    async def scenario(bed: Bed) -> None:
        faults, real = [ValueError("a fault")], bed.network.host_addresses

        def faulty() -> list[HostAddress]:
            if faults:
                raise faults.pop()
            return real()

        monkeypatch.setattr(bed.network, "host_addresses", faulty)
        has(bed, LOOPBACK, OTHER)
        await until_told(bed, told(others=(LOOPBACK, OTHER)))

    run(Bed(control, local_addrs=["%any"]), scenario)
    assert "begins again in 0.02 s: ValueError: a fault" in caplog.text


def test_of_two_named_addresses_the_one_that_is_here_is_used() -> None:
    network = FakeNetwork()
    resolver = Resolver(network, RouteCheck(network, lambda: ["vti0"]), NameTable())
    (connection,) = config(local_addrs=["192.0.2.1", "192.0.2.9"]).connections.values()
    first, second, peer = map(ip_address, ("192.0.2.1", "192.0.2.9", "192.0.2.2"))
    assert resolver.resolve(connection, ()) == (first, peer)
    resolver.usable = {second}
    assert resolver.resolve(connection, ()) == (second, peer)
    resolver.usable = {LOOPBACK}
    assert resolver.resolve(connection, ()) == (first, peer), "it may come back while we try"
    resolver.served = {second}
    assert resolver.resolve(connection, ()) == (second, peer), "this one may"
    resolver.served = set()
    assert resolver.resolve(connection, ()) == "192.0.2.1 is not an address of this machine yet"
