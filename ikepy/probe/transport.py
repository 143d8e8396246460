"""The sockets of a run: IKE on two UDP ports, ESP in UDP (RFC 3948) or as protocol 50, from and to one host.

Nothing is sent to any other host, and what others send is not read further. Datagrams a second are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from esp.net.sockets import open_raw, open_udp
from ikepy.probe.target import Target
from ikepy.wire.constants import NON_ESP_MARKER

_LARGEST = 65535
_PER_SECOND = 200  # datagrams: more wait
_TURN = 64  # datagrams read at once
_IPV4_MIN = 20


@dataclass(frozen=True, slots=True)
class Datagram:
    """One that was sent or came. `port`, `remote_port`: ours and the peer's, 0 for protocol 50; `octets`:
    what UDP or protocol 50 carried, non-ESP marker and all."""

    time_s: float  # by time.time()
    sent: bool
    port: int
    remote_port: int
    octets: bytes


class Receiver(Protocol):
    """Who takes what comes. `ike` has no marker in front; both say whether it is for them."""

    def take_ike(self, datagram: Datagram, octets: bytes) -> bool: ...

    def take_esp(self, datagram: Datagram, octets: bytes) -> bool: ...


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """An OSError says what it is about."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({what})") from None


class Transport:
    """Opened with `open`, closed with `close`. Receivers are asked in turn, the latest first."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._receivers: list[Receiver] = []
        self._udp: dict[int, socket.socket] = {}
        self._raw: socket.socket | None = None
        self.received = 0  # datagrams of the host
        self._allowance = float(_PER_SECOND)
        self._counted_at = 0.0

    def open(self) -> None:
        """Bind the ports. OSError that says what can't be had, and what to do."""
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for port in (self.target.local_port, self.target.local_nat_port):
                with _named(f"UDP port {port}: --ports takes others"):
                    self._udp[port] = open_udp(self.target.local, port)
            if self.target.encapsulation == "native":
                with _named("protocol 50: without --native ESP goes in UDP"):
                    self._raw = open_raw(self.target.local)
            loop = asyncio.get_running_loop()
            for port, sock in self._udp.items():
                loop.add_reader(sock, self._read_udp, port, sock)
            if self._raw is not None:
                loop.add_reader(self._raw, self._read_raw, self._raw)
            undo.pop_all()

    def close(self) -> None:
        """Close the sockets. May be called twice."""
        for sock in (*self._udp.values(), *([] if self._raw is None else [self._raw])):
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._udp.clear()
        self._raw = None

    @contextlib.contextmanager
    def listened_by(self, receiver: Receiver) -> Iterator[None]:
        """What comes goes to this receiver, too, as long as the context lasts."""
        self._receivers.insert(0, receiver)
        try:
            yield
        finally:
            self._receivers.remove(receiver)

    async def send_ike(self, octets: bytes, port: int) -> Datagram:
        """Send an IKE message from one of our ports to the peer's that belongs to it."""
        marked = octets if port == self.target.local_port else NON_ESP_MARKER + octets
        return await self.send_udp(marked, port)

    async def send_udp(self, octets: bytes, port: int) -> Datagram:
        """Send any octets over UDP, from one of our ports to the peer's that belongs to it."""
        remote = self.target.port if port == self.target.local_port else self.target.nat_port
        await self._permit()
        with contextlib.suppress(ConnectionError):  # an ICMP error for an earlier one
            self._udp[port].sendto(octets, (str(self.target.host), remote))
        return Datagram(time.time(), True, port, remote, octets)

    async def send_esp(self, octets: bytes) -> Datagram:
        """Send an ESP packet, in UDP or as protocol 50, as the target has it."""
        if self._raw is None:
            return await self.send_udp(octets, self.target.local_nat_port)
        await self._permit()
        self._raw.sendto(octets, (str(self.target.host), 0))
        return Datagram(time.time(), True, 0, 0, octets)

    async def send_icmp(self, octets: bytes) -> None:
        """Send an ICMP or ICMPv6 message. PermissionError without CAP_NET_RAW."""
        await self._permit()
        ipv4 = self.target.host.version == 4
        family = socket.AF_INET if ipv4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if ipv4 else socket.IPPROTO_ICMPV6
        with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
            raw.bind((str(self.target.local), 0))
            raw.sendto(octets, (str(self.target.host), 0))

    async def _permit(self) -> None:
        """Wait until one more datagram may be sent."""
        while True:
            now = time.monotonic()
            earned = (now - self._counted_at) * _PER_SECOND
            self._allowance, self._counted_at = min(_PER_SECOND / 4, self._allowance + earned), now
            if self._allowance >= 1:
                self._allowance -= 1
                return
            await asyncio.sleep(1 / _PER_SECOND)

    def _read_udp(self, port: int, sock: socket.socket) -> None:
        for octets, remote_port in self._datagrams(sock):
            got = Datagram(time.time(), False, port, remote_port, octets)
            if port == self.target.local_port:
                self._give_ike(got, octets)
            elif octets.startswith(NON_ESP_MARKER):
                self._give_ike(got, octets[len(NON_ESP_MARKER) :])
            elif len(octets) > 1:  # no keepalive
                self._give_esp(got)

    def _read_raw(self, sock: socket.socket) -> None:
        for octets, _ in self._datagrams(sock):
            inside = octets
            if self.target.host.version == 4:  # IPv4's raw sockets give the header, IPv6's don't
                inside = octets[(octets[0] & 15) * 4 :] if len(octets) >= _IPV4_MIN else b""
            self._give_esp(Datagram(time.time(), False, 0, 0, inside))

    def _datagrams(self, sock: socket.socket) -> Iterator[tuple[bytes, int]]:
        for _ in range(_TURN):
            try:
                octets, source = sock.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for one that was sent
                continue
            if source[0].partition("%")[0] == str(self.target.host):
                self.received += 1
                yield octets, source[1]

    def _give_ike(self, got: Datagram, octets: bytes) -> None:
        any(one.take_ike(got, octets) for one in tuple(self._receivers))

    def _give_esp(self, got: Datagram) -> None:
        any(one.take_esp(got, got.octets) for one in tuple(self._receivers))
