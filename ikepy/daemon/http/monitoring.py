"""Puts the HTTP server's parts together, for `ikepy.daemon.service`."""

from __future__ import annotations

from collections.abc import Callable

from ikepy.config.model import Http
from ikepy.daemon import log
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.take_snapshot import Sources
from ikepy.daemon.http.pages import Pages
from ikepy.daemon.http.server import HttpServer
from ikepy.daemon.http.tally import Tally


class HttpMonitoring:
    """The server of one daemon; events are counted from the beginning."""

    def __init__(self, settings: Http, bus: EventBus, ending: Callable[[], bool]) -> None:
        """Bind the socket. Raises StartError."""
        self._settings = settings
        self._ending = ending
        self._tally = Tally()
        self._pages: Pages | None = None
        self._server = HttpServer.open(*settings.listen)
        self._tally.listen(bus)

    def start(self, sources: Sources) -> None:
        """Serve clients, who see what these know."""
        self._pages = Pages(self._settings, sources, self._tally, self._ending)
        self._server.start(self._pages.answer)
        address, port = self._settings.listen
        host = f"[{address}]" if address.version == 6 else str(address)
        log.info("http", f"{', '.join(self._pages.paths)} are served at http://{host}:{port}", "http")

    async def close(self) -> None:
        await self._server.close()
        if self._pages is not None:
            await self._pages.close()
