"""Puts the HTTP server's parts together, for `ikepy.daemon.service`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ikepy.config.model import Http
from ikepy.daemon import log
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.take_snapshot import Sources
from ikepy.daemon.http.answers import Answer, Stream
from ikepy.daemon.http.ladder_address import forget_address, tell_address
from ikepy.daemon.http.origin import Fields, OwnOrigin
from ikepy.daemon.http.pages import Pages
from ikepy.daemon.http.server import HttpServer
from ikepy.daemon.http.tally import Tally
from ikepy.sa.api.path import Path as NetworkPath


class Page(Protocol):
    """`ikepy.web.window.Window`."""

    @property
    def path(self) -> str: ...

    async def get(self, path: str, /) -> Answer | Stream: ...


class Ladder(Protocol):
    """`ikepy.daemon.http.ladder.DaemonLadder`."""

    @property
    def window(self) -> Page: ...

    def seen(self, message: bytes, path: NetworkPath, outgoing: bool, /) -> None: ...

    def close(self) -> None: ...


class HttpMonitoring:
    """The server of one daemon; events are counted from the beginning.

    `directory`: where the address of the ladder is told, if there is to be one; `key_log`: the file by which
    it is decrypted.
    """

    def __init__(
        self,
        settings: Http,
        bus: EventBus,
        ending: Callable[[], bool],
        directory: Path,
        key_log: Path | None = None,
    ) -> None:
        """Bind the socket. Raises StartError."""
        self._settings = settings
        self._ending = ending
        self._tally = Tally()
        self._pages: Pages | None = None
        self._own = OwnOrigin(settings.listen[0])
        self._server = HttpServer.open(*settings.listen)
        self._tally.listen(bus)
        self._ladder = _ladder(key_log) if settings.ladder else None
        self._address: Path | None = None
        if self._ladder is not None:
            self._address = tell_address(directory, f"{self._base}{self._ladder.window.path}")

    @property
    def _base(self) -> str:
        address, port = self._settings.listen
        return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"

    @property
    def seen(self) -> Callable[[bytes, NetworkPath, bool], None] | None:
        """What wants to hear of each IKE message; None: nothing does."""
        return None if self._ladder is None else self._ladder.seen

    def start(self, sources: Sources) -> None:
        """Serve clients, who see what these know."""
        self._pages = Pages(self._settings, sources, self._tally, self._ending)
        self._server.start(self._answer, guard=self._refusal)
        log.info("http", f"{', '.join(self._pages.paths)} are served at {self._base}", "http")

    def _refusal(self, path: str, header: Fields) -> Answer | None:
        """The ladder is for this machine; who collects metrics may have any name for it."""
        assert self._pages is not None
        return None if path in self._pages.paths else self._own.refusal(path, header)

    async def _answer(self, path: str) -> Answer | Stream:
        assert self._pages is not None
        if self._ladder is not None and path not in self._pages.paths:
            return await self._ladder.window.get(path)
        return await self._pages.answer(path)

    async def close(self) -> None:
        await self._server.close()
        if self._ladder is not None:
            self._ladder.close()
        if self._address is not None:
            forget_address(self._address)
        if self._pages is not None:
            await self._pages.close()


def _ladder(key_log: Path | None) -> Ladder:
    """Loads what dissects messages: a daemon that only counts them does without."""
    from ikepy.daemon.http.ladder import DaemonLadder

    return DaemonLadder(key_log)
