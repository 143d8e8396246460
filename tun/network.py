"""Addresses, MTU and routes of a TUN device, and what the kernel's routing says about a peer."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from collections.abc import Sequence
from ipaddress import ip_address, ip_interface
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from tun import rtnetlink
from tun.netlink import Address, HostAddress, Interface, Network, RouteError, converse
from tun.numbering import number

# linux/rtnetlink.h, linux/if_addr.h, linux/if_link.h
RT_TABLE_MAIN = 254
RT_SCOPE_LINK = 253
IFA_F_NODAD = 0x02
IFA_F_DADFAILED = 0x08
IFA_F_TENTATIVE = 0x40
ADDR_GEN_MODE_NONE = 1

# netdevice(7)
SIOCGIFFLAGS = 0x8913
SIOCGIFMTU = 0x8921
IFF_RUNNING = 0x40
LINKED = 0x1 | IFF_RUNNING  # IFF_UP
_FLAGS = struct.Struct("16sh22x")  # struct ifreq: name, flags
_MTU = struct.Struct("16si20x")

IPV6_MIN_MTU = 1280  # RFC 8200 5: below it the kernel takes IPv6 off the device
IPV6_SETTINGS = Path("/proc/sys/net/ipv6/conf")
QUEUE = 2000  # packets or frames that wait in a device: at 500 a burst of small ones does not fit
DEFAULT_METRIC = {4: 0, 6: 1024}  # of a route that is added without one, or with 0
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def configure(
    name: str, addresses: Sequence[Interface], peers: Sequence[Address], mtu: int, table: int | None
) -> None:
    """Bring the device up with its MTU, addresses and the peers' (`tun.numbering` says how they are paired).

    IPv6 addresses are used at once (no duplicate address detection), and neither a link-local address nor
    one from a router advertisement comes by itself. A peer that needs a route gets it in `table` (None:
    main). May be repeated. Raises `RouteError`.
    """
    numbering = number(addresses, peers)
    with_ipv6 = any(one.version == 6 for one in (*addresses, *peers))
    if with_ipv6 and mtu < IPV6_MIN_MTU:
        raise RouteError(f"{name}: MTU {mtu}", reason=f"IPv6 needs at least {IPV6_MIN_MTU}")
    index = _index(name)

    def bring_up(ip: IPRoute) -> None:
        ip.link("set", index=index, mtu=mtu, txqlen=QUEUE)
        _no_autoconfiguration(ip, index, name)
        ip.link("set", index=index, state="up")

    converse(f"{name}: cannot bring it up with MTU {mtu}", bring_up)
    for own, peer in numbering.addresses:
        _add_address(name, index, own, peer)
    for peer in numbering.routed_peers:
        add_route(name, ip_interface(peer).network, table)


def set_mtu(name: str, mtu: int) -> None:
    """Set the MTU in bytes of a device that `configure` brought up. Raises `RouteError`.

    Below 1280 the kernel takes IPv6 off the device, its addresses and routes too (RFC 8200 5).
    """
    index = _index(name)

    def change(ip: IPRoute) -> None:
        (link,) = ip.get_links(index)
        ip.link("set", index=index, mtu=mtu)
        if link.get_attr("IFLA_MTU") < IPV6_MIN_MTU <= mtu:
            # IPv6 came to the device anew, with all of the kernel's defaults.
            _no_autoconfiguration(ip, index, name)
            ip.flush_addr(index=index, family=socket.AF_INET6, scope=RT_SCOPE_LINK)

    converse(f"{name}: cannot set MTU {mtu}", change)


def add_route(name: str, network: Network, table: int | None, metric: int | None = None) -> None:
    """A route to `network` through the device, in `table` (None: main). No matter if it is there already.

    A route of somebody else's is never displaced. Raises `RouteError`.
    """
    what = f"{name}: cannot add the route to {network}{_in_table(table)}"
    index = _index(name)
    try:
        rtnetlink.add(index, network, table or RT_TABLE_MAIN, metric)
    except FileExistsError as error:
        others = converse(what, lambda ip: _users(ip, network, table, metric))
        if index not in others:
            used = ", ".join(sorted(_name(one) for one in others)) or "something else"
            raise RouteError(what, errno.EEXIST, f"there is one already, through {used}") from error
    except OSError as error:
        code = error.errno or 0
        raise RouteError(what, code, _no_ipv6(network.version, code)) from error


def remove_route(name: str, network: Network, table: int | None, metric: int | None = None) -> None:
    """Remove what `add_route` added. No matter if the route or the device is gone. Raises `RouteError`."""
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        return  # its routes went with it
    try:
        rtnetlink.remove(index, network, table or RT_TABLE_MAIN, metric)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.ENOENT, errno.ENODEV):
            what = f"{name}: cannot remove the route to {network}{_in_table(table)}"
            raise RouteError(what, error.errno or 0) from error


def uplink_mtu(remote: Address, local: Address | None = None) -> int:
    """MTU in bytes of the way the kernel would send to `remote` (from `local`): the route's or the device's.

    What path MTU discovery has learned for a while is not counted. Raises `RouteError` if there is no way.
    """
    what = f"no way to {remote}" + (f" from {local}" if local else "")
    try:
        way = rtnetlink.way(remote, local)
        if way.mtu is not None:
            return way.mtu
        if way.device is None:
            raise RouteError(what, reason="it leads through no device")
        name = socket.if_indextoname(way.device)
        mtu = _ask(SIOCGIFMTU, _MTU, name)
    except OSError as error:
        raise RouteError(what, error.errno or 0) from error
    return min(mtu, _advertised_mtu(name, mtu)) if remote.version == 6 else mtu


def outlet(remote: Address, local: Address) -> str | None:
    """The device that the kernel would send through from `local` to `remote`, None if there is no way."""
    try:
        device = rtnetlink.way(remote, local).device
        return None if device is None else socket.if_indextoname(device)
    except OSError:
        return None


def source_address(remote: Address) -> Address:
    """The address the kernel would send from to `remote`. Raises `RouteError` if there is no way."""
    with socket.socket(FAMILIES[remote.version], socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(remote), 9))  # sends nothing; any port but 0 does
        except OSError as error:
            raise RouteError(f"no way to {remote}", error.errno or 0) from error
        return ip_address(probe.getsockname()[0])


def host_addresses() -> list[HostAddress]:
    """Every unicast address of this host that can be used, loopback too, without link-local ones.

    Raises `RouteError`.
    """

    def dump(ip: IPRoute) -> list[HostAddress]:
        found: dict[Address, int] = {}
        for one in ip.get_addr():
            flags = one.get_attr("IFA_FLAGS") or one["flags"]
            address = ip_address(one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS"))
            if not flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) and not address.is_link_local:
                found.setdefault(address, int(one["index"]))
        return [HostAddress(address, index, _name(index)) for address, index in found.items()]

    return converse("cannot list the addresses", dump)


def local_addresses() -> list[Address]:
    """The addresses alone of `host_addresses`. Raises `RouteError`."""
    return [one.address for one in host_addresses()]


def has_link(name: str) -> bool:
    """Whether the device is up and has carrier; False too if there is no such device."""
    try:
        return link_flags(name) & LINKED == LINKED
    except OSError:
        return False


def link_flags(name: str) -> int:
    """IFF_UP and its like (netdevice(7)). Raises OSError."""
    return _ask(SIOCGIFFLAGS, _FLAGS, name)


def _ask(request: int, layout: struct.Struct, name: str) -> int:
    """A number that the kernel has for a device. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, request, layout.pack(name.encode(), 0))
    return int(layout.unpack(answer)[1])


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise RouteError(name, errno.ENODEV) from error


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"device {index}"


