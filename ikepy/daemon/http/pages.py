"""What is behind each path. A snapshot is taken on the event loop, and made into text in a thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ikepy.config.model import Http
from ikepy.daemon.control import status
from ikepy.daemon.control.snapshot import Section, Snapshot
from ikepy.daemon.control.take_snapshot import Sources, take
from ikepy.daemon.http import metrics, strongswan_names
from ikepy.daemon.http.answers import Answer, Shared
from ikepy.daemon.http.loop_lag import LoopLag
from ikepy.daemon.http.readiness import Readiness, readiness
from ikepy.daemon.http.tally import Tally

JSON = "application/json"
P = ParamSpec("P")


class Pages:
    """The answers by path. `ending`: whether the daemon is about to end, and so is not ready any more."""

    def __init__(self, settings: Http, sources: Sources, tally: Tally, ending: Callable[[], bool]) -> None:
        self._settings = settings
        self._sources = sources
        self._tally = tally
        self._ending = ending
        self._lag = LoopLag()
        self._thread = ThreadPoolExecutor(1, "http")
        makers: dict[str, Callable[[], Awaitable[Answer]]] = {
            "/metrics": self._metrics,
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/sas": self._sas,
        }
        self._pages = {path: Shared(make) for path, make in makers.items()}

    @property
    def paths(self) -> list[str]:
        return list(self._pages)

    async def answer(self, path: str) -> Answer:
        page = self._pages.get(path)
        if page is None:
            return Answer.text(404, f"no such page; there are {', '.join(self.paths)}\n")
        return await page.get()

    async def close(self) -> None:
        self._lag.stop()
        for page in self._pages.values():
            await page.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _metrics(self) -> Answer:
        snapshot = take(self._sources, metrics.SECTIONS)
        facts = metrics.Facts(
            snapshot,
            self._tally.copy(),
            self._judged(snapshot).ready,
            self._lag.worst(),
            self._pages["/metrics"].cost,
        )
        body = await self._in_thread(exposition, facts, self._settings.strongswan_names)
        return Answer(200, CONTENT_TYPE_LATEST, body)

    async def _health(self) -> Answer:
        """The event loop runs: whoever reads this knows it."""
        return Answer.text(200, "ok\n")

    async def _readiness(self) -> Answer:
        judged = self._judged(take(self._sources, {Section.CONNECTIONS}))
        return Answer.text(200 if judged.ready else 503, judged.text)

    def _judged(self, snapshot: Snapshot) -> Readiness:
        judged = readiness(snapshot, self._settings.ready)
        return Readiness(False, "not ready: ending\n") if self._ending() else judged

    async def _sas(self) -> Answer:
        snapshot = take(self._sources, {Section.IKE_SAS})
        return Answer(200, JSON, await self._in_thread(_json, snapshot))

    async def _in_thread(self, make: Callable[P, bytes], *args: P.args, **kwargs: P.kwargs) -> bytes:
        call = partial(make, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


class _Families:
    """The metrics of one answer, for the registry that prometheus_client writes out."""

    def __init__(self, facts: metrics.Facts, strongswan: bool) -> None:
        self._facts = facts
        self._strongswan = strongswan

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from metrics.families(self._facts)
        if self._strongswan:
            yield from strongswan_names.families(self._facts.snapshot)


def exposition(facts: metrics.Facts, strongswan: bool) -> bytes:
    """All metrics as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(facts, strongswan))
    return generate_latest(registry)


def _json(snapshot: Snapshot) -> bytes:
    return json.dumps(status.sas(snapshot)).encode() + b"\n"
