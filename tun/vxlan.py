"""Makes, mends and removes VXLAN devices with unicast flooding (RFC 7348): all-zero forwarding entries.

A device that is ours has the alias "ikepy" (`ip link` shows it); what is not, is never changed. Works in the
caller's namespace, from any thread.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from tun.links import link_mtu
from tun.netlink import Address, Interface, RouteError, converse
from tun.state import AddAddress, RemoveAddress, SetMtu, SetUp
from tun.vxlan_state import (
    OVERHEAD,
    AddPeer,
    Delete,
    Make,
    Operation,
    RemovePeer,
    SeenVxlan,
    VxlanLink,
    VxlanState,
    difference,
)

ALIAS = "ikepy"
MOST_TOLD = 64  # of what was done
ALL_ZERO = "00:00:00:00:00:00"  # the destination of frames for all, and for unknown addresses
ETHERNET = 1500  # octets: the underlay's MTU where routes decide which it is
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_IFA_F_NODAD = 0x02  # linux/if_addr.h


class NotOurs(RouteError):  # noqa: N818  what it is
    """Another program has made a device of this name."""


@dataclass(frozen=True, slots=True)
class MendedVxlan:
    """What was done, in words; `made`: the device is a new one; `mac`: its Ethernet address."""

    done: tuple[str, ...] = ()
    made: bool = False
    mac: str | None = None


def mend_vxlan(desired: VxlanState) -> MendedVxlan:
    """Compare a device with its desired state and do what is missing. May be repeated.

    Raises `NotOurs`, with nothing changed, and `RouteError`.
    """
    what = f"{desired.name}: cannot set it up"

    def mend(ip: IPRoute) -> MendedVxlan:
        link = VxlanLink(desired.vni, desired.port, _underlay(desired), desired.local)
        mtu = desired.mtu or _outer_mtu(desired) - OVERHEAD[link.version]
        seen = _look(ip, desired.name)
        if seen is not None and not seen.ours:
            raise NotOurs(desired.name, reason="a device of this name exists already, none of ikepy's")
        operations = difference(desired, link, mtu, seen)
        made = any(isinstance(one, Make) for one in operations)
        try:
            for one in operations:
                if isinstance(one, Make):
                    _make(ip, desired, link)
                else:
                    _do(ip, socket.if_nametoindex(desired.name), one)
        except BaseException:
            if made:  # else it would stay half made: only a new device is brought up
                _delete_ours(ip, desired.name)
            raise
        (message,) = ip.get_links(socket.if_nametoindex(desired.name))
        return MendedVxlan(tuple(map(str, operations[:MOST_TOLD])), made, message.get_attr("IFLA_ADDRESS"))

    return converse(what, mend)


def remove_vxlan(name: str) -> None:
    """Delete a device, if it is there and ours. Raises `RouteError`."""

    converse(f"{name}: cannot remove it", lambda ip: _delete_ours(ip, name))


def _delete_ours(ip: IPRoute, name: str) -> None:
    seen = _look(ip, name)
    if seen is not None and seen.ours:
        ip.link("del", index=socket.if_nametoindex(name))


def _underlay(desired: VxlanState) -> int:
    if desired.underlay is None:
        return 0
    try:
        return socket.if_nametoindex(desired.underlay)
    except OSError as error:
        text = f"{desired.name}: its underlay {desired.underlay}"
        raise RouteError(text, errno.ENODEV) from error


def _outer_mtu(desired: VxlanState) -> int:
    return ETHERNET if desired.underlay is None else link_mtu(desired.underlay)


def _look(ip: IPRoute, name: str) -> SeenVxlan | None:
    """The device of a name, None if there is none."""
    try:
        index = socket.if_nametoindex(name)
        (message,) = ip.get_links(index)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise
    except OSError:
        return None
    return SeenVxlan(
        ours=message.get_attr("IFLA_IFALIAS") == ALIAS,
        link=_link(message),
        mtu=message.get_attr("IFLA_MTU") or 0,
        peers=_peers(ip, index),
        addresses=_addresses(ip, index),
    )


def _link(message: Any) -> VxlanLink | None:
    if message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "vxlan":
        return None
    data = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
    local = data.get_attr("IFLA_VXLAN_LOCAL") or data.get_attr("IFLA_VXLAN_LOCAL6")
    return VxlanLink(
        data.get_attr("IFLA_VXLAN_ID"),
        data.get_attr("IFLA_VXLAN_PORT"),
        data.get_attr("IFLA_VXLAN_LINK") or 0,
        ip_address(local) if local else None,
    )


def _peers(ip: IPRoute, index: int) -> frozenset[Address]:
    entries = [one for one in ip.fdb("dump", ifindex=index) if one["ifindex"] == index]
    return frozenset(
        ip_address(one.get_attr("NDA_DST"))
        for one in entries
        if one.get_attr("NDA_LLADDR") == ALL_ZERO and one.get_attr("NDA_DST")
    )


def _addresses(ip: IPRoute, index: int) -> frozenset[Interface]:
    found = [one for one in ip.get_addr(index=index) if one["index"] == index]
    return frozenset(ip_interface(f"{one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}") for one in found)


def _do(ip: IPRoute, index: int, operation: Operation) -> None:
    """Do one operation on a device that is there. Raises NetlinkError and OSError."""
    match operation:
        case Delete():
            ip.link("del", index=index)
        case SetMtu(mtu=mtu):
            ip.link("set", index=index, mtu=mtu)
        case SetUp():
            ip.link("set", index=index, state="up")
        case AddPeer(peer=peer):
            ip.fdb("append", ifindex=index, lladdr=ALL_ZERO, dst=str(peer))
        case RemovePeer(peer=peer):
            _unless_gone(lambda: ip.fdb("del", ifindex=index, lladdr=ALL_ZERO, dst=str(peer)))
        case AddAddress(own=own):
            flags = {"flags": _IFA_F_NODAD} if own.version == 6 else {}
            family = _FAMILIES[own.version]
            prefix = own.network.prefixlen
            ip.addr("replace", index=index, family=family, address=str(own.ip), prefixlen=prefix, **flags)
        case RemoveAddress(own=own):
            prefix = own.network.prefixlen
            _unless_gone(lambda: ip.addr("del", index=index, address=str(own.ip), prefixlen=prefix))


def _make(ip: IPRoute, desired: VxlanState, link: VxlanLink) -> None:
    more: dict[str, Any] = {"vxlan_link": link.underlay} if link.underlay else {}
    if desired.mac is not None:
        more["address"] = desired.mac
    if link.local is not None:
        more["vxlan_local" if link.version == 4 else "vxlan_local6"] = str(link.local)
    ip.link("add", ifname=desired.name, kind="vxlan", vxlan_id=link.vni, vxlan_port=link.port, **more)
    ip.link("set", index=socket.if_nametoindex(desired.name), ifalias=ALIAS)


def _unless_gone(action: Callable[[], object]) -> None:
    try:
        action()
    except NetlinkError as error:
        if error.code not in (errno.ENOENT, errno.EADDRNOTAVAIL, errno.ENODEV):
            raise
