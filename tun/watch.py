"""Tells when addresses, links or routes of this host may have changed (rtnetlink(7)).

What has changed is not read out of the events, only which devices they are about: they are merged, and
whoever is told reads the state anew. So an overrun of the socket (ENOBUFS) costs little: all is looked at.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRSocket
from pyroute2.netlink import NLM_F_REPLACE, rtnl
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tun.links import IFF_UP
from tun.netlink import Network
from tun.rtnetlink import destination, is_ours

QUIET = 0.1  # seconds without a further event that end a burst
LONGEST = 0.5  # seconds after its first event that a burst is told at the latest
_READS = 64  # datagrams before the loop gets its turn again
_GROUPS = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV6_ROUTE
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a burst of events was about.

    `devices`: their indices, 0 for a route with several or none. `gone`: a route or a device is away, or a
    device is down, so that there may be room for something. `replaced`: networks whose route is another one
    now, which nobody tells of the device that it led through. `all`: events were lost.
    """

    devices: frozenset[int] = frozenset()
    gone: bool = False
    replaced: frozenset[Network] = frozenset()
    all: bool = False


class Watch:
    """Calls `changed` on the event loop after each burst of events, but for those of our own routes."""

    def __init__(self, changed: Callable[[Changes], None]) -> None:
        """Raises OSError."""
        self._changed = changed
        self._devices: set[int] = set()
        self._replaced: set[Network] = set()
        self._gone = self._all = False
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None  # when the burst began
        self._timer: asyncio.TimerHandle | None = None
        self._sock = IPRSocket()
        try:
            self._sock.socket.bind((0, _GROUPS))
            self._sock.socket.setblocking(False)
        except BaseException:
            self._sock.close()
            raise
        self._loop.add_reader(self._sock, self._read)

    def close(self) -> None:
        """No call follows. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _read(self) -> None:
        for _ in range(_READS):
            try:
                events = self._sock.get()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._all = True
                self._note()
                continue
            for event in events:
                if not isinstance(event, rtmsg) or not is_ours(event["header"]["pid"]):
                    self._devices.add(_device(event))
                    self._gone |= _makes_room(event)
                    if event["header"]["flags"] & NLM_F_REPLACE and isinstance(event, rtmsg):
                        self._replaced.add(destination(event))
                    self._note()

    def _note(self) -> None:
        now = self._loop.time()
        if self._since is None:
            self._since = now
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + QUIET, self._since + LONGEST), self._tell)

    def _tell(self) -> None:
        changes = Changes(frozenset(self._devices), self._gone, frozenset(self._replaced), self._all)
        self._since = self._timer = None
        self._replaced.clear()
        self._devices.clear()
        self._gone = self._all = False
        self._changed(changes)


def _device(event: Any) -> int:
    """The index of the device that an event is about; 0 for a route with several or none."""
    return (event.get_attr("RTA_OIF") if isinstance(event, rtmsg) else event["index"]) or 0


def _makes_room(event: Any) -> bool:
    """With a device that is down or gone the kernel removes IPv4 routes without a word."""
    kind = event["header"]["type"]
    return kind in (rtnl.RTM_DELROUTE, rtnl.RTM_DELLINK) or (
        kind == rtnl.RTM_NEWLINK and not event["flags"] & IFF_UP
    )
