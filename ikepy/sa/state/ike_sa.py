"""One IKE_SA: what is known of it, and what each step of its life makes of that.

It knows no task: what arrives is worked on in `incoming`, what the clock brings in `driver`, what an exchange
means stands in `tasks/`, and which of these has its turn in `turns`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ikepy.config.identity import Identity
from ikepy.config.model import Child, Connection
from ikepy.errors import LocalMisuse
from ikepy.sa.admission.connection_match import NOBODY
from ikepy.sa.admission.rate_limit import Rate
from ikepy.sa.api.computation import Computation, ResultPending
from ikepy.sa.api.effects import Compute, Effect, Event, Level, Log, Rank, RemoveChild, Send, Topic
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.api.log_source import Peer, kind_of
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.snapshot import IkeSaSnapshot, shown
from ikepy.sa.message import fragments
from ikepy.sa.message.window import Window
from ikepy.sa.negotiation.nat import Nat
from ikepy.sa.negotiation.proposals import describe
from ikepy.sa.negotiation.ts_request import Pair
from ikepy.sa.state import lifetime
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.desired_children import DesiredChildren
from ikepy.sa.state.forgery_limit import ForgeryLimit
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.init_exchange import InitExchange
from ikepy.sa.state.lifetime import Lifetime
from ikepy.sa.state.peer_addresses import Mobike
from ikepy.sa.state.pending_jobs import Again, PendingJobs
from ikepy.sa.state.phase import FOLLOWS, End, Phase
from ikepy.sa.state.registry import SaRegistry
from ikepy.sa.state.set_up import SetUp
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.state.task_queue import TaskQueue
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import NotifyPayload, Payload

# Ends that stay what they are, whatever the peer says; of several the first counts.
MEANT = (End.DELETED, End.EXPIRED, End.REPLACED)
FIRST_AFTER_AUTH = 2  # the message ID of the initiator's request behind IKE_AUTH
ENDED = "IKE_SA ended: "
DOUBTS = 0.1  # a second: liveness checks and notifies that strangers can make us send


class IkeSa:
    """A sans-IO machine: every call gives effects, in the order in which they are to be run."""

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
        self.candidates = NOBODY  # the connections that the peer may mean, if it began
        self.path = path
        self.spi_i, self.spi_r = spi_i, spi_r
        self.initiator = initiator
        self._phase = Phase.CREATED
        self.end: End | None = None  # why it is dead, or is about to be
        self.nat = Nat()
        self.mobike: Mobike | None = None  # what is known if both ends speak MOBIKE (RFC 4555)
        self.stranded = False  # our address is gone, and there is no other to use
        self.fragmentation = False  # whether both ends announced it (RFC 7383 2.3)
        self.init = InitExchange()
        self.local_id: Identity | None = None
        self.remote_id: Identity | None = None
        self.initial_contact = False
        self.peer_childless = False  # the responder takes an IKE_AUTH without a child (RFC 6023)
        self.children: dict[int, ChildSa] = {}
        self.established_at: float | None = None
        self.lifetime = Lifetime()
        self.reauth_at: float | None = None
        self.reauth_due = False
        self.superseded_at: float | None = None  # when it has to go, for the peer has authenticated anew
        self.superseded_last = 0.0  # the same at the latest
        self.superseded_by: IkeSa | None = None
        self.busy_at = float("-inf")  # when the peer last asked for something again, or in vain
        self.replaces: list[IkeSa] = []  # those that go when their children are here
        self.settles_at: float | None = None  # not before; the peer is to have heard of its own children
        self.bounces = 0  # how many before it were ended by the peer as soon as they were up
        self.set_up = SetUp(initiator, 0.0, 0.0, b"")
        self.end_text = ""  # the same for people
        self.torn_down = False  # what its end brings with it is done
        self.ended_children: tuple[Child, ...] = ()  # those that stood when it ended, or were to come up
        self.ended_wishes: tuple[Child, ...] = ()  # of these, those that did not stand
        self.expected = False  # whether the peer began, and shows that it is where one of ours may be
        self.init_remote: Endpoint | None = None  # whence IKE_SA_INIT came, if the peer began
        self.checked_unique = False
        # The peer's last request (its first fragment) and our response.
        self.last_answered: tuple[bytes, tuple[bytes, ...]] | None = None
        self.kept_path: Path | None = None  # the children's, while `path` is on trial
        self.tasks: TaskQueue[IkeSa] = TaskQueue(self)
        self.desired = DesiredChildren()
        self.window = Window(registry.retransmission)
        self.jobs = PendingJobs()
        self.reassembly = fragments.Reassembly()
        self._keys: IkeSaKeys | None = None
        self.heard_at = self.sent_at = 0.0
        self.give_up_at: float | None = None
        self.doubts = Rate(DOUBTS)
        self.complaints = Rate(DOUBTS)
        self.excess = ForgeryLimit()
        self.collides_with: IkeSa | None = (
            None  # the peer made this one while a rekey of that one is under way
        )
        self.succeeded_by: IkeSa | None = None  # it has our children
        self.frees: IkeSa | None = None  # the one that is deleted when this one has gone

    # -- what it is --------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """Where in its life it is."""
        return self._phase

    def enter(self, phase: Phase) -> None:
        """The only way into another phase. LocalMisuse if that may not follow (`phase.FOLLOWS`)."""
        if phase is not self._phase and phase not in FOLLOWS[self._phase]:
            text = f"IKE_SA #{self.ike_id}: {phase.value} does not follow {self._phase.value}"
            raise LocalMisuse(text)
        self._phase = phase

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.CREATED, Phase.CONNECTING, Phase.ESTABLISHED)

    @property
    def is_ending(self) -> bool:
        """Whether it is about to end, so that what is on it is not there to stay."""
        return self.end is not None or self.phase is Phase.DELETING or self.tasks.waits(TaskKind.DELETE_IKE)

    @property
    def established(self) -> bool:
        return self.phase is Phase.ESTABLISHED

    @property
    def quiet(self) -> bool:
        """Whether it is established and nothing of ours is under way or waits."""
        return self.phase is Phase.ESTABLISHED and not (self.tasks.all or self.desired.open)

    @property
    def entropy(self) -> Entropy:
        return self.registry.entropy

    @property
    def spi_local(self) -> bytes:
        return self.spi_i if self.initiator else self.spi_r

    @property
    def has_keys(self) -> bool:
        """Whether IKE_SA_INIT is through."""
        return self._keys is not None

    @property
    def keys(self) -> IkeSaKeys:
        """LocalMisuse before IKE_SA_INIT is through."""
        if self._keys is None:
            raise LocalMisuse(f"IKE_SA #{self.ike_id} has no keys yet")
        return self._keys

    @property
    def encap(self) -> bool:
        """Whether ESP goes in UDP: a NAT was found or is pretended (RFC 7296 2.23)."""
        return self.nat.found or (self.connection.encap and self.nat.supported)

    def follows_auth(self, message_id: int) -> bool:
        """Whether a request of the peer's is the one behind its IKE_AUTH (RFC 7296 2.21.2)."""
        return not self.initiator and bool(self.init.request) and message_id == FIRST_AFTER_AUTH

    @property
    def in_collision(self) -> bool:
        """Whether it is not clear yet if it stays: both ends rekey the one before it (RFC 7296 2.8.2)."""
        return self.collides_with is not None and self.collides_with.established

    @property
    def successor(self) -> IkeSa:
        """This IKE_SA, or the one that its children are on after rekeys."""
        return self if self.succeeded_by is None else self.succeeded_by.successor

    @property
    def replaced(self) -> list[IkeSa]:
        """Those that stand and that this one replaces, or what has become of them."""
        return [old.successor for old in self.replaces if old.successor.established]

    @property
    def children_path(self) -> Path:
        """Whither the children send: `path`, unless that is on trial (RFC 4555 3.7)."""
        return self.kept_path or self.path

    def log(self, level: Level, text: str) -> Log:
        subject = f"{self.connection.name} #{self.ike_id}"
        if level is Level.DEBUG:
            return Log(level, subject, text)
        if self.initiator or self.established_at is not None:
            identity = "" if self.remote_id is None else str(self.remote_id)
            return Log(level, subject, text, kind_of(text), Peer(self.connection.name, identity))
        # What is not authenticated is a stranger's, and so are the lines about it.
        cause = text.removeprefix(str(self.path.remote)).removeprefix(ENDED)
        kind = cause.partition(":")[0].partition(",")[0].strip()
        return Log(level, subject, text, kind, self.path.remote.address)

    def snapshot(self) -> IkeSaSnapshot:
        return IkeSaSnapshot(
            ike_id=self.ike_id,
            connection=self.connection.name,
            state=self.phase.value,
            initiator=self.initiator,
            spi_i=self.spi_i,
            spi_r=self.spi_r,
            local_id=shown(self.local_id, self.connection.local.id, sure=self.initiator),
            remote_id=shown(self.remote_id, self.connection.remote.id, sure=self.initiator),
            path=self.path,
            nat_local=self.nat.local,
            nat_remote=self.nat.remote,
            encap=self.encap,
            suite="" if self._keys is None else describe(self._keys.proposal),
            established_at=self.established_at,
            children=tuple(c.snapshot() for c in self.children.values() if c.state is not ChildState.DELETED),
        )

    # -- requests of ours --------------------------------------------------------------------------

    def enqueue(self, task: Task[IkeSa], *, first: bool = False) -> None:
        """Let `task` have its turn; `turns.proceed` begins it. LocalMisuse if far too many wait."""
        self.tasks.enqueue(task, first=first)

    def send_request(self, exchange: ExchangeType, payloads: Sequence[Payload], now: float) -> list[Effect]:
        header = self.header(exchange, self.window.next_request, response=False)
        datagrams = self.encode(header, payloads)
        if exchange == ExchangeType.IKE_SA_INIT:
            (self.init.request,) = datagrams
        self.window.sent(datagrams, self.path, now, self.entropy.uniform())
        self.sent_at = now
        return [Send(self.path, one) for one in datagrams]

    def lay_aside(self, work: Computation, wanted: ResultPending, again: Again) -> list[Effect]:
        """Have something computed: `again` is called when it is there, with all that happened meanwhile."""
        ticket = self.registry.compute(self)
        self.jobs.lay_aside(ticket, work, wanted, again)
        return [Compute(ticket, wanted.job, wanted.seconds, self._rank, self.path.remote.address)]

    @property
    def _rank(self) -> Rank:
        if self.established_at is not None:
            return Rank.ESTABLISHED
        if self.initiator:
            return Rank.OURS
        return Rank.EXPECTED if self.expected else Rank.STRANGER

    def send_unanswered(self, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """A protected request whose response nobody waits for; none if the peer takes no more now."""
        if not self.window.has_room:
            return []
        return self.send_request(ExchangeType.INFORMATIONAL, payloads, now)

    def restart_init(self, task: Task[IkeSa]) -> None:
        """Begin again with message ID 0 (COOKIE, INVALID_KE_PAYLOAD)."""
        self.window.restart()
        self.spi_r = bytes(8)
        self.enqueue(task, first=True)

    # -- what tasks do to it -----------------------------------------------------------------------

    def set_keys(self, keys: IkeSaKeys) -> None:
        """IKE_SA_INIT is through."""
        self._keys = keys

    def window_size(self) -> list[NotifyPayload]:
        """What tells the peer how many requests we take at once, if it is more than one (RFC 7296 2.3)."""
        size = self.registry.config.daemon.window_size
        if size == 1:
            return []
        self.window.open(size)
        return [NotifyPayload(NotifyType.SET_WINDOW_SIZE, size.to_bytes(4, "big"))]

    def establish(self, now: float) -> list[Effect]:
        """Both ends are authenticated."""
        self.enter(Phase.ESTABLISHED)
        self.registry.established(self)
        self.established_at = now
        lowest = min(self.init.nonce_i, self.init.nonce_r)
        self.set_up = replace(self.set_up, ended_at=now, lowest_nonce=lowest)
        self.give_up_at = None
        chance = self.entropy.uniform()
        self.lifetime = lifetime.of_ike(self.connection, now, chance)
        self.reauth_at = lifetime.reauthentication(self.connection, now, chance)
        text = f"{self.local_id} at {self.path.local} === {self.remote_id} at {self.path.remote}"
        return [
            Event(Topic.IKE_UP, self.connection.name, self.ike_id, text=text),
            self.log(Level.INFO, f"IKE_SA established, {text}"),
        ]

    def another(self, spi_i: bytes, spi_r: bytes, *, initiator: bool) -> IkeSa:
        """A further IKE_SA between the same two ends."""
        return IkeSa(self.registry, self.connection, self.path, spi_i=spi_i, spi_r=spi_r, initiator=initiator)

    def settle_collision(self, now: float) -> list[Effect]:
        """This IKE_SA ends while our rekey of it is under way: the peer's own rekey stays, if any."""
        task = self.tasks.current
        return [] if task is None else task.settle_collision(self, now)

    def kill(self, end: End, text: str, level: Level = Level.INFO, details: str = "") -> list[Effect]:
        """It is over, which one line of the log tells; `ending.tear_down` does what follows."""
        if self.phase is Phase.DEAD:
            return []
        if self.phase is Phase.REKEYED:
            end = End.REPLACED
        else:  # also if the peer's delete crosses ours, or no answer comes, to it or to what is before it
            meant = [one for one in (self.end, *self.tasks.ends) if one in MEANT]
            end = min(meant, key=MEANT.index, default=end)
        self.end = end
        self.end_text = text
        self.enter(Phase.DEAD)
        return [self.log(level, f"{ENDED}{text}{details}")]

    def wipe(self) -> None:
        """Its keys are not needed any more."""
        if self._keys is not None:
            self._keys.wipe()

    # -- its children ------------------------------------------------------------------------------

    def child_by_outbound(self, spi: int) -> ChildSa | None:
        """The child that we send under this SPI: the peer may have given it to two, and one may be gone."""
        found = [child for child in self.children.values() if child.spi_out == spi]
        return min(found, key=lambda child: child.state is ChildState.DELETED, default=None)

    def has_child(self, name: str, child_id: int | None = None) -> bool:
        """Whether a child of this name (and with this number) stands and stays."""
        return any(
            child.config.name == name and child.stays and child_id in (None, child.child_id)
            for child in self.children.values()
        )

    def alike(self, child: ChildSa) -> ChildSa | None:
        """Another child for the same traffic, which stays."""
        others = (c for c in self.children.values() if c is not child and c.stays)
        return next(
            (c for c in others if c.config.name == child.config.name and c.selectors == child.selectors), None
        )

    def carries(self, name: str, packet: Pair) -> bool:
        """Whether a child of this name stands, and stays, under which such a packet can be sent."""
        return any(
            child.config.name == name and child.in_use and child.selectors.carries(packet)
            for child in self.children.values()
        )

    def lacks(self, name: str, packet: Pair) -> bool:
        """Whether children of this name stand, and another one is to be asked for to carry such a packet."""
        partial = [c for c in self.children.values() if c.config.name == name and c.in_use and c.trapped]
        return bool(partial) and not self.carries(name, packet)

    def remove_child(self, child_id: int, why: str) -> list[Effect]:
        child = self.children.pop(child_id)
        self.registry.remove_child(self, child)
        text = f"{child.config.name} #{child_id} removed ({why})"
        return [
            RemoveChild(child_id),
            Event(Topic.CHILD_DOWN, self.connection.name, self.ike_id, child.config.name, child_id, text),
            self.log(Level.DEBUG if child.state is ChildState.DELETED else Level.INFO, f"CHILD_SA {text}"),
        ]

    # -- headers -----------------------------------------------------------------------------------

    def header(self, exchange: int, message_id: int, *, response: bool) -> IkeHeader:
        flags = int(HeaderFlag.INITIATOR) if self.initiator else 0
        if response:
            flags |= int(HeaderFlag.RESPONSE)
        return IkeHeader(self.spi_i, self.spi_r, exchange, flags, message_id)

    def encode(self, header: IkeHeader, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The datagrams of a message."""
        if self._keys is None:
            return (encode_message(header, payloads),)
        limit: int | None = None
        if self.fragmentation and self.connection.fragmentation == "yes":
            packet = self.registry.config.daemon.fragment_size
            limit = fragments.message_limit(packet, self.path.remote.address)
        return fragments.seal(header, payloads, self._keys.cipher_out, self.entropy.random, limit)


Registry = SaRegistry[IkeSa]
Settle = Callable[[IkeSa, list[Effect], float], list[Effect]]  # `IkeManager.settle`
