"""All IKE_SAs of a daemon: which one a datagram or a command is for, and what follows when one ends."""

from __future__ import annotations

from ikepy.config.model import Config
from ikepy.errors import WireError
from ikepy.sa.admission import dropped, stateless
from ikepy.sa.admission.rate_limit import Rate
from ikepy.sa.api.capacity import CapacityOf, boundless
from ikepy.sa.api.commands import (
    Acquire,
    ChildrenLost,
    Command,
    Initiate,
    LocalAddressesChanged,
    Rekey,
    SequenceLow,
    Shutdown,
    Terminate,
)
from ikepy.sa.api.effects import Effect, Level, Log, Send
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.api.log_source import Peer, kind_of
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.snapshot import IkeSaSnapshot
from ikepy.sa.api.unserved import Unserved
from ikepy.sa.driver import clock, dispatch
from ikepy.sa.driver.forged_messages import begins_protected, is_worthless, named
from ikepy.sa.driver.turns import proceed
from ikepy.sa.exchange import path_update
from ikepy.sa.lifecycle import roaming, teardown
from ikepy.sa.lifecycle.criteria import ByCriteria
from ikepy.sa.lifecycle.reauthentication import Reauthentication
from ikepy.sa.lifecycle.timers import Timers
from ikepy.sa.message import query
from ikepy.sa.message.final_responses import FinalResponses
from ikepy.sa.setup.acquires import Acquires
from ikepy.sa.setup.connector import Connector, Resolve
from ikepy.sa.setup.demand import Demand
from ikepy.sa.setup.init_admission import InitAdmission
from ikepy.sa.state.child_sa import ChildState
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.sa.state.lifetime import TrafficLimit
from ikepy.sa.state.phase import End, Phase
from ikepy.sa.state.registry import EspHeard, LeadsOut, SaRegistry
from ikepy.sa.state.task import outcomes
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.tasks import child_rekey, mobike
from ikepy.sa.tasks.child_create import ChildCreate
from ikepy.sa.tasks.notify import packet_text
from ikepy.wire.constants import IKE_VERSION, ExchangeType, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader, Message, decode_header, decode_message
from ikepy.wire.payloads import NotifyPayload

