"""`ikepy lab --web`: builds a lab, serves its window on loopback until a signal, and removes it all."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from ipaddress import IPv4Address

from ikepy.daemon.errors import StartError
from ikepy.daemon.http.origin import OwnOrigin
from ikepy.daemon.http.server import HttpServer
from ikepy.lab.bed import Lab
from ikepy.lab.netns import LabError
from ikepy.web.lab.desk import Desk
from ikepy.web.window import Window

LOOPBACK = IPv4Address("127.0.0.1")


def serve_until_signal(
    lab: Lab, port: int, say: Callable[[str], None], signals: Iterable[signal.Signals]
) -> None:
    """Serve a lab that is built until one of `signals` comes. Raises LabError."""

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, stop.set)
        await serve(lab, port, say, stop)

    try:
        asyncio.run(run())
    except StartError as error:
        raise LabError(f"the page can't be served: {error}") from None


async def serve(
    lab: Lab, port: int, say: Callable[[str], None], stop: asyncio.Event, token: str | None = None
) -> None:
    """Serve a lab that is built, whose gateways are started now; until `stop`. Raises LabError,
    StartError."""
    async with AsyncExitStack() as stack:
        server = HttpServer.open(LOOPBACK, port)
        stack.push_async_callback(server.close)
        desk = Desk(lab)
        await desk.open(stack)
        window = Window(desk.feed, desk.gets, desk.posts, token)
        server.start(window.get, window.post, OwnOrigin(LOOPBACK).refusal)
        say(f"\nThe window: http://{LOOPBACK}:{server.port}{window.path}")
        say("It shows keys and breaks the lab for whoever has this address. Ctrl-C ends it.\n")
        try:
            seconds = await asyncio.to_thread(lab.connect)
        except LabError as error:  # there may be much to see all the same
            say(str(error))
        else:
            say(f"the tunnel is up after {seconds:.1f} s")
        await stop.wait()
