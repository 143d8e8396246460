"""Reconciles a TUN device with its desired state, and asks the kernel's routing about peers."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

from pyroute2 import IPRoute

from tun import carrier, exemptions, multipath, rtnetlink, steering
from tun.links import IFF_UP, has_link, link_carrier, link_flags, link_mtu
from tun.netlink import Address, HostAddress, Interface, RouteError, converse
from tun.rtnetlink import BestRoute, Hop
from tun.state import (
    IPV6_MIN_MTU,
    AddAddress,
    AddRoute,
    DeviceState,
    Operation,
    RemoveAddress,
    RemoveRoute,
    Route,
    Seen,
    SetCarrier,
    SetMtu,
    SetUp,
    StopAutoconfiguration,
    difference,
)
from tun.vxlan import mend_vxlan, remove_vxlan

__all__ = [
    "best_route",
    "device_indices",
    "end_exemption",
    "end_exemptions",
    "end_steering",
    "exempt",
    "has_link",
    "host_addresses",
    "is_local",
    "local_addresses",
    "mend",
    "mend_vxlan",
    "outlet",
    "perform",
    "remove_vxlan",
    "source_address",
    "steer",
    "uplink_mtu",
]

# linux/if_addr.h
IFA_F_DADFAILED = 0x08
IFA_F_TENTATIVE = 0x40

ADDR_GEN_MODE_NONE = 1  # linux/if_link.h
IPV6_SETTINGS = Path("/proc/sys/net/ipv6/conf")
QUEUE = 2000  # packets or frames that a device queues: 500 are too few for a burst of small ones
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
LACKS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})


# A TUN device as the kernel makes it; but for its carrier, which `mend` takes away
NEW = Seen(up=False, mtu=1500, carrier=False, quiet=False, addresses=frozenset(), routes=frozenset())


class Tun(Protocol):
    """A device: `tun.device.TunDevice`."""

    @property
    def index(self) -> int: ...

    @property
    def name(self) -> str: ...

    def set_carrier(self, up: bool, /) -> None: ...


class DeviceGone(RouteError):  # noqa: N818  what it is
    """The device was deleted."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation that failed, and why. `others`: devices whose route to the same network is in the way."""

    operation: Operation
    error: RouteError
    others: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Mended:
    """The operations that were done and those that failed. `up`: whether the device is up now."""

    done: tuple[Operation, ...] = ()
    refused: tuple[Refused, ...] = ()
    up: bool = True


def mend(tun: Tun, desired: DeviceState, *, new: bool = False) -> Mended:
    """Compare a device with its desired state and do what is missing. May be repeated.

    `new`: it was just created, and its queue gets its length. IPv6 addresses are used at once (no duplicate
    address detection), and neither a link-local address nor one from a router advertisement comes by itself.
    A route of somebody else's is never displaced. Raises `DeviceGone` and `RouteError`.
    """
    operations, up = plan(tun, desired, new=new)
    if new:
        with contextlib.suppress(OSError):  # it works with any
            set_queue(tun.index)
    mended = perform(tun, operations, desired)
    return Mended(mended.done, mended.refused, up)


def plan(tun: Tun, desired: DeviceState, *, new: bool) -> tuple[list[Operation], bool]:
    """The operations that `mend` does, and whether the device is up afterwards. Raises as `mend`."""
    if desired.with_ipv6 and desired.mtu < IPV6_MIN_MTU:
        raise RouteError(f"{tun.name}: MTU {desired.mtu}", reason=f"IPv6 needs at least {IPV6_MIN_MTU}")
    if new:
        tun.set_carrier(False)
    seen = NEW if new else look(tun)
    return difference(desired, seen, bring_up=new), seen.up or new


def set_queue(index: int) -> None:
    """Give a device's queue its length. Raises OSError."""
    rtnetlink.set_link(index, queue=QUEUE)


def look(tun: Tun) -> Seen:
    """The actual state of a device. Raises `DeviceGone` and `RouteError`."""
    try:
        name = socket.if_indextoname(tun.index)  # whatever others have renamed it to
    except OSError as error:
        raise DeviceGone(tun.name, errno.ENODEV) from error
    try:
        return Seen(
            up=bool(link_flags(name) & IFF_UP),
            mtu=link_mtu(name),
            carrier=link_carrier(name),
            quiet=_is_quiet(name),
            addresses=rtnetlink.addresses(tun.index),
            routes=frozenset(replace(one, device=0) for one in rtnetlink.routes(tun.index)),
        )
    except OSError as error:
        gone = error.errno == errno.ENODEV
        raise (DeviceGone if gone else RouteError)(
            f"{tun.name}: cannot see what it is now", error.errno or 0
        ) from error


