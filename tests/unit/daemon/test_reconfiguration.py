"""Another configuration in a control process on the loopback: a fake machine, fake devices."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from ikepy.config.difference import ConfigDifference
from ikepy.config.model import Config
from ikepy.config.radius import Radius
from ikepy.daemon import log, reconfiguration
from ikepy.daemon.credentials.collection import Collection
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.vxlans import VxlanDevices
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.events.addresses import AddressFollower
from ikepy.daemon.net.names import NameService
from ikepy.daemon.radius.relay import RadiusRelay
from ikepy.daemon.signer.signer import Signer, Source
from ikepy.daemon.workers.pool import WorkerPool
from ikepy.errors import ConfigError, LocalMisuse
from ikepy.sa.api.commands import Initiate, Terminate
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.fakes import PATH, connection, ike_info
from tun.netlink import HostAddress


def configured(bed: Bed, *names: str, daemon: dict[str, Any] | None = None, **keys: Any) -> Config:
    """The bed's own connection, if it is named, with further `keys`, and others like it, of other peers."""
    entries = {}
    for name in names:
        own = keys if name == "a" else {"remote_addrs": [f"192.0.2.{ord(name[0])}"]}
        entries[name] = connection(name, **{**bed.local, **own})
    settings = {**bed.config.daemon.model_dump(exclude_unset=True), **(daemon or {})}
    secrets = {"ike": {"secret": "correct horse"}}
    return Config.model_validate({"connections": entries, "secrets": secrets, "daemon": settings})


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def names(bed: Bed) -> list[str]:
    return sorted(tun.name for tun in bed.tuns if not tun.closed)


