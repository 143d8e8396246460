"""The state of one IKE_SA, and the operations that change it.

It knows no task: `driver.dispatch` handles what arrives, `driver.clock` what is due, `tasks/` implements the
exchanges, and `driver.turns` starts them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.key_schedule import Seed
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.eap.granted import NOTHING
from ikepy.errors import LocalMisuse
from ikepy.sa.admission.rate_limit import Rate
from ikepy.sa.api.computation import Computation, ResultPending
from ikepy.sa.api.effects import (
    Compute,
    Effect,
    Level,
    Log,
    Rank,
    RemoveChild,
    Send,
    SetNetworkSettings,
)
from ikepy.sa.api.ends import ChildRemoval, End, Failure
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.api.events import ChildDown, ChildUp, Event, IkeDown, IkeRekeyed, IkeSetUpFailed, IkeUp
from ikepy.sa.api.log_source import NamedSa, Peer, kind_of
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from ikepy.sa.api.path import Address, Path
from ikepy.sa.api.snapshot import IkeSaSnapshot
from ikepy.sa.message import fragments, int_auth
from ikepy.sa.message.int_auth import Covered, IntAuth
from ikepy.sa.message.window import Window
from ikepy.sa.negotiation import proposals
from ikepy.sa.negotiation.nat import Nat
from ikepy.sa.state import event_text, lifetime
from ikepy.sa.state.auth_round import AuthRound
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.children import Children
from ikepy.sa.state.connecting import Answered, Connecting, NewlyUp
from ikepy.sa.state.desired_children import DesiredChildren
from ikepy.sa.state.ended import Ended
from ikepy.sa.state.event_text import ENDED
from ikepy.sa.state.followups import Followups
from ikepy.sa.state.forgery_limit import ForgeryLimit
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.lifetime import Lifetime
from ikepy.sa.state.peer_addresses import Mobike
from ikepy.sa.state.pending_jobs import Again, PendingJobs
from ikepy.sa.state.phase import BETWEEN_ROUNDS, FOLLOWS, PERMITTED, Phase
from ikepy.sa.state.redirect import Redirection
from ikepy.sa.state.registry import SaRegistry
from ikepy.sa.state.replacement import Rekeyed, Replacing, Superseded
from ikepy.sa.state.resumption import Resumption
from ikepy.sa.state.set_up import SetUp
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.state.task_queue import TaskQueue
from ikepy.wire.constants import FIRST_EXCHANGES, ExchangeType, HeaderFlag, IdType, NotifyType
from ikepy.wire.message import IkeHeader
from ikepy.wire.payloads import NotifyPayload, Payload

# Ends that the peer can't override with one of its own; of several the first counts.
MEANT = (End.DELETED, End.REDIRECTED, End.EXPIRED, End.REPLACED)
PROBES_PER_SECOND = 0.1  # liveness checks and notifies that unauthenticated messages can make us send


class IkeSa:
    """A sans-IO state machine: calls return effects, in the order in which they are to be run."""

    def __init__(
        self,
        registry: Registry,
        connection: Connection,
        path: Path,
        *,
        spi_i: bytes,
        spi_r: bytes,
        initiator: bool,
    ) -> None:
        self.registry = registry
        self.ike_id = registry.next_ike_id()
        self.connection = connection
        # The configuration that it and its children are of.
        self.conforms_to = registry.generation if registry.is_current(connection) else 0
        self.path = path
        self.spi_i, self.spi_r = spi_i, spi_r
        self.initiator = initiator
        self._phase = Phase.CREATED
        self.announced_end: End | None = None  # why it is about to end
        self.ended: Ended | None = None  # what it leaves, in DEAD
        self.nat = Nat()
        self.mobike: Mobike | None = None  # set if both ends support MOBIKE (RFC 4555)
        self.stranded = False  # our address is gone, and no other is usable
        self.quantum_safe = False  # its own messages: keys of which a quantum computer would not know all
        self.ppk = False  # a postquantum preshared key was mixed into its keys (RFC 8784)
        self.keeps_safe = False  # likewise what is derived from its SK_d: children, rekeys
        self.fragmentation = False  # whether both ends announced it (RFC 7383 2.3)
        self._connecting: Connecting[IkeSa] | None = Connecting(path.remote)
        self.first_after_auth: int | None = None  # message ID of the peer's first request after its IKE_AUTH
        self.local_id: Identity | None = None
        self.remote_id: Identity | None = None
        self.eap_id = ""  # the user that EAP has authenticated
        self.granted = NOTHING  # by an AAA server, to that user
        self.proven_until: float | None = None  # what proved the peer's identity holds, Unix time; None: ever
        self.children = Children()
        self.network = NO_SETTINGS  # what its device has of it (RFC 7296 3.15)
        self.established_at: float | None = None
        self.lifetime = Lifetime()
        self.reauth_at: float | None = None
        self.authenticated_until: float | None = None  # None: as long as it lives (RFC 4478)
        self.reauth_due = False
        self.superseded: Superseded[IkeSa] | None = None
        self.busy_at = float("-inf")  # when the peer last repeated a request, or got TEMPORARY_FAILURE
        self.replacing: Replacing[IkeSa] = Replacing()
        self.rekeyed: Rekeyed[IkeSa] | None = None  # from REKEYED on
        self.set_up = SetUp(initiator, 0.0, 0.0, b"")
        self.redirection = Redirection()  # RFC 5685
        self.resumption = Resumption()  # RFC 5723
        self.crash_tokens: tuple[bytes, ...] = ()  # by which the peer says that it lost this (RFC 6290)
        self.announced = False  # events tell that it is up (`api.events`)
        self.newly_up: NewlyUp | None = None  # until the manager has enforced uniqueness
        # The peer's last request (its first fragment) and our response.
        self.last_answered: tuple[bytes, tuple[bytes, ...]] | None = None
        self.kept_path: Path | None = None  # the children's path, while `path` is being verified
        self.tasks: TaskQueue[IkeSa] = TaskQueue(self)
        self.desired = DesiredChildren()
        self.followups = Followups()
        self.window = Window(registry.retransmission)
        self.jobs = PendingJobs()
        self.reassembly = fragments.Reassembly()
        self._keys: IkeSaKeys | None = None
        self.heard_at = self.sent_at = 0.0
        self.probe_rate = Rate(PROBES_PER_SECOND)
        self.report_rate = Rate(PROBES_PER_SECOND)
        self.forgery_limit = ForgeryLimit()
        # Made by the peer's rekey of an IKE_SA that we rekey as well: that one.
        self.collides_with: IkeSa | None = None

    # -- what it is --------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The current phase; `enter` changes it."""
        return self._phase

    def enter(self, phase: Phase) -> None:
        """Change the phase. LocalMisuse if the transition is not permitted (`phase.FOLLOWS`)."""
        if phase is not self._phase and phase not in FOLLOWS[self._phase]:
            text = f"IKE_SA #{self.ike_id}: {phase.value} does not follow {self._phase.value}"
            raise LocalMisuse(text)
        self._phase = phase
        if phase not in (Phase.CREATED, Phase.CONNECTING):
            self._connecting = None

    @property
    def connecting(self) -> Connecting[IkeSa]:
        """What is known until both ends are authenticated. LocalMisuse if they are, or if it has ended."""
        if self._connecting is None:
            raise LocalMisuse(f"IKE_SA #{self.ike_id} is not being set up any more")
        return self._connecting

    @property
    def auth_round(self) -> AuthRound | None:
        """Where IKE_AUTH is, between two of its rounds."""
        return None if self._connecting is None else self._connecting.auth_round

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.CREATED, Phase.CONNECTING, Phase.ESTABLISHED)

    @property
    def end(self) -> End | None:
        """Why it ended, or is about to."""
        return self.announced_end if self.ended is None else self.ended.why

    @property
    def is_ending(self) -> bool:
        """Whether it is about to end, and its children with it."""
        return self.end is not None or self.phase is Phase.DELETING or self.tasks.waits(TaskKind.DELETE_IKE)

    @property
    def established(self) -> bool:
        return self.phase is Phase.ESTABLISHED

    @property
    def quiet(self) -> bool:
        """Whether it is established, and no task or child of ours is outstanding."""
        return self.phase is Phase.ESTABLISHED and not (self.tasks.all or self.desired.open)

    @property
    def waits_for_nothing(self) -> bool:
        """Whether neither a request of ours nor a computation is under way."""
        return not (self.window.outstanding or self.jobs.tickets)

    @property
    def entropy(self) -> Entropy:
        return self.registry.entropy

    @property
    def spi_local(self) -> bytes:
        return self.spi_i if self.initiator else self.spi_r

    @property
    def has_keys(self) -> bool:
        """Whether IKE_SA_INIT is complete."""
        return self._keys is not None

    @property
    def keys(self) -> IkeSaKeys:
        """The keys; LocalMisuse before IKE_SA_INIT is complete."""
        if self._keys is None:
            raise LocalMisuse(f"IKE_SA #{self.ike_id} has no keys yet")
        return self._keys

    @property
    def encap(self) -> bool:
        """Whether ESP is encapsulated in UDP: a NAT was detected or is feigned (RFC 7296 2.23)."""
        return self.nat.found or (self.connection.encap and self.nat.supported)

    @property
    def permitted(self) -> frozenset[ExchangeType]:
        """The exchanges that the peer may begin now."""
        if self.phase is not Phase.CONNECTING:
            return PERMITTED[self.phase]
        if self.initiator:
            return frozenset()
        planned = frozenset({self.connecting.plan.permitted})
        return planned if self.auth_round is None else planned | BETWEEN_ROUNDS

    def drops(self, exchange: int, *, repeated: bool) -> bool:
        """Whether a request is dropped unanswered, before IKE_AUTH, as it has no place there."""
        if self.phase is not Phase.CONNECTING:
            return False
        last = self.connecting.answered
        return (last is None or exchange != last.exchange) if repeated else exchange not in self.permitted

    def follows_auth(self, message_id: int) -> bool:
        """Whether a request directly follows the peer's IKE_AUTH, or a round of it (RFC 7296 2.21.2)."""
        return self.auth_round is not None or message_id == self.first_after_auth

    @property
    def in_collision(self) -> bool:
        """Whether it may turn out redundant, as both ends rekey its predecessor (RFC 7296 2.8.2)."""
        return self.collides_with is not None and self.collides_with.established

    @property
    def successor(self) -> IkeSa:
        """The IKE_SA that has the children after rekeys; this one if it was not rekeyed."""
        newest = self
        while newest.rekeyed is not None and newest.rekeyed.by is not None:
            newest = newest.rekeyed.by
        if self.rekeyed is not None and newest is not self:  # those between are kept no longer
            self.rekeyed = replace(self.rekeyed, by=newest)
        return newest

    @property
    def replaced(self) -> list[IkeSa]:
        """The established IKE_SAs that this one replaces, or their successors."""
        return [old.successor for old in self.replacing.olds if old.successor.established]

    @property
    def gives_up_at(self) -> float | None:
        """When it ends as the peer does not go on: with its set-up, or to delete what was rekeyed."""
        if self._connecting is not None:
            return self._connecting.give_up_at
        return None if self.rekeyed is None else self.rekeyed.until

    @property
    def children_path(self) -> Path:
        """The children's path: `path`, unless that is still being verified (RFC 4555 3.7)."""
        return self.kept_path or self.path

    def log(self, level: Level, text: str) -> Log:
        name = self.connection.name
        subject, sa = f"{name} #{self.ike_id}", NamedSa(name, self.ike_id, self.spi_i, self.spi_r)
        if level is Level.DEBUG:
            return Log(level, subject, text, sa=sa)
        if self.initiator or self.established_at is not None:
            identity = "" if self.remote_id is None else str(self.remote_id)
            return Log(level, subject, text, kind_of(text), Peer(name, identity), sa)
        # An unauthenticated peer may be anybody: the line is attributed to its address.
        cause = text.removeprefix(str(self.path.remote)).removeprefix(ENDED)
        kind = cause.partition(":")[0].partition(",")[0].strip()
        return Log(level, subject, text, kind, self.path.remote.address, sa)

    def report(self, event: Event, level: Level) -> list[Effect]:
        """An event, and the log's line about it."""
        return [event, self.log(level, event_text.text_of(event))]

    def report_of_chain(self, event: Event, level: Level) -> list[Effect]:
        """As `report`, but the line alone for an IKE_SA that no event tells of, as rekeys cross."""
        told = self.report(event, level)
        return told if self.announced else told[1:]

    def snapshot(self, *, children: bool = True) -> IkeSaSnapshot:
        listed = [c for c in self.children.values() if c.state is not ChildState.DELETED] if children else []
        sure = self.initiator  # whom it is to be, before it is authenticated
        return IkeSaSnapshot(
            ike_id=self.ike_id,
            connection=self.connection.name,
            state=self.phase.value,
            initiator=self.initiator,
            spi_i=self.spi_i,
            spi_r=self.spi_r,
            local_id=self.local_id or (self.connection.local.id if sure else None),
            remote_id=self.remote_id or (self.connection.remote.id if sure else None),
            eap_id=self.eap_id,
            granted=self.granted,
            path=self.path,
            children_path=self.children_path,
            nat_local=self.nat.local,
            nat_remote=self.nat.remote,
            encap=self.encap,
            proposal=None if self._keys is None else self._keys.proposal,
            mobike=self.mobike is not None,
            fragmentation=self.fragmentation,
            quantum_safe=self.quantum_safe,
            ppk=self.ppk,
            established_at=self.established_at,
            heard_at=self.heard_at,
            rekey_at=self.lifetime.rekey_at,
            expires_at=self.lifetime.expires_at,
            reauth_at=self.reauth_at,
            tasks_active=tuple([task.kind.name for task in self.tasks.under_way]),
            tasks_queued=tuple([task.kind.name for task in self.tasks.queued]),
            network=self.network,
            resumed=self.resumption.resumed is not None,
            children=tuple(child.snapshot() for child in listed),
        )

    @property
    def itself(self) -> IkeSaSnapshot:
        """A copy without children, for events."""
        return self.snapshot(children=False)

    # -- requests of ours --------------------------------------------------------------------------

    def enqueue(self, task: Task[IkeSa], *, first: bool = False) -> None:
        """Queue `task`, which `turns.proceed` starts. LocalMisuse if far too many tasks wait."""
        self.tasks.enqueue(task, first=first)

    def send_request(self, exchange: ExchangeType, payloads: Sequence[Payload], now: float) -> list[Effect]:
        header = self.header(exchange, self.window.next_request, response=False)
        datagrams = self.encode(header, payloads)
        if exchange in FIRST_EXCHANGES:
            (self.connecting.init.request,) = datagrams
        self.window.sent(datagrams, self.path, now, self.entropy.uniform())
        self.sent_at = now
        return [Send(self.path, one) for one in datagrams]

    def suspend(self, work: Computation, wanted: ResultPending, again: Again) -> list[Effect]:
        """Set a handler aside until a pending result is computed; `again` then runs it anew."""
        ticket = self.registry.compute(self)
        self.jobs.suspend(ticket, work, wanted, again)
        owner = self.path.remote.address
        return [Compute(ticket, wanted.job, wanted.seconds, self._rank, owner, wanted.waits)]

    @property
    def _rank(self) -> Rank:
        if self.established_at is not None:
            return Rank.ESTABLISHED
        if self.initiator:
            return Rank.OURS
        return Rank.EXPECTED if self.connecting.expected else Rank.STRANGER

    def send_unanswered(self, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """Send an INFORMATIONAL request and ignore its response; nothing if the peer's window is full."""
        if not self.window.has_room:
            return []
        return self.send_request(ExchangeType.INFORMATIONAL, payloads, now)

    def restart_init(self, task: Task[IkeSa]) -> None:
        """Restart IKE_SA_INIT with message ID 0, after COOKIE or INVALID_KE_PAYLOAD (RFC 7296 2.6)."""
        self.window.restart()
        self.spi_r = bytes(8)
        self.enqueue(task, first=True)

    # -- what tasks do to it -----------------------------------------------------------------------

    def set_keys(self, keys: IkeSaKeys) -> None:
        """Store the keys that IKE_SA_INIT or a rekey agreed on."""
        self._keep(keys)
        if proposals.has_ml_kem(keys.proposal):
            self.quantum_safe = self.keeps_safe = True

    def mix_keys(self, keys: IkeSaKeys) -> None:
        """Replace the keys by those with a PPK mixed in (RFC 8784 3); the former SK_d and SK_p are wiped."""
        former = self.keys.schedule.keys
        self._keep(keys)
        self.ppk = self.keeps_safe = True
        for secret in (former.sk_d, former.sk_pi, former.sk_pr):
            secret.wipe()

    def extend_keys(self, keys: IkeSaKeys) -> None:
        """Replace the keys by those that a further exchange before IKE_AUTH gave (RFC 9370 2.2.2)."""
        self.keys.wipe()
        self._keep(keys)

    def _keep(self, keys: IkeSaKeys) -> None:
        self._keys = keys
        self.registry.key_log.ike_keys(self.spi_i, self.spi_r, keys.schedule)

    def answered(self, exchange: int, keys: IkeSaKeys | None) -> None:
        """Note that a request of the peer's is answered; `keys`: those that follow, if it changed them."""
        if self._connecting is None:
            return
        self._connecting.answered = Answered(exchange, self.keys.cipher_in)
        if keys is not None:
            self.extend_keys(keys)

    @property
    def seed(self) -> Seed:
        """What all keys up to IKE_AUTH are derived from, beside the secrets of the key exchanges."""
        init = self.connecting.init
        return Seed(init.nonce_i, init.nonce_r, self.spi_i, self.spi_r)

    def with_covered(self, header: IkeHeader, message: Covered) -> IntAuth:
        """What AUTH covers of IKE_INTERMEDIATE after this message, which the current keys protect."""
        keys, initiator = self.keys.schedule.keys, header.from_initiator
        sk_p = keys.sk_pi if initiator else keys.sk_pr
        return self.connecting.int_auth.after(self.keys.suite.prf, sk_p, message, initiator=initiator)

    @property
    def repeated_cipher(self) -> SkCipher:
        """What opens a repetition of the peer's last request."""
        last = None if self._connecting is None else self._connecting.answered
        return self.keys.cipher_in if last is None else last.cipher

    def window_size(self) -> list[NotifyPayload]:
        """SET_WINDOW_SIZE, and open our window, if we accept several requests at once (RFC 7296 2.3)."""
        size = self.registry.config.daemon.window_size
        if size == 1:
            return []
        self.window.open(size)
        return [NotifyPayload(NotifyType.SET_WINDOW_SIZE, size.to_bytes(4, "big"))]

    def establish(self, now: float) -> list[Effect]:
        """Enter ESTABLISHED once both ends are authenticated, and start the lifetimes."""
        known = self.connecting
        self.enter(Phase.ESTABLISHED)
        self.registry.established(self)
        self.established_at = now
        lowest = min(known.init.nonce_i, known.init.nonce_r)
        self.set_up = replace(self.set_up, ended_at=now, lowest_nonce=lowest)
        self.newly_up = NewlyUp(known.initial_contact)
        if not self.initiator:
            self.first_after_auth = self.window.expected + 1
        chance = self.entropy.uniform()
        self.lifetime = lifetime.of_ike(self.connection, now, chance)
        self.reauth_at = lifetime.reauthentication(self.connection, now, chance)
        self.announced = True
        told = self.report(IkeUp(self.itself), Level.INFO)
        if not self.keeps_safe and self.connection.offers_ml_kem:
            told.append(self.log(Level.INFO, "the peer does without ML-KEM: it is not quantum-safe"))
        return told

    def rekeyed_as(self, new: IkeSa) -> list[Effect]:
        """Tell that `new` has the children from now on."""
        told = self.report_of_chain(IkeRekeyed(self.itself, new.itself), Level.INFO)
        new.announced, self.announced = self.announced or new.announced, False
        return told

    def another(self, spi_i: bytes, spi_r: bytes, *, initiator: bool) -> IkeSa:
        """Create another IKE_SA between the same two ends, for a rekey."""
        new = IkeSa(self.registry, self.connection, self.path, spi_i=spi_i, spi_r=spi_r, initiator=initiator)
        new.redirection.followed_by_peer = self.redirection.followed_by_peer
        new.conforms_to = self.conforms_to if self.registry.is_current(self.connection) else 0
        return new

    def settle_collision(self, now: float) -> list[Effect]:
        """As this IKE_SA ends during our rekey of it, keep the IKE_SA of the peer's rekey, if any."""
        task = self.tasks.current
        return [] if task is None else task.settle_collision(self, now)

    def kill(
        self,
        end: End,
        text: str,
        level: Level = Level.INFO,
        *,
        details: str = "",
        failure: Failure | None = None,
    ) -> list[Effect]:
        """Enter DEAD and tell why; `teardown.tear_down` does the rest.

        `text` is for people, `details` for those who read the log; `failure` is the error behind it, if any.
        """
        if self.phase is Phase.DEAD:
            return []
        if self.phase is Phase.REKEYED:
            end = End.REPLACED
        else:  # our own reason holds even if the peer's delete crosses ours, or no response comes
            meant = [one for one in (self.announced_end, *self.tasks.ends) if one in MEANT]
            end = min(meant, key=MEANT.index, default=end)
        self.ended = Ended(end, text, self.announced)
        self.enter(Phase.DEAD)
        told = text + details
        if self.announced:
            self.announced = False
            return self.report(IkeDown(self.itself, end, failure, told), level)
        if self.established_at is None:
            return self.report(IkeSetUpFailed(self.itself, self.path, end, failure, told), level)
        return [self.log(level, f"{ENDED}{told}")]  # another one has its children

    def wipe(self) -> None:
        """Overwrite the keys."""
        if self._keys is not None:
            self._keys.wipe()

    # -- its children ------------------------------------------------------------------------------

    def has_child(self, name: str, child_id: int | None = None) -> bool:
        """Whether a child of this name, as it is configured, (and with this child_id) is in use and stays."""
        return self.children.has(self.connection.children.get(name), child_id)

    def remove_child(self, child_id: int, reason: ChildRemoval) -> list[Effect]:
        child = self.children.pop(child_id)
        self.registry.remove_child(self, child)
        level = Level.DEBUG if child.state is ChildState.DELETED else Level.INFO
        line = self.log(level, event_text.removed(child.snapshot(), reason))
        child.wipe()
        # The event first: who hears of it can still read the child's counters.
        return [*self.child_down(child, reason), RemoveChild(child_id), line]

    def child_up(self, child: ChildSa) -> list[Effect]:
        """Tell that a child is up which replaces none."""
        child.announced = True
        return [ChildUp(self.itself, child.snapshot())]

    def child_down(self, child: ChildSa, reason: ChildRemoval) -> list[Effect]:
        """Tell that a child is none any more, unless it is known to be down or replaced."""
        told, child.announced = child.announced, False
        return [ChildDown(self.itself, child.snapshot(), reason)] if told else []

    # -- its device --------------------------------------------------------------------------------

    def set_network(self, settings: NetworkSettings) -> list[Effect]:
        """Give the device these settings for as long as this IKE_SA lives, in the place of former ones."""
        if settings == self.network:
            return []
        self.network = settings
        if self.lessee is not None:
            self.registry.pools.hold(self.ike_id, self.connection.pools, self.lessee, settings.leases)
        return [SetNetworkSettings(self.connection.name, self.ike_id, settings)]

    @property
    def lessee(self) -> Identity | None:
        """To whom a virtual address is given: the user that EAP has authenticated, or else the peer."""
        if not self.eap_id:
            return self.remote_id
        return Identity.of_user(self.eap_id) or Identity(IdType.FQDN, self.eap_id.encode())

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """What "dynamic" means in `local_ts`: our virtual addresses, or else that of IKE."""
        return tuple(one.ip for one in self.network.addresses) or (self.path.local.address,)

    @property
    def remote_addresses(self) -> tuple[Address, ...]:
        """What "dynamic" means in `remote_ts`: the peer's virtual addresses, or else that of IKE."""
        return self.network.leases or (self.path.remote.address,)

    def hand_over_network(self, new: IkeSa) -> list[Effect]:
        """Leave the settings to the IKE_SA that a rekey has made; the device has them all the time."""
        return [*new.set_network(self.network), *self.set_network(NO_SETTINGS)]

    # -- headers -----------------------------------------------------------------------------------

    def header(self, exchange: int, message_id: int, *, response: bool) -> IkeHeader:
        flags = int(HeaderFlag.INITIATOR) if self.initiator else 0
        if response:
            flags |= int(HeaderFlag.RESPONSE)
        return IkeHeader(self.spi_i, self.spi_r, exchange, flags, message_id)

    def encode(self, header: IkeHeader, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """Encode a message into datagrams: protected once there are keys, fragmented if negotiated."""
        if self._keys is None:
            return (self.encode_unprotected(header, payloads),)
        if header.exchange == ExchangeType.IKE_INTERMEDIATE and self._connecting is not None:
            self._connecting.int_auth = self.with_covered(header, int_auth.of_sent(header, payloads))
        limit: int | None = None
        if self.fragmentation and self.connection.fragmentation == "yes":
            packet = self.registry.config.daemon.fragment_size
            limit = fragments.message_limit(packet, self.path.remote.address)
        encode, random = self.registry.encode, self.entropy.random
        return encode(self.connection.name, header, payloads, self._keys.cipher_out, random, limit)

    def encode_unprotected(self, header: IkeHeader, payloads: Sequence[Payload]) -> bytes:
        """Encode a message of IKE_SA_INIT or IKE_SESSION_RESUME."""
        encode = self.registry.encode
        (datagram,) = encode(self.connection.name, header, payloads, None, self.entropy.random, None)
        return datagram


Registry = SaRegistry[IkeSa]
Settle = Callable[[IkeSa, list[Effect], float], list[Effect]]  # `IkeManager._settle`