def perform(tun: Tun, operations: Iterable[Operation], desired: DeviceState) -> Mended:
    """Do the operations; one that the kernel refuses does not stop the others."""
    done: list[Operation] = []
    refused: list[Refused] = []
    for operation in operations:
        failure = attempt(tun, operation, desired)
        if failure is None:
            done.append(operation)
        else:
            refused.append(explain(tun, operation, *failure))
    return Mended(tuple(done), tuple(refused))


def attempt(tun: Tun, operation: Operation, desired: DeviceState) -> tuple[int, frozenset[int]] | None:
    """Do one operation. Returns None, or why it failed: an errno, and the devices (indices) whose route to
    the same network is in the way."""
    try:
        others = _do(tun, operation, desired)
    except OSError as error:
        return error.errno or 0, frozenset()
    return (errno.EEXIST, others) if others else None


def explain(tun: Tun, operation: Operation, code: int, others: frozenset[int]) -> Refused:
    """What `attempt` returned, in words."""
    if others:
        used = ", ".join(sorted(map(_name, others)))
        taken = RouteError(_what(tun, operation), errno.EEXIST, f"there is one already, through {used}")
        return Refused(operation, taken, others)
    return Refused(operation, RouteError(_what(tun, operation), code, _reason(operation, code)))


def _do(tun: Tun, operation: Operation, desired: DeviceState) -> frozenset[int]:
    """Do one operation. Returns the devices (indices) whose route is in the way of a new one. Raises
    OSError."""
    index = tun.index
    match operation:
        case SetMtu(mtu=mtu, was=was):
            rtnetlink.set_link(index, mtu)
            if was < IPV6_MIN_MTU <= mtu:  # IPv6 came to the device anew, with all of the kernel's defaults
                _stop_autoconfiguration(tun, desired)
        case StopAutoconfiguration():
            _stop_autoconfiguration(tun, desired)
        case SetUp():
            rtnetlink.set_up(index)
        case SetCarrier(on=True):
            carrier.plug(tun)
        case SetCarrier():
            carrier.unplug(tun)
        case AddAddress(own=own, peer=peer, anew=anew):
            if anew:
                rtnetlink.remove_address(index, own, peer)
            rtnetlink.add_address(index, own, peer)
        case RemoveAddress(own=own, peer=peer):
            _remove_address(index, own, peer)
        case AddRoute(route=route):
            return multipath.add(route.device or index, route, desired.neighbours)
        case RemoveRoute(route=route):
            _remove_route(route.device or index, route, desired.neighbours)
    return frozenset()


def _remove_address(index: int, own: Interface, peer: Address | None) -> None:
    try:
        rtnetlink.remove_address(index, own, peer)
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
            raise  # else others removed it


def _remove_route(index: int, route: Route, neighbours: frozenset[int]) -> None:
    try:
        multipath.remove(index, route, neighbours)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.ENOENT, errno.ENODEV):
            raise


def uplink_mtu(remote: Address, local: Address | None = None) -> int:
    """MTU in octets of the route to `remote` (from `local`): the route's own or the device's.

    What path MTU discovery has learned is ignored. Raises `RouteError` if there is no route, and OSError if
    that can't be asked now.
    """
    what = f"no way to {remote}" + (f" from {local}" if local else "")
    try:
        route = rtnetlink.resolve_route(remote, local)
        if route.mtu is not None:
            return route.mtu
        if route.device is None:
            raise RouteError(what, reason="it leads through no device")
        name = socket.if_indextoname(route.device)
        mtu = link_mtu(name)
    except OSError as error:
        if _is_lack(error):
            raise
        raise RouteError(what, error.errno or 0) from error
    return min(mtu, _advertised_mtu(name, mtu)) if remote.version == 6 else mtu


def outlet(remote: Address, local: Address) -> str | None:
    """The device of the route from `local` to `remote`; None if there is no route."""
    try:
        device = rtnetlink.resolve_route(remote, local).device
        return None if device is None else socket.if_indextoname(device)
    except OSError:
        return None


def best_route(remote: Address, local: Address | None = None, device: int | None = None) -> BestRoute | None:
    """The kernel's best route for an address (from `local`, through a device), None if there is none.

    Our own exemptions are ignored. Raises OSError if that can't be asked now.
    """
    try:
        return rtnetlink.best_route(remote, local, device)
    except OSError as error:
        if _is_lack(error):
            raise
        return None


def is_local(address: Address) -> bool:
    """Whether this host takes packets to the address for its own, by an address of a device or by a route of
    type local (ip-route(8)).

    A link-local address is one of a link, not of the host. Raises OSError if that can't be asked now.
    """
    if address.is_unspecified or address.is_link_local:
        return False
    try:
        return rtnetlink.is_local(address)
    except OSError as error:
        if _is_lack(error):
            raise
        return False


def _is_lack(error: OSError) -> bool:
    """Whether a question came to no answer: nothing is known of routes then, not that there is none."""
    return isinstance(error, TimeoutError) or error.errno in LACKS


