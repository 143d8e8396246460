"""The daemon's sockets: IKE on UDP 500 and 4500, ESP for the workers (RFC 7296 2.23, RFC 3948 2.2).

On each local address the sockets of port 4500 are one SO_REUSEPORT group, control's first and then one a
worker slot, and each slot has a raw socket for native ESP. All of them are opened at the start and stay
control's: a worker that is replaced changes no index and loses nothing that is queued.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

import asyncio_dgram

from esp.sockets import open_group, open_raw, open_udp
from esp.steering import attach_raw_filter
from ikepy.daemon import log
from ikepy.daemon.errors import StartError
from ikepy.sa.path import Address, Endpoint, Path

NON_ESP_MARKER = bytes(4)  # RFC 3948 2.2
KEEPALIVE = b"\xff"  # RFC 3948 2.3
QUEUE = 1024  # messages that wait for one socket; more are lost, as UDP may lose them
BURST = 64  # further datagrams taken when one is there, before others get their turn
MAX_DATAGRAM = 65535
DRAIN = 0.3  # seconds for the last messages at the end
SUBJECT = "net"

Receive = Callable[[bytes, Path], None]


@dataclass(frozen=True, slots=True)
class WorkerSocket:
    """One of the sockets that a worker slot receives ESP on. `port` is 0 for a raw one."""

    index: int
    kind: str  # "udp" or "raw"
    address: Address
    port: int
    sock: socket.socket


@lru_cache(4096)
def _endpoint(host: str, port: int) -> Endpoint:
    return Endpoint(ip_address(host), port)


class IkeSocket:
    """One of control's UDP sockets. `marked`: IKE messages carry the non-ESP marker here."""

    def __init__(self, sock: socket.socket, local: Endpoint, marked: bool) -> None:
        self.local = local
        self._sock = sock
        self._marked = marked
        self._queue: asyncio.Queue[tuple[bytes, Endpoint]] = asyncio.Queue(QUEUE)
        self._stream: asyncio_dgram.DatagramServer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, receive: Receive) -> None:
        self._stream = await asyncio_dgram.from_socket(self._sock)
        self._tasks = [
            asyncio.create_task(self._read(receive), name=f"read {self.local}"),
            asyncio.create_task(self._write(), name=f"write {self.local}"),
        ]

    def send(self, data: bytes, remote: Endpoint) -> None:
        """Queue an IKE message. Never blocks nor raises: what can't be sent is lost and logged."""
        self._enqueue(NON_ESP_MARKER + data if self._marked else data, remote)

    def send_keepalive(self, remote: Endpoint) -> None:
        self._enqueue(KEEPALIVE, remote)

    def _enqueue(self, data: bytes, remote: Endpoint) -> None:
        if self._queue.empty():
            try:
                self._sock.sendto(data, (str(remote.address), remote.port))
                return
            except OSError:
                pass  # no room now, or an error of an earlier packet: the stream tells them apart
        try:
            self._queue.put_nowait((data, remote))
        except asyncio.QueueFull:
            log.warning(SUBJECT, f"{self.local}: too much to send, a message to {remote} is lost")

    async def _read(self, receive: Receive) -> None:
        assert self._stream is not None
        while True:
            try:
                data, source = await self._stream.recv()
            except asyncio_dgram.TransportClosed:
                return
            except OSError as error:  # of an earlier packet: this socket goes on
                log.debug(SUBJECT, f"{self.local}: {error}")
                continue
            self._hand_over(data, source, receive)
            # Under a flood the loop's round for each datagram costs more than the datagram.
            with contextlib.suppress(OSError):
                for _ in range(BURST):
                    self._hand_over(*self._sock.recvfrom(MAX_DATAGRAM), receive)

    def _hand_over(self, data: bytes, source: tuple[str, int], receive: Receive) -> None:
        if self._marked:
            if not data.startswith(NON_ESP_MARKER):
                return  # a keepalive, or junk too short for an SPI
            data = data[len(NON_ESP_MARKER) :]
        receive(data, Path(self.local, _endpoint(*source[:2])))

    async def _write(self) -> None:
        assert self._stream is not None
        while True:
            data, remote = await self._queue.get()
            self._queue.task_done()  # on its way: sending waits for nothing but the kernel's buffer
            self._report(None)
            try:
                await self._stream.send(data, (str(remote.address), remote.port))
            except asyncio_dgram.TransportClosed:
                return
            except OSError as error:
                log.warning(SUBJECT, f"{self.local} to {remote}: {error.strerror or error}")
            self._report(remote)

    def _report(self, remote: Endpoint | None) -> None:
        """Take the errors that the stream keeps: it would raise them instead of sending the next message."""
        assert self._stream is not None
        while True:
            try:
                _ = self._stream.exception
                return
            except OSError as error:
                target = f" to {remote}" if remote is not None else ""
                log.warning(SUBJECT, f"{self.local}{target}: {error.strerror or error}")

    async def close(self) -> None:
        """Send what is queued, as far as the kernel takes it soon, then close."""
        if self._stream is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queue.join(), DRAIN)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._stream.close()
            await asyncio.sleep(0)  # the transport lets go of its socket in the loop's next round
        self.close_socket()

    def close_socket(self) -> None:
        """Close a socket that was never started, or is no more."""
        self._sock.close()


