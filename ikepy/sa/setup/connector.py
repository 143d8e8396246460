"""Initiates IKE_SAs for demanded children, and again after failures and ends (RFC 7296 1.2, 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, KeysView, Sequence
from dataclasses import replace

from ikepy.config.model import Connection, DnsName
from ikepy.sa.api.effects import Effect, Level, Log, LookUp
from ikepy.sa.api.ends import End
from ikepy.sa.api.log_source import Peer, kind_of
from ikepy.sa.api.names import names_of
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.snapshot import ChildWait, Waiting
from ikepy.sa.driver.turns import proceed
from ikepy.sa.negotiation.ts_request import Pair
from ikepy.sa.setup.address_turns import AddressTurns, Resolve
from ikepy.sa.setup.connect_gates import ConnectGates
from ikepy.sa.setup.demand import Demand, Key
from ikepy.sa.setup.name_lookups import NameLookups
from ikepy.sa.setup.retries import Retries
from ikepy.sa.state import end_actions
from ikepy.sa.state.ended import Ended
from ikepy.sa.state.ike_sa import IkeSa, Registry, Settle
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.redirect import Redirect
from ikepy.sa.state.set_up import SetUp
from ikepy.sa.state.task import TaskKind, outcomes
from ikepy.sa.tasks import desired
from ikepy.sa.tasks.resume import first_task

NAT_T_PORT = 4500  # of a peer (RFC 3948); a connection to this port starts with our own NAT-T port
RETRY_FIRST = 2.0  # seconds before a set-up that failed is tried again; doubles up to RETRY_LONGEST
RETRY_LONGEST = 120.0
SOON = 1.0  # seconds within which waiting set-ups are tried again after our addresses changed
STABLE = 10.0  # seconds: IKE_SAs that end sooner, one after the other, are set up again with growing delays

# Ends of a set-up of ours after which it is tried again.
FAILURES = (End.TIMEOUT, End.REFUSED, End.FAULT)


class Connector:
    """Meets demands: at once, when it is their turn at the peer's address, or after a failure's delay."""

    def __init__(self, registry: Registry, resolve: Resolve, settle: Settle) -> None:
        self._registry = registry
        self._settle = settle
        self._retries = Retries()
        self._gates = ConnectGates()
        self._lookups = NameLookups()
        self._turns = AddressTurns(resolve)
        # By connection: demands that wait until an address is known, and what stands in the way.
        self._stranded: dict[str, tuple[Demand, str]] = {}

    def begin(self, demand: Demand, now: float) -> list[Effect]:
        """`bring_up` for a user: earlier failures and the scheduled next try are forgotten."""
        for name in demand.children:
            self._retries.discard((demand.connection.name, name))
            self._gates.take_back((demand.connection.name, name))
            self._registry.failures.pop((demand.connection.name, name), None)
        return self.bring_up(demand, now)

    def bring_up(self, demand: Demand, now: float) -> list[Effect]:
        """Bring up the children that are not up: on an existing or nascent IKE_SA, or else on a new one."""
        name = demand.connection.name
        # An IKE_SA with a former configuration of the connection ends soon: it does not count.
        of_it = self._registry.of_connection(name)
        sas = [sa for sa in of_it if sa.connection is demand.connection and not _is_deleted(sa)]
        missing = [name for name in demand.children if not any(_has(sa, name, demand.packet) for sa in sas)]
        if not missing:
            return outcomes(demand.tickets, True, _up_already(sas, demand.children, now))
        # An established one is preferred: a set-up may fail. If it is just being reauthenticated, its new
        # IKE_SA gets this child too.
        usable = max((sa for sa in sas if _takes_children(sa)), key=lambda sa: sa.established, default=None)
        if usable is None:
            return self._connect_in_turn(replace(demand, children=tuple(missing)), now)
        for index, name in enumerate(missing):
            desired.want(usable, name, demand.tickets if index == 0 else (), demand.packet)
        return self._settle(usable, proceed(usable, now), now)

    def _connect_in_turn(self, demand: Demand, now: float) -> list[Effect]:
        """Initiate a new IKE_SA: at once if a user waits for it, else when it is its turn at the peer."""
        if demand.redirect is not None or _has_unknown_names(demand):
            return self.connect(demand, now)
        found = self._turns.next(demand.connection)
        if any(demand.tickets) or isinstance(found, str) or self._gates.lets_in(found[1]):
            return self.connect(demand, now)
        self._gates.wait(found[1], demand)
        return []

    def connect(self, demand: Demand, now: float) -> list[Effect]:
        """Initiate a new IKE_SA for these children, now, or once the connection's names are looked up."""
        if _has_unknown_names(demand):
            return self._look_up(demand)
        connection, tickets, redirect = demand.connection, demand.tickets, demand.redirect
        if redirect is None:
            found = self._turns.next(connection)
        else:
            found = self._turns.of_redirect(connection, redirect.gateway)
        if isinstance(found, str) and redirect is not None:
            log = _line(
                Level.WARNING, connection, connection.name, f"can't go to {redirect.gateway}: {found}"
            )
            return [log, *self.connect(replace(demand, redirect=None, looked_up=False), now)]
        if isinstance(found, str):
            return self._unresolved(demand, found, now)
        self._stranded.pop(connection.name, None)
        self._turns.begun(connection, found[1])
        daemon = self._registry.config.daemon
        on_nat_t = connection.remote_port == NAT_T_PORT
        local = Endpoint(found[0], daemon.port_nat_t if on_nat_t else connection.local_port)
        path = Path(local, Endpoint(found[1], connection.remote_port))
        sa = IkeSa(
            self._registry, connection, path, spi_i=self._registry.ike_spi(), spi_r=bytes(8), initiator=True
        )
        olds = [] if demand.replaces is None else [demand.replaces]
        sa.replacing.olds = olds
        if redirect is not None:
            sa.redirection.came_from, sa.redirection.reauthenticates = redirect.by, redirect.reauthenticates
        for name in demand.children:
            desired.want(sa, name, tickets if name == demand.children[0] else (), demand.packet)
        self._registry.add(sa)
        self._gates.begun(sa, now)
        sa.enter(Phase.CONNECTING)
        sa.set_up = SetUp(True, now, now, b"", bool(olds), demand.bounces)
        sa.enqueue(first_task(sa, now, resumable=not olds and redirect is None))
        log = sa.log(Level.INFO, f"initiating IKE_SA, {sa.path}")
        return self._settle(sa, [log, *proceed(sa, now)], now)

    def wait_of(self, connection: Connection, child: str) -> ChildWait:
        """What a configured child waits for."""
        key, registry = (connection.name, child), self._registry
        failures, until = registry.failures.get(key, 0), self._retries.due_at(key)
        sas = list(registry.of_connection(connection.name))
        stranded, reason = self._stranded.get(connection.name, (None, ""))
        if any(sa.has_child(child) for sa in sas):
            waiting = Waiting.NOTHING
        elif any(desired.wants(sa, child) for sa in sas):
            waiting = Waiting.SET_UP
        elif self._gates.waits(key):
            waiting = Waiting.TURN
        elif self._lookups.waits(key):
            waiting = Waiting.NAME
        elif stranded is not None and child in stranded.children:
            waiting = Waiting.ADDRESS
        elif until is not None:
            waiting = Waiting.RETRY
        elif registry.waits_for_packets(connection, child):
            waiting = Waiting.PACKET
        else:
            waiting = Waiting.COMMAND
        reason = reason if waiting is Waiting.ADDRESS else ""
        return ChildWait(connection.name, child, waiting, until, failures, reason)

    def update(self, sa: IkeSa) -> None:
        """Take notice of a change of an IKE_SA: the end of a set-up lets the next one begin."""
        self._gates.update(sa)
        if sa.initiator and sa.phase is Phase.ESTABLISHED:
            self._turns.succeeds(sa.connection)

    def config_replaced(self) -> None:
        """Forget what is known of connections that are not configured any more."""
        self._turns.keep(self._registry.config.connections)

    # -- names and addresses -----------------------------------------------------------------------

    def _look_up(self, demand: Demand) -> list[Effect]:
        """Let a demand wait until its connection's names are looked up, which is done anew for each try."""
        ticket = self._lookups.add(demand, self._registry.next_ticket)
        return [LookUp(ticket, _names(demand))] if ticket else []

    @property
    def look_ups(self) -> KeysView[int]:
        """The tickets of the look-ups that demands wait for."""
        return self._lookups.tickets

    def looked_up(self, ticket: int, now: float) -> list[Effect]:
        """Go on with the demands whose names have been looked up."""
        effects: list[Effect] = []
        for waiting in self._lookups.take(ticket):
            demand = self._current(waiting) if waiting.children else None
            old = None if waiting.replaces is None else waiting.replaces.successor  # rekeyed meanwhile
            if demand is not None and old is None:
                effects += self.bring_up(replace(demand, looked_up=True), now)
            elif demand is not None and old is not None and self._may_be_replaced(old, demand.connection):
                effects += self.connect(replace(demand, looked_up=True, replaces=old), now)
            else:
                text = "not wanted any more: terminated or reconfigured"
                if demand is not None and old is not None:
                    text = f"IKE_SA #{old.ike_id} is gone, replaced already, or reconfigured"
                effects += outcomes(waiting.tickets, False, text)
                if old is not None:
                    self._put_off_reauthentication(old, now)
                    effects += self._settle(old, [], now)
        return effects

    def _may_be_replaced(self, old: IkeSa, connection: Connection) -> bool:
        """Whether it is still there to be reauthenticated, and that is not under way."""
        stands = old.established and not old.is_ending and old.connection is connection
        return stands and not self._registry.is_being_replaced(old)

    def _put_off_reauthentication(self, old: IkeSa, now: float) -> None:
        old.reauth_at = now + RETRY_LONGEST
        self._registry.changed_sas.append(old)

    def _unresolved(self, demand: Demand, why: str, now: float) -> list[Effect]:
        """Put off a demand because the peer's address or our own is unknown."""
        connection, tickets, old = demand.connection, demand.tickets, demand.replaces
        text = f"can't initiate: {why}"
        if old is not None:
            old.reauth_at = now + RETRY_LONGEST
            log = old.log(Level.WARNING, f"{text}; reauthenticated in {RETRY_LONGEST:g} s")
            return [*self._settle(old, [log], now), *outcomes(tickets, False, text)]
        if not any(tickets):
            self._stranded[connection.name] = (
                replace(demand, looked_up=False),
                why,
            )  # tried as soon as our addresses change
        log = _line(Level.WARNING, connection, connection.name, text)
        return [log, *outcomes(tickets, False, text), *self._try_again(demand, connection.name, now)]

    # -- later -------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When the next of the waiting demands is due; None if none waits."""
        times = (self._retries.deadline, self._gates.deadline)
        return min((at for at in times if at is not None), default=None)

    @property
    def retrying(self) -> bool:
        """Whether any demand waits for its turn or its next try."""
        return bool(self._retries) or bool(self._gates) or bool(self._lookups)

    def pop(self, now: float) -> Demand | None:
        """Remove and return a demand that is due, as it is configured now; None if none is."""
        while (demand := self._gates.pop(now) or self._retries.pop(now)) is not None:
            if (current := self._current(demand)) is not None:
                return current
        return None

    def _current(self, demand: Demand) -> Demand | None:
        return demand.configured(self._registry.config.connections.get(demand.connection.name))

    def hasten(self, now: float) -> None:
        """Try the waiting demands again soon, as our addresses have changed."""
        self._retries.hasten(now + SOON * self._registry.entropy.uniform())

    def retry_stranded(self, now: float) -> list[Effect]:
        """Bring up the demands that waited for an address."""
        stranded, self._stranded = self._stranded, {}
        demands = [self._current(demand) for demand, _ in stranded.values()]
        return [effect for one in demands if one is not None for effect in self.bring_up(one, now)]

    def forget(self) -> list[Effect]:
        """Forget all waiting demands, as the daemon goes down."""
        self._retries.clear()
        self._gates.clear()
        self._stranded.clear()
        return outcomes(self._lookups.clear(), False, "the daemon is going down")

    def give_up(self, meant: Callable[[Key], bool]) -> list[str]:
        """Forget the waiting demands for these children, as a user wants them down.

        Returns the children that waited for their turn or their next try, as "connection/child".
        """
        for key in [key for key in self._registry.standing if meant(key)]:
            self._registry.standing.discard(key)
        for demand, why in list(self._stranded.values()):
            left = tuple(name for name in demand.children if not meant((demand.connection.name, name)))
            if left:
                self._stranded[demand.connection.name] = replace(demand, children=left), why
            else:
                del self._stranded[demand.connection.name]
        given_up = {(one.connection.name, one.children[0]) for one in self._retries.take_back(meant)}
        given_up |= set(self._lookups.take_back(meant))
        for key in filter(meant, self._gates.waiting):
            self._gates.take_back(key)
            given_up.add(key)
        return [f"{name}/{its_child}" for name, its_child in sorted(given_up)]

    def _try_again(self, demand: Demand, subject: str, now: float) -> list[Effect]:
        """Schedule another try of children that did not come up, or give them up, and log which.

        Without `keyingtries`, children that are configured to be up are tried for ever, all others once.
        """
        connection, registry = demand.connection, self._registry
        later: list[str] = []
        effects: list[Effect] = []
        for name in demand.children:
            key = connection.name, name
            failures = registry.failures[key] = registry.failures.get(key, 0) + 1
            limit = connection.keyingtries
            if limit is None:
                limit = 0 if registry.is_kept_up(connection, name) else 1
            if not limit or failures < limit:
                later.append(name)
            else:
                effects.append(self._given_up(connection, name, subject, failures))
        if later:
            earlier = max(registry.failures[connection.name, name] for name in later) - 1
            if self._turns.has_another(connection):
                earlier = 0  # each round of all addresses is later than the one before, not each address
            wait = self._put_off(replace(demand, children=tuple(later)), earlier, now)
            text = f"{', '.join(later)}: next try in {wait:.0f} s"
            effects.append(_line(Level.INFO, connection, subject, text))
        return effects

    def _given_up(self, connection: Connection, name: str, subject: str, failures: int) -> Log:
        registry, key = self._registry, (connection.name, name)
        kept = registry.is_kept_up(connection, name)
        del registry.failures[key]
        registry.standing.discard(key)
        if registry.waits_for_packets(connection, name):
            text = f"{name} did not come up, and waits for a packet again"
            return _line(Level.INFO, connection, subject, text)
        tries = "1 try" if failures == 1 else f"{failures} tries"
        text = (
            f"{name} is given up after {tries} (keyingtries); started again by: "
            f"ikepy initiate --ike {connection.name} --child {name}"
        )
        return _line(Level.ERROR if kept else Level.INFO, connection, subject, text)

    def _put_off(self, demand: Demand, earlier: int, now: float) -> float:
        """Schedule a demand after a delay, which doubles with each `earlier` failure; returns its seconds."""
        wait = min(RETRY_FIRST * 2.0 ** min(earlier, 10), RETRY_LONGEST)
        wait *= 1 + self._registry.entropy.uniform() / 4
        self._retries.put(replace(demand, looked_up=False), now + wait)
        return wait

    # -- again -------------------------------------------------------------------------------------

    def after_refusals(self, sa: IkeSa, now: float) -> list[Effect]:
        """Try again the children that did not come up though `sa` is established."""
        if self._registry.stopping or sa.phase is not Phase.ESTABLISHED:
            return []  # of one that ends they are `unfulfilled`
        if not self._registry.is_current(sa.connection):
            return []
        unmet = desired.take_unmet(sa)
        return self._try_again(Demand(sa.connection, unmet), _subject(sa), now) if unmet else []

    def after_end(self, sa: IkeSa, now: float) -> list[Effect]:
        """Set up anew what `keyingtries` and the actions of its children ask for."""
        redirect = sa.redirection.to
        if sa.end is End.REDIRECTED and redirect is not None:
            return self._follow(sa, redirect, now)
        if self._registry.stopping or sa.ended is None:
            return []
        if sa.end is End.TIMEOUT or (sa.established_at is None and sa.end in FAILURES):
            self._turns.fails(sa.connection, sa.path.remote.address)
        olds = sa.replaced
        for old in olds if sa.redirection.reauthenticates or sa.redirection.came_from is None else ():
            self._put_off_reauthentication(old, now)
        if not self._registry.is_current(sa.connection):
            return []  # reconfigured or removed: `Reconfiguration` brings up what is configured now
        if sa.established_at is None:
            stand = any(not old.is_ending for old in olds)  # else nothing is left that a reauthentication has
            return [] if stand else self._after_failure(sa, now)
        return self._after_life(sa, sa.ended, now)

    def _follow(self, sa: IkeSa, redirect: Redirect, now: float) -> list[Effect]:
        """Set up at another gateway what this one did not want to (RFC 5685 3, 6)."""
        due = sa.redirection.came_from is None or sa.redirection.reauthenticates
        redirect = replace(redirect, reauthenticates=due and bool(sa.replaced))
        found = Demand(
            sa.connection,
            redirect.children,
            redirect.tickets,
            sa.set_up.bounces,
            next(iter(sa.replaced), None),
            redirect.packet,
            redirect=redirect,
        )
        demand = self._current(found) if self._registry.is_current(sa.connection) else None
        if self._registry.stopping or demand is None:
            return outcomes(redirect.tickets, False, "not wanted any more: terminated or reconfigured")
        return self.connect(demand, now)

    def _after_failure(self, sa: IkeSa, now: float) -> list[Effect]:
        demand = Demand(sa.connection, tuple(sa.desired.purpose), bounces=sa.set_up.bounces)
        if sa.end is End.ADDRESS_GONE:
            return self.bring_up(demand, now)
        if not sa.initiator or sa.end not in FAILURES:
            return []
        if sa.redirection.came_from is not None:  # the configured ones may serve us yet
            return self.bring_up(demand, now)
        return self._try_again(demand, _subject(sa), now)

    def _after_life(self, sa: IkeSa, ended: Ended, now: float) -> list[Effect]:
        """Start or trap the children of an IKE_SA that was established; with delays if it never lasts."""
        name, end = sa.connection.name, ended.why
        configured = sa.connection.children
        names = dict.fromkeys(child.name for child in (*ended.children, *ended.unfulfilled))
        children = [configured[child] for child in names if child in configured]
        actions = [(child, end_actions.after_ike(end, child)) for child in children]
        self._registry.trapped |= {
            (name, child.name) for child, action in actions if action == end_actions.TRAP
        }
        # Children that never came up on it are tried again like refused ones.
        waits = {
            child.name for child in ended.unfulfilled if self._registry.is_kept_up(sa.connection, child.name)
        }
        if end is End.DELETED:
            waits.clear()
        started = [child for child, action in actions if action == end_actions.START or child.name in waits]
        self._registry.standing |= {
            (name, child.name) for child in started if end_actions.kept(child) == end_actions.START
        }
        again = tuple(child.name for child in started)
        if not again:
            return []
        if now - sa.set_up.ended_at >= STABLE or end is End.ADDRESS_GONE:
            return self.bring_up(Demand(sa.connection, again), now)
        demand = Demand(sa.connection, again, bounces=sa.set_up.bounces + 1)
        if not sa.set_up.bounces:
            return self.bring_up(demand, now)
        wait = self._put_off(demand, sa.set_up.bounces - 1, now)
        return [sa.log(Level.INFO, f"set-up again in {wait:.0f} s")]


