"""Tells when addresses, links or routes of this host may have changed (rtnetlink(7)).

What has changed is not read out of the events: they are merged, and whoever is told reads the state anew. So
an overrun of the socket (ENOBUFS) costs nothing: it is one more reason to look.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Collection

QUIET = 0.1  # seconds without a further event that end a burst
LONGEST = 0.5  # seconds after its first event that a burst is told at the latest
_READS = 64  # datagrams before the loop gets its turn again
_SPACE = 1 << 16

# linux/rtnetlink.h
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # links; IPv4 addresses, routes; IPv6 addresses, routes
_LINK = (16, 17)  # RTM_NEWLINK, RTM_DELLINK
_ADDRESS = (20, 21)
_ROUTE = (24, 25)
_RTA_OIF = 4
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_INDEX = struct.Struct("=4xi")  # where struct ifinfomsg and ifaddrmsg have it
_RTMSG = 12  # octets
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")


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
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._sock.bind((0, _GROUPS))
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
                data = self._sock.recv(_SPACE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._note()
                continue
            if not self._ignored.issuperset(devices(data)):
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


def devices(data: bytes) -> set[int]:
    """The indices of the devices that a datagram of events is about; 0 for what names none.

    Empty if it holds nothing of links, addresses and routes.
    """
    found: set[int] = set()
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        body = data[at + _HEADER.size : at + length]
        if kind in _LINK + _ADDRESS and len(body) >= _INDEX.size:
            found.add(_INDEX.unpack_from(body)[0])
        elif kind in _ROUTE:
            found.add(_route_device(body))
        at += max(_HEADER.size, (length + 3) & ~3)
    return found


def _route_device(body: bytes) -> int:
    """The device of a route; 0 for one with several or none."""
    at = _RTMSG
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind == _RTA_OIF and at + _ATTRIBUTE.size + _NUMBER.size <= len(body):
            return int(_NUMBER.unpack_from(body, at + _ATTRIBUTE.size)[0])
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return 0
