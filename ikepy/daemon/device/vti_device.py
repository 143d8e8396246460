"""One connection's TUN device: the SAs and settings that it serves, and its desired state in the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field, replace
from itertools import chain

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.config.model import Connection
from ikepy.daemon.interfaces import Network, Operation, Tun
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from ikepy.sa.api.path import Address, Path
from tun.netlink import Interface, RouteError
from tun.state import IPV6_MIN_MTU, DeviceState, Pairing, Route, device_state

IP_AND_TCP = {4: 40, 6: 60}  # octets of the headers in front of a TCP segment
CONFIGURED = 0  # in the place of an ike_id: what the configuration gives, no IKE_SA
Place = tuple[Network, int]  # a network and the table of the routes to it


def place_of(route: Route) -> Place:
    return route.network, route.table


@dataclass(slots=True, eq=False)
class VtiDevice:
    """One connection's device. `users`: the children that can send through it, and the routes each needs."""

    device_id: int
    connection: Connection
    slot: int  # the worker's
    tun: Tun
    mtu: int  # octets
    trap: bool  # whether a packet without an SA starts a negotiation: then it always has carrier
    users: dict[int, frozenset[Route]] = field(default_factory=dict)
    asked: dict[int, frozenset[Route]] = field(default_factory=dict)  # the same with peers' own addresses
    negotiated: dict[int, tuple[Selector, ...]] = field(default_factory=dict)  # remote selectors, by child
    settings: dict[int, NetworkSettings] = field(default_factory=dict)  # by ike_id, and CONFIGURED
    permanent: frozenset[Route] = frozenset()  # those of the configuration
    subnets: dict[int, frozenset[Route]] = field(default_factory=dict)  # of settings, less peers' addresses
    retired: set[Pairing] = field(default_factory=set)  # addresses to remove: nothing gives them any more
    needed: Counter[Route] = field(default_factory=Counter)  # by how many children and settings
    leads: dict[Place, frozenset[Route]] = field(default_factory=dict)  # routes that lead into this device
    sharers: Counter[VtiDevice] = field(default_factory=Counter)  # devices that need routes to the same
    down: bool = False  # others took the interface down, and mean it
    gone: bool = False  # the kernel has no such device: it could not be made (again) yet
    leaving: bool = False  # its connection is not configured any more
    rises: int = 0  # how often a child came up and it had no carrier
    settling: bool = False  # its first child came just now, and the peer may not have it yet
    # Indices of this device and of those before it, to which rules lead the host's own packets.
    steered: set[int] = field(default_factory=set)
    unsteered: bool = False  # the kernel refused to lead them as they should be
    unserved: bool = False  # its worker could not be started yet: nobody reads it
    unmet: dict[Operation, RouteError] = field(default_factory=dict)  # what the kernel refused
    names: NameTable = field(default_factory=NameTable)
    suited: tuple[Path, bool, Suite] | None = None  # what its MTU was fitted to: path, in UDP, suite
    fitted_at: float | None = None  # when that was, on `DeviceTable`'s clock

    @property
    def name(self) -> str:
        return self.connection.vti.name

    @property
    def index(self) -> int:
        """The kernel's number of it."""
        return self.tun.index

    @property
    def is_up(self) -> bool:
        """Whether packets that are routed into it go through a tunnel that stands."""
        return self.live and bool(self.users)

    @property
    def routes(self) -> frozenset[Route]:
        """The routes that are to lead into the device."""
        return frozenset(chain.from_iterable(self.leads.values()))

    def leads_to(self, networks: Set[Network]) -> bool:
        """Whether it needs a route to one of these networks."""
        return bool(networks) and any(route.network in networks for route in self.needed)

    @property
    def has_sources(self) -> bool:
        """Whether a route prefers a source address, which may be another device's."""
        return any(route.source is not None for route in self.needed)

    @property
    def carrier(self) -> bool:
        return (self.trap or bool(self.users)) and not self.unserved

    @property
    def lacks(self) -> str:
        """Why the device can carry nothing, whatever is negotiated; "" if it can."""
        if self.gone:
            return f"there is no device {self.name}: it can't be made yet"
        return f"{self.name}'s worker is not running and can't be started yet" if self.unserved else ""

    @property
    def live(self) -> bool:
        """Whether packets that are routed into the device go on to the peer."""
        return self.carrier and not (self.down or self.gone or self.leaving)

    @property
    def state(self) -> DeviceState:
        """The desired state of the kernel's device."""
        vti = self.connection.vti
        configured = device_state(
            self.settings.get(CONFIGURED, NO_SETTINGS).addresses,
            vti.peers,
            self.mtu,
            self.routes,
            table=vti.table,
            carrier=self.carrier,
        )
        here = {own.ip for own, _ in configured.addresses}
        given = (one for settings in self.settings.values() for one in settings.addresses)
        further = dict.fromkeys((one, None) for one in given if one.ip not in here and self.takes(one))
        addresses = (*configured.addresses, *further)
        neighbours = frozenset(one.tun.index for one in self.sharers if not one.gone)
        return replace(
            configured, addresses=addresses, retired=frozenset(self.retired), neighbours=neighbours
        )

    def takes(self, address: Interface) -> bool:
        """Whether it can have an address of this IP version: IPv6 needs an MTU of 1280 (RFC 8200 5)."""
        return address.version == 4 or self.mtu >= IPV6_MIN_MTU

    @property
    def mss(self) -> tuple[int, int]:
        """The TCP MSS to clamp to, (IPv4, IPv6); 0: no clamp."""
        if not self.connection.vti.mss_clamp:
            return 0, 0
        return self.mtu - IP_AND_TCP[4], self.mtu - IP_AND_TCP[6]

    @property
    def peers(self) -> dict[Address, Address | None]:
        """Where IKE and ESP packets of its connection go to, each with our address where that is known."""
        own = self.names.fixed(self.connection.local_addrs)
        found: dict[Address, Address | None] = {
            remote: next((one for one in own if one.version == remote.version), None)
            for remote in self.names.fixed(self.connection.remote_addrs)
        }
        if self.suited is not None and self.users:
            path = self.suited[0]
            found[path.remote.address] = path.local.address
        return found
