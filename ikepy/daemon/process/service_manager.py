"""Tells systemd how the daemon does: ready, reloading, ending, alive, a line of status (sd_notify(3)).

The protocol is one datagram of "KEY=value" lines to the socket that NOTIFY_SOCKET names; nothing is sent
where there is none. Nothing waits: what systemd does not take is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

from ikepy.daemon.bus.daemon_events import ConfigRefused, ConfigReloaded, ConfigReloading
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.sa.api.events import ChildDown, ChildUp

SETTLING = 1.0  # seconds that changes of the status are gathered
PARTS = 2  # signs of life in the time that systemd waits for one (sd_watchdog_enabled(3))


class ServiceManager:
    """systemd, or nobody."""

    def __init__(self, address: str | None, watchdog: float | None) -> None:
        """`address`: of the socket; `watchdog`: seconds within which systemd wants a sign of life."""
        self._address = address
        self._interval = None if watchdog is None else watchdog / PARTS
        self._sock: socket.socket | None = None
        if address is not None:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._alive: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._children = 0
        self._running = False
        self._refused = False  # the last reload

    @classmethod
    def of_environment(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """As systemd's variables say, which are removed: they are not for our own processes."""
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) and ours else None
        if address is not None and not address.startswith(("/", "@")):
            address = None
        return cls(address, watchdog if address is not None else None)

    def follow(self, bus: EventBus) -> None:
        """Count the children that are up, for the status, and tell of reloads."""
        if self._sock is not None:
            bus.listen((ConfigReloading,), lambda _: self._reloading())
            bus.listen((ConfigReloaded,), lambda _: self._reloaded(refused=False))
            bus.listen((ConfigRefused,), lambda _: self._reloaded(refused=True))
            bus.listen((ChildUp,), lambda _: self._changed(1))
            bus.listen((ChildDown,), lambda _: self._changed(-1))

    def ready(self) -> None:
        """The start is over: sockets and devices are there. From now on the event loop shows that it runs."""
        self._running = True
        self._tell("READY=1", self._status)
        self._show_life()

    def _reloading(self) -> None:
        if not self._running:
            return
        # systemd takes the time to tell this reload from an earlier one, for Type=notify-reload.
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}", "STATUS=the configuration is read again")

    def _reloaded(self, *, refused: bool) -> None:
        self._refused = refused
        if self._running:
            self._tell("READY=1", self._status)

    def stopping(self) -> None:
        self._running = False
        self._tell("STOPPING=1", "STATUS=ending: the SAs are being deleted at the peers")

    def close(self) -> None:
        for handle in (self._alive, self._settling):
            if handle is not None:
                handle.cancel()
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _show_life(self) -> None:
        if self._interval is not None:
            self._tell("WATCHDOG=1")
            self._alive = asyncio.get_running_loop().call_later(self._interval, self._show_life)

    def _changed(self, by: int) -> None:
        self._children += by
        if self._settling is None and self._sock is not None:
            self._settling = asyncio.get_running_loop().call_later(SETTLING, self._tell_children)

    def _tell_children(self) -> None:
        self._settling = None
        if self._running:
            self._tell(self._status)

    @property
    def _status(self) -> str:
        refused = "; the configuration was refused, the former one stays in use" if self._refused else ""
        return f"STATUS=running, children that are up: {self._children}{refused}"

    def _tell(self, *lines: str) -> None:
        if self._sock is None or self._address is None:
            return
        # An abstract address begins with a zero byte, which NOTIFY_SOCKET writes as "@" (unix(7)).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError):
            self._sock.sendto("\n".join(lines).encode(), address)
