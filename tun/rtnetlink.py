"""Reads and changes routes, addresses and links, one rtnetlink message each (rtnetlink(7)), from any thread.

pyroute2's messages over a plain socket: its own socket takes 0.2 ms to open, and its IPRoute needs a
thread within a running event loop. That adds up where it happens with each of thousands of CHILD_SAs: looking
up the way to a peer, adding and removing a route. Works in the caller's namespace.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
)
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELROUTE,
    RTM_GETADDR,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    rt_proto,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tun.netlink import Address, Interface, Network
from tun.state import Pairing, Route

# linux/netlink.h, linux/if.h, linux/if_addr.h, linux/if_link.h
_SOL_NETLINK, _NETLINK_GET_STRICT_CHK = 270, 12
_IFF_UP = 0x1
_IFA_F_NODAD = 0x02
_ADDR_GEN_MODE_NONE = 1
_RTM_F_FIB_MATCH = 0x2000  # linux/rtnetlink.h
_SPACE = 1 << 18  # octets
_PATIENCE = 1.0  # seconds; the kernel answers before the send returns
_ANSWERS = MarshalRtnl()
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_NOWHERE = {4: "0.0.0.0", 6: "::"}
_NUMBERS = itertools.count()
_TAG_BITS = 22
_TAG_MASK = (1 << _TAG_BITS) - 1
_PORTS = 500  # beyond 511 there are those that the kernel chooses
# Of this process, and of others that change routes for it. Not its PID: in another PID namespace, which may
# share the network namespace, another daemon may have the same one.
_tags = [secrets.randbits(_TAG_BITS)]
RTNH_F_ONLINK = 4
_MULTIPATH = 16  # next hops of a route that are looked at

# Of questions that our exemptions (`tun.exemptions`) don't answer.
MARK = 0x696B6570


@dataclass(frozen=True, slots=True)
class ResolvedRoute:
    """The route that the kernel resolves for a packet: `device` an index (None: no device), `mtu` the route's
    own."""

    device: int | None
    mtu: int | None


def resolve_route(remote: Address, local: Address | None) -> ResolvedRoute:
    """Resolve the route to `remote` (as `ip route get`). Raises OSError. An MTU that path MTU discovery
    learned is ignored."""
    bits = remote.max_prefixlen
    found = converse(
        rtmsg,
        RTM_GETROUTE,
        0,
        {"family": FAMILIES[remote.version], "dst_len": bits, "src_len": bits if local else 0},
        {"RTA_DST": str(remote)} | ({"RTA_SRC": str(local)} if local else {}),
    )
    learned = found.get_nested("RTA_CACHEINFO", "rta_expires")
    mtu = None if learned else found.get_nested("RTA_METRICS", "RTAX_MTU")
    return ResolvedRoute(found.get_attr("RTA_OIF"), mtu or None)


def is_local(address: Address) -> bool:
    """Whether the route to an address is one of type local. Raises OSError."""
    found = converse(
        rtmsg,
        RTM_GETROUTE,
        0,
        {"family": FAMILIES[address.version], "dst_len": address.max_prefixlen},
        {"RTA_DST": str(address)},
    )
    return bool(found["type"] == rt_type["local"])


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop: its device (an index), its gateway if it has one, and whether that is on the link though no
    address of the device says so."""

    device: int
    gateway: Address | None = None
    onlink: bool = False

    def __str__(self) -> str:
        try:
            name = socket.if_indextoname(self.device)
        except OSError:
            name = f"device {self.device}"
        return name if self.gateway is None else f"{self.gateway} on {name}"


@dataclass(frozen=True, slots=True)
class BestRoute:
    """The best route to an address: its network, its device (an index), and no gateway if `on_link`.

    `hops`: all its next hops whose gateway is of the same IP version; `source`: the address that it prefers.
    """

    network: Network
    device: int | None
    on_link: bool
    metric: int = 0
    hops: tuple[Hop, ...] = ()
    source: Address | None = None


def best_route(remote: Address, local: Address | None = None, device: int | None = None) -> BestRoute:
    """The route itself that the kernel has for `remote` (from `local`, through a device), exemptions apart.

    Raises OSError.
    """
    bits = remote.max_prefixlen
    # With a source IPv6 looks beyond the device.
    source = None if remote.version == 6 and device is not None else local
    attributes: dict[str, Any] = {"RTA_DST": str(remote), "RTA_MARK": MARK}
    attributes |= {} if source is None else {"RTA_SRC": str(source)}
    attributes |= {} if device is None else {"RTA_OIF": device}
    found = converse(
        rtmsg,
        RTM_GETROUTE,
        0,
        {
            "family": FAMILIES[remote.version],
            "dst_len": bits,
            "src_len": 0 if source is None else bits,
            "flags": _RTM_F_FIB_MATCH,
        },
        attributes,
    )
    network = ip_network((found.get_attr("RTA_DST") or _NOWHERE[remote.version], found["dst_len"]))
    further = ("RTA_GATEWAY", "RTA_VIA", "RTA_MULTIPATH")
    preferred = found.get_attr("RTA_PREFSRC")
    return BestRoute(
        network,
        found.get_attr("RTA_OIF"),
        not any(map(found.get_attr, further)),
        found.get_attr("RTA_PRIORITY") or 0,
        tuple(hops_of(found)),
        ip_address(preferred) if preferred else None,
    )


