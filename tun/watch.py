"""Watches for changes of this host's addresses, links, routes and rules (rtnetlink(7)).

Events only tell which devices they are about, not what has changed: they are merged, and the listener reads
the state anew. So an overrun of the socket (ENOBUFS) costs little: everything is read anew.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from pyroute2 import IPRSocket
from pyroute2.netlink import NLM_F_REPLACE, rtnl
from pyroute2.netlink.rtnl import rt_proto
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tun.links import IFF_LOWER_UP, IFF_UP
from tun.netlink import Network
from tun.rtnetlink import destination, is_ours

QUIET = 0.1  # seconds without a further event after which a burst has ended
LONGEST = 0.5  # seconds after its first event at which a burst is reported at the latest
RT_TABLE_LOCAL = 255  # linux/rtnetlink.h
_READS = 64  # datagrams before the loop gets its turn again
_GROUPS = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV6_ROUTE
    | rtnl.RTMGRP_IPV4_RULE
    | rtnl.RTMGRP_IPV6_RULE
)


@dataclass(frozen=True, slots=True)
class Link:
    """The state of an up device, from an event."""

    carrier: bool
    mtu: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What a burst of events was about.

    `devices`: their indices, 0 for a rule, and a route with several or none. `gone`: a route, a rule or a
    device is away, or a device is down, so that there may be room for something. `replaced`: networks whose
    route is another one now, which nobody tells of the device that it led through. `links`: devices of which
    nothing else was told than what they are: who expects that need not look. `all`: events were lost.
    """

    devices: frozenset[int] = frozenset()
    gone: bool = False
    links: Mapping[int, Link] = field(default_factory=dict)
    replaced: frozenset[Network] = frozenset()
    all: bool = False

    def outside(self, devices: Set[int]) -> bool:
        """Whether other devices than these are concerned."""
        return self.all or not (self.devices <= devices and self.links.keys() <= devices)


class Watch:
    """Calls `changed` on the event loop after each burst of events; our own changes are ignored."""

    def __init__(self, changed: Callable[[Changes], None]) -> None:
        """Raises OSError."""
        self._changed = changed
        self._devices: set[int] = set()
        self._links: dict[int, Link] = {}
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
                if isinstance(event, rtmsg):
                    self._take_route(event)
                    continue
                if isinstance(event, fibmsg):
                    self._take_rule(event)
                    continue
                self._gone |= _makes_room(event)
                if event["header"]["type"] == rtnl.RTM_NEWLINK and event["flags"] & IFF_UP:
                    link = Link(bool(event["flags"] & IFF_LOWER_UP), event.get_attr("IFLA_MTU"))
                    self._links[event["index"]] = link
                else:
                    self._devices.add(event["index"])
                self._note()

    def _take_route(self, event: Any) -> None:
        """In the table local most routes are the kernel's own, and change with each address and link."""
        is_kernels = event["table"] == RT_TABLE_LOCAL and event["proto"] == rt_proto["kernel"]
        if is_kernels or is_ours(event["header"]["pid"]):
            return
        self._devices.add(event.get_attr("RTA_OIF") or 0)
        self._gone |= _makes_room(event)
        if event["header"]["flags"] & NLM_F_REPLACE:
            self._replaced.add(destination(event))
        self._note()

    def _take_rule(self, event: Any) -> None:
        """Any route may be another one's now."""
        if not is_ours(event["header"]["pid"]):
            self._devices.add(0)
            self._gone = True
            self._note()

    def _note(self) -> None:
        now = self._loop.time()
        if self._since is None:
            self._since = now
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + QUIET, self._since + LONGEST), self._tell)

    def _tell(self) -> None:
        changes = Changes(
            frozenset(self._devices),
            self._gone,
            dict(self._links),
            frozenset(self._replaced),
            self._all,
        )
        self._links.clear()
        self._since = self._timer = None
        self._replaced.clear()
        self._devices.clear()
        self._gone = self._all = False
        self._changed(changes)


def _makes_room(event: Any) -> bool:
    """With a device that is down or gone the kernel removes IPv4 routes without a word."""
    kind = event["header"]["type"]
    return kind in (rtnl.RTM_DELROUTE, rtnl.RTM_DELLINK) or (
        kind == rtnl.RTM_NEWLINK and not event["flags"] & IFF_UP
    )
