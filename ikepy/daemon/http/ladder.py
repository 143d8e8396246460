"""The ladder of one daemon: its IKE messages on a page, to read only, as they come and go.

It is decrypted where the daemon has a key log (`keylog_dir`); else it shows what anybody on the way sees.
Dissecting is slower than answering: a flood, or messages that are made to be costly, are shown in part.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from esp.datapath.limits import RateLimit
from ikepy.daemon import log
from ikepy.sa.api.path import Path as NetworkPath
from ikepy.web import exports
from ikepy.web.crossings import View
from ikepy.web.feed import Event, Feed
from ikepy.web.onlooker import Onlooker
from ikepy.web.rungs import REMEMBERED, Rung, Rungs
from ikepy.web.window import Window

HERE, PEERS = "ikepy", "peers"
RATE = (0.02, 200)  # seconds between two messages that are shown; burst
SHARE = 0.1  # of a CPU that it may take from IKE, over a while
SPARE = 0.5  # seconds of a CPU that it may take at once


class DaemonLadder:
    """`window` has the page; `seen` hears of each message."""

    def __init__(
        self,
        key_log: Path | None,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """`worked`: seconds of a CPU that were used so far."""
        self._clock = clock
        self._worked = worked
        self._limit = RateLimit(*RATE)
        self._paid_at = float("-inf")  # when what was worked is within SHARE
        self._left_out = 0
        self._failed = False
        self._onlooker = Onlooker([] if key_log is None else [key_log], most=REMEMBERED)
        self._onlooker.skip()  # opens the file, while we still may; former daemons' keys open nothing here
        self._rungs = Rungs(self._onlooker.feed, self._tell)
        self._feed = Feed(self._whole)
        self.window = Window(self._feed, {"message": self._message, "export": self._export})

    def close(self) -> None:
        self._onlooker.close()

    def seen(self, message: bytes, path: NetworkPath, outgoing: bool) -> None:
        """An IKE message (without non-ESP marker) was sent, or came in."""
        now, begin = self._clock(), self._worked()
        if self._paid_at > now + SPARE / SHARE or not self._limit.allow(now):
            self._left_out += 1
            return
        try:
            self._show(message, path, outgoing)
        except Exception as error:  # a fault of ours, which is not to become one of IKE
            if not self._failed:
                log.log(logging.ERROR, "http", f"the ladder lacks one: {error}", "http", traceback=error)
            self._failed = True
        self._paid_at = max(self._paid_at, now) + (self._worked() - begin) / SHARE

    def _show(self, message: bytes, path: NetworkPath, outgoing: bool) -> None:
        local, remote = str(path.local), str(path.remote)
        if outgoing:
            self._rungs.sent(View(HERE, time.time(), local, remote, message))
        else:
            self._rungs.arrived(View(HERE, time.time(), remote, local, message))
        self._rungs.learned(self._onlooker.learn())

    def _whole(self) -> Iterable[Event]:
        yield (
            "begin",
            {
                "time": time.time(),
                "views": ["ladder"],
                "ends": [HERE, PEERS],
                "both": False,
                "exports": exports.OF_LADDER,
                "left_out": self._left_out,
            },
        )
        yield "messages", self._rungs.whole()

    def _tell(self, rung: Rung) -> None:
        self._feed.publish("message", rung.describe())

    async def _message(self, rest: str) -> object:
        return self._rungs.message(rest)

    async def _export(self, rest: str) -> object:
        ladder = self._rungs.ladder()
        return await asyncio.to_thread(exports.of_ladder, rest, ladder)  # many fields: IKE does not wait
