"""All IKE_SAs of a daemon: which one a datagram or a command is for, and what follows when one ends."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace

from ikepy.config.model import Child, Config, Connection
from ikepy.crypto.cookie import CookieJar
from ikepy.errors import PeerError, WireError
from ikepy.wire.constants import IKE_VERSION, ExchangeType, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.glance import look
from ikepy.wire.message import IkeHeader, Message, decode_header, decode_message, encode_message
from ikepy.wire.payloads import NotifyPayload

from . import peers, pick, unique
from .cheap import COOKIE_RESPONSE, cookie_response, is_first_request
from .child import ChildState
from .commands import (
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
from .effects import Effect, Level, Log, Send
from .entropy import Entropy
from .farewells import Farewells
from .half_open import HalfOpen, Verdict
from .ike_sa import IkeSa
from .info import IkeSaInfo
from .lifetime import Volume
from .path import Address, Endpoint, Path
from .phase import End, Phase
from .rate import Backoff, Rate
from .scope import Pair, Selectors, pair_of
from .shared import Shared
from .tasks import mobike
from .tasks.auth import Wanted
from .tasks.child_create import ChildCreate
from .tasks.delete import DeleteChild, DeleteIke
from .tasks.task import outcomes
from .tasks.tell import packet_text

Resolve = Callable[[Connection, Address | None], tuple[Address, Address] | None]

NAT_T_PORT = 4500  # a peer's (RFC 3948); a connection to it needs no floating
UNKNOWN_PER_SECOND = 10.0  # answers to requests for IKE_SAs that we don't have
RETRY_FIRST = 2.0  # seconds before a set-up that failed is tried again; doubles up to RETRY_LONGEST
RETRY_LONGEST = 120.0
SETTLING = 10.0  # seconds in which a peer hears of the children of an IKE_SA that it set up
# Seconds that a peer has to delete an IKE_SA itself which it has replaced, or whose set-up crossed ours. More
# than SETTLING: perhaps they crossed for one end only, and it is the other IKE_SA that the peer deletes.
SUPERSEDED = 30.0
ACQUIRE_FIRST = 1.0  # seconds before a packet may ask once more for what did not come up; doubles as well
ACQUIRE_LONGEST = 32.0
SOON = 1.0  # seconds: by when it is tried again, at the latest, once our addresses have changed
STABLE = 10.0  # seconds that an IKE_SA has to last, or it is not set up again at once time and again


@dataclass(frozen=True, slots=True)
class _SetUp:
    """Children to bring up. `tries`: which attempt of `keyingtries` it is; `bounces`: how often in a row the
    peer let go of them as soon as they were up; `replaces`: the one to be reauthenticated; `packet`: why
    they are wanted."""

    connection: Connection
    children: tuple[str, ...]
    tickets: tuple[int, ...] = ()
    tries: int = 1
    bounces: int = 0
    replaces: IkeSa | None = None
    packet: Pair | None = None


class IkeManager:
    """The whole control plane, without I/O. No call raises for what the network sends."""

    def __init__(self, config: Config, entropy: Entropy, *, resolve: Resolve) -> None:
        self._config = config
        self._entropy = entropy
        self._resolve = resolve
        self._shared = Shared(config, entropy)
        self._cookies = CookieJar(entropy.random)
        self._half_open = HalfOpen(config.daemon)
        self._farewells = Farewells()
        self._unknown = Rate(UNKNOWN_PER_SECOND)
        self._acquired = Backoff(ACQUIRE_FIRST, ACQUIRE_LONGEST)
        self._timers: list[tuple[float, int]] = []  # a heap of (deadline, ike_id); outdated if not in `_due`
        self._due: dict[int, float] = {}  # ike_id -> when to look at it, at its deadline or before
        self._retries: list[tuple[float, _SetUp]] = []  # and when
        self._stranded: dict[str, _SetUp] = {}  # by connection: those that wait for our address
        self._stopping = False
        self.ticking: int | None = None  # the ike_id that `tick` worked on last

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
        return not self._shared.sas

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next."""
        while self._timers:
            at, ike_id = self._timers[0]
            outdated = self._due.get(ike_id) != at
            sa = self._shared.sas.get(ike_id)
            current = None if outdated or sa is None else sa.deadline
            if current == at:
                break
            heapq.heappop(self._timers)
            if not outdated:
                self._schedule(ike_id, current)
        times = [at for at, _ in self._retries]
        if self._timers:
            times.append(self._timers[0][0])
        return min(times, default=None)

    def tick(self, now: float) -> list[Effect]:
        """The first thing that is due; call it until `deadline` is later than `now`.

        One thing a call, so that a fault costs nobody else's effects; `ticking` then names whose it is.
        """
        for retry in self._retries:
            if retry[0] <= now:
                self._retries.remove(retry)
                return self._bring_up(retry[1], now)
        while self._timers and self._timers[0][0] <= now:
            at, self.ticking = heapq.heappop(self._timers)
            if self._due.get(self.ticking) != at:
                continue
            self._schedule(self.ticking, None)
            sa = self._shared.sas.get(self.ticking)
            if sa is not None:
                return self._settle(sa, sa.tick(now), now)
        return []

    def _schedule(self, ike_id: int, at: float | None) -> None:
        """Look at an IKE_SA then, and not when it was meant before."""
        self._due.pop(ike_id, None)
        if at is not None:
            self._due[ike_id] = at
            heapq.heappush(self._timers, (at, ike_id))

    def find(self, ike_id: int) -> IkeSa | None:
        """The living IKE_SA with this number."""
        return self._shared.sas.get(ike_id)

    def proceed(self, sa: IkeSa, now: float) -> list[Effect]:
        """Begin what was enqueued on `sa` from outside."""
        return self._settle(sa, sa.proceed(now), now)

    @property
    def ike_sas(self) -> list[IkeSa]:
        """The living IKE_SAs, oldest first."""
        return list(self._shared.sas.values())

    @property
    def retrying(self) -> bool:
        """Whether a set-up waits to be tried again."""
        return bool(self._retries)

    def list_sas(self, now: float) -> list[IkeSaInfo]:
        """Every IKE_SA with its children."""
        return [sa.info() for sa in self._shared.sas.values()]

    # -- datagrams ---------------------------------------------------------------------------------

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        """A datagram without its non-ESP marker."""
        try:
            if len(datagram) > self._config.daemon.max_packet:
                raise WireError(f"{len(datagram)} octets")
            header, _, _ = decode_header(datagram)
            if header.version >> 4 > IKE_VERSION >> 4:
                return _no_larger(_newer_version(header, path), datagram)
            if header.exchange == ExchangeType.IKE_SA_INIT and not header.is_response:
                refused = self._turn_away(datagram, header, path, now)
                if refused is not None:
                    return refused
            message = decode_message(datagram)
        except WireError as error:
            return [Log(Level.DEBUG, str(path.remote), f"dropped: {error}")]
        if header.exchange == ExchangeType.IKE_SA_INIT and not header.is_response:
            return self._accept(datagram, message, path, now)
        spi = header.spi_r if header.from_initiator else header.spi_i
        sa = self._shared.by_spi.get(spi)
        if sa is None:
            reply = self._farewells.reply(spi, datagram, now)
            if reply:
                return [Send(path, one) for one in reply]
        if sa is None or not _same_peer(sa, header):
            return _no_larger(self._unknown_ike_spi(header, path, now), datagram)
        if sa.established and message.payloads and isinstance(message.payloads[0], NotifyPayload):
            return self._doubted(sa, message, now)
        return self._settle(sa, sa.receive(datagram, message, path, now), now)

    def _unknown_ike_spi(self, header: IkeHeader, path: Path, now: float) -> list[Effect]:
        """RFC 7296 2.21.4: a request gets an unprotected INVALID_IKE_SPI, not too often."""
        log = Log(Level.DEBUG, str(path.remote), "dropped: no such IKE_SA")
        if header.is_response or not self._unknown.allow(now):
            return [log]
        flags = HeaderFlag.RESPONSE if header.from_initiator else HeaderFlag.RESPONSE | HeaderFlag.INITIATOR
        answer = IkeHeader(header.spi_i, header.spi_r, header.exchange, flags, header.message_id)
        return [log, Send(path, encode_message(answer, [NotifyPayload(NotifyType.INVALID_IKE_SPI)]))]

    def _doubted(self, sa: IkeSa, message: Message, now: float) -> list[Effect]:
        """An unprotected INVALID_IKE_SPI or INVALID_SPI makes us ask for life, nothing else (2.4)."""
        told = (NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_SPI)
        if not any(pick.notify(message.payloads, notify) for notify in told):
            return []
        return self._settle(sa, sa.ask_for_life(now), now)

    def unknown_spi(self, spi: int, path: Path, now: float) -> list[Effect]:
        """ESP came for which there is no SA: its sender is told INVALID_SPI, if we know it (RFC 7296 1.5)."""
        notify = NotifyPayload(NotifyType.INVALID_SPI, spi.to_bytes(4, "big"))
        for sa in self._shared.sas.values():
            if sa.established and sa.path.remote.address == path.remote.address:
                return self._settle(sa, sa.tell(notify, now), now)
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
        return [log, *self._settle(sa, sa.tell(notify, now), now)]

    def _turn_away(self, datagram: bytes, header: IkeHeader, path: Path, now: float) -> list[Effect] | None:
        """What strangers get before anything is decoded: nothing, or a COOKIE. None: it may come in."""
        if not header.from_initiator or header.message_id or header.spi_r != bytes(8) or self._stopping:
            return []
        known = self._half_open.known(header.spi_i, path.remote)
        if known is not None and known.init.request == datagram:
            return known.repeat_init(path)
        verdict = self._half_open.verdict(path.remote.address)
        if verdict is Verdict.DROP:
            return [Log(Level.DEBUG, str(path.remote), "dropped: too many half-open IKE_SAs from there")]
        if verdict is Verdict.SERVE:
            return None
        seen = look(datagram)
        address = path.remote.address
        if not seen.nonce:
            return []
        if self._cookies.valid(seen.cookie, header.spi_i, seen.nonce, address, now):
            return None
        cookie = self._cookies.make(header.spi_i, seen.nonce, address, now)
        return _no_larger([Send(path, cookie_response(header.spi_i, cookie))], datagram)

    def refuse(self, datagram: bytes, address: Address, now: float) -> bytes | None:
        """What a stranger gets in a flood, at the least cost: a COOKIE, or nothing (b"").

        None: `receive` the datagram, for it is something else, or there is no flood.
        """
        spi_i = datagram[:8]
        if not is_first_request(datagram) or self._half_open.verdict(address) is not Verdict.COOKIE:
            return None
        if self._half_open.may_know(spi_i) or self._stopping:
            return None
        try:
            seen = look(datagram)
        except WireError:
            return b""
        if seen.cookie:
            return None
        if not seen.nonce or len(datagram) < COOKIE_RESPONSE:
            return b""
        return cookie_response(spi_i, self._cookies.make(spi_i, seen.nonce, address, now))

    def _accept(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        header = message.header
        try:
            candidates = peers.candidates(self._config, path)
            if not candidates:
                raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "no connection for these addresses")
            sa = IkeSa(
                self._shared,
                candidates[0],
                path,
                spi_i=header.spi_i,
                spi_r=self._shared.ike_spi(),
                initiator=False,
            )
            sa.candidates = candidates
            effects = sa.accept_init(message, datagram, now)
        except WireError as error:
            return [Log(Level.DEBUG, str(path.remote), f"dropped: {error}")]
        except PeerError as error:
            refused = _unprotected(header, NotifyPayload(error.notify, error.data), path)
            log = Log(Level.INFO, str(path.remote), f"{error.notify.name}: {error}")
            return _no_larger([log, refused], datagram)
        self._shared.add(sa)
        self._half_open.add(sa)
        return self._settle(sa, effects, now)

    # -- commands ----------------------------------------------------------------------------------

    def request(self, command: Command, now: float) -> list[Effect]:
        """Do what a user or the data plane asks for; an `Outcome` follows where the command has a ticket."""
        match command:
            case Initiate():
                return self._initiate(command, now)
            case Terminate():
                return self._terminate(command, now)
            case Rekey():
                return self._rekey(command, now)
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

    def peer_moved(self, child_id: int, remote: Endpoint, now: float) -> list[Effect]:
        """An authentic ESP packet came from elsewhere: follow a peer behind NAT (RFC 7296 2.23)."""
        sa = self._owner(child_id)
        if sa is None or not sa.nat.remote or sa.nat.local or sa.path.remote == remote:
            return []
        if sa.path != sa.children_path:  # it told us of a path, which is being checked (RFC 4555 3.7)
            return []
        log = sa.log(Level.INFO, f"the peer moved to {remote}")
        return [log, *sa.follow(Path(sa.path.local, remote))]

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
            child.bytes = child.packets = Volume()
            child.lifetime.expires_at = now
        else:
            return []
        return self._settle(sa, sa.tick(now), now)

    def _initiate(self, command: Initiate, now: float) -> list[Effect]:
        connection = self._config.connections.get(command.connection)
        if connection is None or command.child not in connection.children:
            return outcomes([command.ticket], False, f"no child {command.connection}.{command.child}")
        if self._stopping:
            return outcomes([command.ticket], False, "the daemon is going down")
        return self._bring_up(_SetUp(connection, (command.child,), (command.ticket,)), now)

    def _bring_up(self, wanted: _SetUp, now: float) -> list[Effect]:
        """What of it is not up yet, on an IKE_SA that stands or is being set up, or else on a new one."""
        sas = list(self._shared.of_connection(wanted.connection.name))
        missing = [name for name in wanted.children if not any(_has(sa, name, wanted.packet) for sa in sas)]
        if not missing:
            return outcomes(wanted.tickets, True, f"CHILD_SA {' '.join(wanted.children)} is up already")
        usable = next((sa for sa in sas if _takes_children(sa)), None)
        if usable is None:
            return self._connect(replace(wanted, children=tuple(missing)), now)
        for index, name in enumerate(missing):
            usable.want(name, wanted.tickets if index == 0 else (), wanted.packet)
        return self._settle(usable, usable.proceed(now), now)

    def _connect(self, wanted: _SetUp, now: float) -> list[Effect]:
        """A new IKE_SA for these children."""
        connection, tickets = wanted.connection, wanted.tickets
        found = self._resolve(connection, None)
        if found is None:
            text = f"{connection.name}: the peer's address is not known ({_addresses(connection)})"
            if not any(tickets):
                self._stranded[connection.name] = wanted  # should it be our address that is missing
            later = self._later(wanted, now)
            if later is not None:
                return [Log(Level.WARNING, connection.name, f"{text}; {later}")]
            return [Log(Level.ERROR, connection.name, text), *outcomes(tickets, False, text)]
        daemon = self._config.daemon
        on_nat_t = connection.remote_port == NAT_T_PORT
        local = Endpoint(found[0], daemon.port_nat_t if on_nat_t else connection.local_port)
        path = Path(local, Endpoint(found[1], connection.remote_port))
        sa = IkeSa(
            self._shared, connection, path, spi_i=self._shared.ike_spi(), spi_r=bytes(8), initiator=True
        )
        sa.tries, sa.bounces = wanted.tries, wanted.bounces
        sa.replaces = [] if wanted.replaces is None else [wanted.replaces]
        for name in wanted.children:
            sa.want(name, tickets if name == wanted.children[0] else (), wanted.packet)
        self._shared.add(sa)
        return self._settle(sa, sa.initiate(now), now)

    def _terminate(self, command: Terminate, now: float) -> list[Effect]:
        targets = [
            (sa, child_id) for sa in list(self._shared.sas.values()) for child_id in _matches(sa, command)
        ]
        if not targets:
            return outcomes([command.ticket], False, "nothing matches")
        effects: list[Effect] = []
        for index, (sa, child_id) in enumerate(targets):
            last = [command.ticket] if index == len(targets) - 1 else []
            effects += self._settle(sa, _end(sa, child_id, command.force, last, now), now)
        return effects

    def _rekey(self, command: Rekey, now: float) -> list[Effect]:
        targets = [
            (sa, child_id)
            for sa in list(self._shared.sas.values())
            if sa.established and not sa.contested
            for child_id in _matches(sa, command)
            if child_id is None or sa.children[child_id].state is ChildState.INSTALLED
        ]
        if not targets:
            return outcomes([command.ticket], False, "nothing matches")
        effects: list[Effect] = []
        for index, (sa, child_id) in enumerate(targets):
            tickets = [command.ticket] if index == len(targets) - 1 else []
            if child_id is not None:
                sa.rekey_child(sa.children[child_id], tickets)
            elif command.reauth:
                effects += [
                    *self._reauthenticate(sa, now),
                    *outcomes(tickets, True, "reauthentication initiated"),
                ]
            else:
                sa.rekey(tickets)
            effects += self._settle(sa, sa.proceed(now), now)
        return effects

    def _acquire(self, command: Acquire, now: float) -> list[Effect]:
        """A packet needs a child: one that waits for packets, or a further one beside a narrow one."""
        connection = self._config.connections.get(command.connection)
        if connection is None or self._stopping:
            return []
        packet = Pair(command.source, command.destination)
        waiting = [
            (pair.width, child.name, pair)
            for child in connection.children.values()
            if (pair := self._pair(connection, child, packet)) is not None
            and self._waits_for(connection, child, packet)
        ]
        if not waiting:
            return []
        _, name, pair = min(waiting)  # the narrowest
        if self._is_coming(connection, name) or not self._acquired.allow((connection.name, name, pair), now):
            return []
        log = Log(Level.INFO, connection.name, f"acquire for {packet}")
        return [log, *self._bring_up(_SetUp(connection, (name,), packet=packet), now)]

    def _waits_for(self, connection: Connection, child: Child, packet: Pair) -> bool:
        """Whether such a packet is to bring this child up."""
        if child.start_action == "trap" or (connection.name, child.name) in self._shared.trapped:
            return True
        return any(sa.lacks(child.name, packet) for sa in self._shared.of_connection(connection.name))

    def _pair(self, connection: Connection, child: Child, packet: Pair) -> Pair | None:
        """The child's pair of selectors that permits a packet, None if none does."""
        found = self._resolve(connection, None)
        if found is None:
            return None
        own = Selectors(child.local_selectors(found[0]), child.remote_selectors(found[1]))
        return pair_of(own, packet)

    def _is_coming(self, connection: Connection, child: str) -> bool:
        """Whether an IKE_SA of the connection is being set up with this child, or has it."""
        return any(
            sa.wants_child(child) or (sa.phase is Phase.CONNECTING and sa.initiator) or sa.busy
            for sa in self._shared.of_connection(connection.name)
        )

    def _children_lost(self, command: ChildrenLost, now: float) -> list[Effect]:
        """Make before break: the new child first, for the old one carries nothing any more."""
        effects: list[Effect] = []
        for child_id in command.child_ids:
            sa = self._owner(child_id)
            if sa is None:
                continue
            child = sa.children[child_id]
            if child.in_use and sa.phase is Phase.ESTABLISHED:
                sa.enqueue(ChildCreate(Wanted(child.config, scope=child.scope), replaces=child_id))
            effects += self._settle(sa, sa.proceed(now), now)
        return effects

    def _sequence_low(self, command: SequenceLow, now: float) -> list[Effect]:
        sa = self._owner(command.child_id)
        if sa is None or sa.children[command.child_id].state is not ChildState.INSTALLED:
            return []
        child = sa.children[command.child_id]
        sa.rekey_child(child)
        log = sa.log(
            Level.WARNING, f"{child.config.name} #{child.child_id}: sequence numbers run out, replaced"
        )
        return [log, *self._settle(sa, sa.proceed(now), now)]

    def _local_addresses_changed(self, command: LocalAddressesChanged, now: float) -> list[Effect]:
        """Every IKE_SA that can move goes on over an address that is left, the route's choice first.

        One that can't move is set up anew; set-ups that wait for their next try have it soon.
        """
        changed = self._shared.local_addresses != command.addresses
        self._shared.local_addresses = command.addresses
        effects: list[Effect] = []
        for sa in list(self._shared.sas.values()):
            if changed or sa.stranded:  # a route to use the new address by may come after it
                effects += self._follow_address(sa, command, now)
        if changed:
            soon = now + SOON * self._entropy.uniform()
            self._retries = [(min(at, soon), wanted) for at, wanted in self._retries]
        stranded, self._stranded = self._stranded, {}
        for wanted in stranded.values():
            effects += self._bring_up(wanted, now)
        return effects

    def _follow_address(self, sa: IkeSa, command: LocalAddressesChanged, now: float) -> list[Effect]:
        found = self._resolve(sa.connection, None)
        best = None if found is None else found[0]
        usable = sorted(mobike.local_addresses(sa), key=lambda address: address != best)
        effects = mobike.addresses_changed(sa, tuple(usable), command.others, now)
        begun = sa.established or (sa.alive and sa.initiator)
        if begun and sa.stranded and sa.mobike is None and best in usable:
            text = f"{sa.path.local.address} is gone, set up anew from {best}"
            effects = [sa.log(Level.INFO, text), *sa.kill(End.ADDRESS_GONE, text)]
        return self._settle(sa, [*effects, *sa.tick(now)], now)

    def _shutdown(self, now: float) -> list[Effect]:
        self._stopping = True
        self._retries.clear()
        self._stranded.clear()
        effects: list[Effect] = []
        for sa in list(self._shared.sas.values()):
            effects += self._settle(sa, _end(sa, None, sa.phase is not Phase.ESTABLISHED, [], now), now)
        return effects

    # -- what follows ------------------------------------------------------------------------------

    def _settle(self, sa: IkeSa, effects: list[Effect], now: float) -> list[Effect]:
        """After anything happened to `sa`: timers, uniqueness, and what its end brings about."""
        effects = list(effects)
        self._half_open.update(sa)
        if sa.phase is Phase.ESTABLISHED and not sa.checked_unique:
            sa.checked_unique = True
            effects += self._enforce_unique(sa, now)
        if sa.reauth_due:
            sa.reauth_due = False
            effects += self._reauthenticate(sa, now)
        effects += self._end_replaced(sa, now)
        changed = [sa]
        while self._shared.touched:
            one = self._shared.touched.pop(0)
            changed.append(one)
            effects += [*one.proceed(now), *self._end_replaced(one, now)]
        for one in changed:
            at, known = one.deadline, self._due.get(one.ike_id)
            if at is not None and (known is None or at < known):  # a later one is found when the time comes
                self._schedule(one.ike_id, at)
        if sa.phase is Phase.DEAD and sa.ike_id in self._shared.sas:
            self._shared.remove(sa)
            if sa.last_answered is not None:
                self._farewells.add(sa.spi_local, *sa.last_answered, now)
            effects += self._after_end(sa, now)
            sa.wipe()
        return effects

    def _reauthenticate(self, old: IkeSa, now: float) -> list[Effect]:
        """Make before break: a new IKE_SA with the same children, then the old one is deleted."""
        names = tuple(config.name for config in old.intended)
        if not names:
            return self._settle(old, _end(old, None, False, [], now), now)
        if any(old in _replaced(sa) for sa in self._shared.sas.values()):
            return []
        log = old.log(Level.INFO, "reauthenticating")
        return [log, *self._connect(_SetUp(old.connection, names, replaces=old), now)]

    def _end_replaced(self, new: IkeSa, now: float) -> list[Effect]:
        """Delete what `new` reauthenticates or is preferred to, when all of its children are there."""
        if not new.replaces or not new.quiet or new.settles_at is not None:
            return []
        for config in (config for old in _replaced(new) for config in old.intended):
            if config.name not in new.purpose and not new.has_child(config.name):
                new.purpose.append(config.name)  # it was wanted since the new one began; tried once
                new.want(config.name, ())
        if not new.quiet:
            return new.proceed(now)
        replaced, new.replaces = _replaced(new), []
        reauthenticates = new.set_up.again and new.set_up.ours
        if reauthenticates and not replaced and self._is_surplus(new):
            replaced = [new]  # the peer was faster, and has let go of the old one
        effects: list[Effect] = []
        for old in replaced:
            old.enqueue(DeleteIke(end=End.REAUTHENTICATED))
            effects += self._settle(old, old.proceed(now), now)
        return effects

    def _is_surplus(self, new: IkeSa) -> bool:
        """Whether everything that it is for stands elsewhere."""
        others = list(self._shared.others(new))
        return all(any(other.has_child(name) for other in others) for name in new.purpose)

    def _enforce_unique(self, sa: IkeSa, now: float) -> list[Effect]:
        """INITIAL_CONTACT and `unique` (RFC 7296 2.4): older IKE_SAs between the same identities go."""
        policy = sa.connection.unique
        effects: list[Effect] = []
        for other in self._shared.duplicates(sa):
            crossed = unique.crossed(sa, other)
            if other in _replaced(sa):
                continue  # it ends when its children are here
            if crossed and (policy == "replace" or sa.set_up.again or other.set_up.again):
                redundant = unique.redundant(sa, other)
                stays = other if redundant is sa else sa
                if redundant.set_up.ours:
                    stays.replaces += [redundant, *redundant.replaces]
                    redundant.replaces = []
                    stays.settles_at = now + SETTLING
                    self._shared.touched.append(stays)
                else:
                    self._supersede(redundant, stays, now)
            elif sa.initial_contact and policy != "never" and not crossed:
                effects += self._settle(other, other.kill(End.RESTARTED, "the peer started anew"), now)
            elif policy == "replace" and sa.set_up.ours:
                sa.replaces.append(other)
            elif policy == "replace":  # the peer may reauthenticate: it knows when its children are here
                self._supersede(other, sa, now)
            elif not sa.set_up.ours and other.reauth_at is not None:
                other.reauth_at = max(other.reauth_at, now + SUPERSEDED)  # the peer may just be at it
        return effects

    def _supersede(self, old: IkeSa, new: IkeSa, now: float) -> None:
        """The peer should delete `old`, or we do; unless `new` has gone until then."""
        old.superseded_at, old.superseded_by = now + SUPERSEDED, new
        self._shared.touched.append(old)

    def _after_end(self, sa: IkeSa, now: float) -> list[Effect]:
        """Set up anew what `keyingtries`, `dpd_action` and `close_action` ask for."""
        if self._stopping or sa.end is None:
            return []
        replaced = _replaced(sa)
        for old in replaced:
            old.reauth_at = now + RETRY_LONGEST
            self._shared.touched.append(old)
        if replaced and sa.established_at is None:
            return []
        if sa.established_at is None:
            wanted = _SetUp(sa.connection, tuple(sa.purpose), tries=sa.tries, bounces=sa.bounces)
            if sa.end is End.ADDRESS_GONE:
                return self._bring_up(wanted, now)
            if not sa.initiator or sa.end not in (End.TIMEOUT, End.REFUSED):
                return []
            later = self._later(wanted, now)
            return [] if later is None else [sa.log(Level.INFO, later)]
        if sa.end is End.ADDRESS_GONE:
            return self._bring_up(_SetUp(sa.connection, tuple(c.name for c in sa.ended_children)), now)
        actions: dict[End, Callable[[Child], str]] = {
            # What was to come up on it meanwhile; the rest stands on its successor.
            End.REAUTHENTICATED: lambda child: "start",
            End.TIMEOUT: lambda child: child.dpd_action,
            End.REPLACED: lambda child: child.dpd_action,
            End.RESTARTED: lambda child: child.dpd_action,
            End.DELETED_BY_PEER: lambda child: child.close_action,
            End.EXPIRED: lambda child: child.close_action,
        }
        action = actions.get(sa.end)
        if action is None:
            return []
        name = sa.connection.name
        self._shared.trapped |= {(name, c.name) for c in sa.ended_children if action(c) == "trap"}
        children = tuple(c.name for c in sa.ended_children if action(c) == "start")
        if not children:
            return []
        if now - sa.set_up.ended_at >= STABLE:
            return self._bring_up(_SetUp(sa.connection, children), now)
        again = _SetUp(sa.connection, children, bounces=sa.bounces + 1)
        if not sa.bounces:
            return self._bring_up(again, now)
        wait = self._retry_at(again, sa.bounces - 1, now)
        return [sa.log(Level.INFO, f"set-up again in {wait:.0f} s")]

    def _later(self, wanted: _SetUp, now: float) -> str | None:
        """Note a further try if `keyingtries` allows one; the text says when."""
        limit = wanted.connection.keyingtries
        if limit and wanted.tries >= limit:
            return None
        wait = self._retry_at(replace(wanted, tries=wanted.tries + 1), wanted.tries - 1, now)
        return f"next try in {wait:.0f} s"

    def _retry_at(self, wanted: _SetUp, earlier: int, now: float) -> float:
        """Bring it up after a wait that grows with the `earlier` ones; gives its seconds."""
        wait = min(RETRY_FIRST * 2.0 ** min(earlier, 10), RETRY_LONGEST)
        wait *= 1 + self._entropy.uniform() / 4
        self._retries.append((now + wait, wanted))
        return wait

    def _owner(self, child_id: int) -> IkeSa | None:
        return self._shared.owners.get(child_id)


