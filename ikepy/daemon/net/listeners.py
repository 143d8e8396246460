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
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from esp.datapath.limits import FORWARD, RateLimit
from esp.ipc.messages import ForwardEsp
from esp.net import sockets as direct_sockets
from esp.net.bpf import attach_raw_filter
from esp.net.sockets import open_group
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import looped
from ikepy.daemon.errors import StartError
from ikepy.daemon.interfaces import SocketOpener
from ikepy.daemon.net.ike_sockets import IkeSocket, NatSocket, UdpSocket
from ikepy.daemon.net.path_mtu import PathMtuSocket
from ikepy.daemon.net.reception import Reception
from ikepy.sa.api.path import Address, Endpoint, Path

LOG_RATE = (1.0, 10)  # seconds between two log lines about what can't be done; burst
SUBJECT = "net"


@dataclass(frozen=True, slots=True)
class WorkerSocket:
    """One of the sockets that a worker slot receives ESP on. `port` is 0 for a raw one."""

    index: int
    kind: str  # "udp" or "raw"
    address: Address
    port: int
    sock: socket.socket


class Listeners:
    """Every socket of the daemon."""

    def __init__(
        self, ports: tuple[int, int], workers: int, raw: bool, opener: SocketOpener = direct_sockets
    ) -> None:
        """`ports`: of IKE and of NAT traversal (500, 4500). `raw`: open sockets for native ESP, too."""
        self._opener = opener
        self._ports = ports
        self._raw = raw
        self._ike: dict[Endpoint, UdpSocket] = {}
        self._workers: list[list[WorkerSocket]] = [[] for _ in range(workers)]
        self._indices = itertools.count()
        self._path_mtu: dict[Address, PathMtuSocket] = {}
        self._reception: Reception | None = None  # once started
        self._log_rate = RateLimit(*LOG_RATE)
        self._unfiltered = False  # a filter was refused, which was told
        self._inside: frozenset[int] = frozenset()  # indices of our own devices
        self.tunnel: Callable[[Path], str | None] = lambda path: None  # the device that a path would enter
        # Forwards a packet to the worker of its SPI.
        self.forward_esp: Callable[[ForwardEsp], None] = lambda message: None
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
                ike.start(self._reception, self._ike.__len__)
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

    def _of_address(self, address: Address) -> list[UdpSocket]:
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
            self._add_ike(IkeSocket(sock, Endpoint(address, port)))
        with _explained(address, port_nat_t):
            self._opener.refuse_shared(address, port_nat_t)
            control, *group = open_group(address, port_nat_t, workers, self._opener.open_udp)
        self._add_ike(NatSocket(control, Endpoint(address, port_nat_t), self._forward))
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

    def _filter(self, ike: UdpSocket) -> None:
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

    def _add_ike(self, ike: UdpSocket) -> None:
        self._ike[ike.local] = ike
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
            ike.start(reception, self._ike.__len__)

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

    def _of(self, path: Path) -> UdpSocket | None:
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