def hops_of(route: Any) -> Iterator[Hop]:
    """The next hops of a route message whose gateway is of the same IP version."""
    several = (route.get_attr("RTA_MULTIPATH") or ())[:_MULTIPATH]
    for one in several or (route,):
        device = one["oif"] if several else route.get_attr("RTA_OIF")
        gateway = one.get_attr("RTA_GATEWAY")
        if device and one.get_attr("RTA_VIA") is None:
            yield Hop(device, ip_address(gateway) if gateway else None, bool(one["flags"] & RTNH_F_ONLINK))


def add_route(device: int, route: Route) -> None:
    """A route through a device (its index).

    Raises OSError: FileExistsError if there is one to this network, in this table, of this metric.
    """
    # IPv6 has no scopes in routes
    scope = "link" if route.network.version == 4 and route.gateway is None else "universe"
    change_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, scope, device, route)


def remove_route(device: int, route: Route) -> None:
    """Remove what `add_route` added. Raises OSError."""
    change_route(RTM_DELROUTE, 0, "nowhere", device, route)  # RT_SCOPE_NOWHERE: any scope


def replace_hops(route: Route, hops: Sequence[Hop], source: Address | None) -> None:
    """Give a route that is there other next hops, and this preferred source address. Raises OSError.

    One without a gateway has the scope of the link.
    """
    header, attributes = _route(route, "universe" if any(hop.gateway for hop in hops) else "link")
    if len(hops) == 1:
        attributes["RTA_OIF"] = hops[0].device
        if hops[0].gateway is not None:
            attributes["RTA_GATEWAY"] = str(hops[0].gateway)
    else:
        attributes["RTA_MULTIPATH"] = [_hop(one) for one in hops]
    if source is not None:
        attributes["RTA_PREFSRC"] = str(source)
    converse(rtmsg, RTM_NEWROUTE, NLM_F_REPLACE | NLM_F_ACK, header, attributes)


def _hop(hop: Hop) -> dict[str, Any]:
    gateway = [] if hop.gateway is None else [("RTA_GATEWAY", str(hop.gateway))]
    flags = RTNH_F_ONLINK if hop.onlink else 0
    return {"oif": hop.device, "hops": 0, "flags": flags, "attrs": gateway}


def change_route(kind: int, flags: int, scope: str, device: int, route: Route) -> None:
    """Send one message about a route through a device. Raises OSError."""
    header, attributes = _route(route, scope)
    attributes["RTA_OIF"] = device
    if route.gateway is not None:
        attributes["RTA_GATEWAY"] = str(route.gateway)
    if route.source is not None and kind == RTM_NEWROUTE:
        attributes["RTA_PREFSRC"] = str(route.source)
    converse(rtmsg, kind, flags | NLM_F_ACK, header, attributes)


def _route(route: Route, scope: str) -> tuple[dict[str, int], dict[str, Any]]:
    network = route.network
    header = {
        "family": FAMILIES[network.version],
        "dst_len": network.prefixlen,
        "proto": rt_proto["static"],
        "scope": rt_scope[scope],
        "type": rt_type["unicast"],
    }
    attributes = {"RTA_DST": str(network.network_address), "RTA_TABLE": route.table}
    if route.metric:
        attributes["RTA_PRIORITY"] = route.metric
    return header, attributes


def routes(device: int) -> frozenset[Route]:
    """All routes through a device, in every table. Raises OSError."""
    found: set[Route] = set()
    for family in FAMILIES.values():
        for one in dump(rtmsg, RTM_GETROUTE, {"family": family}, {"RTA_OIF": device}):
            found.update(route for route in read_route(one) if route.device == device)
    return frozenset(found)


def read_route(message: Any) -> Iterator[Route]:
    """A dumped route as one `Route` for each of its devices."""
    if message["family"] not in FAMILIES.values():
        return  # a kernel without IPv6 answers with all families
    network = destination(message)
    metric = message.get_attr("RTA_PRIORITY") or 0
    table = message.get_attr("RTA_TABLE") or message["table"]
    preferred = message.get_attr("RTA_PREFSRC")
    source = ip_address(preferred) if preferred else None
    hops = {hop.device: hop.gateway for hop in hops_of(message)}
    for device, gateway in hops.items() or ((message.get_attr("RTA_OIF") or 0, None),):
        yield Route(network, table, metric, gateway, device, source)


def destination(message: Any) -> Network:
    """The destination network of a route message."""
    version = 4 if message["family"] == socket.AF_INET else 6
    return ip_network(f"{message.get_attr('RTA_DST') or _NOWHERE[version]}/{message['dst_len']}")


def addresses(device: int) -> frozenset[Pairing]:
    """A device's addresses (its index), each with the peer's if it has one. Raises OSError."""
    found = dump(ifaddrmsg, RTM_GETADDR, {"index": device}, {})
    return frozenset(_read_address(one) for one in found if one["index"] == device)