def test_devices_come_and_go_with_their_connections(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        change = await bed.daemon.replace_config(configured(bed, "a", "b", "c"))
        assert [one.name for one in change.added] == ["b", "c"]
        assert names(bed) == ["vti-a", "vti-b", "vti-c"]
        assert bed.machine.config is change.config
        assert bed.machine.calls.count("replace_config") == 1
        assert [one["name"] for one in await bed.list_conns()] == ["a", "b", "c"]
        await bed.daemon.replace_config(configured(bed, "a", "c"))
        assert names(bed) == ["vti-a", "vti-c"]
        assert bed.tuns[0].name == "vti-a"
        assert not bed.tuns[0].closed

    run(Bed(control), scenario)


def test_keys_and_certificates_change_together(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that may take its time stands between them: set-ups meanwhile need both."""
    order: list[str] = []
    follow, load = AddressFollower.replace_config, Signer.configure

    async def followed(self: AddressFollower, config: Config) -> None:
        await follow(self, config)
        order.append("addresses")

    def loaded(self: Signer, sources: Iterable[Source]) -> list[tuple[str, str]]:
        order.append("keys")
        return load(self, sources)

    monkeypatch.setattr(AddressFollower, "replace_config", followed)
    monkeypatch.setattr(Signer, "configure", loaded)

    async def scenario(bed: Bed) -> None:
        order.clear()
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        assert order == ["addresses", "keys"]

    run(Bed(control), scenario)


def test_levels_that_a_command_has_set_hold_until_other_ones_are_configured(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        log.change_levels({"ike": "debug"})
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        assert log.levels()["ike"] == "debug"
        await bed.daemon.replace_config(configured(bed, "a", daemon={"log_level": "warning"}))
        assert log.levels()["ike"] == "warning"
        await bed.daemon.replace_config(configured(bed, "a", daemon={"log_level": "info"}))
        assert log.levels()["ike"] == "info"

    run(Bed(control), scenario)


def test_a_removed_device_stays_until_its_ike_sas_are_gone(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        bed.machine.sas = [replace(ike_info(7), connection="b")]
        await bed.daemon.replace_config(configured(bed, "a"))
        assert names(bed) == ["vti-a", "vti-b"]
        bed.machine.sas = []
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            peer.sendto(b"the answer to the delete", ("127.0.0.1", bed.ports[0]))
        await until(lambda: names(bed) == ["vti-a"])

    run(Bed(control), scenario)


def test_a_silent_peer_of_a_removed_connection_is_not_waited_for(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconfiguration, "FAREWELL", 0.05)

    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        bed.machine.sas = [replace(ike_info(7), connection="b")]
        await bed.daemon.replace_config(configured(bed, "a"))
        await until(lambda: f"request {Terminate(ike='b', force=True)}" in bed.machine.calls)
        bed.machine.sas = []

    run(Bed(control), scenario)


def test_a_connection_that_comes_back_keeps_its_device(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconfiguration, "FAREWELL", 0.05)

    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        bed.machine.sas = [replace(ike_info(7), connection="b")]
        await bed.daemon.replace_config(configured(bed, "a"))
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        await asyncio.sleep(0.1)
        assert names(bed) == ["vti-a", "vti-b"]
        assert len(bed.tuns) == 2
        assert not any("force=True" in call for call in bed.machine.calls)
        bed.machine.sas = []

    run(Bed(control), scenario)


def test_a_device_that_cannot_be_made_is_said_and_tried_again(control: Path) -> None:
    written = StringIO()

    async def scenario(bed: Bed) -> None:
        log.set_up("info", written)
        bed.taken = {"vti-b"}
        entry = configured(bed, "a", "b")
        child = entry.connections["b"].children["net"].model_copy(update={"start_action": "start"})
        b = entry.connections["b"].model_copy(update={"children": {"net": child}})
        await bed.daemon.replace_config(
            entry.model_copy(update={"connections": {**entry.connections, "b": b}})
        )
        assert names(bed) == ["vti-a"]
        bed.taken = set()
        await until(lambda: names(bed) == ["vti-a", "vti-b"])
        await until(lambda: f"request {Initiate('b', 'net')}" in bed.machine.calls)
        log.drain()

    run(Bed(control), scenario)
    log.close()
    assert written.getvalue().count("cannot make vti-b: a device of that name exists already") == 1


def test_a_name_that_the_kernel_still_takes_away_is_no_mistake(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        index, theirs = bed.tuns[1].index, 7
        await bed.daemon.replace_config(configured(bed, "a"))
        bed.taken = {"vti-b"}
        monkeypatch.setattr(reconfiguration, "device_index", {"vti-b": index, "vti-c": theirs}.get)
        with pytest.raises(ConfigError, match="a device vti-c exists already"):
            await bed.daemon.replace_config(configured(bed, "a", "b", "c"))
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        assert names(bed) == ["vti-a"]
        bed.taken = set()
        await until(lambda: names(bed) == ["vti-a", "vti-b"])
        await bed.daemon.replace_config(configured(bed, "a"))
        monkeypatch.setattr(reconfiguration, "device_index", {"vti-b": theirs}.get)  # somebody else's now
        with pytest.raises(ConfigError, match="a device vti-b exists already"):
            await bed.daemon.replace_config(configured(bed, "a", "b"))

    run(Bed(control), scenario)


def test_others_have_their_turn_while_many_devices_are_made(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        turns, made = 0, len(bed.tuns)

        async def count() -> None:
            nonlocal turns, made
            while True:
                await asyncio.sleep(0)
                turns += len(bed.tuns) > made
                made = len(bed.tuns)

        counting = asyncio.create_task(count())
        await bed.daemon.replace_config(configured(bed, "a", *(f"b{number}" for number in range(40))))
        counting.cancel()
        assert turns >= 9
        assert len(names(bed)) == 41

    run(Bed(control), scenario)


def test_a_mistake_leaves_everything_as_it_is(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        wrong = configured(bed, "a", "b", daemon={"port_nat_t": bed.ports[1] + 1})
        with pytest.raises(ConfigError, match=r"^site\.toml: daemon\.port_nat_t: stays \d+ until"):
            await bed.daemon.replace_config(wrong, "site.toml")
        twice = configured(bed, "a", "b")
        vti = twice.connections["b"].vti.model_copy(update={"name": "vti-a"})
        b = twice.connections["b"].model_copy(update={"vti": vti})
        twice = twice.model_copy(update={"connections": {**twice.connections, "b": b}})
        with pytest.raises(ConfigError, match="has the same name"):
            await bed.daemon.replace_config(twice)
        assert names(bed) == ["vti-a"]
        assert "replace_config" not in bed.machine.calls

    run(Bed(control), scenario)


@pytest.mark.parametrize(
    "fault",
    [
        (NameService, "configure"),
        (VxlanDevices, "replace_config"),
        (RadiusRelay, "configure"),
        (AddressFollower, "replace_config"),
        (Signer, "configure"),
        (Collection, "configure"),
        (EffectsRunner, "replace_config"),
        (DeviceTable, "name_peers"),
        (WorkerPool, "add_device_later"),
    ],
    ids=lambda fault: f"{fault[0].__name__}.{fault[1]}",
)
def test_a_fault_leaves_the_former_configuration(
    control: Path, monkeypatch: pytest.MonkeyPatch, fault: tuple[type, str]
) -> None:
    """Nothing half applied is left: no device, no changed one; and the next reload does it all."""

    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "c"))
        mtu = bed.network.mtus["vti-a"]
        vxlan = {"vx": {"name": "vx", "vni": 7, "device": "lo", "peers": ["192.0.2.9"]}}
        new = Config.model_validate(
            {**configured(bed, "a", "b", vti={"name": "vti-a", "mtu": 1300}).__dict__, "vxlan": vxlan}
        )
        with monkeypatch.context() as patched:
            patched.setattr(*fault, failing(getattr(*fault)))
            with pytest.raises(RuntimeError, match="a fault of ours"):
                await bed.daemon.replace_config(new)
        assert sorted(bed.machine.config.connections) == ["a", "c"]
        assert (names(bed), bed.network.mtus["vti-a"]) == (["vti-a", "vti-c"], mtu)
        assert not bed.network.vxlans
        assert str(await bed.daemon.replace_config(configured(bed, "a", "c"))) == "nothing changed"

        bed.taken = set(names(bed))  # no name twice
        change = await bed.daemon.replace_config(new)
        assert [one.name for one in change.added] == ["b"]
        assert (names(bed), bed.network.mtus["vti-a"]) == (["vti-a", "vti-b"], 1300)
        assert list(bed.network.vxlans) == ["vx"]

    run(Bed(control), scenario)


def failing(method: Callable[..., Any], times: int = 1) -> Callable[..., Any]:
    """As `method`, but the first calls fail."""
    calls = itertools.count()

    def called(*arguments: Any, **keys: Any) -> Any:
        if next(calls) < times:
            raise RuntimeError("a fault of ours")
        return method(*arguments, **keys)

    return called


@pytest.mark.parametrize("then", [("a",), ("a", "b")])
def test_what_a_fault_that_lasts_has_left_is_put_right_by_the_next_reload(
    control: Path, monkeypatch: pytest.MonkeyPatch, then: tuple[str, ...]
) -> None:
    async def scenario(bed: Bed) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(DeviceTable, "name_peers", failing(DeviceTable.name_peers, times=2))
            with pytest.raises(RuntimeError, match="a fault of ours"):
                await bed.daemon.replace_config(configured(bed, "a", "b"))
        bed.taken = set(names(bed))  # no name twice
        await bed.daemon.replace_config(configured(bed, *then))
        assert names(bed) == [f"vti-{name}" for name in then]

    run(Bed(control), scenario)


def test_what_a_missing_library_is_needed_for_is_refused(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = {"r": {"name": "r", "address": "127.0.0.1", "secret": "correct horse battery"}}

    async def scenario(bed: Bed) -> None:
        for module in ("pyrad", "Crypto"):
            monkeypatch.setitem(sys.modules, module, None)
        config = configured(bed, "a", "b")
        radius = Radius.model_validate({"servers": servers})
        with pytest.raises(ConfigError, match=r'site\.toml: radius: needs pyrad, .* extra "eap"'):
            await bed.daemon.replace_config(config.model_copy(update={"radius": radius}), "site.toml")
        users = configured(bed, "a", remote={"auth": "eap-mschapv2", "eap_id": "%any"})
        with pytest.raises(ConfigError, match=r"connections\.a\.remote\.auth: .*libraries"):
            await bed.daemon.replace_config(users)
        assert names(bed) == ["vti-a"]
        assert "replace_config" not in bed.machine.calls
        await bed.daemon.replace_config(config)
        assert names(bed) == ["vti-a", "vti-b"]

    run(Bed(control), scenario)


def test_settings_that_need_a_restart_are_named(control: Path) -> None:
    written = StringIO()

    async def scenario(bed: Bed) -> None:
        log.set_up("info", written)
        change = await bed.daemon.replace_config(
            configured(bed, "a", daemon={"workers": 5, "log_level": "warning"}), "site.toml"
        )
        assert change.config.daemon.workers == 2
        assert log.LOGGER.level == 30
        log.drain()

    run(Bed(control), scenario)
    log.close()
    assert "site.toml: daemon.workers: stays 2 until the daemon is started anew" in written.getvalue()


def test_a_connection_whose_secret_is_to_come_is_taken_and_named(control: Path) -> None:
    written = StringIO()

    async def scenario(bed: Bed) -> None:
        log.set_up("info", written)
        named = {"local": {"id": "gwa"}, "remote": {"id": "gwb"}}
        config = configured(bed, "a", **named)
        await bed.daemon.replace_config(config.model_copy(update={"secrets": {}}))
        await bed.daemon.replace_config(config)
        await bed.daemon.replace_config(Config(connections=config.connections, daemon=config.daemon))
        log.drain()

    run(Bed(control), scenario)
    log.close()
    assert written.getvalue().count('connections.a.remote.id: no secret fits "gwa" and "gwb"') == 2


def test_an_spi_names_the_worker_of_a_device_that_came_later(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        assert bed.entropy is not None
        assert bed.entropy.child_spi("a") % 2 == 0
        assert bed.entropy.child_spi("b") % 2 == 1
        await bed.daemon.replace_config(configured(bed, "b", "c"))
        assert bed.entropy.child_spi("b") % 2 == 1  # it stays where it was
        assert bed.entropy.child_spi("c") % 2 == 0  # which is free now

    run(Bed(control), scenario)


def test_a_daemon_that_does_not_run_takes_no_configuration(control: Path) -> None:
    bed = Bed(control)
    with pytest.raises(LocalMisuse):
        asyncio.run(bed.daemon.replace_config(bed.config))


class SlowKernel:
    """Reading the host's addresses takes until `go`; each call is counted."""

    def __init__(self, bed: Bed) -> None:
        self.go, self.calls = threading.Event(), 0
        self._read = bed.network.host_addresses
        bed.network.host_addresses = self._slowly  # type: ignore[method-assign]

    def _slowly(self) -> list[HostAddress]:
        self.calls += 1
        self.go.wait(10)
        return self._read()


def test_a_caller_that_gives_up_leaves_nothing_half_done(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        slow = SlowKernel(bed)
        call = asyncio.create_task(bed.daemon.replace_config(configured(bed, "a", "b")))
        await until(lambda: slow.calls > 0)
        call.cancel()
        await asyncio.sleep(0)
        call.cancel()
        asyncio.get_running_loop().call_later(0.05, slow.go.set)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert sorted(bed.machine.config.connections) == ["a", "b"]
        await bed.daemon.replace_config(configured(bed, "a", "b", "c"))
        assert [tun.name for tun in bed.tuns] == ["vti-a", "vti-b", "vti-c"]

    run(Bed(control), scenario)


def test_a_device_that_is_renamed_later_is_no_way_out_under_its_new_name(control: Path) -> None:
    """Its name was another one's, whose peer had still to answer."""

    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        bed.machine.sas = [replace(ike_info(7), connection="b")]
        first = bed.tuns[0]

        def rename(name: str) -> None:
            if name in names(bed):
                raise OSError(17, f"cannot rename it to {name}: a device of that name exists already")
            first.name = name

        first.rename = rename  # type: ignore[method-assign]
        await bed.daemon.replace_config(configured(bed, "a", vti={"name": "vti-b"}))
        assert bed.facts is not None
        bed.machine.sas = []
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            peer.sendto(b"the answer to the delete", ("127.0.0.1", bed.ports[0]))
        await until(lambda: names(bed) == ["vti-b"])
        bed.network.outlets[ip_address("192.0.2.2")] = "vti-b"
        assert not bed.facts.leads_out(PATH)

    run(Bed(control), scenario)


def test_a_configuration_that_waits_for_its_turn_at_the_end_is_refused(control: Path) -> None:
    calls: list[asyncio.Task[ConfigDifference]] = []

    async def scenario(bed: Bed) -> None:
        slow = SlowKernel(bed)
        for names_of_them in (("a", "b"), ("a", "b", "c"), ("b",)):
            calls.append(asyncio.create_task(bed.daemon.replace_config(configured(bed, *names_of_them))))
        await until(lambda: slow.calls > 0)
        bed.daemon.stop()
        asyncio.get_running_loop().call_later(0.1, slow.go.set)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [one.name for one in (await calls[0]).added] == ["b"]
        assert [type(one) for one in results[1:]] == [LocalMisuse, LocalMisuse]
        assert [tun.name for tun in bed.tuns] == ["vti-a", "vti-b"]

    run(Bed(control), scenario)


def test_the_peer_of_a_connection_removed_twice_has_its_whole_time_again(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconfiguration, "FAREWELL", 0.4)

    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        bed.machine.sas = [replace(ike_info(7), connection="b")]
        await bed.daemon.replace_config(configured(bed, "a"))
        await asyncio.sleep(0.2)
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        await bed.daemon.replace_config(configured(bed, "a"))
        removed_at = asyncio.get_running_loop().time()
        await until(lambda: any("force=True" in call for call in bed.machine.calls))
        assert asyncio.get_running_loop().time() - removed_at >= 0.4
        bed.machine.sas = []

    run(Bed(control), scenario)


def test_the_machine_is_not_asked_of_removed_connections_with_every_message(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        await bed.daemon.replace_config(configured(bed, "a", "b"))
        bed.machine.sas = [replace(ike_info(7), connection="b")]
        await bed.daemon.replace_config(configured(bed, "a"))
        asked = bed.machine.asked
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            for _ in range(200):
                peer.sendto(b"a message", ("127.0.0.1", bed.ports[0]))
        await until(lambda: sum(call.startswith("receive") for call in bed.machine.calls) == 200)
        assert bed.machine.asked - asked < 100
        bed.machine.sas = []

    run(Bed(control), scenario)
