"""The window of one lab: watches its links, its gateways and their logs, tells pages, and does what they ask
for."""

from __future__ import annotations

import asyncio
import math
import subprocess
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict

from ikepy import listing
from ikepy.dissect import keyfile
from ikepy.lab import concentrators, measure, topology
from ikepy.lab.bed import Lab
from ikepy.lab.netns import LabError
from ikepy.sa.api.path import Endpoint
from ikepy.web import exports
from ikepy.web.crossings import View
from ikepy.web.feed import Event, Feed
from ikepy.web.lab import picture, way
from ikepy.web.lab.actions import Actions
from ikepy.web.lab.captures import Captures
from ikepy.web.lab.frames import Frame, Frames
from ikepy.web.lab.gateway_log import GatewayLog, LogLine
from ikepy.web.lab.meddler import Meddler
from ikepy.web.lab.simulation import Simulation
from ikepy.web.lab.traffic import Traffic
from ikepy.web.lab.udp import Datagram, datagram_of
from ikepy.web.onlooker import Onlooker
from ikepy.web.rungs import Rung, Rungs
from ikepy.web.window import Get, Post, RefusedError

DRAIN = 0.025  # seconds between two looks for frames
TELL = 0.25  # seconds between two events about traffic
HELD = 0.15  # seconds that a message waits for the keys that follow from it
LOOK = 0.5  # seconds between two looks at SAs and logs
LINES = 300  # of the logs, that a page hears at its beginning
FOLLOWED = 2000  # frames, among which a ping is looked for
TOLD = 50  # outcomes of actions, alike
UPLINKS = {"cgw": "eth0", "c4": "eth0"}
ENDS = ("cgw", "c4")
VIEWS = ("picture", "ladder", "keys", "way", "simulation", "break")


