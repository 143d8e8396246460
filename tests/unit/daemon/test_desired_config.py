"""Changes of the desired configuration: one after the other, and none of them in parts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from ikepy.config.difference import ConfigDifference, difference
from ikepy.config.layers import Layers
from ikepy.config.model import Config
from ikepy.config.toml_source import Reading
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ConfigRefused, ConfigReloaded, ConfigReloading, DaemonEvent
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.to_the_end import to_the_end
from ikepy.errors import ConfigError, LocalMisuse
from tests.unit.config.test_layers import connection, file, secret


class Bed:
    """A daemon that takes every configuration but one with a connection "bad", and a file."""

    name = "site.toml"

    def __init__(self) -> None:
        self.used = file(connection("a"))
        self.content = self.used
        self.readings = 0
        self.reading = threading.Event()
        self.mistake: ConfigError | None = None
        self.fault: Exception | None = None
        self.may_read = threading.Event()
        self.may_read.set()
        self.may_apply = asyncio.Event()
        self.may_apply.set()
        self.applying = 0
        self.events: list[DaemonEvent] = []
        self.desired = DesiredConfig(self.used, self.apply_to_the_end, self, self.events.append)

    async def apply_to_the_end(self, config: Config, source: str) -> ConfigDifference:
        """As the daemon does it."""
        return await to_the_end(self.apply(config, source))

    async def apply(self, config: Config, source: str) -> ConfigDifference:
        self.applying += 1
        assert self.applying == 1, "one at a time"
        try:
            await self.may_apply.wait()
            if "bad" in config.connections:
                raise ConfigError(source, [("connections.bad", "is bad")])
            change = difference(self.used, config)
            self.used = change.config
            return change
        finally:
            self.applying -= 1

    def read(self) -> Reading:
        self.readings += 1
        self.reading.set()
        self.may_read.wait(10)
        if self.fault is not None:
            raise self.fault
        if self.mistake is not None:
            raise self.mistake
        return Reading(self.content, (), empty=self.content == Config())

    @property
    def names(self) -> list[str]:
        return list(self.used.connections)


def run(scenario: Callable[[Bed], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with asyncio.timeout(20):
            await scenario(Bed())

    asyncio.run(inside())


def test_a_change_is_used_and_told() -> None:
    async def scenario(bed: Bed) -> None:
        change = await bed.desired.change(lambda layers: layers.with_connection(connection("v")))
        assert [one.name for one in change.added] == ["v"]
        assert bed.names == ["a", "v"]
        assert list(bed.desired.layers.connections) == ["v"]

    run(scenario)


def test_a_client_that_leaves_while_its_change_is_made() -> None:
    """The daemon finishes the change; the layers have it too, else the next one would take it back."""

    async def scenario(bed: Bed) -> None:
        bed.may_apply.clear()
        change = asyncio.create_task(
            bed.desired.change(lambda layers: layers.with_connection(connection("v")))
        )
        await asyncio.sleep(0.01)
        assert bed.applying
        change.cancel()
        asyncio.get_running_loop().call_later(0.01, bed.may_apply.set)
        with pytest.raises(asyncio.CancelledError):
            await change
        assert bed.names == list(bed.desired.layers.merged().connections) == ["a", "v"]
        await bed.desired.change(lambda layers: layers.with_connection(connection("w")))
        assert bed.names == ["a", "v", "w"]
        await bed.desired.change(lambda layers: layers.without_connection("v"))
        assert bed.names == ["a", "w"]

    run(scenario)


def test_a_refused_change_leaves_the_layers_as_they_were() -> None:
    async def scenario(bed: Bed) -> None:
        before = bed.desired.layers
        with pytest.raises(ConfigError, match=r"^VICI: connections\.bad: is bad$"):
            await bed.desired.change(lambda layers: layers.with_connection(connection("bad")))
        with pytest.raises(KeyError):
            await bed.desired.change(lambda layers: layers.without_connection("a"))
        assert bed.desired.layers is before
        await bed.desired.change(lambda layers: layers.with_connection(connection("good")))
        assert bed.names == ["a", "good"]

    run(scenario)


def test_each_change_begins_with_what_the_last_one_made() -> None:
    async def scenario(bed: Bed) -> None:
        bed.may_apply.clear()
        names = [f"v{number}" for number in range(20)]
        changes = [
            bed.desired.change(lambda layers, name=name: layers.with_connection(connection(name)))  # type: ignore[misc]
            for name in names
        ]
        under_way = asyncio.gather(*changes)
        await asyncio.sleep(0)
        bed.may_apply.set()
        await under_way
        assert bed.names == ["a", *names]

    run(scenario)


def test_a_reload_replaces_the_files_layer_alone() -> None:
    async def scenario(bed: Bed) -> None:
        await bed.desired.change(lambda layers: layers.with_connection(connection("v")))
        await bed.desired.change(lambda layers: layers.with_secret("v", secret("two")))
        bed.content = file(connection("b"), ike="one")
        change = await bed.desired.reload("SIGHUP")
        assert str(change) == "1 connection added (b); 1 connection removed (a); secrets changed"
        assert bed.names == ["b", "v"]
        assert list(bed.used.secrets) == ["v", "ike"]
        assert bed.events == [ConfigReloading("SIGHUP"), ConfigReloaded("SIGHUP")]

    run(scenario)


def test_a_file_with_a_mistake_changes_nothing_and_is_told() -> None:
    async def scenario(bed: Bed) -> None:
        before = bed.desired.layers
        bed.mistake = ConfigError("site.toml", [("daemon.port", "allowed: 1..65535"), ("x", "unknown key")])
        with pytest.raises(ConfigError, match="daemon"):
            await bed.desired.reload("SIGHUP")
        bed.mistake = None
        bed.content = file(connection("bad"))
        with pytest.raises(ConfigError, match=r"^site\.toml: connections\.bad: is bad"):
            await bed.desired.reload("command")
        assert bed.desired.layers is before
        assert bed.names == ["a"]
        assert bed.events == [
            ConfigReloading("SIGHUP"),
            ConfigRefused(
                "SIGHUP", ("site.toml: daemon.port: allowed: 1..65535", "site.toml: x: unknown key")
            ),
            ConfigReloading("command"),
            ConfigRefused("command", ("site.toml: connections.bad: is bad",)),
        ]

    run(scenario)


def test_a_fault_of_ours_ends_the_reload_for_all_who_wait() -> None:
    """`Type=notify` of systemd waits for READY=1, and the metric of the last reload tells of it."""

    async def scenario(bed: Bed) -> None:
        bed.fault = ZeroDivisionError("a fault")
        with pytest.raises(ZeroDivisionError):
            await bed.desired.reload("SIGHUP")
        (begun, refused) = bed.events
        assert begun == ConfigReloading("SIGHUP")
        assert isinstance(refused, ConfigRefused) and "ZeroDivisionError" in refused.problems[0]
        bed.fault = None
        await bed.desired.reload("SIGHUP")
        assert bed.events[-1] == ConfigReloaded("SIGHUP")

    run(scenario)


def test_a_storm_of_reloads_reads_the_file_twice() -> None:
    """Those that come while the file is being read may mean a later state: one more reading is for all."""

    async def scenario(bed: Bed) -> None:
        bed.may_read.clear()
        first = asyncio.create_task(bed.desired.reload("SIGHUP"))
        await asyncio.to_thread(bed.reading.wait, 10)
        storm = [asyncio.create_task(bed.desired.reload("SIGHUP")) for _ in range(100)]
        await asyncio.sleep(0)
        bed.content = file(connection("later"))
        bed.may_read.set()
        await asyncio.gather(first, *storm)
        assert bed.readings == 2
        assert bed.names == ["later"]

    run(scenario)


def test_a_caller_that_goes_away_stops_no_reload() -> None:
    async def scenario(bed: Bed) -> None:
        bed.may_read.clear()
        bed.content = file(connection("b"))
        gone, other = (asyncio.create_task(bed.desired.reload("command")) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        bed.may_read.set()
        await other
        assert gone.cancelled()
        assert bed.names == ["b"]

    run(scenario)


def test_settings_alone() -> None:
    async def scenario(bed: Bed) -> None:
        settings = bed.content.daemon.model_copy(update={"retransmit_tries": 9, "workers": 7})
        bed.content = file(connection("b")).model_copy(update={"daemon": settings})
        change = await bed.desired.reload_settings()
        assert change.daemon == {"retransmit_tries"}
        assert change.fixed
        assert bed.names == ["a"]
        assert not (await bed.desired.change(lambda layers: layers)).fixed  # it was named once

    run(scenario)


def test_without_a_file_there_is_nothing_to_read() -> None:
    async def scenario(bed: Bed) -> None:
        desired = DesiredConfig(bed.used, bed.apply)
        for reload in (desired.reload("SIGHUP"), desired.reload_settings()):
            with pytest.raises(ConfigError, match=r"^the configuration is in no file"):
                await reload
        assert desired.layers == Layers(bed.used)

    run(scenario)


def test_secrets_that_no_layer_has_any_more_are_wiped() -> None:
    async def scenario(bed: Bed) -> None:
        bed.content = file(connection("a"), ike="one")
        await bed.desired.reload("command")
        first = bed.content.secrets["ike"].secret
        mine = secret("two")
        await bed.desired.change(lambda layers: layers.with_secret("ike", mine))
        assert first.expose() == b"one", "the file's is beneath VICI's"
        bed.content = file(connection("a"), ike="three")
        await bed.desired.reload("command")
        with pytest.raises(LocalMisuse):
            first.expose()
        await bed.desired.change(lambda layers: layers.without_secret("ike"))
        with pytest.raises(LocalMisuse):
            mine.secret.expose()
        assert bed.used.secrets["ike"].secret.expose() == b"three"
        bed.content = file(connection("bad"), ike="four")
        with pytest.raises(ConfigError):
            await bed.desired.reload("command")
        assert bed.used.secrets["ike"].secret.expose() == b"three"

    run(scenario)


def test_levels_that_a_command_has_set_hold_until_a_reload() -> None:
    async def scenario(bed: Bed) -> None:
        log.set_levels("warning")
        log.change_levels({"ike": "debug"})
        await bed.desired.change(lambda layers: layers.with_connection(connection("v")))
        assert log.levels()["ike"] == "debug"
        await bed.desired.reload("test")
        assert log.levels()["ike"] == "info"
        log.change_levels({"ike": "debug"})
        await bed.desired.reload_settings()
        assert log.levels()["ike"] == "info"

    run(scenario)


def test_an_empty_file_takes_nothing_away() -> None:
    async def scenario(bed: Bed) -> None:
        bed.content = Config()
        with pytest.raises(ConfigError, match="says nothing any more"):
            await bed.desired.reload("test")
        assert bed.names == ["a"]
        assert any(isinstance(event, ConfigRefused) for event in bed.events)

    run(scenario)
