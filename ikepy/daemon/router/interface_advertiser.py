"""Advertises on one interface: follows it as it comes and goes, sends what the schedule asks for, and hears
solicitations. What arrives is bounded: READS messages, then a pause, and none while an answer is due anyway.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import RouterAnnounces, RouterWaits, RouterWithdrawn
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.router import forwarding, icmp_socket
from ikepy.daemon.router.announcement import Content, announced, content, remembered, withdrawn
from ikepy.daemon.router.icmp_socket import OpenSocket
from ikepy.daemon.router.messages import read_solicitation
from ikepy.daemon.router.schedule import Phase, Schedule
from ikepy.daemon.router.tunnels import Tunnels
from ikepy.errors import WireError
from tun import links

READS = 32  # messages before the socket gets a pause
PAUSE = 0.1  # seconds
LOOK_AGAIN = 1.0  # seconds: an interface that can't send yet is looked at so often
ENDING = 1.0  # seconds for the final advertisements of a daemon that ends
PATIENCE = 3.0  # seconds that it is waited for in silence: an address takes one or two (RFC 4862 5.4)
Done = Callable[["InterfaceAdvertiser"], None]


@dataclass(slots=True)
class Link:
    """The interface as it is now, and its socket."""

    index: int
    sock: socket.socket
    source: IPv6Address
    ethernet: bytes | None


class InterfaceAdvertiser:
    """From `start` to `close`. `idle`: nothing is announced, nor to be withdrawn."""

    def __init__(
        self, settings: RouterAdvertisement, open_socket: OpenSocket, bus: EventBus, done: Done
    ) -> None:
        """`done` is called whenever it has become idle."""
        self._settings = settings
        self._open = open_socket
        self._publish = bus.publish
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self.schedule = Schedule(settings.intervals, random.SystemRandom().random)
        self._link: Link | None = None
        self._far: frozenset[IPv6Network] = frozenset()
        self._told = Content()  # what hosts may have of us
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None  # a pause of the socket's
        self._lacks_since: float | None = None  # since when the interface can't send
        self._lack_told = False
        self._refused: tuple[float, str] | None = None  # until when nothing is sent, as the kernel said this
        self._done = done
        self.idle = asyncio.Event()

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def can_send(self) -> bool:
        return self._link is not None

    # Desired state

    def start(self, tunnels: Tunnels) -> None:
        """A daemon that was killed may have left something announced: without a tunnel it is taken back."""
        self._told = content(self._settings, tunnels.all_far)
        if not tunnels.suffice(self._settings):
            self.schedule.withdraw(self._clock())
        self.follow(self._settings, tunnels)
        self.look()

    def follow(self, settings: RouterAdvertisement, tunnels: Tunnels) -> None:
        """The configuration and the tunnels are these now."""
        before = self._settings, content(self._settings, self._far)
        self._settings, self.schedule.intervals = settings, settings.intervals
        if not tunnels.suffice(settings):
            self.leave()
            return
        self._far = tunnels.far
        if self.schedule.phase is not Phase.ANNOUNCING:
            self.schedule.announce(self._clock())
            self._publish(RouterAnnounces(self.name, tunnels.up))
            self.look()
        elif before != (settings, content(settings, self._far)):
            self.schedule.change(self._clock())
            self.look()

    def leave(self) -> None:
        """Withdraw what is announced, if anything is."""
        if self.schedule.phase is Phase.ANNOUNCING:
            self.schedule.withdraw(self._clock())
            self._publish(RouterWithdrawn(self.name))
            self.look()

    async def end(self) -> None:
        """The daemon ends: withdraw what is announced, within ENDING seconds."""
        if self.schedule.phase is Phase.ANNOUNCING:
            self._publish(RouterWithdrawn(self.name))
        self.schedule.end(self._clock())
        self.look()
        if self._link is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ENDING):
                    await self.idle.wait()

    def close(self) -> None:
        for handle in (self._timer, self._reading):
            if handle is not None:
                handle.cancel()
        self._drop_link()

    # The interface

    def look(self) -> None:
        """Look at the interface, which may have come, gone or changed, and set the timer."""
        lack = self._follow_link()
        now = self._clock()
        if not lack:
            self._lacks_since, self._lack_told = None, False
        elif self._lacks_since is None:
            self._lacks_since = now
        elif not self._lack_told and now >= self._lacks_since + PATIENCE:
            self._lack_told = True
            self._publish(RouterWaits(self.name, lack))
        self._set_timer()

    def _follow_link(self) -> str:
        """Open the socket of the interface that there is now. Why nothing can be sent; "" if it can."""
        if self._refused is not None and self._clock() < self._refused[0]:
            return self._refused[1]
        self._refused = None
        try:
            index = socket.if_nametoindex(self.name)
        except OSError:
            self._drop_link()
            return "there is no such interface"
        try:
            if self._link is not None and self._link.index != index:
                self._drop_link()
            if not links.has_link(self.name):
                self._drop_link()
                return "it is down, or has no carrier"
            source = links.link_local_address(self.name)
            if source is None:
                self._drop_link()
                return "it has no link-local address (yet), of which routers send (RFC 4861 6.1.2)"
            ethernet = links.ethernet_address(self.name)
            if self._link is None:
                self._take_link(Link(index, self._open(self.name, index), source, ethernet))
            else:
                self._link.source, self._link.ethernet = source, ethernet
        except OSError as error:
            self._drop_link()
            return error.strerror or str(error)
        return ""

    def _take_link(self, link: Link) -> None:
        self._link = link
        self._loop.add_reader(link.sock, self._read)
        self.schedule.link_is_back(self._clock())
        for text in forwarding.lacking(self.name):
            log.warning(self.name, text, "net")

    def _drop_link(self) -> None:
        if self._link is not None:
            self._loop.remove_reader(self._link.sock)
            self._link.sock.close()
            self._link = None

    # Sending

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link is None:
            self._timer = self._loop.call_later(LOOK_AGAIN, self.look)
        elif self.schedule.deadline is not None:
            self._timer = self._loop.call_at(self.schedule.deadline, self._due)
        if self.schedule.phase is not Phase.SILENT:
            self.idle.clear()
        elif not self.idle.is_set():
            self.idle.set()
            self._done(self)  # last: it may close this one

    def _due(self) -> None:
        self._timer = None
        self._follow_link()
        due = self.schedule.deadline
        if self._link is not None and due is not None and due <= self._clock():
            self._send(self._link)
        self.look()

    def _send(self, link: Link) -> None:
        current = content(self._settings, self._far)
        if self.schedule.phase is Phase.ANNOUNCING:
            self._told = remembered(self._told, current)
            advertisement = announced(self._settings, current, self._told, link.ethernet)
        else:
            advertisement = withdrawn(self._settings, self._told, link.ethernet)
        try:
            for message in advertisement.encode():
                icmp_socket.send(link.sock, message, link.source, link.index)
        except OSError as error:
            self._drop_link()
            self._refused = self._clock() + LOOK_AGAIN, error.strerror or str(error)
            return
        self.schedule.sent(self._clock())
        if not self.schedule.emphatic:  # what was taken back has been said often enough
            self._told = current if self.schedule.phase is Phase.ANNOUNCING else Content()

    # Hearing

    def _read(self) -> None:
        link = self._link
        for _ in range(READS):
            if link is None or self.schedule.answering:
                break
            try:
                octets, source, hop_limit = icmp_socket.receive(link.sock)
                read_solicitation(octets, source, hop_limit)
            except BlockingIOError:
                return
            except (OSError, WireError):
                continue
            self.schedule.solicited(self._clock())
            self._set_timer()
        self._pause(link)

    def _pause(self, link: Link | None) -> None:
        """Read no more for a moment: the kernel drops what its buffer does not hold."""
        if link is not None and self._reading is None:
            self._loop.remove_reader(link.sock)
            self._reading = self._loop.call_later(PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._reading = None
        if self._link is not None:
            self._loop.add_reader(self._link.sock, self._read)