def _has(sa: IkeSa, name: str, packet: Pair | None) -> bool:
    """Whether the child is up; for a packet, whether one of that name carries it."""
    return sa.has_child(name) and not (packet is not None and sa.lacks(name, packet))


def _replaced(sa: IkeSa) -> list[IkeSa]:
    """Those that stand and that `sa` replaces, or what has become of them."""
    return [old.heir for old in sa.replaces if old.heir.established]


def _takes_children(sa: IkeSa) -> bool:
    if sa.phase is Phase.ESTABLISHED:
        return not sa.contested
    return sa.phase is Phase.CONNECTING and sa.initiator


def _same_peer(sa: IkeSa, header: IkeHeader) -> bool:
    """Whether both SPIs are this IKE_SA's; an initiator learns the other one from the first response."""
    if sa.spi_i != header.spi_i:
        return False
    return sa.spi_r == header.spi_r or (sa.initiator and sa.spi_r == bytes(8))


def _addresses(connection: Connection) -> str:
    return ", ".join(map(str, connection.remote_addrs))


def _matches(sa: IkeSa, command: Terminate | Rekey) -> list[int | None]:
    """The children of `sa` that a command means, or [None] for the IKE_SA itself."""
    if command.ike is not None and sa.connection.name != command.ike:
        return []
    if command.ike_id is not None and sa.ike_id != command.ike_id:
        return []
    if command.child is None and command.child_id is None:
        return [None]
    return [
        child.child_id
        for child in sa.children.values()
        if command.child in (None, child.config.name)
        # One that is replaced goes anyway; its successor is meant.
        and (
            command.child_id == child.child_id
            or (command.child_id is None and child.replaced_by not in sa.children)
        )
    ]


