"""Control's UDP sockets: IKE on port 500, on 4500 behind the non-ESP marker (RFC 7296 2.23, RFC 3948 2.2).

What can't be sent now is queued, or kept for as long as there is no route. Port 500 is read by asyncio_dgram;
port 4500 by `recvmsg`, whose ancillary data tell how the kernel has coalesced what it gives (UDP GRO).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from ipaddress import ip_address

import asyncio_dgram

from esp.datapath.limits import RateLimit
from esp.ipc.messages import ForwardEsp
from esp.net import cmsg
from esp.net.bpf import attach_outside
from esp.sa.suites import ESP_HEADER
from ikepy.daemon import log
from ikepy.daemon.net.reception import Reception
from ikepy.daemon.supervision import supervise
from ikepy.sa.api.path import Address, Endpoint, Path

NON_ESP_MARKER = bytes(4)  # RFC 3948 2.2
KEEPALIVE = b"\xff"  # RFC 3948 2.3
UNSENT = 256  # messages of one socket that are kept, the youngest, until there is a route
UNSENT_SECONDS = 10.0
NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EINVAL})
LOG_RATE = (1.0, 10)  # seconds between two log lines of a socket about what it could not send; burst
QUEUE = 1024  # messages that wait for one socket; more are lost, as UDP may lose them
FULL = 0.01  # seconds until a socket whose buffer was full is tried again
MAX_DATAGRAM = 65535
DRAIN = 0.3  # seconds for the last messages at the end
SUBJECT = "net"


@lru_cache(4096)
def _endpoint(host: str, port: int) -> Endpoint:
    return Endpoint(ip_address(host), port)


class UdpSocket(ABC):
    """One of control's UDP sockets; `marker` stands in front of each IKE message."""

    marker = b""

    def __init__(self, sock: socket.socket, local: Endpoint) -> None:
        self.local = local
        self._sock = sock
        self._queue: deque[tuple[bytes, Endpoint]] = deque()
        self._drained = asyncio.Event()  # nothing is queued any more
        self._again: asyncio.TimerHandle | None = None
        self._unsent: deque[tuple[float, bytes, Endpoint]] = deque(maxlen=UNSENT)
        self._log_rate = RateLimit(*LOG_RATE)

    @abstractmethod
    def start(self, reception: Reception, sockets: Callable[[], int]) -> None:
        """Begin to receive. `sockets` gives the number of sockets that share the time for reading."""

    def refuse_from(self, devices: Collection[int]) -> None:
        """Receive nothing that came in through these devices (kernel indices). Raises OSError."""
        attach_outside(self._sock, devices)

    def send(self, data: bytes, remote: Endpoint) -> None:
        """Queue an IKE message. Never blocks nor raises: what can't be sent is lost and logged."""
        self._enqueue(self.marker + data, remote)

    def send_keepalive(self, remote: Endpoint) -> None:
        self._enqueue(KEEPALIVE, remote)

    def _enqueue(self, data: bytes, remote: Endpoint) -> None:
        if not self._queue and self._send_now(data, remote):
            return
        if len(self._queue) >= QUEUE:
            self._complain(f"{self.local}: too much to send, a message to {remote} is lost")
            return
        self._queue.append((data, remote))
        if self._again is None:
            self._drained.clear()
            self._again = asyncio.get_running_loop().call_later(FULL, self._write)

    def _send_now(self, data: bytes, remote: Endpoint) -> bool:
        """Send, or find that it can't be sent. False: the kernel's buffer is full."""
        failure = ""
        for _ in range(2):  # the first error may be of an earlier packet
            try:
                self._sock.sendto(data, (str(remote.address), remote.port))
                return True
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno in NO_WAY:
                    self._keep(data, remote, error)
                    return True
                failure = error.strerror or str(error)
        self._complain(f"{self.local} to {remote}: {failure}")
        return True

    def _write(self) -> None:
        """Send what is queued, as far as the kernel's buffer has room."""
        self._again = None
        while self._queue:
            if not self._send_now(*self._queue[0]):
                self._again = asyncio.get_running_loop().call_later(FULL, self._write)
                return
            self._queue.popleft()
        self._drained.set()

    def _keep(self, data: bytes, remote: Endpoint, error: OSError) -> None:
        """This host has no route to the peer now: keep the message, for there may be one again soon."""
        self._complain(f"{self.local} to {remote}: {error.strerror}")
        if data != KEEPALIVE:
            self._unsent.append((time.monotonic(), data, remote))

    def send_again(self) -> None:
        """Send what had no route, unless it is too old; to be called when routes have changed."""
        unsent = list(self._unsent)
        self._unsent.clear()
        for since, data, remote in unsent:
            if time.monotonic() - since < UNSENT_SECONDS:
                self._enqueue(data, remote)

    def _complain(self, text: str) -> None:
        """Log at a limited rate: who sends floods with spoofed sources must not flood the log, too."""
        if self._log_rate.allow(time.monotonic()):
            log.warning(SUBJECT, text, "net")

    def _take(self, data: bytes, source: tuple[str, int], reception: Reception) -> None:
        """Hand an IKE message over, without its marker, and send the answer that needs no state."""
        answer = reception.take(data, Path(self.local, _endpoint(*source[:2])))
        if answer is not None:
            with contextlib.suppress(OSError):  # the peer retransmits
                self._sock.sendto(self.marker + answer, source)

    async def close(self) -> None:
        """Send what is queued, as far as the kernel takes it soon, then close."""
        if self._queue:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), DRAIN)
        self.close_socket()

    def close_socket(self) -> None:
        """Close the socket at once."""
        if self._again is not None:
            self._again.cancel()
        self._sock.close()


