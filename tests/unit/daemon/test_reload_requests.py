"""Reloads that nobody waits for: one after the other, and nothing is left when they stop."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable

from ikepy.config.difference import ConfigDifference
from ikepy.config.model import Config
from ikepy.config.toml_source import Reading
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.reload_requests import ReloadRequests
from ikepy.errors import LocalMisuse


class File:
    """A file that can be read once `go` is set."""

    name = "site.toml"

    def __init__(self) -> None:
        self.reading, self.go = threading.Event(), threading.Event()
        self.readings = 0

    def read(self) -> Reading:
        self.readings += 1
        self.reading.set()
        self.go.wait(10)
        return Reading(Config(), ())


async def refuse(config: Config, source: str) -> ConfigDifference:
    raise LocalMisuse("the daemon is not running")


def run(scenario: Callable[[File, ReloadRequests], Awaitable[None]]) -> list[object]:
    """What the event loop complains of."""
    complaints: list[object] = []

    async def inside() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        file = File()
        async with asyncio.timeout(20):
            await scenario(file, ReloadRequests(DesiredConfig(Config(), refuse, file)))
        gc.collect()

    asyncio.run(inside())
    gc.collect()
    return complaints


def test_what_has_begun_ends_after_the_stop() -> None:
    async def scenario(file: File, requests: ReloadRequests) -> None:
        requests.ask("SIGHUP")
        requests.start()
        await asyncio.to_thread(file.reading.wait, 10)
        await requests.stop()
        file.go.set()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    assert run(scenario) == []


def test_a_failure_is_not_the_last_reload() -> None:
    async def scenario(file: File, requests: ReloadRequests) -> None:
        file.go.set()
        requests.start()
        for _ in range(2):
            file.reading.clear()
            requests.ask("SIGHUP")
            await asyncio.to_thread(file.reading.wait, 10)
        await requests.stop()
        assert file.readings == 2

    assert run(scenario) == []
