"""Numbered UDP packets both ways between two nodes: which got lost, and in which direction."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Protocol, Self

from ikepy.lab.netns import LabError

_PORT = 9000
_INTERVAL = 0.005  # seconds between two packets of a direction
_DRAIN = 2.0  # seconds that the last packets may take


class Host(Protocol):
    """A network namespace."""

    def inside(self, job: Callable[[], socket.socket]) -> socket.socket:
        """What `job` returns inside."""


class Way:
    """One direction: the numbers that were sent, those that the kernel refused, those that arrived."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = 0
        self.refused: list[int] = []
        self.arrived: list[int] = []

    @property
    def complete(self) -> bool:
        """Did every packet arrive?"""
        return len(set(self.arrived)) == self.sent

    @property
    def lost(self) -> list[int]:
        """The numbers that never arrived."""
        return sorted(set(range(self.sent)) - set(self.arrived))

    def __str__(self) -> str:
        return f"{self.name}: {self.sent} sent, lost {self.lost}, refused by the kernel {self.refused}"


class Flow:
    """A context manager: it sends while the block runs; at its end the last packets are waited for.

    `left` and `right`: a node, and an address of its own. LabError at the beginning if there is no way.
    """

    def __init__(self, left: tuple[Host, str], right: tuple[Host, str]) -> None:
        self.to_right, self.to_left = Way("to the right"), Way("to the left")
        self._ends = (left, right)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        (left, left_address), (right, right_address) = self._ends
        try:
            self._sockets.append(left.inside(lambda: _connected(left_address, right_address)))
            self._sockets.append(right.inside(lambda: _connected(right_address, left_address)))
        except OSError as error:
            self._close()
            raise LabError(f"no UDP between {left_address} and {right_address}: {error}") from None
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._close()

    def _close(self) -> None:
        for one in self._sockets:
            one.close()

    def wait_for(self, packets: int, timeout: float = 10.0) -> None:
        """Until that many more packets have been sent each way. LabError if they are not (seconds)."""
        goal = self.to_right.sent + packets
        deadline = time.monotonic() + timeout
        while self.to_right.sent < goal:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise LabError("the UDP flow does not go on")
            time.sleep(_INTERVAL)

    def _run(self) -> None:
        left, right = self._sockets
        while not self._stop.is_set():
            _send(left, self.to_right)
            _send(right, self.to_left)
            self._collect()
            time.sleep(_INTERVAL)
        deadline = time.monotonic() + _DRAIN
        while time.monotonic() < deadline and not (self.to_right.complete and self.to_left.complete):
            self._collect()
            time.sleep(_INTERVAL)
        self._collect()

    def _collect(self) -> None:
        left, right = self._sockets
        _receive(right, self.to_right)
        _receive(left, self.to_left)


def _connected(source: str, destination: str) -> socket.socket:
    family = socket.AF_INET6 if ip_address(source).version == 6 else socket.AF_INET
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.setblocking(False)
    try:
        one.bind((source, _PORT))
        one.connect((destination, _PORT))
    except OSError:
        one.close()
        raise
    return one


def _send(one: socket.socket, way: Way) -> None:
    try:
        one.send(way.sent.to_bytes(4, "big") + bytes(96))
    except OSError:  # no route, or an ICMP error came back: the packet counts as lost
        way.refused.append(way.sent)
    way.sent += 1


def _receive(one: socket.socket, way: Way) -> None:
    with contextlib.suppress(OSError):
        while True:
            way.arrived.append(int.from_bytes(one.recv(256)[:4], "big"))
