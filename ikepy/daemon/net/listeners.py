"""Opens the daemon's sockets: IKE on UDP 500 and 4500, ESP for the workers (RFC 7296 2.23, RFC 3948 2.2).

On each local address the sockets of port 4500 form one SO_REUSEPORT group: the first is control's, then each
worker slot has one. Each slot also has a raw socket for native ESP. Control opens all of them at the start
and keeps them open, so that nothing that is queued is lost, and no index changes, when a worker is replaced.
An address that comes later gets a group of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from esp.datapath.limits import FORWARD, RateLimit
from esp.ipc.messages import ForwardEsp
from esp.net import cmsg
from esp.net import sockets as direct_sockets
from esp.net.bpf import attach_outside, attach_raw_filter
from esp.net.sockets import open_group
from esp.sa.suites import ESP_HEADER
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import looped
from ikepy.daemon.errors import StartError
from ikepy.daemon.interfaces import SocketOpener
from ikepy.daemon.net.path_mtu import PathMtuSocket
from ikepy.daemon.net.reception import Reception
from ikepy.sa.api.path import Address, Endpoint, Path

NON_ESP_MARKER = bytes(4)  # RFC 3948 2.2
KEEPALIVE = b"\xff"  # RFC 3948 2.3
UNSENT = 256  # messages of one socket that are kept, the youngest, until there is a route
UNSENT_SECONDS = 10.0
NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EINVAL})
LOG_RATE = (1.0, 10)  # seconds between two log lines of a socket about what it could not send; burst
QUEUE = 1024  # messages that wait for one socket; more are lost, as UDP may lose them
MAX_DATAGRAM = 65535
DRAIN = 0.3  # seconds for the last messages at the end
SUBJECT = "net"

Forward = Callable[[ForwardEsp], None]


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
    """One of control's UDP sockets. `marked`: IKE messages carry the non-ESP marker (RFC 3948 2.2) here."""

    def __init__(self, sock: socket.socket, local: Endpoint, marked: bool) -> None:
        self.local = local
        self._sock = sock
        self._marked = marked
        self._loop: asyncio.AbstractEventLoop | None = None  # which waits for the socket
        self._queue: deque[tuple[bytes, Endpoint]] = deque()
        self._drained = asyncio.Event()  # nothing is queued any more
        self._unsent: deque[tuple[float, bytes, Endpoint]] = deque(maxlen=UNSENT)
        self._log_rate = RateLimit(*LOG_RATE)

    def start(self, reception: Reception, sockets: Callable[[], int], forward: Forward) -> None:
        """Begin to receive. `sockets` gives the number of sockets that share the time for reading; `forward`
        gets ESP packets."""
        if self._marked:
            with contextlib.suppress(OSError):
                cmsg.enable_tos(self._sock)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock, self._read, reception, sockets, forward)

    def refuse_from(self, devices: Collection[int]) -> None:
        """Receive nothing that came in through these devices (kernel indices). Raises OSError."""
        attach_outside(self._sock, devices)

    def send(self, data: bytes, remote: Endpoint) -> None:
        """Queue an IKE message. Never blocks nor raises: what can't be sent is lost and logged."""
        self._enqueue(NON_ESP_MARKER + data if self._marked else data, remote)

    def send_keepalive(self, remote: Endpoint) -> None:
        self._enqueue(KEEPALIVE, remote)

    def _enqueue(self, data: bytes, remote: Endpoint) -> None:
        if not self._queue and self._send_now(data, remote):
            return
        if len(self._queue) >= QUEUE:
            self._complain(f"{self.local}: too much to send, a message to {remote} is lost")
            return
        if not self._queue:
            self._drained.clear()
            self._loop = asyncio.get_running_loop()
            self._loop.add_writer(self._sock, self._write)
        self._queue.append((data, remote))

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
        """Send what is queued: the kernel's buffer has room."""
        while self._queue:
            if not self._send_now(*self._queue[0]):
                return
            self._queue.popleft()
        self._drained.set()
        if self._loop is not None:
            self._loop.remove_writer(self._sock)

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

    def _read(self, reception: Reception, sockets: Callable[[], int], forward: Forward) -> None:
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
                self._hand_over(data, ancillary, source, reception, forward)
            if is_over():
                return

    def _hand_over(
        self,
        data: bytes,
        ancillary: cmsg.AncillaryData,
        source: tuple[str, int],
        reception: Reception,
        forward: Forward,
    ) -> None:
        """Hand over what one read has given: a datagram or, with UDP_GRO, several of one source."""
        remote = _endpoint(*source[:2])
        path = Path(self.local, remote)
        if not self._marked:
            self._answer(reception.take(data, path), source)
            return
        segment, tos, _ = cmsg.parse(ancillary)
        for at in range(0, len(data), segment or MAX_DATAGRAM):
            datagram = data[at : at + segment] if segment else data
            if datagram.startswith(NON_ESP_MARKER):
                self._answer(reception.take(datagram[len(NON_ESP_MARKER) :], path), source)
            elif len(datagram) >= ESP_HEADER:  # coalesced behind an IKE message; else a keepalive, or junk
                forward(ForwardEsp(True, tos, *_flat(self.local), *_flat(remote), datagram))

    def _answer(self, answer: bytes | None, source: tuple[str, int]) -> None:
        if answer is not None:
            with contextlib.suppress(OSError):  # the peer retransmits
                self._sock.sendto(NON_ESP_MARKER + answer if self._marked else answer, source)

    async def close(self) -> None:
        """Send what is queued, as far as the kernel takes it soon, then close."""
        if self._queue:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), DRAIN)
        self.close_socket()

    def close_socket(self) -> None:
        """Close the socket at once."""
        if self._loop is not None and self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
        self._sock.close()