def _read_address(message: Any) -> Pairing:
    there = message.get_attr("IFA_ADDRESS")
    here = message.get_attr("IFA_LOCAL") or there
    own = ip_interface(f"{here}/{message['prefixlen']}")
    return own, None if here == there else ip_address(there)


def add_address(device: int, own: Interface, peer: Address | None) -> None:
    """Add an address; IPv6 ones without duplicate address detection. Raises OSError."""
    header, attributes = _address(device, own, peer)
    if own.version == 6:
        attributes["IFA_FLAGS"] = _IFA_F_NODAD
    converse(ifaddrmsg, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, header, attributes)


def remove_address(device: int, own: Interface, peer: Address | None) -> None:
    """Remove an address. Raises OSError."""
    converse(ifaddrmsg, RTM_DELADDR, NLM_F_ACK, *_address(device, own, peer))


def _address(device: int, own: Interface, peer: Address | None) -> tuple[dict[str, int], dict[str, Any]]:
    header = {"family": FAMILIES[own.version], "prefixlen": own.network.prefixlen, "index": device}
    return header, {"IFA_LOCAL": str(own.ip), "IFA_ADDRESS": str(peer or own.ip)}


def set_up(device: int) -> None:
    """Set a device up. Raises OSError."""
    header = {"index": device, "flags": _IFF_UP, "change": _IFF_UP}
    converse(ifinfmsg, RTM_NEWLINK, NLM_F_ACK, header, {})


def set_link(device: int, mtu: int | None = None, queue: int | None = None) -> None:
    """Set MTU in octets and queue length in packets; None: unchanged. Raises OSError."""
    given = {"IFLA_MTU": mtu, "IFLA_TXQLEN": queue}
    attributes = {key: value for key, value in given.items() if value is not None}
    converse(ifinfmsg, RTM_NEWLINK, NLM_F_ACK, {"index": device}, attributes)


def no_address_by_itself(device: int) -> None:
    """Switch off IPv6 link-local address generation. Raises OSError."""
    mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _ADDR_GEN_MODE_NONE)]}
    converse(
        ifinfmsg,
        RTM_NEWLINK,
        NLM_F_ACK,
        {"index": device},
        {"IFLA_AF_SPEC": {"attrs": [("AF_INET6", mode)]}},
    )


def converse(
    layout: type[Any], kind: int, flags: int, header: Mapping[str, int], attributes: dict[str, Any]
) -> Any:
    """Send a request; the kernel's answer as one of pyroute2's messages. Raises OSError."""
    with _asked(layout, kind, flags, header, attributes) as sock:
        (answer,) = _ANSWERS.parse(sock.recv(_SPACE))
    _raise_error(answer)
    return answer


def dump(
    layout: type[Any], kind: int, header: Mapping[str, int], attributes: dict[str, Any]
) -> Iterator[Any]:
    """Dump all objects of a kind; the kernel filters since Linux 4.20. Raises OSError."""
    with _asked(layout, kind, NLM_F_DUMP, header, attributes) as sock:
        while True:
            for answer in _ANSWERS.parse(sock.recv(_SPACE)):
                if answer["header"]["type"] == NLMSG_DONE:
                    return
                if answer["header"]["type"] == NLMSG_ERROR:
                    _raise_error(answer)
                yield answer


@contextlib.contextmanager
def _asked(
    layout: type[Any], kind: int, flags: int, header: Mapping[str, int], attributes: dict[str, Any]
) -> Iterator[socket.socket]:
    """Send a request; the socket from which the answer is read."""
    request = layout()
    request.setvalue({**header, "attrs": list(attributes.items())})
    request["header"].update(type=kind, flags=NLM_F_REQUEST | flags)
    request.encode()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_PATIENCE)
        if flags & NLM_F_DUMP == NLM_F_DUMP:
            with contextlib.suppress(OSError):
                sock.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        _name_as_ours(sock)
        sock.send(request.data)
        yield sock


def _name_as_ours(sock: socket.socket) -> None:
    """Bind to a netlink port that `is_ours` recognizes; if it is taken, to one that the kernel picks."""
    number = next(_NUMBERS) % _PORTS + 1
    with contextlib.suppress(OSError):
        sock.bind((number << _TAG_BITS | _tags[0], 0))


def is_ours(port: int) -> bool:
    """Whether a request of this process, or of its helper, caused an event (by the pid in its header)."""
    return port & _TAG_MASK in _tags and 1 <= port >> _TAG_BITS <= _PORTS


def tag_of_helper() -> int:
    """For another process, the only one from now on, which changes routes for this one: its changes are ours,
    once it has called `use_tag` with this tag."""
    _tags[1:] = [secrets.randbits(_TAG_BITS)]
    return _tags[1]


def use_tag(tag: int) -> None:
    """Change routes for another process, which has given this tag (`tag_of_helper`)."""
    _tags[:] = [tag & _TAG_MASK]


def _raise_error(answer: Any) -> None:
    code = -(answer.get("error") or 0)
    if code:
        raise OSError(code, os.strerror(code))