class Desk:
    """From `open` to the end of `stack`. `feed` and the functions of `gets` and `posts` are for the
    window."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._frames = Frames(lab.nodes)
        self._traffic = Traffic(picture.links(lab))
        logs = [lab.directory / node / concentrators.KEYS / keyfile.NAME for node in ENDS]
        self._onlooker = Onlooker(logs, [concentrators.SECRET.encode()])
        self.rungs = Rungs(self._onlooker.feed, self._tell_rung)
        self._captures = Captures(ENDS)
        self._meddler = Meddler(lab.nodes["internet"], self._meddled)
        self._actions = Actions(lab, self._meddler)
        self._logs = [GatewayLog(node, lab.directory / node / "output.log") for node in ENDS]
        self._lines: deque[LogLine] = deque(maxlen=LINES)
        self._sas: dict[str, list[listing.IkeSa] | bool | None] = dict.fromkeys(ENDS)
        self._outcomes: deque[dict[str, object]] = deque(maxlen=TOLD)
        self._held: deque[tuple[View, bool]] = deque()  # messages of IKE, and whether they go out
        self._keys: list[dict[str, object]] = []  # IKE_SAs whose keys can be shown
        self._followed: list[Frame] | None = None  # frames, while a ping is followed
        self._ping: subprocess.Popen[bytes] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.feed = Feed(self._whole)
        self._simulation = Simulation()
        self.gets: dict[str, Get] = {
            "message": self._message,
            "keys": self._steps,
            "export": self._export,
            "simulation": self._simulation.run,
            "step": self._simulation.message,
        }
        self.posts: dict[str, Post] = {"do": self._do, "ping": self._set_ping, "follow": self._follow}

    async def open(self, stack: AsyncExitStack) -> None:
        """Begin to watch: before the gateways start, so that nothing is missed."""
        self._frames.open()
        stack.callback(self._frames.close)
        stack.callback(self._onlooker.close)
        stack.push_async_callback(self._end)
        for job in (self._watch_frames(), self._tell_traffic(), self._watch_gateways()):
            self._start(job)

    def _start(self, job: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._simulation.close()
        await self._meddler.stop()
        self._stop_ping()

    # -- what pages hear ---------------------------------------------------------------------------

    def _whole(self) -> Iterable[Event]:
        offered = (*exports.OF_LADDER, *self._captures.offered)
        yield (
            "begin",
            {
                "time": time.time(),
                "views": [one for one in VIEWS if one != "simulation" or self._simulation.available],
                "ends": ENDS,
                "both": True,
                "exports": offered,
                "left_out": 0,
            },
        )
        yield "picture", picture.describe(self._lab)
        yield "actions", [asdict(action) for action in self._actions.offered()]
        yield "traffic", self._traffic.whole()
        yield "ping", self._ping is not None
        yield "sas", self._sas
        yield "log", [line.describe() for line in self._lines]
        yield "messages", self.rungs.whole()
        yield "keys", self._keys
        for outcome in self._outcomes:
            yield "outcome", outcome

    def _tell_rung(self, rung: Rung) -> None:
        self.feed.publish("message", rung.describe())

    async def _message(self, rest: str) -> object:
        return self.rungs.message(rest)

    async def _steps(self, rest: str) -> object:
        return self._onlooker.steps(rest)

    async def _export(self, rest: str) -> object:
        found = self._captures.export(rest, self._onlooker.keys)
        return exports.of_ladder(rest, self.rungs.ladder(ENDS[0])) if found is None else found

    def _known_keys(self) -> list[dict[str, object]]:
        return [{"name": name, "steps": count} for name, count in self._onlooker.sas()]

    # -- watching ----------------------------------------------------------------------------------

    async def _watch_frames(self) -> None:
        while True:
            self._frames.drain(self._take)
            self.rungs.learned(self._onlooker.learn())
            self._show(until=time.time() - HELD)
            await asyncio.sleep(DRAIN)

    def _take(self, frame: Frame) -> None:
        self._traffic.add(frame)
        if self._followed is not None and len(self._followed) < FOLLOWED:
            self._followed.append(frame)
        if UPLINKS.get(frame.node) != frame.device:
            return
        datagram = datagram_of(frame.octets, frame.link)
        if datagram is not None:
            self._captures.add(frame, datagram)
        if datagram is not None and datagram.ike is not None:
            self._held.append((_view(frame, datagram, datagram.ike), frame.outgoing))

    def _show(self, until: float) -> None:
        """Show what passed until then: by now the gateways have told the keys that it led to."""
        while self._held and self._held[0][0].time <= until:
            view, outgoing = self._held.popleft()
            (self.rungs.sent if outgoing else self.rungs.arrived)(view)

    def _meddled(self, datagram: Datagram, fate: str) -> None:
        if datagram.ike is not None:
            self._frames.drain(self._take)
            self._show(until=math.inf)  # the message must be known
            self.rungs.meddled(datagram.ike, fate)

    async def _tell_traffic(self) -> None:
        while True:
            await asyncio.sleep(TELL)
            told = self._traffic.take()
            if told:
                self.feed.publish("traffic", told)

    async def _watch_gateways(self) -> None:
        while True:
            sas = await asyncio.to_thread(lambda: {node: self._list_sas(node) for node in ENDS})
            if sas != self._sas:
                self._sas = sas
                self.feed.publish("sas", sas)
            lines = [line for log in self._logs for line in log.new()]
            if self._keys != (keys := self._known_keys()):
                self._keys = keys
                self.feed.publish("keys", keys)
            if lines:
                lines.sort(key=lambda line: line.time)
                self._lines.extend(lines)
                self.feed.publish("log", [line.describe() for line in lines])
            await asyncio.sleep(LOOK)

    def _list_sas(self, node: str) -> list[listing.IkeSa] | bool | None:
        """None: the daemon does not answer (yet). A bool, of one that is not ours: whether it has a child."""
        concentrator = self._lab.cgw if node == "cgw" else self._lab.c4
        try:
            if concentrator.kind != "ikepy":
                return concentrator.established
            return self._lab.gateway(node).list_sas()
        except LabError:
            return None

    # -- what pages ask for ------------------------------------------------------------------------

    async def _do(self, form: dict[str, object]) -> object:
        """Begin an action; its outcome is an event, as it may take long."""
        begun = asyncio.create_task(self._actions.do(form))
        await asyncio.wait([begun], timeout=0.2)
        if begun.done() and begun.exception() is not None:
            raise begun.exception() or AssertionError
        self._start(self._tell_outcome(str(form["action"]), begun))
        return {"begun": True}

    async def _tell_outcome(self, action: str, begun: asyncio.Task[str]) -> None:
        outcome = {"action": action, "text": await begun, "time": time.time()}
        self._outcomes.append(outcome)
        self.feed.publish("outcome", outcome)

    async def _set_ping(self, form: dict[str, object]) -> object:
        """A ping each second from pod1 to the site, or none."""
        self._stop_ping()
        if form.get("on"):
            self._start_ping()
        self.feed.publish("ping", self._ping is not None)
        return {"on": self._ping is not None}

    async def _follow(self, _: dict[str, object]) -> object:
        """Send one ping from pod1 to the site, and tell its way."""
        if self._followed is not None:
            raise RefusedError("a ping is being followed")
        self._followed = []
        try:
            target = topology.address(topology.SITE["site"])
            await asyncio.to_thread(measure.ping, self._lab.nodes["pod1"], target, count=1)
            await asyncio.sleep(2 * DRAIN)
            return way.describe(way.hops(self._lab, self._followed, self._onlooker.open_esp))
        finally:
            self._followed = None

    def _start_ping(self) -> None:
        target = topology.address(topology.SITE["site"])
        words = self._lab.nodes["pod1"].command("ping", "-n", "-i", "1", target)
        nothing = subprocess.DEVNULL
        self._ping = subprocess.Popen(words, stdin=nothing, stdout=nothing, stderr=nothing)

    def _stop_ping(self) -> None:
        if self._ping is not None:
            self._ping.kill()
            self._ping.wait()
            self._ping = None


def _view(frame: Frame, datagram: Datagram, octets: bytes) -> View:
    source = Endpoint(datagram.source, datagram.source_port)
    destination = Endpoint(datagram.destination, datagram.destination_port)
    return View(frame.node, frame.time, str(source), str(destination), octets)
