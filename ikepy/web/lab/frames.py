"""Whole frames of all of a lab's devices as they pass, by packet sockets in its namespaces (packet(7))."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from ikepy.lab.netns import Namespace

_ETH_P_ALL = 0x0003
_OUTGOING = 4  # PACKET_OUTGOING
_SO_TIMESTAMPNS = 35  # for 64 bits of seconds on 64-bit machines (asm-generic/socket.h)
_TIMESPEC = struct.Struct("@qq")
_LARGEST = 1 << 16
TURN = 40  # frames of one namespace at once: a flood is counted in part, and leaves time for the page


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame on a device of a node. `time`: of the kernel's clock, in seconds of the epoch; `outgoing`:
    it leaves the node there; `link`: the device's ARPHRD type."""

    time: float
    node: str
    device: str
    outgoing: bool
    link: int
    octets: bytes


class Frames:
    """Reads from `open` to `close`; `drain` gives what has come since, in the order of time."""

    def __init__(self, nodes: Mapping[str, Namespace]) -> None:
        self._nodes = nodes
        self._sockets: dict[str, socket.socket] = {}

    def open(self) -> None:
        """Begin; OSError without CAP_NET_RAW."""
        with ExitStack() as stack:
            for name, namespace in self._nodes.items():
                self._sockets[name] = namespace.inside(_open)
                stack.callback(self._sockets[name].close)
            stack.pop_all()

    def close(self) -> None:
        """End. May be called twice."""
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()

    def drain(self, take: Callable[[Frame], None]) -> bool:
        """Give `take` what waits, at most TURN frames of each node; whether more may wait."""
        found: list[Frame] = []
        more = False
        for name, one in self._sockets.items():
            count = len(found)
            found += _read(one, name)
            more |= len(found) - count >= TURN
        for frame in sorted(found, key=lambda frame: frame.time):
            take(frame)
        return more


def _open() -> socket.socket:
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    one.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return one


def _read(one: socket.socket, node: str) -> list[Frame]:
    found: list[Frame] = []
    while len(found) < TURN:
        try:
            octets, ancillary, _, address = one.recvmsg(_LARGEST, 64)
        except BlockingIOError:
            break
        except OSError:  # a device went down (ENETDOWN) or was removed
            continue
        time = next((_seconds(data) for _, kind, data in ancillary if kind == _SO_TIMESTAMPNS), 0.0)
        device, _, direction, link, _ = address
        if device != "lo":
            found.append(Frame(time, node, device, direction == _OUTGOING, link, octets))
    return found


def _seconds(data: bytes) -> float:
    seconds, nanoseconds = _TIMESPEC.unpack(data)
    return float(seconds + nanoseconds / 1e9)