def _end(sa: IkeSa, child_id: int | None, force: bool, tickets: list[int], now: float) -> list[Effect]:
    if child_id is not None:
        sa.enqueue(DeleteChild(child_id, tickets, wanted=True, like=sa.children[child_id]))
        return sa.proceed(now)
    if force or sa.phase in (Phase.CREATED, Phase.CONNECTING):
        effects = sa.kill(End.DELETED, "terminated")
        return effects + outcomes(tickets, True, f"IKE_SA #{sa.ike_id} is gone")
    sa.enqueue(DeleteIke(tickets))
    return sa.proceed(now)


def _unprotected(header: IkeHeader, notify: NotifyPayload, path: Path) -> Send:
    """An answer that costs no state: one notify, the request's SPIs and message ID."""
    answer = IkeHeader(header.spi_i, bytes(8), header.exchange, HeaderFlag.RESPONSE, header.message_id)
    return Send(path, encode_message(answer, [notify]))


def _no_larger(effects: list[Effect], request: bytes) -> list[Effect]:
    """Without answers that are larger than what anybody may have sent in another's name."""
    return [e for e in effects if not isinstance(e, Send) or len(e.data) <= len(request)]


def _newer_version(header: IkeHeader, path: Path) -> list[Effect]:
    """RFC 7296 2.5: the highest version that we speak stands in the answer's header."""
    if header.is_response:
        return []
    flags = HeaderFlag.RESPONSE if header.from_initiator else HeaderFlag.RESPONSE | HeaderFlag.INITIATOR
    answer = IkeHeader(header.spi_i, header.spi_r, header.exchange, flags, header.message_id)
    return [Send(path, encode_message(answer, [NotifyPayload(NotifyType.INVALID_MAJOR_VERSION)]))]