class Listeners:
    """Every socket of the daemon."""

    def __init__(self) -> None:
        self._ike: dict[Endpoint, IkeSocket] = {}
        self._workers: list[list[WorkerSocket]] = []

    @classmethod
    def open(cls, addresses: Sequence[Address], ports: tuple[int, int], workers: int, raw: bool) -> Listeners:
        """Open all, or none and raise OSError or StartError.

        `ports` are those of IKE and of NAT traversal (500 and 4500); `raw`: sockets for native ESP too.
        """
        self = cls()
        self._workers = [[] for _ in range(workers)]
        try:
            for address in addresses:
                self._open_address(address, ports, workers, raw)
        except BaseException:
            self._close_sockets()
            raise
        return self

    def _open_address(self, address: Address, ports: tuple[int, int], workers: int, raw: bool) -> None:
        with _explained(address, ports[0]):
            self._add_ike(open_udp(address, ports[0], reuse_port=False), Endpoint(address, ports[0]), False)
        with _explained(address, ports[1]):
            refuse_shared(address, ports[1])
            control, *group = open_group(address, ports[1], workers)
        self._add_ike(control, Endpoint(address, ports[1]), True)
        for slot, sock in enumerate(group):
            self._add_esp(slot, "udp", address, ports[1], sock)
        for slot in range(workers if raw else 0):
            with _explained(address, 0):
                sock = open_raw(address)
                self._add_esp(slot, "raw", address, 0, sock)
                attach_raw_filter(sock, address.version, slot, workers)

    def _add_ike(self, sock: socket.socket, local: Endpoint, marked: bool) -> None:
        self._ike[local] = IkeSocket(sock, local, marked)

    def _add_esp(self, slot: int, kind: str, address: Address, port: int, sock: socket.socket) -> None:
        sockets = self._workers[slot]
        sockets.append(WorkerSocket(len(sockets), kind, address, port, sock))

    async def start(self, receive: Receive) -> None:
        """Begin to receive; `receive` gets messages without the non-ESP marker."""
        for ike in self._ike.values():
            await ike.start(receive)

    def send(self, path: Path, data: bytes) -> None:
        """Send an IKE message from the path's local endpoint. Never raises."""
        if (ike := self._of(path)) is not None:
            ike.send(data, path.remote)

    def send_keepalive(self, path: Path) -> None:
        """Send one 0xFF octet (RFC 3948 2.3). Never raises."""
        if (ike := self._of(path)) is not None:
            ike.send_keepalive(path.remote)

    def _of(self, path: Path) -> IkeSocket | None:
        ike = self._ike.get(path.local)
        if ike is None:
            log.warning(SUBJECT, f"no socket on {path.local}: a message to {path.remote} is lost")
        return ike

    def of_slot(self, slot: int) -> Sequence[WorkerSocket]:
        return self._workers[slot]

    async def close(self) -> None:
        await asyncio.gather(*(ike.close() for ike in self._ike.values()))
        self._close_sockets()

    def _close_sockets(self) -> None:
        for ike in self._ike.values():
            ike.close_socket()
        for sockets in self._workers:
            for one in sockets:
                one.sock.close()


def refuse_shared(address: Address, port: int) -> None:
    """Raise OSError if somebody has the port: a second SO_REUSEPORT group would silently join the first."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((str(address), port))


@contextlib.contextmanager
def _explained(address: Address, port: int) -> Iterator[None]:
    """Turn an OSError into a StartError that says what to do. `port` 0: a raw ESP socket."""
    name = f"UDP port {port} of {address}" if port else f"ESP socket (protocol 50) on {address}"
    try:
        yield
    except PermissionError as error:
        what = "root or CAP_NET_BIND_SERVICE" if port else "root or CAP_NET_RAW, or encap = true everywhere"
        raise StartError(f"{name}: not permitted: needs {what}") from error
    except OSError as error:
        why = {
            errno.EADDRINUSE: "in use, by another IKE daemon perhaps",
            errno.EADDRNOTAVAIL: "not an address of this machine, or not usable yet",
        }.get(error.errno or 0, error.strerror or str(error))
        raise StartError(f"{name}: {why}") from error
