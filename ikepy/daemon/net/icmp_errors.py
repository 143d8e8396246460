"""ICMP errors that answer our IKE and ESP packets (RFC 792, RFC 1812 5.2.7, RFC 4443 3): hints, no more.

Anybody can forge them: they change nothing. They are read from raw sockets of their own, not from the error
queues of the IKE sockets, where each would let the next message to another peer fail. Opening them takes
CAP_NET_RAW; without it there are no hints.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from ikepy.daemon import log
from ikepy.sa.api.path import Address, Endpoint

_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1  # linux/icmp.h, linux/icmpv6.h: a set bit blocks a type
_BUFFER = 65536  # octets
_LONGEST = 256  # octets of an error that are read: its header, and those of the packet that it is about
_AT_ONCE = 4  # errors; of a flood so many are read a pause, as each is compared with all connections
_PAUSE = 0.1  # seconds
_UDP, _ESP = 17, 50

_NO_ROUTE = ("network unreachable", "no route leads to the peer from there")
_NO_HOST = ("host unreachable", "nothing answers at the peer's address in its network")
NO_PORT = "port unreachable"
_NO_PORT = (NO_PORT, "no IKE daemon listens there, or a firewall rejects it")
_NO_ESP = ("protocol unreachable", "nothing takes ESP (IP protocol 50) there")
_PROHIBITED = ("administratively prohibited", "a firewall there rejects it")
_LOOP = ("time exceeded", "packets go round in a circle on the way to the peer")
# By type and code
_KINDS: dict[int, dict[tuple[int, int], tuple[str, str]]] = {
    4: {
        **{(3, code): _NO_ROUTE for code in (0, 5, 6, 11)},
        **{(3, code): _NO_HOST for code in (1, 7, 8, 12)},
        (3, 2): _NO_ESP,
        (3, 3): _NO_PORT,
        **{(3, code): _PROHIBITED for code in (9, 10, 13)},
        (11, 0): _LOOP,
    },
    6: {
        (1, 0): _NO_ROUTE,
        (1, 3): _NO_HOST,
        (1, 4): _NO_PORT,
        **{(1, code): _PROHIBITED for code in (1, 5, 6)},
        (3, 0): _LOOP,
        (4, 1): _NO_ESP,
    },
}
_TYPES = {version: frozenset(kind for kind, _ in kinds) for version, kinds in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class IcmpError:
    """What `by` says of a packet to `remote`, in its own word, and what that means. Port 0: of native ESP."""

    remote: Endpoint
    by: Address
    kind: str
    meaning: str


def open_icmp_errors(version: int) -> socket.socket:
    """A raw socket that only such errors of an IP version reach. Raises OSError; needs CAP_NET_RAW."""
    if version == 4:
        family, protocol = socket.AF_INET, socket.IPPROTO_ICMP
        option = (_SOL_RAW, _ICMP_FILTER, _blocking(_TYPES[4], 1))
    else:
        family, protocol = socket.AF_INET6, socket.IPPROTO_ICMPV6
        option = (socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _blocking(_TYPES[6], 8))
    sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    try:
        sock.setsockopt(*option)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    except BaseException:
        sock.close()
        raise
    return sock


def _blocking(permitted: Iterable[int], words: int) -> bytes:
    """A filter of so many words that blocks all other types (RFC 3542 3.2)."""
    blocked = (1 << 32 * words) - 1
    for kind in permitted:
        blocked &= ~(1 << kind)
    return struct.pack(f"={words}I", *(blocked >> 32 * word & 0xFFFFFFFF for word in range(words)))


def parse(version: int, datagram: bytes, by: Address, ports: Collection[int]) -> IcmpError | None:
    """The error of a datagram as a raw socket gives it (IPv4 with its header), if it is about ESP, or about
    UDP from one of these ports of ours. Never raises."""
    try:
        return _parse(version, datagram, by, ports)
    except (IndexError, ValueError, struct.error):  # shorter than it has to be
        return None


def _parse(version: int, datagram: bytes, by: Address, ports: Collection[int]) -> IcmpError | None:
    message = datagram[(datagram[0] & 15) * 4 :] if version == 4 else datagram
    known = _KINDS[version].get((message[0], message[1]))
    packet = message[8:]
    if known is None or packet[0] >> 4 != version:
        return None
    if version == 4:
        protocol, remote, rest = packet[9], packet[16:20], packet[(packet[0] & 15) * 4 :]
        fragment = struct.unpack_from("!H", packet, 6)[0] & 0x1FFF
    else:
        protocol, remote, rest, fragment = packet[6], packet[24:40], packet[40:], 0
    if fragment or protocol not in (_UDP, _ESP):
        return None
    if protocol == _ESP:
        return IcmpError(Endpoint(ip_address(remote), 0), by, *known)
    own_port, remote_port = struct.unpack_from("!HH", rest)
    if own_port not in ports:
        return None
    return IcmpError(Endpoint(ip_address(remote), remote_port), by, *known)


def address_of(source: tuple[str, int]) -> Address:
    """The address of who sent a datagram, as `recvfrom` has it, without its interface."""
    return ip_address(source[0].partition("%")[0])


class IcmpErrors:
    """Reads them while the daemon runs."""

    def __init__(self, sockets: dict[int, socket.socket]) -> None:
        self._sockets = sockets
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def open(cls) -> IcmpErrors:
        """Of both IP versions, as far as this process may. Never raises."""
        sockets = {}
        for version in (4, 6):
            try:
                sockets[version] = open_icmp_errors(version)
            except OSError as error:
                log.debug("net", f"no hints by ICMP over IPv{version}: {error.strerror}", "net")
        return cls(sockets)

    def start(self, ports: Collection[int], tell: Callable[[IcmpError], None]) -> None:
        """Tell of each from now on that is about ESP, or UDP from one of these ports of ours."""
        self._loop = asyncio.get_running_loop()
        for version, sock in self._sockets.items():
            self._read_on(version, sock, ports, tell)

    def _read_on(
        self, version: int, sock: socket.socket, ports: Collection[int], tell: Callable[[IcmpError], None]
    ) -> None:
        loop = self._loop
        if loop is None or sock.fileno() < 0:
            return  # closed meanwhile

        def read() -> None:
            for _ in range(_AT_ONCE):
                try:
                    datagram, source = sock.recvfrom(_LONGEST)
                except BlockingIOError:
                    return
                except OSError:
                    continue
                error = parse(version, datagram, address_of(source), ports)
                if error is not None:
                    tell(error)
            loop.remove_reader(sock)
            loop.call_later(_PAUSE, self._read_on, version, sock, ports, tell)

        loop.add_reader(sock, read)

    def close(self) -> None:
        for sock in self._sockets.values():
            if self._loop is not None and sock.fileno() >= 0:
                self._loop.remove_reader(sock)
            sock.close()
