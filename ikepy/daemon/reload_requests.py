"""Reloads that nobody waits for: at SIGHUP, and when a watched file changes."""

from __future__ import annotations

import asyncio

from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.supervision import supervise


class ReloadRequests:
    """Serves them one after the other; those that come meanwhile are one more. The log has the outcome."""

    def __init__(self, desired: DesiredConfig) -> None:
        self._desired = desired
        self._cause = ""
        self._asked = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def ask(self, cause: str) -> None:
        """`cause`: for the log. What is asked before `start` is done then."""
        self._cause = cause
        self._asked.set()

    def start(self) -> None:
        """From now on the daemon takes another configuration."""
        self._serving = supervise(self._serve, "serve reloads", "config")

    async def stop(self) -> None:
        """What has begun goes on."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    async def _serve(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            reload = asyncio.create_task(self._desired.reload(self._cause))
            try:
                await asyncio.wait([reload])
                reload.exception()  # is in the log
            finally:
                reload.cancel()  # it waits for the reload, which goes on without it
