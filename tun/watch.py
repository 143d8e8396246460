"""Tells when addresses, links or routes of this host may have changed (rtnetlink(7)).

What has changed is not read out of the events: they are merged, and whoever is told reads the state anew. So
an overrun of the socket (ENOBUFS) costs nothing: it is one more reason to look.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Collection
from typing import Any

from pyroute2 import IPRSocket
from pyroute2.netlink import rtnl
from pyroute2.netlink.rtnl.rtmsg import rtmsg

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


class Watch:
    """Calls `changed` on the event loop after each burst of events.

    Those about the devices in `ignored` (their indices) don't count: the daemon's own come and go with every
    child.
    """

    def __init__(self, changed: Callable[[], None], ignored: Collection[int] = ()) -> None:
        """Raises OSError."""
        self._changed = changed
        self._ignored = frozenset(ignored)
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
                self._note()
                continue
            if not self._ignored.issuperset(map(_device, events)):
                self._note()

    def _note(self) -> None:
        now = self._loop.time()
        if self._since is None:
            self._since = now
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + QUIET, self._since + LONGEST), self._tell)

    def _tell(self) -> None:
        self._since = self._timer = None
        self._changed()


def _device(event: Any) -> int:
    """The index of the device that an event is about; 0 for a route with several or none."""
    return (event.get_attr("RTA_OIF") if isinstance(event, rtmsg) else event["index"]) or 0
