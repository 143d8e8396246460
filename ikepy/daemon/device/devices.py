"""The connections' TUN devices: what each of them is to be, from its creation to its removal.

`VtiDevice.state` says what a device is to be. What changes it here is done in the kernel at once; what others
change there is found and mended by `DeviceTable.mend`, which also sets a new device up.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.config.model import Config, Connection
from ikepy.daemon import log
from ikepy.daemon.device import mtu
from ikepy.daemon.device.absent import AbsentTun
from ikepy.daemon.device.route_exclusion import PeerAddresses, around, covering, hole
from ikepy.daemon.device.routes import (
    Claim,
    configured_settings,
    first_addresses,
    granted,
    has_trap,
    routable,
)
from ikepy.daemon.errors import StartError
from ikepy.daemon.interfaces import Mended, Network, NetworkConfig, Operation, Tun
from ikepy.daemon.net.resolver import fixed_addresses
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from ikepy.sa.api.path import Address, Path
from tun.netlink import Interface, RouteError
from tun.rtnetlink import BestRoute
from tun.state import (
    IPV6_MIN_MTU,
    RT_TABLE_MAIN,
    AddAddress,
    AddRoute,
    DeviceState,
    Pairing,
    RemoveAddress,
    RemoveRoute,
    Route,
    SetCarrier,
    SetMtu,
    device_state,
    removals,
)

IP_AND_TCP = {4: 40, 6: 60}  # octets of the headers in front of a TCP segment
CONFIGURED = 0  # no ike_id
Place = tuple[Network, int]  # a network and the table of the routes to it


@dataclass(slots=True, eq=False)
class VtiDevice:
    """One connection's device. `users`: the children that can send through it, and the routes each needs."""

    device_id: int
    connection: Connection
    slot: int  # the worker's
    tun: Tun
    mtu: int
    trap: bool  # whether a packet without an SA starts a negotiation: then it always has carrier
    users: dict[int, frozenset[Network]] = field(default_factory=dict)
    asked: dict[int, frozenset[Network]] = field(default_factory=dict)  # the same with peers' own addresses
    negotiated: dict[int, tuple[Selector, ...]] = field(default_factory=dict)  # remote selectors, by child
    settings: dict[int, NetworkSettings] = field(default_factory=dict)  # by ike_id; CONFIGURED: of the config
    subnets: dict[int, frozenset[Network]] = field(default_factory=dict)  # theirs, without peers' addresses
    retired: set[Pairing] = field(default_factory=set)  # addresses to be removed, as nothing gives them more
    needed: Counter[Network] = field(default_factory=Counter)  # by how many children, and the configuration
    routes: set[Route] = field(default_factory=set)  # that it has, among those that are needed
    down: bool = False  # somebody took it down, and means it
    gone: bool = False  # there is none: it could not be made, or was deleted and not be made again, yet
    unserved: bool = False  # its worker could not be started yet: nobody reads it
    unmet: dict[Operation, RouteError] = field(default_factory=dict)  # what the kernel refused
    suited: tuple[Path, bool, Suite] | None = (
        None  # what its MTU was fitted to: path, UDP encapsulation, suite
    )

    @property
    def name(self) -> str:
        return self.connection.vti.name

    @property
    def carrier(self) -> bool:
        return (self.trap or bool(self.users)) and not self.unserved

    @property
    def lacks(self) -> str:
        """Why nothing could be carried, whatever is negotiated; "": it could."""
        if self.gone:
            return f"there is no device {self.name}: it can't be made yet"
        return f"{self.name}'s worker is not running and can't be started yet" if self.unserved else ""

    @property
    def live(self) -> bool:
        """Whether what is sent into it goes on."""
        return self.carrier and not (self.down or self.gone)

    @property
    def state(self) -> DeviceState:
        """What the kernel is asked for."""
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
        return replace(configured, addresses=addresses, retired=frozenset(self.retired))

    def takes(self, address: Interface) -> bool:
        """Whether it can have an address of this IP version."""
        return address.version == 4 or self.mtu >= IPV6_MIN_MTU

    @property
    def mss(self) -> tuple[int, int]:
        """The TCP MSS to clamp to, (IPv4, IPv6); 0: no clamp."""
        if not self.connection.vti.mss_clamp:
            return 0, 0
        return self.mtu - IP_AND_TCP[4], self.mtu - IP_AND_TCP[6]

    def route(self, network: Network) -> Route:
        return Route.of(network, self.connection.vti.table, self.connection.vti.metric)

    def place(self, network: Network) -> Place:
        return network, self.route(network).table


