"""The connections' TUN devices: creation, carrier, routes and MTU, all the way to their removal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from esp.selectors import Selector
from esp.suites import Suite
from ikepy.config.model import Child as ChildConfig
from ikepy.config.model import Config, Connection
from ikepy.daemon import carrier, log, mtu
from ikepy.daemon.errors import StartError
from ikepy.daemon.ports import Network, NetworkConfig, Tun
from ikepy.daemon.resolver import fixed_addresses
from ikepy.sa.path import Address, Path
from tun.netlink import RouteError

MOST_ROUTES = 256  # a child's; each is a call into the kernel
IP_AND_TCP = {4: 40, 6: 60}  # octets of the headers in front of a TCP segment


@dataclass(slots=True)
class VtiDevice:
    """One connection's device. `users`: the children that can send through it, and the routes each needs."""

    device_id: int
    connection: Connection
    slot: int  # the worker's
    tun: Tun
    mtu: int
    trap: bool  # whether a packet without an SA starts a negotiation: then it always has carrier
    carrier: bool
    permanent: frozenset[Network] = frozenset()  # routes that stay as long as the device
    users: dict[int, frozenset[Network]] = field(default_factory=dict)
    needed: Counter[Network] = field(default_factory=Counter)  # by how many children each route is
    routes: set[Network] = field(default_factory=set)  # those that children brought, now in the kernel

    @property
    def mss(self) -> tuple[int, int]:
        """The TCP MSS to clamp to, (IPv4, IPv6); 0: no clamp."""
        if not self.connection.vti.mss_clamp:
            return 0, 0
        return self.mtu - IP_AND_TCP[4], self.mtu - IP_AND_TCP[6]


class DeviceTable:
    """All devices. One device is one worker's: slots are given round robin, in the configuration's order."""

    def __init__(
        self, config: Config, workers: int, create: Callable[[str], Tun], network: NetworkConfig
    ) -> None:
        self._config = config
        self._create = create
        self._network = network
        self._slots = {name: number % workers for number, name in enumerate(config.connections)}
        self._by_connection: dict[str, VtiDevice] = {}
        self._by_id: dict[int, VtiDevice] = {}

    def slot_of(self, connection: str) -> int:
        """The worker slot of a connection's device, known before there is a device."""
        return self._slots[connection]

    def of(self, connection: str) -> VtiDevice:
        return self._by_connection[connection]

    def by_id(self, device_id: int) -> VtiDevice | None:
        return self._by_id.get(device_id)

    def __iter__(self) -> Iterator[VtiDevice]:
        return iter(self._by_connection.values())

    def open(self) -> None:
        """Create and configure every device, all or none. Raises StartError."""
        try:
            for number, connection in enumerate(self._config.connections.values(), 1):
                self._open_one(number, connection)
        except BaseException:
            self.close()
            raise

    def _open_one(self, number: int, connection: Connection) -> None:
        vti = connection.vti
        key = f"connections.{connection.name}.vti"
        trap = any(is_trap(child) for child in connection.children.values())
        local, remote = first_addresses(connection)
        size = vti.mtu or mtu.before_child(connection, self._network, local, remote)
        try:
            tun = self._create(vti.name)
        except OSError as error:
            raise StartError(error.strerror or str(error), key=f"{key}.name") from error
        device = VtiDevice(number, connection, self._slots[connection.name], tun, size, trap, trap)
        self._by_connection[connection.name] = self._by_id[number] = device
        try:
            self._network.configure(vti.name, vti.addresses, vti.peers, size, vti.table)
            if trap:
                carrier.plug(tun)
            else:
                tun.set_carrier(False)
            device.permanent = permanent_routes(connection, trap)
            for route in sorted(device.permanent, key=str):
                self._network.add_route(vti.name, route, vti.table)
        except (RouteError, OSError) as error:
            raise StartError(str(error), key=key) from error

    def child_up(
        self,
        child_id: int,
        connection: str,
        ts_remote: Iterable[Selector],
        path: Path,
        encap: bool,
        suite: Suite,
    ) -> None:
        """A child can send: carrier, its routes, and the MTU that its suite leaves."""
        device = self._by_connection[connection]
        self.path_changed(device, path, encap, suite)
        negotiated = device.connection.vti.routes is None
        peer = path.remote.address
        self._use(device, child_id, routable(ts_remote, peer, connection) if negotiated else frozenset())

    def child_down(self, child_id: int, connection: str) -> None:
        """A child can't send any more. Nothing happens for one that could not."""
        device = self._by_connection[connection]
        routes = device.users.pop(child_id, None)
        if routes is not None:
            self._plug(device)
            self._drop_routes(device, routes)

    def path_changed(self, device: VtiDevice, path: Path, encap: bool, suite: Suite) -> None:
        """Fit the MTU to the way to the peer, unless the configuration says it."""
        connection = device.connection
        if connection.vti.mtu is not None:
            return
        local, remote = path.local.address, path.remote.address
        size = mtu.of_child(connection, self._network, local, remote, encap, suite)
        if size == device.mtu:
            return
        try:
            self._network.set_mtu(device.tun.name, size)
        except (RouteError, OSError) as error:
            log.error(connection.name, f"MTU of {device.tun.name} stays {device.mtu}: {error}")
        else:
            device.mtu = size

    def _use(self, device: VtiDevice, child_id: int, routes: frozenset[Network]) -> None:
        """A child can send through it, and needs these routes: the first one brings carrier."""
        before = device.users.get(child_id, frozenset())
        device.users[child_id] = routes
        self._plug(device)
        self._add_routes(device, routes - before)
        self._drop_routes(device, before - routes)

    def _plug(self, device: VtiDevice) -> None:
        wanted = device.trap or bool(device.users)
        if wanted and not device.carrier:
            carrier.plug(device.tun)
        elif not wanted:
            device.tun.set_carrier(False)
        device.carrier = wanted

    def _add_routes(self, device: VtiDevice, routes: Iterable[Network]) -> None:
        vti = device.connection.vti
        for route in sorted(routes, key=str):
            device.needed[route] += 1
            if route in device.routes or route in device.permanent:
                continue
            try:
                self._network.add_route(device.tun.name, route, vti.table)
            except (RouteError, OSError) as error:
                log.error(device.connection.name, f"no route to {route}: {error}")
            else:
                device.routes.add(route)

    def _drop_routes(self, device: VtiDevice, routes: Iterable[Network]) -> None:
        for route in sorted(routes, key=str):
            device.needed[route] -= 1
            if device.needed[route]:
                continue
            del device.needed[route]
            if route not in device.routes:
                continue
            device.routes.discard(route)
            try:
                self._network.remove_route(device.tun.name, route, device.connection.vti.table)
            except (RouteError, OSError) as error:
                log.error(device.connection.name, f"route to {route} not removed: {error}")

    def close(self) -> None:
        """Remove the devices; the kernel removes their addresses and routes with them."""
        for device in self._by_connection.values():
            device.tun.close()
        self._by_connection.clear()
        self._by_id.clear()