def _names(demand: Demand) -> tuple[DnsName, ...]:
    """The names that lead to the addresses of a demand: the connection's, or the gateway's of a redirect."""
    connection, redirect = demand.connection, demand.redirect
    remote = connection.remote_addrs if redirect is None else (redirect.gateway,)
    return names_of((*remote, *connection.local_addrs))


def _has_unknown_names(demand: Demand) -> bool:
    """Whether these names are to be looked up first."""
    return not demand.looked_up and bool(_names(demand))


def _subject(sa: IkeSa) -> str:
    return f"{sa.connection.name} #{sa.ike_id}"


def _has(sa: IkeSa, name: str, packet: Pair | None) -> bool:
    """Whether a child of this name is up, not to be deleted and, if a packet is given, carries it."""
    unwanted, config = sa.tasks.unwanted, sa.connection.children.get(name)
    stays = any(
        one.config is config and one.stays for one in sa.children.values() if one.child_id not in unwanted
    )
    return stays and not (packet is not None and sa.children.lacks(name, packet))


def _is_deleted(sa: IkeSa) -> bool:
    """Whether its DELETE waits for its turn: as good as gone."""
    return sa.tasks.waits(TaskKind.DELETE_IKE)


def _up_already(sas: Iterable[IkeSa], names: Sequence[str], now: float) -> str:
    """Text for users: since when the children are up, and their SPIs as `list-sas` prints them."""
    children = [child for sa in sas for child in sa.children.values() if child.stays]
    found = [next(child for child in children if child.config.name == name) for name in names]
    return "; ".join(
        f"CHILD_SA {one.config.name} #{one.child_id} is up already, installed "
        f"{now - one.installed_at:.0f}s ago, SPIs: in {one.spi_in:08x}, out {one.spi_out:08x}"
        for one in found
    )


def _takes_children(sa: IkeSa) -> bool:
    if sa.phase is Phase.ESTABLISHED:
        return not sa.in_collision
    return sa.phase is Phase.CONNECTING and sa.initiator


def _line(level: Level, connection: Connection, subject: str, text: str) -> Log:
    """A log line about a set-up, aggregated by peer, as the peer can make every try fail."""
    return Log(level, subject, text, kind_of(text), Peer(connection.name))
