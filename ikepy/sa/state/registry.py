"""The table of a daemon's IKE_SAs with its indexes, and the state that they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from ikepy.config.identity import Identity
from ikepy.config.model import Config, Connection
from ikepy.sa.admission.auth_failures import AuthFailures
from ikepy.sa.admission.connection_match import ConnectionMatch
from ikepy.sa.api.capacity import CapacityOf, boundless
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.api.key_log import NOBODY, KeyLog
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address, Path
from ikepy.sa.api.restart_keys import RestartKeys
from ikepy.sa.api.unserved import Tally
from ikepy.sa.auth import choice
from ikepy.sa.auth.authenticator import AuthenticatorOf
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Credentials
from ikepy.sa.auth.relay import Relay
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.sa.message import encoding
from ikepy.sa.message.encoding import Encode
from ikepy.sa.message.window import Retransmission
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.sa.state import end_actions
from ikepy.sa.state.address_pools import AddressPools
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.children import Children
from ikepy.sa.state.exchange_plan import PlanOf, auth_alone
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.redirect import RedirectLimit
from ikepy.sa.state.resumption import ClientTickets, UsedTickets

ISSUED = 65_536  # of our SPIs are remembered

K = TypeVar("K")
Identities = tuple[Identity | None, Identity | None]  # ours and the peer's, folded
LeadsOut = Callable[[Path], bool]  # whether the route leaves this host, not into a device of ours
EspHeard = Callable[[int], float | None]  # when ESP last arrived on this child, None: never


class Listed(Protocol):
    """The part of an IKE_SA that the table needs."""

    ike_id: int
    initiator: bool
    connection: Connection
    local_id: Identity | None
    remote_id: Identity | None

    @property
    def lessee(self) -> Identity | None:
        """Who the peer is: the user that EAP has authenticated, or else `remote_id`."""
        ...

    children: Children

    @property
    def phase(self) -> Phase: ...

    @property
    def spi_local(self) -> bytes: ...

    @property
    def replaced(self) -> Sequence[Listed]: ...

    @property
    def alive(self) -> bool: ...

    @property
    def established(self) -> bool: ...


S = TypeVar("S", bound=Listed)


class SaRegistry(Generic[S]):
    """Holds the configuration, the entropy source, the ID counters, and the table of living IKE_SAs.

    There may be thousands, so every look-up on a message or set-up has an index.
    """

    def __init__(
        self,
        config: Config,
        entropy: Entropy,
        *,
        leads_out: LeadsOut = lambda path: True,
        esp_heard: EspHeard = lambda child_id: None,
        capacity_of: CapacityOf = boundless,
        authenticator_of: AuthenticatorOf = choice.authenticator_of,
        credentials: Credentials = NO_CREDENTIALS,
        relay: Relay | None = None,
        plan_of: PlanOf[S] = auth_alone,
        names: NameTable | None = None,
        restart_keys: RestartKeys | None = None,
        key_log: KeyLog = NOBODY,
        encode: Encode = encoding.encode,
    ) -> None:
        self.config = config
        self.secrets = SharedSecrets(config)
        self.names = NameTable() if names is None else names
        self.restart_keys = RestartKeys() if restart_keys is None else restart_keys
        self.key_log = key_log
        self.credentials = credentials
        self.relay = relay
        self.authenticator_of = authenticator_of
        self.plan_of = plan_of
        self.encode = encode
        self.generation = 1  # of the configuration: how many there were
        self.capacity_of = capacity_of
        self.leads_out = leads_out
        self.esp_heard = esp_heard
        self.entropy = entropy
        self.sas: dict[int, S] = {}  # by ike_id
        self.by_spi: dict[bytes, S] = {}  # by our SPI
        self.owners: dict[int, S] = {}  # by child_id
        self.inbound_spis: set[int] = set()  # of all children
        self._by_traffic: defaultdict[tuple[str, Selectors], dict[int, ChildSa]] = defaultdict(dict)
        self._by_connection: defaultdict[str, dict[int, S]] = defaultdict(dict)
        self._by_identities: defaultdict[Identities, dict[int, S]] = defaultdict(dict)  # once established
        self._alike = _by_identities(config)
        self._children: Counter[str] = Counter()  # by connection
        self.to_probe: list[S] = []  # due for a liveness check: the peer may have lost them
        self.connection_match = ConnectionMatch(config, self.names)
        self.changed_sas: list[S] = []  # changed outside their own turn; the manager settles them
        self.local_addresses: tuple[Address, ...] = ()  # of this host, as last reported
        self.trapped: set[tuple[str, str]] = set()  # (connection, child): ended, wait for a packet
        # Children that ended and are configured to restart: they are retried until they are up.
        self.standing: set[tuple[str, str]] = set()
        self.failures: dict[tuple[str, str], int] = {}  # failed tries in a row to bring a child up
        self.auth_failures = AuthFailures()  # of peers
        self.redirects = RedirectLimit()
        self.tickets = ClientTickets()  # those that gateways gave us
        self.used_tickets = UsedTickets()  # of those that we gave
        self.pools = AddressPools(config.pools)
        self.tally = Tally()  # counts messages that were not served
        self.stopping = False  # shutting down: no new IKE_SAs
        self.computing: dict[int, S] = {}  # by ticket: the IKE_SA that waits for a job
        self._issued: dict[bytes, None] = {}  # our SPIs, the oldest first
        self._ike_ids = 0
        self._tickets = 0
        self._child_ids = 0

    def replace_config(self, config: Config, now: float) -> None:
        """Use `config` from now on; each IKE_SA is to conform to it (`lifecycle.reconfiguration`)."""
        self.config = config
        self.secrets.replace(config, now)
        self.pools.replace(config.pools)
        self.generation += 1
        self._alike = _by_identities(config)
        self.connection_match = ConnectionMatch(config, self.names)
        self.trapped = {key for key in self.trapped if end_actions.TRAP in self._actions(key)}
        self.standing = {key for key in self.standing if end_actions.START in self._actions(key)}
        self.failures = {key: count for key, count in self.failures.items() if self._actions(key)}
        self.redirects.keep(config.connections)
        self.tickets.keep(config.connections)

    def _actions(self, key: tuple[str, str]) -> tuple[str, ...]:
        """The actions of a child, none if it is not configured."""
        connection = self.config.connections.get(key[0])
        child = None if connection is None else connection.children.get(key[1])
        return () if child is None else (child.start_action, child.close_action, child.dpd_action)

    def is_current(self, connection: Connection) -> bool:
        """Whether the configuration in use has this very connection, not another one of its name."""
        return self.config.connections.get(connection.name) is connection

    @property
    def retransmission(self) -> Retransmission:
        daemon = self.config.daemon
        return Retransmission(
            daemon.retransmit_timeout,
            daemon.retransmit_base,
            daemon.retransmit_tries,
            daemon.retransmit_jitter / 100,
            daemon.retransmit_limit,
        )

    def next_ike_id(self) -> int:
        self._ike_ids += 1
        return self._ike_ids

    def next_child_id(self) -> int:
        self._child_ids += 1
        return self._child_ids

    def next_ticket(self) -> int:
        """A ticket for what the daemon is to do: `IkeManager.complete` gets it back."""
        self._tickets += 1
        return self._tickets

    def compute(self, sa: S) -> int:
        """Assign a ticket to a job of `sa`."""
        ticket = self.next_ticket()
        self.computing[ticket] = sa
        return ticket

    def ike_spi(self) -> bytes:
        """A fresh IKE SPI: 8 bytes, not zero, not in use."""
        while True:
            spi = self.entropy.random(8)
            if spi != bytes(8) and spi not in self.by_spi:
                self._issued[spi] = None
                if len(self._issued) > ISSUED:
                    del self._issued[next(iter(self._issued))]
                return spi

    def has_issued(self, spi: bytes) -> bool:
        """Whether an SPI is, was or may soon be one of ours, as that of a rekey under way."""
        return spi in self.by_spi or spi in self._issued

    def add(self, sa: S) -> None:
        self.sas[sa.ike_id] = sa
        self.by_spi[sa.spi_local] = sa
        self._by_connection[sa.connection.name][sa.ike_id] = sa
        if sa.established:
            self.established(sa)
        self.changed_sas.append(sa)

    def remove(self, sa: S) -> None:
        self.sas.pop(sa.ike_id, None)
        self.by_spi.pop(sa.spi_local, None)
        _drop(self._by_connection, sa.connection.name, sa)
        _drop(self._by_identities, _ends(sa.local_id, sa.lessee), sa)

    def assign(self, sa: S, connection: Connection) -> None:
        """Move `sa` to the connection that its peer turned out to mean."""
        _drop(self._by_connection, sa.connection.name, sa)
        sa.connection = connection
        self._by_connection[connection.name][sa.ike_id] = sa

    def is_kept_up(self, connection: Connection, child: str) -> bool:
        """Whether this child is to be up all the time."""
        config = connection.children.get(child)
        if config is None:
            return False
        return config.start_action == "start" or (connection.name, child) in self.standing

    def waits_for_packets(self, connection: Connection, child: str) -> bool:
        """Whether this child is trapped: a packet brings it up."""
        config = connection.children.get(child)
        if config is None:
            return False
        return config.start_action == "trap" or (connection.name, child) in self.trapped

    def add_child(self, sa: S, child: ChildSa) -> None:
        key = sa.connection.name, child.config.name
        self.failures.pop(key, None)
        self.standing.discard(key)
        self.owners[child.child_id] = sa
        self.inbound_spis.add(child.spi_in)
        self._by_traffic[sa.connection.name, child.selectors][child.child_id] = child
        self._children[sa.connection.name] += 1

    def remove_child(self, sa: S, child: ChildSa) -> None:
        self.owners.pop(child.child_id, None)
        self.inbound_spis.discard(child.spi_in)
        self._children[sa.connection.name] -= 1
        key = sa.connection.name, child.selectors
        self._by_traffic[key].pop(child.child_id, None)
        if not self._by_traffic[key]:
            del self._by_traffic[key]

    def established(self, sa: S) -> None:
        """Index `sa` by its identities, which are final once it is established."""
        self._by_identities[_ends(sa.local_id, sa.lessee)][sa.ike_id] = sa

    def of_connection(self, name: str) -> Iterable[S]:
        """The living IKE_SAs of a connection, newest first."""
        return (sa for sa in reversed(list(self._by_connection.get(name, {}).values())) if sa.alive)

    def has_any(self, connection: str) -> bool:
        """Whether a connection has an IKE_SA, in whatever state; what strangers begin does not count."""
        begun = (Phase.CREATED, Phase.CONNECTING)
        return any(
            sa.initiator or sa.phase not in begun for sa in self._by_connection.get(connection, {}).values()
        )

    def others(self, sa: S) -> Iterable[S]:
        """The other established IKE_SAs of the connection, newest first."""
        return (one for one in self.of_connection(sa.connection.name) if one.established and one is not sa)

    def elsewhere(self, sa: S, child: ChildSa) -> S | None:
        """Another established IKE_SA that has a staying child for the same traffic, the newest; else None."""
        alike = self._by_traffic.get((sa.connection.name, child.selectors), {})
        owners = {owner for each in alike if (owner := self.owners.get(each)) is not None and owner is not sa}
        found = [
            one for one in owners if one.established and one.alive and one.children.alike(child) is not None
        ]
        return max(found, key=lambda one: one.ike_id, default=None)

    def sends(self, connection: str, selectors: Selectors) -> bool:
        """Whether any IKE_SA of the connection sends under a child for exactly this traffic."""
        alike = self._by_traffic.get((connection, selectors), {})
        return any(child.state is not ChildState.DELETED and not child.lost for child in alike.values())

    def beside(self, sa: S, child: ChildSa) -> list[S]:
        """The owners of the other children for exactly this traffic that are not deleted."""
        alike = self._by_traffic.get((sa.connection.name, child.selectors), {})
        others = [one for one in alike.values() if one is not child and one.state is not ChildState.DELETED]
        return [self.owners[one.child_id] for one in others if one.child_id in self.owners]

    def count_children(self, connection: str) -> int:
        """The number of a connection's children, including those about to be deleted."""
        return self._children[connection]

    def count_ike_sas(self, connection: str, most: int) -> int:
        """The number of established IKE_SAs of a connection; below `most` it may count others too."""
        known = self._by_connection.get(connection, {})
        return len(known) if len(known) < most else sum(one.established for one in known.values())

    def all_between(self, sa: S) -> Iterable[S]:
        """All IKE_SAs established between the same two identities and not removed yet, `sa` included."""
        return self._by_identities.get(_ends(sa.local_id, sa.lessee), {}).values()

    def duplicates(self, sa: S) -> list[S]:
        """Established IKE_SAs other than `sa` between the same two identities."""
        return [
            other
            for other in self._by_identities.get(_ends(sa.local_id, sa.lessee), {}).values()
            if other is not sa and other.phase is Phase.ESTABLISHED
        ]

    def siblings(self, sa: S) -> list[S]:
        """The other established IKE_SAs of the connection with the same peer, newest first."""
        return [one for one in reversed(self.duplicates(sa)) if one.connection.name == sa.connection.name]

    def is_being_replaced(self, old: S) -> bool:
        """Whether another IKE_SA reauthenticates this one, or is to end it when its children are up there."""
        near = (*self._by_connection.get(old.connection.name, {}).values(), *self.all_between(old))
        return any(old in sa.replaced for sa in near)

    def is_first_contact(self, sa: S) -> bool:
        """Whether to send INITIAL_CONTACT: these identities have no other IKE_SA (RFC 7296 2.4).

        One that another connection is setting up counts too: the peer would delete it.
        """
        own = sa.connection
        return own.unique != "never" and not any(
            other is not sa and other.alive and (other.established or name != own.name)
            for name in self._alike.get(_configured(own), ())
            for other in self._by_connection.get(name, {}).values()
        )


def _by_identities(config: Config) -> dict[Identities, list[str]]:
    """The names of the connections between the same configured identities."""
    found: defaultdict[Identities, list[str]] = defaultdict(list)
    for name, connection in config.connections.items():
        found[_configured(connection)].append(name)
    return found


def _configured(connection: Connection) -> Identities:
    return _ends(connection.local.id, connection.remote.id)


def _ends(ours: Identity | None, theirs: Identity | None) -> Identities:
    """Two identities as an index has them: a peer writes its own one as it likes."""
    return ours and ours.folded, theirs and theirs.folded


def _drop(index: dict[K, dict[int, S]], key: K, sa: S) -> None:
    """Remove `sa` from an index, and its entry if empty: peers choose identities without limit."""
    entry = index.get(key)
    if entry is not None and entry.pop(sa.ike_id, None) is not None and not entry:
        del index[key]