def _flat(endpoint: Endpoint) -> tuple[Address, int]:
    return endpoint.address, endpoint.port


class Listeners:
    """Every socket of the daemon."""

    def __init__(
        self, ports: tuple[int, int], workers: int, raw: bool, opener: SocketOpener = direct_sockets
    ) -> None:
        """`ports`: of IKE and of NAT traversal (500, 4500). `raw`: open sockets for native ESP, too."""
        self._opener = opener
        self._ports = ports
        self._raw = raw
        self._ike: dict[Endpoint, IkeSocket] = {}
        self._workers: list[list[WorkerSocket]] = [[] for _ in range(workers)]
        self._indices = itertools.count()
        self._path_mtu: dict[Address, PathMtuSocket] = {}
        self._reception: Reception | None = None  # once started
        self._log_rate = RateLimit(*LOG_RATE)
        self._unfiltered = False  # a filter was refused, which was told
        self._inside: frozenset[int] = frozenset()  # indices of our own devices
        self.tunnel: Callable[[Path], str | None] = lambda path: None  # the device that a path would enter
        self.forward_esp: Forward = lambda message: None  # forwards a packet to the worker of its SPI
        self._forward_rate = RateLimit(*FORWARD)
        self.stray = 0  # ESP packets beyond the limit, which are dropped

    @classmethod
    def open(
        cls,
        addresses: Sequence[Address],
        ports: tuple[int, int],
        workers: int,
        raw: bool,
        opener: SocketOpener = direct_sockets,
    ) -> Listeners:
        """Open the sockets of all addresses, or none and raise OSError or StartError."""
        self = cls(ports, workers, raw, opener)
        try:
            for address in addresses:
                self._open_address(address)
        except BaseException:
            self._close_sockets()
            raise
        return self

    @property
    def addresses(self) -> set[Address]:
        """The local addresses that have sockets."""
        return {local.address for local in self._ike}

    def endpoints(self) -> list[Endpoint]:
        """The local endpoints that receive IKE messages."""
        return list(self._ike)

    def add(self, address: Address) -> list[tuple[int, WorkerSocket]]:
        """Listen on one more address. Returns the slots' new sockets. Opens all, or none and raises
        StartError."""
        try:
            self._open_address(address)
        except BaseException:
            self._close_sockets(address)
            raise
        if self._reception is not None:
            self._start_path_mtu(address)
            for ike in self._of_address(address):
                ike.start(self._reception, self._ike.__len__, self._forward)
        return self._esp_of(address)

    def add_raw(self) -> list[tuple[int, WorkerSocket]]:
        """Listen for native ESP, too. Returns the slots' new sockets; none if there were some already.

        Opens all, or none and raises StartError.
        """
        if self._raw:
            return []
        self._raw = True
        try:
            for address in self.addresses:
                self._open_raw(address)
                if self._reception is not None:
                    self._start_path_mtu(address)
        except BaseException:
            self._raw = False
            self._close_raw()
            raise
        return [(slot, one) for slot, own in enumerate(self._workers) for one in own if one.kind == "raw"]

    def _close_raw(self) -> None:
        for path_mtu in self._path_mtu.values():
            path_mtu.close()
        self._path_mtu.clear()
        for slot, sockets in enumerate(self._workers):
            for one in sockets:
                if one.kind == "raw":
                    one.sock.close()
            self._workers[slot] = [one for one in sockets if one.kind != "raw"]

    async def remove(self, address: Address) -> list[tuple[int, WorkerSocket]]:
        """Stop listening on an address. Returns the sockets that the slots have to close as well."""
        gone = self._esp_of(address)
        await asyncio.gather(*(ike.close() for ike in self._of_address(address)))
        self._close_sockets(address)
        return gone

    def _of_address(self, address: Address) -> list[IkeSocket]:
        return [ike for local, ike in self._ike.items() if local.address == address]

    def _esp_of(self, address: Address) -> list[tuple[int, WorkerSocket]]:
        return [
            (slot, one)
            for slot, sockets in enumerate(self._workers)
            for one in sockets
            if one.address == address
        ]

    def _open_address(self, address: Address) -> None:
        port, port_nat_t = self._ports
        workers = len(self._workers)
        with _explained(address, port):
            sock = self._opener.open_udp(address, port, reuse_port=False)
            self._add_ike(sock, Endpoint(address, port), False)
        with _explained(address, port_nat_t):
            self._opener.refuse_shared(address, port_nat_t)
            control, *group = open_group(address, port_nat_t, workers, self._opener.open_udp)
        self._add_ike(control, Endpoint(address, port_nat_t), True)
        for slot, sock in enumerate(group):
            self._add_esp(slot, "udp", address, port_nat_t, sock)
        if self._raw:
            self._open_raw(address)

    def _open_raw(self, address: Address) -> None:
        """Open the sockets for native ESP (protocol 50) on an address."""
        workers = len(self._workers)
        for slot in range(workers):
            with _explained(address, 0):
                sock = self._opener.open_raw(address)
                self._add_esp(slot, "raw", address, 0, sock)
                attach_raw_filter(sock, address.version, slot, workers)
        if address.version == 6:
            with _explained(address, 0):
                self._path_mtu[address] = PathMtuSocket(self._opener.open_raw(address))

    def _start_path_mtu(self, address: Address) -> None:
        if address in self._path_mtu:
            self._path_mtu[address].start()

    def refuse_from(self, devices: Collection[int]) -> None:
        """Receive no IKE message that came out of a tunnel of ours (devices' kernel indices): an answer
        through the tunnel would make a path look usable that is not. Never raises."""
        if set(devices) != self._inside:
            self._inside = frozenset(devices)
            for ike in self._ike.values():
                self._filter(ike)

    def _filter(self, ike: IkeSocket) -> None:
        """Without it the daemon works all the same: paths into a tunnel are found by their routes as well."""
        try:
            ike.refuse_from(self._inside)
        except OSError as error:
            if not self._unfiltered:
                log.warning(
                    SUBJECT,
                    f"{ike.local} takes IKE messages out of our own tunnels, too: a filter for "
                    f"{len(self._inside)} devices is refused: {error.strerror}; "
                    "is net.core.optmem_max too small?",
                    "net",
                )
            self._unfiltered = True

    def _add_ike(self, sock: socket.socket, local: Endpoint, marked: bool) -> None:
        self._ike[local] = ike = IkeSocket(sock, local, marked)
        if self._inside:
            self._filter(ike)

    def _add_esp(self, slot: int, kind: str, address: Address, port: int, sock: socket.socket) -> None:
        self._workers[slot].append(WorkerSocket(next(self._indices), kind, address, port, sock))

    def start(self, reception: Reception) -> None:
        """Begin to receive; `reception` gets messages without the non-ESP marker."""
        self._reception = reception
        for address in self._path_mtu:
            self._start_path_mtu(address)
        for ike in self._ike.values():
            ike.start(reception, self._ike.__len__, self._forward)

    def _forward(self, message: ForwardEsp) -> None:
        """Forward an ESP packet, at a limited rate: whoever sends it need be no peer."""
        if self._forward_rate.allow(time.monotonic()):
            self.forward_esp(message)
        else:
            self.stray += 1

    def send_again(self) -> None:
        """Send what had no route: routes have changed, and there may be one."""
        for ike in self._ike.values():
            ike.send_again()

    def send(self, path: Path, data: bytes) -> None:
        """Send an IKE message from the path's local endpoint. Never raises."""
        if (ike := self._of(path)) is not None:
            ike.send(data, path.remote)

    def send_keepalive(self, path: Path) -> None:
        """Send one 0xFF octet (RFC 3948 2.3). Never raises."""
        if (ike := self._of(path)) is not None:
            ike.send_keepalive(path.remote)

    def _of(self, path: Path) -> IkeSocket | None:
        """The socket to send from; None, with a log line, if there is none or the path enters a tunnel of
        ours."""
        tunnel = self.tunnel(path)
        if tunnel is not None:
            if self._log_rate.allow(time.monotonic()):
                log.warning(SUBJECT, looped(path.remote.address, tunnel), "net")
            return None
        ike = self._ike.get(path.local)
        if ike is None and self._log_rate.allow(time.monotonic()):
            log.warning(SUBJECT, f"no socket on {path.local}: a message to {path.remote} is lost", "net")
        return ike

    def of_slot(self, slot: int) -> Sequence[WorkerSocket]:
        return self._workers[slot]

    async def close(self) -> None:
        if self._reception is not None:
            self._reception.close()
        await asyncio.gather(*(ike.close() for ike in self._ike.values()))
        self._close_sockets()

    def _close_sockets(self, address: Address | None = None) -> None:
        """Close the sockets of one address, or all."""
        for local in [local for local in self._ike if address in (None, local.address)]:
            self._ike.pop(local).close_socket()
        for own in [own for own in self._path_mtu if address in (None, own)]:
            self._path_mtu.pop(own).close()
        for slot, sockets in enumerate(self._workers):
            for one in sockets:
                if address in (None, one.address):
                    one.sock.close()
            self._workers[slot] = [one for one in sockets if address not in (None, one.address)]


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
