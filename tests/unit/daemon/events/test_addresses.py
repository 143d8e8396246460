"""Our own addresses come and go while the daemon runs: sockets follow, and the machine is told."""

import asyncio
import logging
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

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
