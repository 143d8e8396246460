"""Single route messages to the kernel over a bare rtnetlink socket (rtnetlink(7), linux/rtnetlink.h).

pyroute2 takes milliseconds for a conversation: too long for what happens with each of thousands of CHILD_SAs,
which is looking up the way to a peer, adding and removing a route. Works in the caller's namespace.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tun.netlink import Address, Network

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTA_DST, RTA_SRC, RTA_OIF, RTA_PRIORITY, RTA_METRICS, RTA_CACHEINFO, RTA_TABLE = 1, 2, 4, 6, 8, 12, 15
RTAX_MTU = 2
RTN_UNICAST = 1

_NLMSG_ERROR = 2
_REQUEST, _ACK = 1, 4
_NEW = 0x200 | 0x400  # NLM_F_EXCL | NLM_F_CREATE
_MESSAGE = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_NUMBER = struct.Struct("=I")
_SIGNED = struct.Struct("=i")
_EXPIRES = 8  # in struct rta_cacheinfo
_ANSWER = 1 << 16  # octets
_PATIENCE = 1.0  # seconds; the kernel answers before the send returns
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Way:
    """Where the kernel would send a packet: `device` an index (None: no device), `mtu` the route's own."""

    device: int | None
    mtu: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """A route through a device. `metric` None: the kernel's default."""

    network: Network
    device: int
    table: int
    scope: int
    protocol: int
    metric: int | None = None


def way(remote: Address, local: Address | None) -> Way:
    """The route to `remote`. Raises OSError; what path MTU discovery has learned is not counted."""
    bits = remote.max_prefixlen
    header = _ROUTE.pack(_FAMILIES[remote.version], bits, bits if local else 0, 0, 0, 0, 0, 0, 0)
    attributes = {RTA_DST: remote.packed} | ({RTA_SRC: local.packed} if local else {})
    found = dict(_attributes(_converse(RTM_GETROUTE, 0, header, attributes)[_ROUTE.size :]))
    device, metrics, cache = (found.get(kind, b"") for kind in (RTA_OIF, RTA_METRICS, RTA_CACHEINFO))
    learned = bool(cache) and _SIGNED.unpack_from(cache, _EXPIRES)[0] != 0
    mtu = dict(_attributes(metrics)).get(RTAX_MTU)
    return Way(
        int(_NUMBER.unpack(device)[0]) if device else None,
        None if mtu is None or learned else int(_NUMBER.unpack(mtu)[0]) or None,
    )


def add(route: Route) -> None:
    """Raises OSError: FileExistsError if there is one to this network, in this table, of this metric."""
    _converse(RTM_NEWROUTE, _NEW | _ACK, *_encode(route))


def remove(route: Route) -> None:
    """Raises OSError."""
    _converse(RTM_DELROUTE, _ACK, *_encode(route))


def _encode(route: Route) -> tuple[bytes, dict[int, bytes]]:
    network = route.network
    short = route.table if route.table < 256 else 0
    header = _ROUTE.pack(
        _FAMILIES[network.version],
        network.prefixlen,
        0,
        0,
        short,
        route.protocol,
        route.scope,
        RTN_UNICAST,
        0,
    )
    attributes = {
        RTA_DST: network.network_address.packed,
        RTA_OIF: _NUMBER.pack(route.device),
        RTA_TABLE: _NUMBER.pack(route.table),
    }
    if route.metric is not None:
        attributes[RTA_PRIORITY] = _NUMBER.pack(route.metric)
    return header, attributes


def _converse(kind: int, flags: int, header: bytes, attributes: Mapping[int, bytes]) -> bytes:
    """What follows the header of the kernel's answer; b"" for an acknowledgement. Raises OSError."""
    body = header + b"".join(
        _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), number) + value.ljust(-(-len(value) // 4) * 4, b"\0")
        for number, value in attributes.items()
    )
    request = _MESSAGE.pack(_MESSAGE.size + len(body), kind, _REQUEST | flags, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_PATIENCE)
        sock.sendto(request, (0, 0))
        answer = sock.recv(_ANSWER)
    length, kind, *_ = _MESSAGE.unpack_from(answer)
    content = answer[_MESSAGE.size : length]
    if kind != _NLMSG_ERROR:
        return content
    code = -_SIGNED.unpack_from(content)[0]
    if code:
        raise OSError(code, os.strerror(code))
    return b""


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