UNKNOWN_PER_SECOND = 10.0  # answers to requests for IKE_SAs that we don't have


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
    ) -> None:
        """What it can't know by itself it asks: `resolve` the addresses of a connection, and as `SaRegistry`
        has it whether a path leads out, when ESP came in, and how many children the worker can have."""
        self._config = config
        self._resolve = resolve
        self._registry: Registry = SaRegistry(
            config, entropy, leads_out=leads_out, esp_heard=esp_heard, capacity_of=capacity_of
        )
        self._init_admission = InitAdmission(self._registry)
        self._final_responses = FinalResponses()
        self._unknown = Rate(UNKNOWN_PER_SECOND)
        self._timers = Timers(self._registry)
        self._connector = Connector(self._registry, resolve, self._settle)
        self._acquires = Acquires(self._registry, resolve)
        self._reauthentication = Reauthentication(self._registry, self._connector, self._settle)
        self._by_criteria = ByCriteria(self._registry, self._connector, self._reauthentication, self._settle)
        self.ticking: int | None = None  # the ike_id that `tick` or `complete` worked on last

    # -- the daemon's side -------------------------------------------------------------------------

    def start(self, now: float) -> list[Effect]:
        """Bring up every child with `start_action = "start"`."""
        effects: list[Effect] = []
        for connection in self._config.connections.values():
            for child in connection.children.values():
                if child.start_action == "start":
                    effects += self.request(Initiate(connection.name, child.name), now)
        return effects

    @property
    def idle(self) -> bool:
        """Whether no IKE_SA is left."""
        return not self._registry.sas

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next."""
        times = (self._timers.deadline, self._connector.deadline)
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Effect]:
        """The first thing that is due; call it until `deadline` is later than `now`.

        One thing a call, so that a fault costs nobody else's effects; `ticking` then names whose it is.
        """
        demand = self._connector.pop(now)
        if demand is not None:
            return self._connector.bring_up(demand, now)
        sa = self._timers.pop(now)
        if sa is None:
            return []
        self.ticking = sa.ike_id
        return self._settle(sa, clock.tick(sa, now), now)

    def find(self, ike_id: int) -> IkeSa | None:
        """The living IKE_SA with this number."""
        return self._registry.sas.get(ike_id)

    def proceed(self, sa: IkeSa, now: float) -> list[Effect]:
        """Begin what was enqueued on `sa` from outside."""
        return self._settle(sa, proceed(sa, now), now)

    @property
    def ike_sas(self) -> list[IkeSa]:
        """The living IKE_SAs, oldest first."""
        return list(self._registry.sas.values())

    @property
    def retrying(self) -> bool:
        """Whether a set-up waits to be tried again."""
        return self._connector.retrying

    def counters(self) -> dict[str, int]:
        """How many messages were not served, by reason."""
        return {reason.value: self._registry.tally[reason] for reason in Unserved}

    def list_sas(self, now: float) -> list[IkeSaSnapshot]:
        """Every IKE_SA with its children."""
        return [sa.snapshot() for sa in self._registry.sas.values()]

    # -- datagrams ---------------------------------------------------------------------------------

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        """A datagram without its non-ESP marker."""
        try:
            if len(datagram) > self._config.daemon.max_packet:
                raise WireError(f"{len(datagram)} octets")
            header, _, _ = decode_header(datagram)
            if header.version >> 4 > IKE_VERSION >> 4:
                told = dropped.newer_version(self._registry.tally, header.version, path)
                return [told, *stateless.no_larger(stateless.newer_version(header, path), datagram)]
            if header.exchange == ExchangeType.IKE_SA_INIT and not header.is_response:
                refused = self._init_admission.turn_away(datagram, header, path, now)
                if refused is not None:
                    return refused
            dropped.check_unprotected(header, datagram)
            message = decode_message(datagram)
        except WireError as error:
            return [dropped.malformed(self._registry.tally, datagram, path, error)]
        if header.exchange == ExchangeType.IKE_SA_INIT and not header.is_response:
            return self._accept(datagram, message, path, now)
        spi = header.spi_r if header.from_initiator else header.spi_i
        sa = self._registry.by_spi.get(spi)
        if sa is None:
            reply = self._final_responses.reply(spi, datagram, now)
            if reply:
                return [Send(path, one) for one in reply]
        if sa is None or not _same_peer(sa, header):
            return stateless.no_larger(self._unknown_ike_spi(header, path, now), datagram)
        if sa.established and message.payloads and isinstance(message.payloads[0], NotifyPayload):
            return self._doubted(sa, message, now)
        return self._settle(sa, dispatch.receive(sa, datagram, message, path, now), now)

    def _accept(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        """A stranger's IKE_SA_INIT that may come in; others of theirs make room for it."""
        effects: list[Effect] = []
        for sa in self._init_admission.crowded_out(path, now):
            effects += self._settle(sa, sa.kill(End.TIMEOUT, "makes room, too many are half-open"), now)
        begun, served = self._init_admission.accept(datagram, message, path, now)
        return effects + (served if begun is None else self._settle(begun, served, now))

    def _unknown_ike_spi(self, header: IkeHeader, path: Path, now: float) -> list[Effect]:
        """RFC 7296 2.21.4: a request gets an unprotected INVALID_IKE_SPI, not too often."""
        self._registry.tally[Unserved.UNKNOWN_SPI] += 1
        log = Log(Level.DEBUG, str(path.remote), "dropped: no such IKE_SA")
        if header.is_response or not self._unknown.allow(now):
            return [log]
        return [log, stateless.invalid_ike_spi(header, path)]

    def _doubted(self, sa: IkeSa, message: Message, now: float) -> list[Effect]:
        """An unprotected INVALID_IKE_SPI or INVALID_SPI makes us ask for life, nothing else (2.4)."""
        told = (NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_SPI)
        if not any(query.notify(message.payloads, notify) for notify in told):
            return []
        return self._settle(sa, clock.probe_liveness(sa, now), now)

    def refuse(self, datagram: bytes, remote: Endpoint, now: float) -> bytes | None:
        """What a stranger gets in a flood, at the least cost: a COOKIE, or nothing (b"").

        None: `receive` the datagram, for it is something else, or there is no flood.
        """
        return self._init_admission.refuse(datagram, remote, now)

    def knows(self, datagram: bytes) -> bool:
        """Whether a message has the SPI and the look of a peer's: one that stands, or that we share keys with
        as we began.

        The header is believed: this says who waits for whom, nothing else. What is not protected waits.
        """
        sa = named(self._registry.by_spi, datagram)
        if sa is None or not begins_protected(datagram):
            return False
        return sa.established_at is not None or (sa.initiator and sa.has_keys)

    def is_worthless(self, datagram: bytes, path: Path, now: float) -> bool:
        """Whether a message names an IKE_SA of ours, and nothing would follow from receiving it."""
        sa = named(self._registry.by_spi, datagram)
        return sa is not None and begins_protected(datagram) and is_worthless(sa, datagram, path, now)

    def drops(self, datagram: bytes, path: Path, now: float) -> bool:
        """Whether a message names an IKE_SA of ours and is not to be received: it is worthless, and not one
        of the few each second that may leave their trace; or not protected, and one too many."""
        sa = named(self._registry.by_spi, datagram)
        if sa is None:
            return False
        if not begins_protected(datagram):
            kept = sa.excess.unprotected(path.remote.address == sa.path.remote.address, now)
        else:
            kept = not is_worthless(sa, datagram, path, now) or sa.excess.traced(now)
        self._registry.tally[Unserved.WORTHLESS] += not kept
        return not kept

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        """A job (`Compute`) is done: what it gave, or the exception that it raised. `ticking`: whose it is.

        Nothing follows if nobody waits for it any more.
        """
        sa = self._registry.computing.pop(ticket, None)
        if sa is None:
            return []
        self.ticking = sa.ike_id
        return self._settle(sa, sa.jobs.complete(ticket, result, now), now)

    # -- what the data plane tells -----------------------------------------------------------------

    def unknown_spi(self, spi: int, path: Path, now: float) -> list[Effect]:
        """ESP came for which there is no SA: its sender is told INVALID_SPI, if we know it (RFC 7296 1.5)."""
        notify = NotifyPayload(NotifyType.INVALID_SPI, spi.to_bytes(4, "big"))
        for sa in self._registry.sas.values():
            if sa.established and sa.path.remote.address == path.remote.address:
                return self._settle(sa, clock.tell(sa, notify, now), now)
        return []

    def not_permitted(self, child_id: int, start: bytes, now: float) -> list[Effect]:
        """The peer sends under a child what its selectors do not permit: it is told (RFC 4301 5.2 step 5)."""
        sa = self._owner(child_id)
        if sa is None:
            return []
        text = f"{sa.children[child_id].config.name} #{child_id}: dropped {packet_text(start)}"
        log = sa.log(Level.WARNING, f"{text}, which its selectors do not permit")
        if not self._config.daemon.invalid_selectors:
            return [log]
        spi = sa.children[child_id].spi_in.to_bytes(4, "big")
        notify = NotifyPayload(NotifyType.INVALID_SELECTORS, start, ProtocolId.ESP, spi)
        return [log, *self._settle(sa, clock.tell(sa, notify, now), now)]

    def peer_moved(self, child_id: int, remote: Endpoint, now: float) -> list[Effect]:
        """An authentic ESP packet came from elsewhere: follow a peer behind NAT (RFC 7296 2.23)."""
        sa = self._owner(child_id)
        if sa is None or not sa.nat.remote or sa.nat.local or sa.path.remote == remote:
            return []
        if sa.path != sa.children_path:
            # A path is being checked (RFC 4555 3.7). With MOBIKE to follow ESP is a MAY (3.8), and a packet
            # from a third place may have left before the peer told of this path: there the check would go
            # unanswered. If the peer is there now, it is for the initiator to notice and to tell (3.8, 3.11).
            return []
        log = sa.log(Level.INFO, f"the peer moved to {remote}")
        return [log, *path_update.follow(sa, Path(sa.path.local, remote))]

    def usage(self, child_id: int, octets: int, packets: int, now: float) -> list[Effect]:
        """What a child has carried so far, in the direction that carried more: `rekey_bytes` and the like."""
        sa = self._owner(child_id)
        if sa is None or not sa.children[child_id].in_use:
            return []
        child = sa.children[child_id]
        if child.state is ChildState.INSTALLED and (child.bytes.low(octets) or child.packets.low(packets)):
            # First, for between two looks a fast flow may pass both limits: it is replaced, not cut off.
            child.bytes.rekey = child.packets.rekey = 0
            child.lifetime.rekey_at = now
        elif child.bytes.used_up(octets) or child.packets.used_up(packets):
            child.bytes = child.packets = TrafficLimit()
            child.lifetime.expires_at = now
        else:
            return []
        return self._settle(sa, clock.tick(sa, now), now)

    # -- commands ----------------------------------------------------------------------------------

    def request(self, command: Command, now: float) -> list[Effect]:
        """Do what a user or the data plane asks for; an `Outcome` follows where the command has a ticket."""
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
                return self._children_lost(command, now)
            case SequenceLow():
                return self._sequence_low(command, now)
            case LocalAddressesChanged():
                return self._local_addresses_changed(command, now)
            case Shutdown():
                return self._shutdown(now)

    def _initiate(self, command: Initiate, now: float) -> list[Effect]:
        connection = self._config.connections.get(command.connection)
        if connection is None or command.child not in connection.children:
            return outcomes([command.ticket], False, f"no child {command.connection}.{command.child}")
        if self._registry.stopping:
            return outcomes([command.ticket], False, "the daemon is going down")
        return self._connector.begin(Demand(connection, (command.child,), (command.ticket,)), now)

    def _acquire(self, command: Acquire, now: float) -> list[Effect]:
        """A packet needs a child: one that waits for packets, or a further one beside a narrow one."""
        demand = self._acquires.demand(command, now)
        if demand is None:
            return []
        if isinstance(demand, str):
            name = command.connection
            return [Log(Level.WARNING, name, demand, kind_of(demand), Peer(name))]
        name, text = demand.connection.name, f"acquire for {demand.packet}"
        log = Log(Level.INFO, name, text, kind_of(text), Peer(name))
        return [log, *self._connector.bring_up(demand, now)]

    def _children_lost(self, command: ChildrenLost, now: float) -> list[Effect]:
        """Make before break: the new child first, for the old one carries nothing any more."""
        effects: list[Effect] = []
        for child_id in command.child_ids:
            sa = self._owner(child_id)
            if sa is None:
                continue
            child = sa.children[child_id]
            if child.in_use and sa.phase is Phase.ESTABLISHED:
                child.lost = True
                sa.enqueue(
                    ChildCreate(WantedChild(child.config, ts_request=child.ts_request), replaces=child_id)
                )
            effects += self._settle(sa, proceed(sa, now), now)
        return effects

    def _sequence_low(self, command: SequenceLow, now: float) -> list[Effect]:
        sa = self._owner(command.child_id)
        if sa is None or sa.children[command.child_id].state is not ChildState.INSTALLED:
            return []
        child = sa.children[command.child_id]
        child_rekey.begin(sa, child)
        log = sa.log(
            Level.WARNING, f"{child.config.name} #{child.child_id}: sequence numbers run out, replaced"
        )
        return [log, *self._settle(sa, proceed(sa, now), now)]

    def _local_addresses_changed(self, command: LocalAddressesChanged, now: float) -> list[Effect]:
        """Every IKE_SA that can move goes on over an address that is left, the route's choice first.

        One that can't move is set up anew; set-ups that wait for their next try have it soon.
        """
        changed = self._registry.local_addresses != command.addresses
        self._registry.local_addresses = command.addresses
        effects: list[Effect] = []
        # A route to use the new address by may come after it.
        affected = [sa for sa in self._registry.sas.values() if changed or sa.stranded]
        followed = [(sa, *self._follow_address(sa, command, now)) for sa in affected]
        teardown.announce_end((sa for sa, _, why in followed if why), End.ADDRESS_GONE)
        for sa, done, why in followed:
            if why:
                done = sa.kill(End.ADDRESS_GONE, why)
            effects += self._settle(sa, [*done, *clock.tick(sa, now)], now)
        if changed:
            self._connector.hasten(now)
        return effects + self._connector.retry_stranded(now)

    def _follow_address(
        self, sa: IkeSa, command: LocalAddressesChanged, now: float
    ) -> tuple[list[Effect], str]:
        """Go on over another address; the text says why it is to end instead, "" if it is not."""
        found = self._resolve(sa.connection, None)
        best = None if isinstance(found, str) else found[0]
        usable = sorted(mobike.local_addresses(sa), key=lambda address: address != best)
        effects = roaming.addresses_changed(sa, tuple(usable), command.others, now)
        begun = sa.established or (sa.alive and sa.initiator)
        if begun and sa.stranded and sa.mobike is None and best in usable:
            return [], f"{sa.path.local.address} is gone, set up anew from {best}"
        return effects, ""

    def _shutdown(self, now: float) -> list[Effect]:
        self._registry.stopping = True
        self._connector.forget()
        effects: list[Effect] = []
        teardown.announce_end(self._registry.sas.values(), End.DELETED)
        for sa in list(self._registry.sas.values()):
            ended = teardown.terminate(sa, None, sa.phase is not Phase.ESTABLISHED, [], now)
            effects += self._settle(sa, ended, now)
        return effects

    # -- what follows ------------------------------------------------------------------------------

    def _settle(self, sa: IkeSa, effects: list[Effect], now: float) -> list[Effect]:
        """After anything happened to `sa`: timers, uniqueness, and what its end brings about."""
        effects = [*effects, *teardown.tear_down(sa)]
        self._connector.update(sa)
        self._init_admission.update(sa, now)
        if sa.phase is Phase.ESTABLISHED and not sa.checked_unique:
            sa.checked_unique = True
            effects += self._reauthentication.enforce_unique(sa, now)
        if sa.reauth_due:
            sa.reauth_due = False
            effects += self._reauthentication.reauthenticate(sa, now)
        effects += self._reauthentication.end_replaced(sa, now)
        changed = [sa]
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
            effects += self._connector.after_refusals(one, now)
            self._timers.note(one)
            if one.phase is Phase.DEAD and one.ike_id in self._registry.sas:
                effects += self._remove(one, now)
        return effects

    def _remove(self, sa: IkeSa, now: float) -> list[Effect]:
        """Forget a dead IKE_SA, and set up anew what follows its end."""
        self._registry.remove(sa)
        self._connector.update(sa)
        self._init_admission.update(sa, now)
        if sa.last_answered is not None:
            self._final_responses.add(sa.spi_local, *sa.last_answered, now)
        effects = self._connector.after_end(sa, now)
        sa.wipe()
        return effects

    def _owner(self, child_id: int) -> IkeSa | None:
        return self._registry.owners.get(child_id)


def _same_peer(sa: IkeSa, header: IkeHeader) -> bool:
    """Whether both SPIs are this IKE_SA's; an initiator learns the other one from the first response."""
    if sa.spi_i != header.spi_i:
        return False
    return sa.spi_r == header.spi_r or (sa.initiator and sa.spi_r == bytes(8))