class DeviceTable:
    """All devices. A device has its number and its worker slot, the least loaded one, as long as it lives."""

    def __init__(
        self, config: Config, workers: int, create: Callable[[str], Tun], network: NetworkConfig
    ) -> None:
        self._config = config
        self._create = create
        self._network = network
        self._load = [0] * workers  # devices of each slot
        self._slots = {name: self._allot_slot() for name in config.connections}
        self._numbers = itertools.count(1)
        self._by_connection: dict[str, VtiDevice] = {}
        self._by_id: dict[int, VtiDevice] = {}
        self._claims: dict[Place, list[VtiDevice]] = {}  # the devices that want it, in the order of asking
        self._contested: set[Place] = set()  # by more than one
        remotes = (fixed_addresses(one.remote_addrs) for one in config.connections.values())
        self._peers = PeerAddresses(chain.from_iterable(remotes))
        self.tell: log.Tell = log.log  # what peers can bring about again and again
        self.mtu_changed: Callable[[VtiDevice], None] = lambda device: None  # is to be told of it
        self.peers_changed: Callable[[VtiDevice], None] = lambda device: None  # `peers_of` it may be others

    def _allot_slot(self) -> int:
        slot = self._load.index(min(self._load))
        self._load[slot] += 1
        return slot

    def slot_of(self, connection: str) -> int:
        """The worker slot of a connection's device, known before there is a device."""
        return self._slots[connection]

    def of(self, connection: str) -> VtiDevice:
        return self._by_connection[connection]

    def find(self, connection: str) -> VtiDevice | None:
        """The device of a connection, None if it has none (any more)."""
        return self._by_connection.get(connection)

    def by_id(self, device_id: int) -> VtiDevice | None:
        return self._by_id.get(device_id)

    def __iter__(self) -> Iterator[VtiDevice]:
        return iter(self._by_connection.values())

    @property
    def indices(self) -> dict[int, VtiDevice]:
        """The kernel's indices of the devices that are there."""
        return {device.tun.index: device for device in self if not device.gone}

    def open(self) -> None:
        """Create and configure every device, all or none. Raises StartError."""
        try:
            for connection in self._config.connections.values():
                self._open_one(connection)
            for device in self:
                self._lead(device, CONFIGURED)
        except BaseException:
            self.close()
            raise

    def _enter(self, connection: Connection, tun: Tun) -> VtiDevice:
        local, remote = first_addresses(connection)
        size = connection.vti.mtu or mtu.before_child(connection, self._network, local, remote)
        number = next(self._numbers)
        device = VtiDevice(number, connection, self._slots[connection.name], tun, size, has_trap(connection))
        device.settings[CONFIGURED] = configured_settings(connection, device.trap)
        self._by_connection[connection.name] = self._by_id[number] = device
        return device

    def _open_one(self, connection: Connection) -> None:
        key = f"connections.{connection.name}.vti"
        try:
            tun = self._create(connection.vti.name)
        except OSError as error:
            raise StartError(error.strerror or str(error), key=f"{key}.name") from error
        device = self._enter(connection, tun)
        try:
            mended = self._network.mend(tun, device.state, new=True)
        except (RouteError, OSError) as error:
            raise StartError(str(error), key=key) from error
        for refused in mended.refused:
            raise StartError(str(refused.error), key=key)

    # What an IKE_SA and the configuration give a device

    def set_network(self, connection: str, ike_id: int, settings: NetworkSettings) -> None:
        """From now on the device has these addresses and routes of this IKE_SA; none, if there are none."""
        device = self._by_connection.get(connection)
        if device is None:
            return
        before = device.state.addresses
        if settings:
            device.settings[ike_id] = settings
        else:
            device.settings.pop(ike_id, None)
        if not all(map(device.takes, settings.addresses)):
            text = f"{device.name} gets no IPv6 address: its MTU is {device.mtu}, IPv6 needs {IPV6_MIN_MTU}"
            self.tell(logging.WARNING, connection, text)
        self._lead(device, ike_id)
        self._readdress(device, before)

    def _readdress(self, device: VtiDevice, before: Sequence[Pairing]) -> None:
        """Its addresses have changed: add those that are new, then remove those that it has no more."""
        after = device.state.addresses
        gone = [one for one in before if one not in after]
        device.retired.update(gone)
        device.retired.difference_update(after)
        added = [AddAddress(own, peer) for own, peer in after if (own, peer) not in before]
        self._perform(device, [*added, *removals(gone, device.state)])

    def _lead(self, device: VtiDevice, holder: int) -> None:
        """Route the subnets of one IKE_SA's settings, or of the configuration's, into the device."""
        before = device.subnets.pop(holder, frozenset())
        settings = device.settings.get(holder, NO_SETTINGS)
        subnets = self._around(device, settings.subnets)
        if settings:
            device.subnets[holder] = subnets
        self._claim(device, subnets - before)
        self._release(device, before - subnets)

    # What the children ask for

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
        device.negotiated[child_id] = tuple(ts_remote)
        asked = self._asked(device, child_id)
        routes, device.asked[child_id] = self._around(device, asked), asked
        before, was_live = device.users.get(child_id, frozenset()), device.carrier
        device.users[child_id] = routes
        if not was_live:
            self._carrier_changed(device)
        self._claim(device, routes - before)
        self._release(device, before - routes)

    def child_down(self, child_id: int, connection: str) -> None:
        """A child can't send any more. Nothing happens for one that could not."""
        device = self._by_connection[connection]
        routes = device.users.pop(child_id, None)
        device.asked.pop(child_id, None)
        device.negotiated.pop(child_id, None)
        if routes is not None:
            self._release(device, routes)
            if not device.users:
                self.peers_changed(device)
            if not device.carrier:
                self._carrier_changed(device)

    def _asked(self, device: VtiDevice, child_id: int) -> frozenset[Network]:
        """The networks that a child asks to have routed, unless the configuration says them."""
        if device.connection.vti.routes is not None:
            return frozenset()
        return routable(device.negotiated[child_id], device.connection.name, self.tell)

    def path_changed(self, device: VtiDevice, path: Path, encap: bool, suite: Suite) -> None:
        """Fit the MTU to the way to the peer, unless the configuration says it."""
        if device.suited is None or device.suited[0] != path or not device.users:
            self.peers_changed(device)
        device.suited = path, encap, suite
        self._meet(path.remote.address)
        self._fit_mtu(device)

    def _fit_mtu(self, device: VtiDevice) -> None:
        connection = device.connection
        try:
            if connection.vti.mtu is not None:
                size = connection.vti.mtu
            elif device.suited is None:
                size = mtu.before_child(connection, self._network, *first_addresses(connection))
            else:
                path, encap, suite = device.suited
                local, remote = path.local.address, path.remote.address
                size = mtu.of_child(connection, self._network, local, remote, encap, suite)
        except OSError as error:  # no descriptors: what it is now goes on working
            self.tell(logging.ERROR, connection.name, f"MTU of {device.name} stays {device.mtu}: {error}")
            return
        if size != device.mtu:
            was, device.mtu = device.mtu, size
            self._perform(device, [SetMtu(size, was)])
            self.mtu_changed(device)

    def refit(self, device: VtiDevice) -> None:
        """The way to the peer may be another one now, with another MTU."""
        self._reroute(device)
        if device.suited is not None and device.users:
            self.path_changed(device, *device.suited)

    # What leads to peers themselves

    def peers_of(self, device: VtiDevice) -> dict[Address, Address | None]:
        """Where IKE and ESP packets of its connection go to, each with our address where that is known."""
        connection = device.connection
        own = fixed_addresses(connection.local_addrs)
        found: dict[Address, Address | None] = {
            remote: next((one for one in own if one.version == remote.version), None)
            for remote in fixed_addresses(connection.remote_addrs)
        }
        if device.suited is not None and device.users:
            path = device.suited[0]
            found[path.remote.address] = path.local.address
        return found

    def _around(self, device: VtiDevice, networks: Iterable[Network]) -> frozenset[Network]:
        """The networks without the addresses of peers. In another table than main rules decide what is led
        there."""
        if device.connection.vti.table not in (None, RT_TABLE_MAIN):
            return frozenset(networks)
        found: set[Network] = set()
        for network in networks:
            peers = self._peers.within(network)
            pieces = around(network, [hole(network, peer, self._outside(peer)) for peer in peers])
            if not pieces:
                self.tell(
                    logging.WARNING,
                    device.connection.name,
                    f"{network} gets no route through {device.name}: {peers[0]}, where IKE and ESP packets "
                    "go, is in it, "
                    f"{'and so are many others' if pieces is None else 'and nothing else that may be'}; "
                    "say in vti.routes what is to go into the tunnel",
                )
            found.update(pieces or ())
        return frozenset(found)

    def _outside(self, peer: Address) -> BestRoute | None:
        """The best route to a peer, unless it is ours."""
        best = self._network.best_route(peer)
        return None if best is None or best.device in self.indices else best

    def _reroute(self, device: VtiDevice) -> None:
        for holder in device.settings:
            self._lead(device, holder)
        for child_id, asked in device.asked.items():
            before, device.users[child_id] = device.users[child_id], self._around(device, asked)
            self._claim(device, device.users[child_id] - before)
            self._release(device, before - device.users[child_id])

    def _meet(self, address: Address) -> None:
        """A peer is there: what led that address into a tunnel has to go around it."""
        if not self._peers.meet(address):
            return
        places = [(network, RT_TABLE_MAIN) for network in covering(address)]
        for device in {device: None for place in places for device in self._claims.get(place, ())}:
            text = f"{address} is left out of what {device.name} leads"
            self.tell(logging.INFO, device.connection.name, text)
            self._reroute(device)

    # Who has which route

    def _claim(self, device: VtiDevice, networks: Iterable[Network]) -> None:
        wanted = []
        for network in sorted(networks, key=str):
            device.needed[network] += 1
            if device.needed[network] == 1:
                place = device.place(network)
                claims = self._claims.setdefault(place, [])
                claims.append(device)
                if len(claims) > 1:
                    self._contested.add(place)
                wanted.append(place)
        self._share(wanted)
        for place in wanted:
            if device.route(place[0]) not in device.routes:
                self._tell_taken(device, place)

    def _tell_taken(self, device: VtiDevice, place: Place) -> None:
        others = [one for one in self._claims[place] if one.route(place[0]) in one.routes]
        where = ", ".join(f"{one.name} ({one.connection.name})" for one in others)
        text = f"{place[0]} leads into {where} for now; {device.name} has it when that one can't carry it"
        text = f"{text}, or beside it with another vti.metric"
        self.tell(logging.WARNING, device.connection.name, text)

    def _release(self, device: VtiDevice, networks: Iterable[Network]) -> None:
        free = []
        for network in sorted(networks, key=str):
            device.needed[network] -= 1
            if not device.needed[network]:
                del device.needed[network]
                place = device.place(network)
                claims = self._claims[place]
                claims.remove(device)
                if len(claims) < 2:
                    self._contested.discard(place)
                if not claims:
                    del self._claims[place]
                free.append(place)
        removed = [device.route(network) for network, _ in free if device.route(network) in device.routes]
        device.routes.difference_update(removed)
        self._perform(device, [RemoveRoute(route) for route in removed])
        self._share(free)

    def _carrier_changed(self, device: VtiDevice) -> None:
        self._perform(device, [SetCarrier(device.carrier)])
        self._liveness_changed(device)

    def _liveness_changed(self, device: VtiDevice) -> None:
        """What it wants beside others goes where it is carried on."""
        self._share([place for place in self._contested if device in self._claims[place]])

    def _share(self, places: Iterable[Place]) -> None:
        """Give the routes to those who are to have them; first others lose them, for there can be one."""
        losing: dict[VtiDevice, list[Operation]] = {}
        winning: dict[VtiDevice, list[Operation]] = {}
        for place in places:
            claimants = self._claims.get(place, [])
            routes = [device.route(place[0]) for device in claimants]
            pairs = list(zip(claimants, routes, strict=True))
            claims = [Claim(r.metric, d.live, r in d.routes) for d, r in pairs]
            for (device, route), given in zip(pairs, granted(claims), strict=True):
                if given and route not in device.routes:
                    device.routes.add(route)
                    if len(pairs) > 1:
                        text = f"{place[0]} leads into {device.name} now"
                        self.tell(logging.INFO, device.connection.name, text)
                    winning.setdefault(device, []).append(AddRoute(route))
                elif not given and route in device.routes:
                    device.routes.discard(route)
                    losing.setdefault(device, []).append(RemoveRoute(route))
        for share in (losing, winning):
            for device, operations in share.items():
                self._perform(device, operations)

    # The kernel

    def mend(self, device: VtiDevice) -> Mended:
        """Compare the kernel's device with what it is to be, and do what is missing.

        Raises `DeviceGone`, `RouteError` and OSError.
        """
        if device.tun.name != device.name:
            device.tun.rename(device.name)
        mended = self._network.mend(device.tun, device.state)
        self._note(device, mended, looked=True)
        return mended

    def taken_down(self, device: VtiDevice, down: bool) -> None:
        """Somebody took the device down, or up again."""
        device.down = down
        self._liveness_changed(device)

    def serve(self, device: VtiDevice, served: bool) -> None:
        """Its worker is there, or can't be: what is sent into it should know."""
        before, device.unserved = device.carrier, not served
        if device.carrier != before:
            self._carrier_changed(device)

    def lost(self, device: VtiDevice) -> None:
        """Somebody deleted the device."""
        device.gone = True
        device.tun.close()

    def make_again(self, device: VtiDevice) -> Mended:
        """A device in the place of one that was deleted. Raises OSError, `RouteError`."""
        device.tun = self._create(device.name)
        device.gone = device.down = False
        device.retired.clear()
        mended = self._network.mend(device.tun, device.state, new=True)
        self._note(device, mended, looked=True)
        return mended

    def _perform(self, device: VtiDevice, operations: Sequence[Operation]) -> None:
        """A change of ours. What a device can't take now (it is down, or gone) it gets when it is mended."""
        if device.gone:
            return
        if device.down:
            operations = [one for one in operations if isinstance(one, SetMtu | SetCarrier | RemoveAddress)]
        if operations:
            mended = self._network.perform(device.tun, operations, device.state)
            self._note(device, mended, looked=False)

    def _note(self, device: VtiDevice, mended: Mended, *, looked: bool) -> None:
        """Remember what was refused, and say so once."""
        before = device.unmet
        told = dict(before)
        if looked:
            device.unmet = {}
        for done in mended.done:
            device.unmet.pop(done, None)
            if isinstance(done, RemoveAddress):
                device.retired.discard((done.own, done.peer))
        for refused in mended.refused:
            if str(told.get(refused.operation)) != str(refused.error):
                text = f"{refused.error}; it is tried again"
                self.tell(logging.ERROR, device.connection.name, text)
            device.unmet[refused.operation] = refused.error

    # Another configuration

    def add(self, connection: Connection) -> VtiDevice:
        """The device of one more connection; it is `gone` if it could not be made yet, which is said."""
        self._slots[connection.name] = self._allot_slot()
        device = self._enter(connection, AbsentTun(connection.vti.name))
        device.gone = True
        try:
            self.make_again(device)
        except (RouteError, OSError) as error:
            self.tell(logging.ERROR, connection.name, f"{error}; it is tried again")
        self._lead(device, CONFIGURED)
        return device

    def reconfigure(self, device: VtiDevice, connection: Connection) -> None:
        """Make a device what another configuration of its connection says; its SAs stay.

        Raises `DeviceGone`, `RouteError` and OSError for what is to be mended later.
        """
        old, before, was_live = device.connection, device.state.addresses, device.carrier
        if (old.vti.table, old.vti.metric) != (connection.vti.table, connection.vti.metric):
            self._release_all(device)
        device.connection = connection
        device.trap = has_trap(connection)
        device.settings[CONFIGURED] = configured_settings(connection, device.trap)
        for child_id in device.users:
            device.asked[child_id] = self._asked(device, child_id)
        self._reroute(device)
        if device.carrier != was_live:
            self._carrier_changed(device)
        self._readdress(device, before)
        self._fit_mtu(device)
        if not device.gone:
            self.mend(device)

    def name_peers(self, connections: Iterable[Connection]) -> None:
        """The configured connections are these now: their peers' addresses are led into no tunnel."""
        remotes = (fixed_addresses(one.remote_addrs) for one in connections)
        self._peers.name(chain.from_iterable(remotes))

    def make_way(self, names: Mapping[str, str]) -> None:
        """Rename devices whose name another one is to have. `names`: to be, by connection. Raises OSError."""
        taken = set(names.values())
        for device in self:
            name = device.tun.name
            if not device.gone and name in taken and names.get(device.connection.name, name) != name:
                device.tun.rename(f"ikepy-{device.device_id}")

    def remove(self, device: VtiDevice) -> None:
        """Remove a device for good: others get the routes that they want as well."""
        name = device.connection.name
        device.gone = True  # nothing is asked of the kernel any more: all goes with the device
        self._release_all(device)
        del self._by_connection[name], self._by_id[device.device_id]
        self._load[self._slots.pop(name)] -= 1
        device.tun.close()

    def _release_all(self, device: VtiDevice) -> None:
        for holder, subnets in device.subnets.items():
            device.subnets[holder] = frozenset()
            self._release(device, subnets)
        for child_id, routes in device.users.items():
            device.users[child_id] = frozenset()
            self._release(device, routes)

    def close(self) -> None:
        """Remove the devices; the kernel removes their addresses and routes with them."""
        for device in self._by_connection.values():
            device.tun.close()
        self._by_connection.clear()
        self._by_id.clear()
