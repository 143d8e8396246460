"""Single changes of a device by its name, as `tun.network` makes them; RouteError for what is refused."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from tun import network
from tun.links import link_mtu
from tun.netlink import RouteError
from tun.state import AddRoute, DeviceState, Operation, RemoveRoute, Route, SetMtu, device_state

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Named:
    """A device by its name; its carrier stays as it is."""

    name: str
    index: int

    @classmethod
    def find(cls, name: str) -> Named:
        try:
            return cls(name, socket.if_nametoindex(name))
        except OSError as error:
            raise RouteError(name, errno.ENODEV) from error

    def set_carrier(self, up: bool, /) -> None:
        pass


def configure(
    name: str, addresses: Sequence[Interface], peers: Sequence[Address], mtu: int, table: int | None
) -> None:
    """Bring a new device up with all this."""
    desired = device_state(addresses, peers, mtu, table=table)
    raise_refused(network.mend(Named.find(name), desired, new=True))


def set_mtu(name: str, mtu: int) -> None:
    perform(name, SetMtu(mtu, link_mtu(Named.find(name).name)))


def add_route(name: str, to: Network, table: int | None, metric: int | None = None) -> None:
    perform(name, AddRoute(Route.of(to, table, metric)))


def remove_route(name: str, to: Network, table: int | None, metric: int | None = None) -> None:
    perform(name, RemoveRoute(Route.of(to, table, metric)))


def perform(name: str, operation: Operation) -> None:
    raise_refused(network.perform(Named.find(name), [operation], DeviceState(1400)))


def raise_refused(mended: network.Mended) -> None:
    for refused in mended.refused:
        raise refused.error
