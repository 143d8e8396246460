"""Manages the IKE_SAs of a daemon: gives datagrams and commands to them, and replaces those that end.

The entry point of the sans-IO machine (RFC 7296): every call takes the time and returns effects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ikepy.config.difference import difference
from ikepy.config.model import Config
from ikepy.errors import ExportRefusedError, RestoreRefusedError, WireError
from ikepy.sa.admission import dropped, stateless
from ikepy.sa.api.capacity import CapacityOf, boundless
from ikepy.sa.api.commands import (
    Acquire,
    ChildrenLost,
    Command,
    Initiate,
    LocalAddressesChanged,
    RedirectClients,
    Rekey,
    SequenceLow,
    Shutdown,
    Terminate,
)
from ikepy.sa.api.effects import Effect, Level, Log, Send
from ikepy.sa.api.ends import End, Failure, HalfOpenLimit, Party
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.api.esp_state import EspState
from ikepy.sa.api.events import IkeDown
from ikepy.sa.api.key_log import NOBODY, KeyLog
from ikepy.sa.api.leases import Lease, PoolState
from ikepy.sa.api.log_source import Peer, kind_of
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.restart_keys import RestartKeys
from ikepy.sa.api.snapshot import ChildWait, IkeSaSnapshot
from ikepy.sa.api.unserved import Unserved
from ikepy.sa.auth import choice, words
from ikepy.sa.auth.authenticator import AuthenticatorOf
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Credentials
from ikepy.sa.auth.relay import Relay
from ikepy.sa.driver import clock, dispatch
from ikepy.sa.driver.data_plane import DataPlaneReports
from ikepy.sa.driver.forged_messages import begins_protected, is_worthless, named
from ikepy.sa.driver.turns import proceed
from ikepy.sa.driver.unknown_spis import UnknownSpis
from ikepy.sa.exchange import crash_detection, resumption
from ikepy.sa.lifecycle import teardown
from ikepy.sa.lifecycle.criteria import ByCriteria
from ikepy.sa.lifecycle.reauthentication import Reauthentication
from ikepy.sa.lifecycle.reconfiguration import Reconfiguration
from ikepy.sa.lifecycle.roaming import Roaming
from ikepy.sa.lifecycle.timers import Timers
from ikepy.sa.message import encoding, query
from ikepy.sa.message.encoding import Encode
from ikepy.sa.message.final_responses import FinalResponses
from ikepy.sa.setup.acquires import Acquires
from ikepy.sa.setup.address_turns import Resolve
from ikepy.sa.setup.connector import Connector
from ikepy.sa.setup.demand import Demand
from ikepy.sa.setup.init_admission import InitAdmission
from ikepy.sa.state.exchange_plan import PlanOf
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.registry import EspHeard, LeadsOut, SaRegistry
from ikepy.sa.state.task import outcomes
from ikepy.sa.takeover.export import export
from ikepy.sa.takeover.restore import restore
from ikepy.sa.takeover.values import ExportedIkeSa
from ikepy.sa.tasks import additional_ke
from ikepy.wire.constants import FIRST_EXCHANGES, IKE_VERSION, NotifyType
from ikepy.wire.message import IkeHeader, Message, decode_header, decode_message
from ikepy.wire.payloads import NotifyPayload

REFUSED = "the former secret is refused from now on"


class IkeManager:
    """The whole control plane, without I/O. No call raises for what the network sends."""

    def __init__(
        self,
        config: Config,
        entropy: Entropy,
        *,
        resolve: Resolve,
        leads_out: LeadsOut = lambda path: True,
        esp_heard: EspHeard = lambda child_id: None,
        capacity_of: CapacityOf = boundless,
        authenticator_of: AuthenticatorOf = choice.authenticator_of,
        credentials: Credentials = NO_CREDENTIALS,
        relay: Relay | None = None,
        plan_of: PlanOf[IkeSa] = additional_ke.plan,
        names: NameTable | None = None,
        restart_keys: RestartKeys | None = None,
        key_log: KeyLog = NOBODY,
        encode: Encode = encoding.encode,
    ) -> None:
        """The functions supply what only the system knows: `resolve` gives the addresses of a connection;
        `SaRegistry` explains the others. `authenticator_of`: the method that authenticates a connection.
        `credentials`: certificates and keys. `relay`: hands EAP on to an AAA server. `plan_of`: its exchanges
        between IKE_SA_INIT and IKE_AUTH. `names`: what DNS names mean; the caller writes it. `restart_keys`:
        keys that may outlive this machine, which the caller writes too. `key_log`: is told all
        keys. `encode`: makes datagrams of messages."""
        self._registry: Registry = SaRegistry(
            config,
            entropy,
            leads_out=leads_out,
            esp_heard=esp_heard,
            capacity_of=capacity_of,
            authenticator_of=authenticator_of,
            credentials=credentials,
            relay=relay,
            plan_of=plan_of,
            names=names,
            restart_keys=restart_keys,
            key_log=key_log,
            encode=encode,
        )
        self._init_admission = InitAdmission(self._registry)
        self._final_responses = FinalResponses()
        self._unknown_spis = UnknownSpis(self._registry)
        self._timers = Timers(self._registry)
        self._connector = Connector(self._registry, resolve, self._settle)
        self._acquires = Acquires(self._registry, resolve)
        self._reauthentication = Reauthentication(self._registry, self._connector, self._settle)
        self._by_criteria = ByCriteria(self._registry, self._connector, self._reauthentication, self._settle)
        self._reconfiguration = Reconfiguration(self._registry, self._connector, self._settle)
        self._roaming = Roaming(self._registry, resolve, self._connector, self._settle)
        self._data_plane = DataPlaneReports(self._registry, self._settle)
        self.ticking: int | None = None  # the ike_id that `tick` or `complete` worked on last

    # -- the daemon's side -------------------------------------------------------------------------

    def start(self, now: float) -> list[Effect]:
        """Bring up every child with `start_action = "start"`."""
        effects: list[Effect] = []
        for connection in self.config.connections.values():
            for child in connection.children.values():
                if child.start_action == "start":
                    effects += self.request(Initiate(connection.name, child.name), now)
        return effects

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._registry.config

    def replace_config(self, config: Config, now: float) -> list[Effect]:
        """Use `config` from now on. Connections that it does not change are not touched, and nothing is sent
        for them; keys that need a restart keep their values (`config.difference`)."""
        change = difference(self.config, config)
        self._registry.replace_config(change.config, now)
        self._init_admission.config_replaced()
        self._connector.config_replaced()
        effects = self._reconfiguration.replace(change, now)
        if change.daemon:  # deadlines may depend on changed intervals
            for sa in self._registry.sas.values():
                self._timers.note(sa)
        return effects

    @property
    def idle(self) -> bool:
        """Whether there is no IKE_SA."""
        return not self._registry.sas

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next, in seconds on the caller's clock; None: never."""
        times = (self._timers.deadline, self._connector.deadline, self._registry.secrets.deadline)
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Effect]:
        """Do the first thing that is due; call it until `deadline` is later than `now`.

        Each call does one thing, so that an exception loses no other IKE_SA's effects; `ticking` then is the
        ike_id of the one at fault.
        """
        expired = self._registry.secrets.expire(now)
        if expired:
            return [Log(Level.INFO, "secrets", f"{words.entry(name)}: {REFUSED}") for name in expired]
        demand = self._connector.pop(now)
        if demand is not None:
            self.ticking = None
            return self._connector.bring_up(demand, now)
        sa = self._timers.pop(now)
        if sa is None:
            return []
        self.ticking = sa.ike_id
        return self._settle(sa, clock.tick(sa, now), now)

    def recover(self, now: float) -> list[Effect]:
        """Remove the IKE_SAs that an exception has left dead, as the effects of its call are lost, and those
        of ours that wait for nothing any more."""
        effects: list[Effect] = []
        for sa in self.ike_sas:
            if sa.ended is not None:
                if sa.ended.was_up:
                    effects.append(IkeDown(sa.itself, sa.ended.why, None, sa.ended.text))
                sa.ended.torn_down = False  # or not wholly
                effects += self._settle(sa, [], now)
            elif sa.alive and not sa.established and sa.initiator and sa.waits_for_nothing:
                effects += self._settle(sa, sa.kill(End.FAULT, "by a fault of the daemon's own"), now)
        return effects

    def awaited(self) -> Collection[int]:
        """The tickets of `Compute` and `LookUp` that IKE_SAs and demands wait for."""
        return self._registry.computing.keys() | self._connector.look_ups

    def find(self, ike_id: int) -> IkeSa | None:
        """The living IKE_SA with this ike_id."""
        return self._registry.sas.get(ike_id)

    def proceed(self, sa: IkeSa, now: float) -> list[Effect]:
        """Begin the tasks that a caller enqueued on `sa`."""
        return self._settle(sa, proceed(sa, now), now)

    def ike_ids(self) -> Collection[int]:
        """The living IKE_SAs."""
        return self._registry.sas.keys()

    def child_ids(self) -> Collection[int]:
        """The children that workers have, if all effects were carried out."""
        owners = self._registry.owners
        children = {one: sa.children.get(one) for one, sa in owners.items()}
        return frozenset(one for one, child in children.items() if child is not None and not child.lost)

    @property
    def ike_sas(self) -> list[IkeSa]:
        """The living IKE_SAs, oldest first."""
        return list(self._registry.sas.values())

    def has_ike_sa(self, connection: str) -> bool:
        """Whether a connection has an IKE_SA, in whatever state."""
        return self._registry.has_any(connection)

    @property
    def retrying(self) -> bool:
        """Whether a set-up waits for its turn or its next try."""
        return self._connector.retrying

    def pools(self) -> list[PoolState]:
        """The pools of virtual addresses, with whom has what of them."""
        return self._registry.pools.states()

    def leases(self) -> list[Lease]:
        """All leases, to be kept over a restart (`restore_leases`)."""
        return list(self._registry.pools.leases())

    def restore_leases(self, leases: Iterable[Lease]) -> None:
        """Let peers have what they had before this machine was made."""
        self._registry.pools.restore(leases)

    def counters(self) -> dict[str, int]:
        """The number of messages that were not served, by reason."""
        return {reason.value: self._registry.tally[reason] for reason in Unserved}

    def list_sas(self, now: float) -> list[IkeSaSnapshot]:
        """Snapshots of all IKE_SAs with their children."""
        return [sa.snapshot() for sa in self._registry.sas.values()]

    # -- another machine goes on -------------------------------------------------------------------

    def export(self, ike_id: int, states: Mapping[int, EspState], now: float) -> ExportedIkeSa:
        """An established IKE_SA and its children as a value (`takeover.export`). `states`: by child_id.

        ExportRefusedError if there is no such IKE_SA, or if something of it is under way.
        """
        sa = self._registry.sas.get(ike_id)
        if sa is None:
            raise ExportRefusedError(f"there is no IKE_SA #{ike_id}")
        return export(sa, states, now)

    def restore(self, exported: ExportedIkeSa, now: float) -> list[Effect]:
        """Go on with an IKE_SA that another machine exported; for several of one peer, the oldest first.

        It is taken to conform to this machine's configuration: where that is another one than the exporting
        machine's, restore under the former and `replace_config` then.
        RestoreRefusedError, and nothing has changed, if it does not fit here (`takeover.restore`).
        """
        if self._registry.stopping:
            raise RestoreRefusedError("the daemon is going down")
        sa, effects = restore(self._registry, exported, now)
        return self._settle(sa, effects, now)

    def list_waits(self) -> list[ChildWait]:
        """What each configured child waits for."""
        return [
            self._connector.wait_of(connection, child)
            for connection in self.config.connections.values()
            for child in connection.children
        ]

    # -- datagrams ---------------------------------------------------------------------------------

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        """Process a datagram, given without its non-ESP marker (RFC 3948 2.2)."""
        self._registry.secrets.expire(now)  # `tick` may be late
        try:
            if len(datagram) > self.config.daemon.max_packet:
                raise WireError(f"{len(datagram)} octets")
            header, _, _ = decode_header(datagram)
            if header.version >> 4 > IKE_VERSION >> 4:
                told = dropped.newer_version(self._registry.tally, header.version, path)
                return [told, *stateless.no_larger(stateless.newer_version(header, path), datagram)]
            if header.exchange in FIRST_EXCHANGES and not header.is_response:
                refused = self._init_admission.turn_away(datagram, header, path, now)
                if refused is not None:
                    return refused
            dropped.check_unprotected(header, datagram)
            message = decode_message(datagram)
        except WireError as error:
            return [dropped.malformed(self._registry.tally, datagram, path, error)]
        if header.exchange in FIRST_EXCHANGES and not header.is_response:
            return self._accept(datagram, message, path, now)
        spi = header.spi_r if header.from_initiator else header.spi_i
        sa = self._registry.by_spi.get(spi)
        if sa is None:
            reply = self._final_responses.reply(spi, datagram, now)
            if reply:
                return [Send(path, one) for one in reply]
        if sa is None or not _same_peer(sa, header):
            meant = self._unknown_spis.meant_by(message, path, now)
            if meant is not None:
                return self._doubted(meant, message, now)
            return self._unknown_spis.answer(header, datagram, path, now)
        if sa.established and message.payloads and isinstance(message.payloads[0], NotifyPayload):
            return self._doubted(sa, message, now)
        self._reconfiguration.match_again(sa)
        return self._settle(sa, dispatch.receive(sa, datagram, message, path, now), now)

    def _accept(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        """Accept an IKE_SA_INIT request; half-open IKE_SAs beyond the limits make room for it."""
        effects: list[Effect] = []
        for sa in self._init_admission.crowded_out(path, now):
            text, failure = "makes room, too many are half-open", Failure(Party.US, cause=HalfOpenLimit())
            effects += self._settle(sa, sa.kill(End.TIMEOUT, text, failure=failure), now)
        begun, served = self._init_admission.accept(datagram, message, path, now)
        return effects + (served if begun is None else self._settle(begun, served, now))

    def _doubted(self, sa: IkeSa, message: Message, now: float) -> list[Effect]:
        """Check liveness after an unprotected INVALID_IKE_SPI or INVALID_SPI, and do nothing else (2.4).

        With the peer's token, which it alone can make, it has lost the IKE_SA (RFC 6290 4.5).
        """
        if crash_detection.is_lost(sa, message.payloads):
            return self._settle(sa, crash_detection.forget(sa), now)
        told = (NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_SPI)
        if not any(query.notify(message.payloads, notify) for notify in told):
            return []
        return self._settle(sa, clock.probe_liveness(sa, now), now)

    def refuse(self, datagram: bytes, remote: Endpoint, now: float) -> bytes | None:
        """Answer an IKE_SA_INIT request cheaply in a flood: with a COOKIE, or nothing (b"").

        None: `receive` the datagram, as it is something else, or there is no flood.
        """
        return self._init_admission.refuse(datagram, remote, now)

    def knows(self, datagram: bytes) -> bool:
        """Whether a message looks protected and has the SPIs of an established IKE_SA, or of one that we
        initiated and that has keys.

        Only the header is read, and not authenticated: use the result for the order of processing only.
        """
        sa = named(self._registry.by_spi, datagram)
        if sa is None or not begins_protected(datagram):
            return False
        return sa.established_at is not None or (sa.initiator and sa.has_keys)

    def is_worthless(self, datagram: bytes, path: Path, now: float) -> bool:
        """Whether a message has the SPIs of an IKE_SA of ours, and receiving it would have no effect."""
        sa = named(self._registry.by_spi, datagram)
        return sa is not None and begins_protected(datagram) and is_worthless(sa, datagram, path, now)

    def drops(self, datagram: bytes, path: Path, now: float) -> bool:
        """Whether to drop a message that has the SPIs of an IKE_SA of ours, and count it.

        A worthless one is dropped, except for a few each second that are received so that the log has the
        reason; an unprotected one if there are too many.
        """
        sa = named(self._registry.by_spi, datagram)
        if sa is None:
            return False
        if not begins_protected(datagram):
            kept = sa.forgery_limit.unprotected(path.remote.address == sa.path.remote.address, now)
        else:
            kept = not is_worthless(sa, datagram, path, now) or sa.forgery_limit.explains(now)
        self._registry.tally[Unserved.WORTHLESS] += not kept
        return not kept

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        """Go on with the result of a `Compute` job, or the exception that it raised, or after a `LookUp`,
        whose result is in the `NameTable`.

        A result that nobody waits for any more is ignored. `ticking` then is the ike_id that waited.
        """
        if self._init_admission.looked_up(ticket):
            return []
        if ticket in self._connector.look_ups:
            self.ticking = None
            return self._connector.looked_up(ticket, now)
        sa = self._registry.computing.pop(ticket, None)
        if sa is None:
            return []
        self.ticking = sa.ike_id
        self._reconfiguration.match_again(sa)
        return self._settle(sa, sa.jobs.complete(ticket, result, now), now)

    # -- reports of the data plane (`driver.data_plane`) --------------------------------------------

    def unknown_spi(self, spi: int, path: Path, now: float) -> list[Effect]:
        """ESP with an unknown SPI arrived on `path`."""
        return self._data_plane.unknown_spi(spi, path, now)

    def not_permitted(self, child_id: int, start: bytes, now: float) -> list[Effect]:
        """A packet, which begins with `start`, was outside of a child's selectors."""
        return self._data_plane.not_permitted(child_id, start, now)

    def peer_moved(self, child_id: int, remote: Endpoint, now: float) -> list[Effect]:
        """An authentic ESP packet of a child came from another address."""
        return self._data_plane.peer_moved(child_id, remote, now)

    def usage(self, child_id: int, octets: int, packets: int, now: float) -> list[Effect]:
        """A child has carried so much until now, in its busier direction."""
        return self._data_plane.usage(child_id, octets, packets, now)

    # -- commands ----------------------------------------------------------------------------------

    def request(self, command: Command, now: float) -> list[Effect]:
        """Execute a command; one with a ticket is answered by an `Outcome`, at once or later."""
        match command:
            case Initiate():
                return self._initiate(command, now)
            case Terminate():
                return self._by_criteria.terminate(command, now)
            case Rekey():
                return self._by_criteria.rekey(command, now)
            case Acquire():
                return self._acquire(command, now)
            case ChildrenLost():
                return self._data_plane.children_lost(command, now)
            case SequenceLow():
                return self._data_plane.sequence_low(command, now)
            case RedirectClients():
                return self._by_criteria.redirect(command, now)
            case LocalAddressesChanged():
                return self._roaming.local_addresses_changed(command, now)
            case Shutdown():
                return self._shutdown(now)

    def _initiate(self, command: Initiate, now: float) -> list[Effect]:
        connection = self.config.connections.get(command.connection)
        if connection is None or command.child not in connection.children:
            return outcomes([command.ticket], False, f"no child {command.connection}.{command.child}")
        if self._registry.stopping:
            return outcomes([command.ticket], False, "the daemon is going down")
        return self._connector.begin(Demand(connection, (command.child,), (command.ticket,)), now)

    def _acquire(self, command: Acquire, now: float) -> list[Effect]:
        """Bring up the child that a packet without an SA needs."""
        demand = self._acquires.demand(command, now)
        if demand is None:
            return []
        if isinstance(demand, str):
            name = command.connection
            return [Log(Level.WARNING, name, demand, kind_of(demand), Peer(name))]
        name, text = demand.connection.name, f"acquire for {demand.packet}"
        log = Log(Level.INFO, name, text, kind_of(text), Peer(name))
        return [log, *self._connector.bring_up(demand, now)]

    def _shutdown(self, now: float) -> list[Effect]:
        self._registry.stopping = True
        effects = self._connector.forget()
        teardown.announce_end(self._registry.sas.values(), End.DELETED)
        for sa in list(self._registry.sas.values()):
            ended = teardown.terminate(sa, None, sa.phase is not Phase.ESTABLISHED, [], now)
            effects += self._settle(sa, ended, now)
        return effects

    # -- after each event --------------------------------------------------------------------------

    def _settle(self, sa: IkeSa, effects: list[Effect], now: float) -> list[Effect]:
        """Do what follows from a change of `sa`: teardown, uniqueness, reauthentication, retries, timers."""
        effects = [*effects, *teardown.tear_down(sa)]
        self._connector.update(sa)
        self._init_admission.update(sa, now)
        if sa.phase is Phase.ESTABLISHED and sa.newly_up is not None:
            newly, sa.newly_up = sa.newly_up, None
            effects += self._reauthentication.enforce_unique(sa, newly, now)
        if sa.reauth_due:
            sa.reauth_due = False
            effects += self._reauthentication.reauthenticate(sa, now)
        effects += self._reauthentication.end_replaced(sa, now)
        self._reauthentication.let_go(sa)
        effects += self._settle_changed([sa], now)
        while self._registry.to_probe or self._registry.changed_sas:  # by what became of these
            effects += self._settle_changed([], now)
        return effects

    def _settle_changed(self, changed: list[IkeSa], now: float) -> list[Effect]:
        """Do what follows for IKE_SAs that changed in another one's turn, and for these."""
        effects: list[Effect] = []
        while self._registry.to_probe:
            one = self._registry.to_probe.pop()
            changed.append(one)
            effects += [*clock.probe_liveness(one, now), *teardown.tear_down(one)]
        while self._registry.changed_sas:
            one = self._registry.changed_sas.pop(0)
            changed.append(one)
            effects += [*proceed(one, now), *teardown.tear_down(one)]
            effects += self._reauthentication.end_replaced(one, now)
        for one in dict.fromkeys(changed):
            if one.conforms_to != self._registry.generation:
                effects += [*self._reconfiguration.conform(one, now), *teardown.tear_down(one)]
            effects += self._connector.after_refusals(one, now)
            self._timers.note(one)
            if one.phase is Phase.DEAD and one.ike_id in self._registry.sas:
                effects += self._remove(one, now)
        return effects

    def _remove(self, sa: IkeSa, now: float) -> list[Effect]:
        """Remove a dead IKE_SA, and set up again the children that its end calls for."""
        self._registry.remove(sa)
        resumption.ended(sa)
        self._connector.update(sa)
        self._init_admission.update(sa, now)
        if sa.last_answered is not None:
            self._final_responses.add(sa.spi_local, *sa.last_answered, now)
        effects = self._connector.after_end(sa, now)
        sa.wipe()
        return effects


def _same_peer(sa: IkeSa, header: IkeHeader) -> bool:
    """Whether both SPIs are this IKE_SA's; an initiator learns the responder's from the first response."""
    if sa.spi_i != header.spi_i:
        return False
    return sa.spi_r == header.spi_r or (sa.initiator and sa.spi_r == bytes(8))
