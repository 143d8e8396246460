"""Single route messages to the kernel (rtnetlink(7)), from any thread, inside an event loop too.

pyroute2's messages over a plain socket: a socket of its own takes 0.2 ms to open, and its IPRoute needs a
thread within a running event loop. That adds up where it happens with each of thousands of CHILD_SAs: looking
up the way to a peer, adding and removing a route. Works in the caller's namespace.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST
from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, rt_proto, rt_scope, rt_type
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tun.netlink import Address, Network

_SPACE = 1 << 16  # octets
_PATIENCE = 1.0  # seconds; the kernel answers before the send returns
_ANSWERS = MarshalRtnl()
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Way:
    """Where the kernel would send a packet: `device` an index (None: no device), `mtu` the route's own."""

    device: int | None
    mtu: int | None


def way(remote: Address, local: Address | None) -> Way:
    """The route to `remote`. Raises OSError; what path MTU discovery has learned is not counted."""
    bits = remote.max_prefixlen
    found = _converse(
        RTM_GETROUTE,
        0,
        {"family": _FAMILIES[remote.version], "dst_len": bits, "src_len": bits if local else 0},
        {"RTA_DST": str(remote)} | ({"RTA_SRC": str(local)} if local else {}),
    )
    learned = found.get_nested("RTA_CACHEINFO", "rta_expires")
    mtu = None if learned else found.get_nested("RTA_METRICS", "RTAX_MTU")
    return Way(found.get_attr("RTA_OIF"), mtu or None)


def add(device: int, network: Network, table: int, metric: int | None) -> None:
    """A route through a device (its index); `metric` None: the kernel's default.

    Raises OSError: FileExistsError if there is one to this network, in this table, of this metric.
    """
    scope = "link" if network.version == 4 else "universe"  # IPv6 has no scopes in routes
    _change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, scope, device, network, table, metric)


def remove(device: int, network: Network, table: int, metric: int | None) -> None:
    """Remove what `add` added. Raises OSError."""
    _change(RTM_DELROUTE, 0, "nowhere", device, network, table, metric)  # nowhere: whatever its scope


def _change(
    kind: int, flags: int, scope: str, device: int, network: Network, table: int, metric: int | None
) -> None:
    header = {
        "family": _FAMILIES[network.version],
        "dst_len": network.prefixlen,
        "proto": rt_proto["static"],
        "scope": rt_scope[scope],
        "type": rt_type["unicast"],
    }
    attributes = {"RTA_DST": str(network.network_address), "RTA_OIF": device, "RTA_TABLE": table}
    if metric is not None:
        attributes["RTA_PRIORITY"] = metric
    _converse(kind, flags | NLM_F_ACK, header, attributes)


def _converse(kind: int, flags: int, header: dict[str, int], attributes: dict[str, Any]) -> Any:
    """The kernel's answer, one of pyroute2's messages. Raises OSError."""
    request = rtmsg()
    request.setvalue({**header, "attrs": list(attributes.items())})
    request["header"].update(type=kind, flags=NLM_F_REQUEST | flags)
    request.encode()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_PATIENCE)
        sock.send(request.data)
        (answer,) = _ANSWERS.parse(sock.recv(_SPACE))
    code = -(answer.get("error") or 0)
    if code:
        raise OSError(code, os.strerror(code))
    return answer