def exempt(remote: Address, hop: Hop, source: Address | None) -> None:
    """Route one address to a next hop, ahead of all other routes. May be repeated. Raises `RouteError`."""
    try:
        exemptions.exempt(remote, hop, source)
    except OSError as error:
        raise RouteError(f"cannot lead {remote} to {hop}", error.errno or 0) from error


def end_exemption(remote: Address) -> None:
    """Remove an exemption, if the address has one: other routes decide again."""
    with contextlib.suppress(OSError):
        exemptions.end_exemption(remote)


def end_exemptions() -> None:
    """Remove all exemptions, also those that a killed daemon has left, and the rules, which are left where
    the kernel has removed the routes."""
    for version in FAMILIES:
        with contextlib.suppress(OSError):
            for remote in exemptions.exempted(version):
                exemptions.end_exemption(remote)
        with contextlib.suppress(OSError):
            exemptions.end_rule(version)


def steer(index: int, flows: Collection[steering.HostFlow]) -> None:
    """Lead these flows of the host's own, and no others, into a device. Raises `RouteError`."""
    try:
        steering.steer(index, flows)
    except OSError as error:
        raise RouteError(f"cannot steer packets into device {index}", error.errno or 0) from error


def end_steering() -> None:
    """End what `steer` did for all devices, also what a killed daemon has left."""
    with contextlib.suppress(OSError):
        steering.end_steering()


def device_indices() -> list[int]:
    """All devices that there are, but for the loopback device. Raises OSError."""
    return [index for index, name in socket.if_nameindex() if name != "lo"]


def source_address(remote: Address) -> Address:
    """The source address that the kernel picks for `remote`. Raises `RouteError` if there is no route."""
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


def _is_quiet(name: str) -> bool:
    """Whether IPv6 autoconfiguration is off, as far as it can be switched off."""
    settings = IPV6_SETTINGS / name
    try:
        if int((settings / "addr_gen_mode").read_text()) != ADDR_GEN_MODE_NONE:
            return False
        # A container may see /proc/sys read-only; then the host's default stands.
        accept_ra = settings / "accept_ra"
        return accept_ra.read_text().strip() == "0" or not os.access(accept_ra, os.W_OK)
    except (OSError, ValueError):
        return True  # no IPv6 in this kernel or under this MTU: nothing to stop


def _stop_autoconfiguration(tun: Tun, desired: DeviceState) -> None:
    """Switch IPv6 autoconfiguration off: a VTI is no LAN, and router advertisements from the tunnel must not
    count.

    Raises OSError.
    """
    try:
        rtnetlink.no_address_by_itself(tun.index)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return
        raise
    with contextlib.suppress(OSError):
        (IPV6_SETTINGS / socket.if_indextoname(tun.index) / "accept_ra").write_text("0")
    asked = {own for own, _ in desired.addresses}
    for own, peer in rtnetlink.addresses(tun.index):
        if own.version == 6 and own.ip.is_link_local and own not in asked:
            rtnetlink.remove_address(tun.index, own, peer)


def _what(tun: Tun, operation: Operation) -> str:
    """The first half of an operation's error message."""
    match operation:
        case SetMtu(mtu=mtu):
            return f"{tun.name}: cannot set MTU {mtu}"
        case AddAddress(own=own, peer=peer):
            return f"{tun.name}: cannot add the address {own}" + (f" with peer {peer}" if peer else "")
        case RemoveAddress(own=own):
            return f"{tun.name}: cannot remove the address {own}"
        case AddRoute(route=route):
            return f"{tun.name}: cannot add the route to {route}"
        case RemoveRoute(route=route):
            return f"{tun.name}: cannot remove the route to {route}"
        case SetCarrier():
            return f"{tun.name}: cannot set the carrier"
        case SetUp():
            return f"{tun.name}: cannot bring it up"
        case StopAutoconfiguration():
            return f"{tun.name}: cannot stop IPv6's autoconfiguration"


def _reason(operation: Operation, code: int) -> str:
    """The meaning of an error code that a device without IPv6 gives; "" if it is another one."""
    match operation:
        case AddAddress(own=one):
            version = one.version
        case AddRoute(route=route):
            version = route.network.version
            if route.source is not None and code in (errno.EINVAL, errno.EADDRNOTAVAIL):
                return f"is its source address {route.source} one of this host's?"
        case _:
            return ""
    if version == 6 and code == errno.EACCES:
        return "IPv6 is switched off (sysctl disable_ipv6)"
    if version == 6 and code in (errno.ENODEV, errno.EINVAL):
        return f"the device has no IPv6; is its MTU below {IPV6_MIN_MTU}?"
    return ""


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"device {index}" if index else "something else"


def _advertised_mtu(name: str, otherwise: int) -> int:
    """The IPv6 MTU of a device, which a router advertisement may have lowered (RFC 4861 4.6.4)."""
    try:
        return int((IPV6_SETTINGS / name / "mtu").read_text())
    except (OSError, ValueError):
        return otherwise