class IkeSocket(UdpSocket):
    """On port 500: IKE alone."""

    def __init__(self, sock: socket.socket, local: Endpoint) -> None:
        super().__init__(sock, local)
        self._stream: asyncio_dgram.DatagramServer | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, reception: Reception, sockets: Callable[[], int]) -> None:
        self._task = supervise(partial(self._read, reception, sockets), f"read {self.local}", "net")

    async def _read(self, reception: Reception, sockets: Callable[[], int]) -> None:
        if self._stream is None:
            self._stream = await asyncio_dgram.from_socket(self._sock)
        while True:
            try:
                data, source = await self._stream.recv()
            except asyncio_dgram.TransportClosed:
                return
            except OSError as error:  # of an earlier packet: this socket goes on
                log.debug(SUBJECT, f"{self.local}: {error}", "net")
                continue
            is_over = reception.turn(sockets())
            self._take(data, source, reception)
            # Under a flood the loop's round for each datagram costs more than the datagram.
            with contextlib.suppress(OSError):
                while not is_over():
                    self._take(*self._sock.recvfrom(MAX_DATAGRAM), reception)

    async def close(self) -> None:
        await super().close()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def close_socket(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._stream is not None:
            self._stream.close()
        super().close_socket()


class NatSocket(UdpSocket):
    """On port 4500: IKE behind the marker, of a group with the workers' sockets, which have ESP.

    The kernel coalesces datagrams of one source, whatever they are, and gives all of them to the socket of
    the first one. `forward` gets what is a worker's.
    """

    marker = NON_ESP_MARKER

    def __init__(self, sock: socket.socket, local: Endpoint, forward: Callable[[ForwardEsp], None]) -> None:
        super().__init__(sock, local)
        self._forward = forward
        self._loop: asyncio.AbstractEventLoop | None = None  # which waits for the socket

    def start(self, reception: Reception, sockets: Callable[[], int]) -> None:
        with contextlib.suppress(OSError):
            cmsg.enable_tos(self._sock)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock, self._read, reception, sockets)

    def _read(self, reception: Reception, sockets: Callable[[], int]) -> None:
        """Read until the turn is over: under a flood the loop's round for each read costs more than that."""
        is_over = reception.turn(sockets())
        while True:
            try:
                data, ancillary, _, source = self._sock.recvmsg(MAX_DATAGRAM, cmsg.SPACE)
            except BlockingIOError:
                return
            except OSError as error:  # of an earlier packet: this socket goes on
                log.debug(SUBJECT, f"{self.local}: {error}", "net")
            else:
                self._hand_over(data, ancillary, source, reception)
            if is_over():
                return

    def _hand_over(
        self, data: bytes, ancillary: cmsg.AncillaryData, source: tuple[str, int], reception: Reception
    ) -> None:
        """Hand over what one read has given: a datagram or, with UDP_GRO, several of one source."""
        segment, tos, _ = cmsg.parse(ancillary)
        for at in range(0, len(data), segment or MAX_DATAGRAM):
            datagram = data[at : at + segment] if segment else data
            if datagram.startswith(self.marker):
                self._take(datagram[len(self.marker) :], source, reception)
            elif len(datagram) >= ESP_HEADER:  # coalesced behind an IKE message; else a keepalive, or junk
                remote = _endpoint(*source[:2])
                self._forward(ForwardEsp(True, tos, *_flat(self.local), *_flat(remote), datagram))

    def close_socket(self) -> None:
        if self._loop is not None and self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
        super().close_socket()


def _flat(endpoint: Endpoint) -> tuple[Address, int]:
    return endpoint.address, endpoint.port
