"""What systemd is told, by a socket that stands in for its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.process import service_manager
from ikepy.daemon.process.service_manager import ServiceManager
from ikepy.sa.api.ends import ChildRemoval
from ikepy.sa.api.events import ChildDown, ChildRekeyed, ChildUp
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.fakes import ike_info

SA = ike_info(1, 5)
(CHILD,) = SA.children
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
        assert systemd.told() == ["READY=1\nSTATUS=running with 1 connections"]

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
        manager.ready("running")
        await asyncio.sleep(0.3)
        assert systemd.told()[1:].count("WATCHDOG=1") >= 3
        manager.stopping()
        assert systemd.told()[-1] == ENDING
        await asyncio.sleep(0.15)
        assert "WATCHDOG=1" in systemd.told()  # until the end: the farewell takes a while
        manager.close()
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
        manager.ready("running")
        await asyncio.sleep(0.05)
        assert systemd.told() == ["READY=1\nSTATUS=running"]
        manager.close()

    asyncio.run(scenario())


def test_the_status_counts_children(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_manager, "SETTLING", 0.02)

    async def scenario() -> None:
        manager, bus = ServiceManager.of_environment(dict(systemd.variables)), EventBus()
        manager.follow(bus)
        manager.ready("running")
        systemd.told()
        for _ in range(1000):
            bus.publish(ChildUp(SA, CHILD))
        bus.publish(ChildRekeyed(SA, CHILD, CHILD))
        bus.publish(ChildDown(SA, CHILD, ChildRemoval.DELETED))
        await asyncio.sleep(0.1)
        assert systemd.told() == ["STATUS=running, 999 children are up"]
        manager.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("address", [None, "relative", "", "/nonexistent/notify"])
def test_nobody_listens(address: str | None) -> None:
    async def scenario() -> None:
        variables = {} if address is None else {"NOTIFY_SOCKET": address}
        manager = ServiceManager.of_environment({**variables, "WATCHDOG_USEC": "1000"})
        manager.follow(EventBus())
        manager.ready("running")
        manager.stopping()
        manager.close()

    asyncio.run(scenario())