def permanent_routes(connection: Connection, trap: bool) -> frozenset[Network]:
    """The configured routes; without them, a trap's remote selectors, which lead its first packet here."""
    if connection.vti.routes is not None:
        return frozenset(connection.vti.routes)
    if not trap:
        return frozenset()
    children = (child for child in connection.children.values() if is_trap(child))
    selectors = [s for child in children for s in child.remote_ts if isinstance(s, Selector)]
    _, peer = first_addresses(connection)
    return routable(selectors, peer, connection.name)


def is_trap(child: ChildConfig) -> bool:
    """Whether, now or later, a packet without an SA starts the negotiation of this child."""
    return "trap" in (child.start_action, child.close_action, child.dpd_action)


def first_addresses(connection: Connection) -> tuple[Address | None, Address | None]:
    """Our address and the peer's, as far as the configuration names both in one IP version."""
    remote = next(iter(fixed_addresses(connection.remote_addrs)), None)
    own = fixed_addresses(connection.local_addrs)
    return next((a for a in own if remote is None or a.version == remote.version), None), remote


def routable(selectors: Iterable[Selector], peer: Address | None, connection: str) -> frozenset[Network]:
    """The networks to lead into the device: not 0/0, and none that holds the peer's own outer address.

    ESP packets to the peer would go round in circles through such a route.
    """
    networks: set[Network] = set()
    for selector in selectors:
        if selector.all_addresses:
            continue
        for network in selector.networks():
            if len(networks) == MOST_ROUTES:
                log.warning(connection, f"more than {MOST_ROUTES} routes wanted: the rest is left out")
                return frozenset(networks)
            if peer is not None and peer in network:
                log.warning(
                    connection, f"no route to {network}: the peer {peer} itself is in it; see vti.routes"
                )
            else:
                networks.add(network)
    return frozenset(networks)
