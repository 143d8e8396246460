"""What systemd is told, by a socket that stands in for its own."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.process import service_manager
from ikepy.daemon.process.service_manager import ServiceManager
from ikepy.errors import ConfigError
from ikepy.sa.api.ends import ChildRemoval
from ikepy.sa.api.events import ChildDown, ChildRekeyed, ChildUp
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.fakes import ike_info

SA = ike_info(1, 5)
(CHILD,) = SA.children
READY = "READY=1\nSTATUS=running, children that are up: 0"
ENDING = "STOPPING=1\nSTATUS=ending: the SAs are being deleted at the peers"


class Systemd:
    """Its socket, and the variables that name it."""

    def __init__(self, address: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self._sock.setblocking(False)
        self.variables = {"NOTIFY_SOCKET": address}

    def told(self) -> list[str]:
        """What has come since the last call."""
        found: list[str] = []
        try:
            while True:
                found.append(self._sock.recv(4096).decode())
        except BlockingIOError:
            return found

    async def tells(self, *expected: str) -> bool:
        """Wait until these have come, in this order and perhaps with signs of life between them."""
        rest = list(expected)
        async with asyncio.timeout(10):
            while rest:
                for one in self.told():
                    if rest and one == rest[0]:
                        del rest[0]
                    elif one != "WATCHDOG=1":
                        return False
                await asyncio.sleep(0.01)
        return True

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest) -> Iterator[Systemd]:
    with TemporaryDirectory(prefix="ikepy-t") as name:
        systemd = Systemd(f"{name}/n" if request.param == "path" else f"@{name}/n")
        yield systemd
        systemd.close()


def test_a_whole_daemon(control: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.variables["NOTIFY_SOCKET"])

    async def scenario(bed: Bed) -> None:
        assert "NOTIFY_SOCKET" not in os.environ  # workers are not systemd's business
        assert len(bed.tuns) == 1
        assert systemd.told() == [READY]

    run(Bed(control), scenario)
    assert systemd.told() == [ENDING]


def test_a_start_that_fails_is_not_ready(
    control: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.variables["NOTIFY_SOCKET"])
    bed = Bed(control)
    bed.taken.add("vti-a")
    with pytest.raises(Exception, match="exists already"):
        asyncio.run(bed.daemon.serve())
    assert systemd.told() == []


def test_the_event_loop_shows_that_it_runs(systemd: Systemd) -> None:
    variables = {**systemd.variables, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())}

    async def scenario() -> None:
        manager = ServiceManager.of_environment(variables)
        assert not variables
        manager.ready()
        assert await systemd.tells(READY, *["WATCHDOG=1"] * 3)
        manager.stopping()
        assert await systemd.tells(ENDING, "WATCHDOG=1")  # until the end: the farewell takes a while
        manager.close()
        systemd.told()
        await asyncio.sleep(0.15)
        assert systemd.told() == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
    ],
    ids=str,
)
def test_no_watchdog(systemd: Systemd, watchdog: dict[str, str]) -> None:
    async def scenario() -> None:
        manager = ServiceManager.of_environment({**systemd.variables, **watchdog})
        manager.ready()
        await asyncio.sleep(0.05)
        assert systemd.told() == [READY]
        manager.close()

    asyncio.run(scenario())


def test_the_status_counts_children(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_manager, "SETTLING", 0.02)

    async def scenario() -> None:
        manager, bus = ServiceManager.of_environment(dict(systemd.variables)), EventBus()
        manager.follow(bus)
        manager.ready()
        systemd.told()
        for _ in range(1000):
            bus.publish(ChildUp(SA, CHILD))
        bus.publish(ChildRekeyed(SA, CHILD, CHILD))
        bus.publish(ChildDown(SA, CHILD, ChildRemoval.DELETED))
        assert await systemd.tells("STATUS=running, children that are up: 999")
        manager.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("address", [None, "relative", "", "/nonexistent/notify"])
def test_nobody_listens(address: str | None) -> None:
    async def scenario() -> None:
        variables = {} if address is None else {"NOTIFY_SOCKET": address}
        manager = ServiceManager.of_environment({**variables, "WATCHDOG_USEC": "1000"})
        manager.follow(EventBus())
        manager.ready()
        manager.stopping()
        manager.close()

    asyncio.run(scenario())


def test_a_reload(control: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.variables["NOTIFY_SOCKET"])

    async def scenario(bed: Bed) -> None:
        systemd.told()
        before = time.monotonic_ns() // 1000
        with pytest.raises(ConfigError):
            await bed.daemon.desired.reload("SIGHUP")
        reloading, ready = systemd.told()
        kind, since, _ = reloading.splitlines()
        assert kind == "RELOADING=1"
        assert before <= int(since.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert ready == f"{READY}; the configuration was refused, the former one stays in use"

    run(Bed(control), scenario)
    assert systemd.told() == [ENDING]