def _no_autoconfiguration(ip: IPRoute, index: int, name: str) -> None:
    """A VTI is no LAN: no link-local address, and no router advertisement out of the tunnel is believed."""
    mode = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", ADDR_GEN_MODE_NONE)]})]}
    try:
        ip.link("set", index=index, IFLA_AF_SPEC=mode)
        (IPV6_SETTINGS / name / "accept_ra").write_text("0")
    except NetlinkError as error:
        if error.code != errno.EAFNOSUPPORT:  # no IPv6 in this kernel or under this MTU: nothing to stop
            raise
    except OSError:
        pass  # a container may see /proc/sys read-only; then the host's default stands


def _no_ipv6(version: int, code: int) -> str:
    """What the kernel means with a code that it gives for a device without IPv6; "" if it isn't that."""
    if version == 6 and code == errno.EACCES:
        return "IPv6 is switched off (sysctl disable_ipv6)"
    if version == 6 and code in (errno.ENODEV, errno.EINVAL):
        return f"the device has no IPv6; is its MTU below {IPV6_MIN_MTU}?"
    return ""


def _add_address(name: str, index: int, own: Interface, peer: Address | None) -> None:
    what = f"{name}: cannot add the address {own}" + (f" with peer {peer}" if peer else "")
    values: dict[str, str | int] = {
        "family": FAMILIES[own.version],
        "index": index,
        "local": str(own.ip),
        "address": str(peer or own.ip),
        "prefixlen": own.network.prefixlen,
    }
    if own.version == 6:
        values["flags"] = IFA_F_NODAD

    def add(ip: IPRoute) -> None:
        try:
            ip.addr("add", **values)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise RouteError(what, error.code, _no_ipv6(own.version, error.code)) from error

    converse(what, add)


def _in_table(table: int | None) -> str:
    return "" if table is None else f" in table {table}"


def _users(ip: IPRoute, network: Network, table: int | None, metric: int | None) -> set[int]:
    """Indices of the devices that routes to `network` in `table` of that metric lead through."""
    wanted = metric or DEFAULT_METRIC[network.version]
    found: set[int] = set()
    for one in ip.get_routes(family=FAMILIES[network.version], table=table or RT_TABLE_MAIN):
        destination = one.get_attr("RTA_DST") or str(type(network.network_address)(0))
        if one["dst_len"] != network.prefixlen or ip_address(destination) != network.network_address:
            continue
        if (one.get_attr("RTA_PRIORITY") or 0) != wanted:
            continue
        found.update(hop["oif"] for hop in one.get_attr("RTA_MULTIPATH") or ())
        if one.get_attr("RTA_OIF") is not None:
            found.add(int(one.get_attr("RTA_OIF")))
    return found


def _advertised_mtu(name: str, otherwise: int) -> int:
    """The MTU that IPv6 uses on a device: a router advertisement may have lowered it (RFC 4861 4.6.4)."""
    try:
        return int((IPV6_SETTINGS / name / "mtu").read_text())
    except (OSError, ValueError):
        return otherwise
