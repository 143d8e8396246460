"""The configuration's VXLAN devices: their peers by name, what others do to them, their removal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_interface

import pytest

from ikepy.config.model import Config, DnsName
from ikepy.daemon.device import vxlans
from ikepy.daemon.device.vxlans import VxlanDevices
from ikepy.daemon.interfaces import Changes
from ikepy.daemon.net.name_threads import LookUpError
from ikepy.sa.api.path import Address
from tests.unit.daemon.fakes import FakeNetwork

NAME = "pods.example"


def config(**keys: object) -> Config:
    section = {"name": "vxeth0", "vni": 7, "device": "eth0", "peers": ["10.0.0.2", NAME], **keys}
    return Config.model_validate({"vxlan": {"vxeth0": section}})


class Names:
    """A name server."""

    def __init__(self) -> None:
        self.known: set[Address] = set()
        self.fails = False
        self.asked = 0

    def know(self, *addresses: str) -> None:
        self.known = set(map(ip_address, addresses))

    async def look_up(self, name: DnsName) -> list[Address]:
        assert name.text == NAME
        self.asked += 1
        if self.fails:
            raise LookUpError("no such name")
        return [*self.known, ip_address("fd00::9")]  # of another version than the device's


def peers(network: FakeNetwork) -> set[str]:
    return set(map(str, network.vxlans["vxeth0"].peers))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 5 s")


async def eventually(network: FakeNetwork, expected: Iterable[str]) -> None:
    await until(lambda: peers(network) == set(expected))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vxlans, "RESOLVE_AGAIN", 0.02)
    monkeypatch.setattr(vxlans, "RETRY", 0.02)


def test_peers_follow_the_names_and_the_host_is_none_of_them() -> None:
    async def run() -> None:
        network, names = FakeNetwork(), Names()
        network.addresses = [ip_address("10.0.0.9")]
        names.know("10.0.0.3", "10.0.0.9", "10.0.0.2")
        devices = VxlanDevices(config(), network, names.look_up)
        await devices.start()
        assert "10.0.0.2" in peers(network), "what needs no look-up is there at once"
        await eventually(network, ["10.0.0.2", "10.0.0.3"])
        names.know("10.0.0.4")
        await eventually(network, ["10.0.0.2", "10.0.0.4"])
        await devices.close()
        assert not network.vxlans

    asyncio.run(run())


def test_a_name_without_an_answer_keeps_the_last_one_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        network, names = FakeNetwork(), Names()
        names.know("10.0.0.3")
        devices = VxlanDevices(config(), network, names.look_up)
        await devices.start()
        await eventually(network, ["10.0.0.2", "10.0.0.3"])
        names.fails, before = True, names.asked
        await until(lambda: names.asked >= before + 4)
        assert peers(network) == {"10.0.0.2", "10.0.0.3"}
        assert caplog.text.count("can't be looked up: no such name") == 1
        await devices.close()

    asyncio.run(run())


def test_another_configuration_is_used_in_place() -> None:
    async def run() -> None:
        network, names = FakeNetwork(), Names()
        devices = VxlanDevices(config(addresses=["10.7.0.1/24"], peers=["10.0.0.2"]), network, names.look_up)
        await devices.start()
        await devices.replace_config(config(addresses=["10.8.0.1/24"], peers=["10.0.0.2"], mtu=1300))
        state = network.vxlans["vxeth0"]
        assert state.addresses == {ip_interface("10.8.0.1/24")}
        assert state.retired == {ip_interface("10.7.0.1/24")}
        assert state.mtu == 1300
        await devices.replace_config(Config())
        assert not network.vxlans
        await devices.replace_config(config(peers=[]))
        assert peers(network) == set()
        await devices.close()

    asyncio.run(run())


def test_a_device_of_another_program_is_left_alone_until_it_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        network, names = FakeNetwork(), Names()
        network.foreign = {"vxeth0"}
        devices = VxlanDevices(config(peers=["10.0.0.2"]), network, names.look_up)
        await devices.start()
        assert not network.vxlans
        assert "none of ikepy's; [vxlan.vxeth0] waits until that is settled" in caplog.text
        network.foreign = set()
        devices.changed(Changes(gone=True))
        await until(lambda: bool(network.vxlans))
        network.vxlans.clear()  # somebody deletes it
        devices.changed(Changes(gone=True))
        await until(lambda: bool(network.vxlans))
        assert "vxeth0 was deleted by others, and is made again" in caplog.text
        await devices.close()

    asyncio.run(run())


def test_a_name_is_looked_up_by_the_system() -> None:
    async def run() -> None:
        network = FakeNetwork()
        network.addresses = []  # else 127.0.0.1 would be this host's own
        devices = VxlanDevices(config(peers=["localhost", "no-such-host.invalid"]), network)
        await devices.start()
        await eventually(network, ["127.0.0.1"])
        await devices.close()

    asyncio.run(run())
