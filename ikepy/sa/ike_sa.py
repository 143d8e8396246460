"""One IKE_SA: what arrives is checked, decrypted and given to a task; what tasks want is sent.

Everything that moves an IKE_SA passes through here; what an exchange means stands in `tasks/`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from ikepy.config.identity import Identity
from ikepy.config.model import Child, Connection
from ikepy.errors import IntegrityError, LocalMisuse, PeerError, WireError
from ikepy.wire import rules
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader, Message, encode_message
from ikepy.wire.payloads import DeletePayload, NotifyPayload, Payload

from . import fragments, lifetime, limits, pick, protection
from .child import ChildSa, ChildState
from .child_negotiation import configured
from .effects import (
    Effect,
    Event,
    Level,
    Log,
    RemoveChild,
    RemoveOutbound,
    Send,
    SendKeepalive,
    Topic,
    UpdatePath,
)
from .info import IkeSaInfo
from .keyed import Keyed
from .lifetime import Lifetime
from .mobike import Mobike
from .nat import Nat
from .path import Endpoint, Path
from .phase import PERMITTED, End, Phase
from .proposals import describe
from .rate import Rate
from .scope import Pair, Scope, Selectors, pair_of
from .shared import Shared
from .tasks import init, mobike, respond
from .tasks.auth import AuthTask, Wanted
from .tasks.child_create import ChildCreate
from .tasks.child_rekey import ChildRekey
from .tasks.delete import LINGER, DeleteChild, DeleteIke
from .tasks.ike_rekey import IkeRekey
from .tasks.liveness import Liveness
from .tasks.task import Answer, Task, outcomes
from .tasks.tell import Tell
from .unique import SetUp
from .window import Arrival, Window

DOUBTS = 0.1  # a second: liveness checks and notifies that strangers can make us send
MAX_TASKS = 1024  # commands that may wait for their turn on one IKE_SA
MOST_DOUBLINGS = 7  # of the wait before a child that does not last is brought up again: 2 minutes
STABLE = 10.0  # seconds that a child has to last, or it is not brought up again at once
HARMLESS = (Liveness, Tell, *mobike.TASKS)  # tasks that leave the SAs what they are
SUCCEEDED = (End.DELETED_BY_PEER, End.REAUTHENTICATED, End.REPLACED, End.DELETED)
MOST_REQUESTS = 16  # of ours at once, if the peer takes as many
REKEYED_TIMEOUT = 60.0  # seconds until an IKE_SA that the peer replaced but never deleted goes


class IkeSa:
    """A sans-IO machine: every call gives effects, in the order in which they are to be run."""

    def __init__(
        self,
        shared: Shared,
        connection: Connection,
        path: Path,
        *,
        spi_i: bytes,
        spi_r: bytes,
        initiator: bool,
    ) -> None:
        self.shared = shared
        self.ike_id = shared.next_ike_id()
        self.connection = connection
        self.candidates: list[Connection] = [connection]
        self.path = path
        self.spi_i, self.spi_r = spi_i, spi_r
        self.initiator = initiator
        self.phase = Phase.CREATED
        self.end: End | None = None
        self.nat = Nat()
        self.mobike: Mobike | None = None  # what is known if both ends speak MOBIKE (RFC 4555)
        self.stranded = False  # our address is gone, and there is no other to use
        self.fragmentation = False  # whether both ends announced it (RFC 7383 2.3)
        self.init = init.InitExchange()
        self.local_id: Identity | None = None
        self.remote_id: Identity | None = None
        self.initial_contact = False
        self.peer_childless = False  # the responder takes an IKE_AUTH without a child (RFC 6023)
        self.children: dict[int, ChildSa] = {}
        self.wanted: deque[Wanted] = deque()
        self.established_at: float | None = None
        self.lifetime = Lifetime()
        self.reauth_at: float | None = None
        self.reauth_due = False
        self.superseded_at: float | None = None  # when it has to go, for the peer has authenticated anew
        self.superseded_by: IkeSa | None = None
        self.replaces: list[IkeSa] = []  # those that go when their children are here
        self.settles_at: float | None = None  # not before; the peer is to have heard of its own children
        self.tries = 1  # which attempt of `keyingtries` this is
        self.bounces = 0  # how many before it were ended by the peer as soon as they were up
        self.set_up = SetUp(initiator, 0.0, 0.0, b"")
        self.purpose: list[str] = []  # the children that it was to bring up before it stood
        self.ended_children: tuple[Child, ...] = ()  # those that stood when it ended, or were to come up
        self.init_remote: Endpoint | None = None  # whence IKE_SA_INIT came, if the peer began
        self.checked_unique = False
        # The peer's last request (its first fragment) and our response.
        self.last_answered: tuple[bytes, tuple[bytes, ...]] | None = None
        self._children_path: Path | None = None  # while `path` is on trial
        self._window = Window(shared.retransmission)
        self._reassembly = fragments.Reassembly()
        self._tasks: deque[Task] = deque()
        self._under_way: dict[int, Task] = {}  # by the message ID of their requests, oldest first
        self._keyed: Keyed | None = None
        self._postponed: list[tuple[float, Task]] = []
        self._bounced: dict[str, int] = {}  # how often in a row a child ended that hardly lasted
        self._heard = self._sent = 0.0
        self._give_up_at: float | None = None
        self._doubts = Rate(DOUBTS)
        self.complaints = Rate(DOUBTS)
        self.contests: IkeSa | None = None  # the peer made this one while a rekey of that one is under way
        self._heir: IkeSa | None = None  # it has our children

    # -- what it is --------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.CREATED, Phase.CONNECTING, Phase.ESTABLISHED)

    @property
    def established(self) -> bool:
        return self.phase is Phase.ESTABLISHED

    @property
    def under_way(self) -> list[Task]:
        """The tasks whose requests are under way, oldest first: more than one if the peer takes that."""
        return list(self._under_way.values())

    @property
    def current_task(self) -> Task | None:
        """The oldest of them; the only one if it is of those that have to be alone."""
        return next(iter(self._under_way.values()), None)

    @property
    def quiet(self) -> bool:
        """Whether it is established and nothing of ours is under way or waits."""
        waiting = self._under_way or self._tasks or self._postponed or self.wanted
        return self.phase is Phase.ESTABLISHED and not waiting

    @property
    def busy(self) -> bool:
        """Whether a request of ours is under way that changes which SAs there are (RFC 7296 2.25)."""
        return any(not isinstance(task, HARMLESS) for task in self._under_way.values())

    @property
    def spi_local(self) -> bytes:
        return self.spi_i if self.initiator else self.spi_r

    @property
    def keyed(self) -> Keyed:
        """LocalMisuse before IKE_SA_INIT is through."""
        if self._keyed is None:
            raise LocalMisuse(f"IKE_SA #{self.ike_id} has no keys yet")
        return self._keyed

    @property
    def encap(self) -> bool:
        """Whether ESP goes in UDP: a NAT was found or is pretended (RFC 7296 2.23)."""
        return self.nat.found or (self.connection.encap and self.nat.supported)

    @property
    def contested(self) -> bool:
        """Whether it is not clear yet if it stays: both ends rekey the one before it (RFC 7296 2.8.2)."""
        return self.contests is not None and self.contests.established

    @property
    def heir(self) -> IkeSa:
        """This IKE_SA, or the one that its children are on after rekeys."""
        return self if self._heir is None else self._heir.heir

    @property
    def children_path(self) -> Path:
        """Whither the children send: `path`, unless that is on trial (RFC 4555 3.7)."""
        return self._children_path or self.path

    def leave_children(self, path: Path) -> None:
        """The children go on sending to `path`, until `redirect`."""
        self._children_path = None if path == self.path else path

    @property
    def creating(self) -> list[ChildCreate | ChildRekey]:
        """The tasks that wait for a child of the peer's making."""
        return [task for task in self._under_way.values() if isinstance(task, ChildCreate | ChildRekey)]

    def overtaken_by_delete(self, spi_out: int) -> None:
        """The peer deletes an unknown child, which may be the one that we wait for."""
        for task in self.creating:
            task.create.overtaken_by_delete(spi_out)

    def child_by_outbound(self, spi: int) -> ChildSa | None:
        """The child that we send under this SPI: the peer may have given it to two, and one may be gone."""
        found = [child for child in self.children.values() if child.spi_out == spi]
        return min(found, key=lambda child: child.state is ChildState.DELETED, default=None)

    def log(self, level: Level, text: str) -> Log:
        return Log(level, f"{self.connection.name} #{self.ike_id}", text)

    def info(self) -> IkeSaInfo:
        return IkeSaInfo(
            ike_id=self.ike_id,
            connection=self.connection.name,
            state=self.phase.value,
            initiator=self.initiator,
            spi_i=self.spi_i,
            spi_r=self.spi_r,
            local_id="" if self.local_id is None else str(self.local_id),
            remote_id="" if self.remote_id is None else str(self.remote_id),
            path=self.path,
            nat_local=self.nat.local,
            nat_remote=self.nat.remote,
            encap=self.encap,
            suite="" if self._keyed is None else describe(self._keyed.proposal),
            established_at=self.established_at,
            children=tuple(c.info() for c in self.children.values() if c.state is not ChildState.DELETED),
        )

    # -- what happens to it ------------------------------------------------------------------------

    def initiate(self, now: float) -> list[Effect]:
        """Begin with IKE_SA_INIT."""
        self.phase = Phase.CONNECTING
        self.set_up = SetUp(True, now, now, b"", bool(self.replaces))
        self.enqueue(init.InitTask(self))
        return [self.log(Level.INFO, f"initiating IKE_SA, {self.path}"), *self.proceed(now)]

    def accept_init(self, message: Message, datagram: bytes, now: float) -> list[Effect]:
        """Answer the peer's IKE_SA_INIT; PeerError or WireError if it is not acceptable."""
        self._check(message.header, message.payloads, protected=False)
        payloads = init.respond(self, message.header, message.payloads, datagram)
        self.phase = Phase.CONNECTING
        self.set_up = SetUp(False, now, now, b"")
        self._give_up_at = now + self.shared.config.daemon.half_open_timeout
        self.init.response = encode_message(
            self._header(ExchangeType.IKE_SA_INIT, 0, response=True), payloads
        )
        self._window.answered(0, (self.init.response,))
        self._heard = self._sent = now
        return [
            self.log(Level.INFO, f"{self.path.remote} initiates an IKE_SA, {describe(self.keyed.proposal)}"),
            Send(self.path, self.init.response),
        ]

    def repeat_init(self, path: Path) -> list[Effect]:
        """The peer repeats its IKE_SA_INIT: so do we, until it goes on to IKE_AUTH."""
        return [Send(path, one) for one in self._window.reply(0)]

    def receive(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        """A message for this IKE_SA; what is not authentic is dropped without a trace but a debug line."""
        header = message.header
        if header.from_initiator == self.initiator or self.phase is Phase.DEAD:
            return []
        try:
            if header.is_response:
                return self._response(datagram, message, path, now)
            return self._request(datagram, message, path, now)
        except (WireError, IntegrityError) as error:
            return [self.log(Level.DEBUG, f"dropped a message from {path.remote}: {error}")]

    def tick(self, now: float) -> list[Effect]:
        """Do what is due: retransmit, ask for life, keep the NAT's mapping, forget what is over."""
        if self.phase is Phase.DEAD:
            return []
        if self._give_up_at is not None and now >= self._give_up_at:
            return self.kill(End.TIMEOUT, "timed out")
        if self._window.exhausted(now):
            return self._unanswered()
        effects: list[Effect] = []
        again = self._window.retransmit(now, self.shared.entropy.uniform())
        if again is not None:
            effects.append(self.log(Level.INFO, f"retransmit {again.attempt} of request {again.message_id}"))
            effects += mobike.unanswered(self, again.attempt)
            effects += [Send(again.path, one) for one in again.datagrams]
            self._sent = now
        self._reassembly.expire(now)
        self._resume_postponed(now)
        for child in list(self.children.values()):
            effects += self._tend(child, now)
        if self.phase is Phase.ESTABLISHED:
            effects += self._tend_itself(now)
        due = self._liveness_due()
        if due is not None and now >= due:
            self.enqueue(Liveness())
        due = self._keepalive_due()
        if due is not None and now >= due:
            effects.append(SendKeepalive(self.path))
            self._sent = now
        return effects + self.proceed(now)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next, on the caller's clock."""
        if self.phase is Phase.DEAD:
            return None
        times = [
            self._give_up_at,
            self._window.deadline,
            self._reassembly.deadline,
            self._liveness_due(),
            self._keepalive_due(),
        ]
        for child in self.children.values():
            times += child.deadlines
        if self._postponed:
            times += [at for at, _ in self._postponed]
        if self.phase is Phase.ESTABLISHED:
            times += [self.lifetime.rekey_at, self.lifetime.expires_at, self.superseded_at, self.settles_at]
            times.append(None if self.contested else self.reauth_at)
        return min([t for t in times if t is not None], default=None)

    def _liveness_due(self) -> float | None:
        delay = self.connection.dpd_delay
        if not delay or self.phase is not Phase.ESTABLISHED or self._window.outstanding or self._tasks:
            return None
        return self._heard + delay

    def ask_for_life(self, now: float) -> list[Effect]:
        """Somebody says that the peer lost this IKE_SA: ask the peer itself (RFC 7296 2.4)."""
        if self.phase is not Phase.ESTABLISHED or self._under_way or self._tasks:
            return []
        if not self._doubts.allow(now):
            return []
        self.enqueue(Liveness())
        return self.proceed(now)

    def tell(self, notify: NotifyPayload, now: float) -> list[Effect]:
        """Send one notify in an INFORMATIONAL exchange, now and then at most."""
        if self.phase is not Phase.ESTABLISHED or not self._doubts.allow(now):
            return []
        self.enqueue(Tell(notify))
        return self.proceed(now)

    def _keepalive_due(self) -> float | None:
        interval = self.shared.config.daemon.keep_alive
        if not interval or not self.nat.local or self.phase is not Phase.ESTABLISHED:
            return None
        return self._sent + interval

    def _tend(self, child: ChildSa, now: float) -> list[Effect]:
        """Rekey, delete or forget a child whose time has come."""
        if child.remove_at is not None and now >= child.remove_at:
            return self.remove_child(child.child_id, "rekeyed")
        if child.state is ChildState.DELETING or child.state is ChildState.DELETED:
            return []
        life = child.lifetime
        if life.expires_at is not None and now >= life.expires_at:
            life.expires_at = life.rekey_at = None
            self.enqueue(DeleteChild(child.child_id, expired=True))
            return [self.log(Level.WARNING, f"CHILD_SA {child.config.name} #{child.child_id} expired")]
        if child.state is ChildState.INSTALLED and life.rekey_at is not None and now >= life.rekey_at:
            self.rekey_child(child)
        return []

    def rekey_child(self, child: ChildSa, tickets: Sequence[int] = ()) -> None:
        """Replace a child, as soon as it is this task's turn; a failure sets another time."""
        child.lifetime.rekey_at = None
        self.enqueue(ChildRekey(child.child_id, child.config, tickets, child.scope))

    def rekey(self, tickets: Sequence[int] = ()) -> None:
        """Replace this IKE_SA; a failure sets another time."""
        self.lifetime.rekey_at = None
        self.enqueue(IkeRekey(tickets))

    def _tend_itself(self, now: float) -> list[Effect]:
        life = self.lifetime
        if life.expires_at is not None and now >= life.expires_at:
            life.expires_at = life.rekey_at = None
            self.enqueue(DeleteIke(end=End.EXPIRED))
            return [self.log(Level.WARNING, "IKE_SA expired")]
        if life.rekey_at is not None and now >= life.rekey_at:
            self.rekey()
        if self.superseded_at is not None and now >= self.superseded_at:
            self.superseded_at = None
            if self.superseded_by is not None and self.superseded_by.heir.established:
                self.enqueue(DeleteIke(end=End.REPLACED))
        if self.settles_at is not None and now >= self.settles_at:
            self.settles_at = None
            self.shared.touched.append(self)
        if self.reauth_at is not None and now >= self.reauth_at and not self.contested:
            self.reauth_at = None
            self.reauth_due = True
        return []

    # -- requests of ours --------------------------------------------------------------------------

    def enqueue(self, task: Task, *, first: bool = False) -> None:
        """Let `task` have its turn; `proceed` begins it. LocalMisuse if far too many wait."""
        if len(self._tasks) >= MAX_TASKS:
            raise LocalMisuse(f"too many commands wait on IKE_SA #{self.ike_id}")
        if first:
            self._tasks.appendleft(task)
        else:
            self._tasks.append(task)

    def waits(self, kind: type[Task]) -> bool:
        """Whether a task of this kind waits for its turn."""
        return any(isinstance(task, kind) for task in self._tasks)

    def postpone(self, task: Task, failures: int, now: float) -> float:
        """Let a task have its turn later, for the peer is busy (TEMPORARY_FAILURE); gives the seconds."""
        wait = (2.0**failures) * (1 - self.shared.entropy.uniform() / 2)
        self._postponed.append((now + wait, task))
        return wait

    def _resume_postponed(self, now: float) -> None:
        for entry in [entry for entry in self._postponed if entry[0] <= now]:
            self._postponed.remove(entry)
            self.enqueue(entry[1])

    def proceed(self, now: float) -> list[Effect]:
        """Send the next tasks' requests, as many as may be under way."""
        effects: list[Effect] = []
        while self._tasks and self._may_begin(self._tasks[0]) and self.phase is not Phase.DEAD:
            task = self._tasks.popleft()
            try:
                payloads = task.request(self, now)
            except PeerError as error:
                return [*effects, *task.failed(self, str(error)), *self.kill(End.REFUSED, str(error))]
            if payloads is None:
                effects += task.failed(self, "there is nothing left to do")
                continue
            self._under_way[self._window.next_request] = task
            effects += self._send_request(task.exchange, payloads, now)
            if self.phase is Phase.DELETING:
                effects += self._stop_sending()
        return effects

    def _may_begin(self, task: Task) -> bool:
        """Whether a task may run beside those under way: only such as are about different children."""
        if not self._window.has_room:
            return False
        about = self._about(task)
        others = [self._about(other) for other in self._under_way.values()]
        return not others or (about is not None and all(o is not None and not o & about for o in others))

    def _about(self, task: Task) -> frozenset[str] | None:
        """The names of the children that a task is about; None if nothing may run beside it."""
        match task:
            case Liveness() | Tell():
                return frozenset()
            case ChildCreate():
                return frozenset({task.wanted.config.name})
            case ChildRekey() | DeleteChild():
                child = self.children.get(task.child_id)
                return frozenset() if child is None else frozenset({child.config.name})
        return None

    def _send_request(self, exchange: ExchangeType, payloads: Sequence[Payload], now: float) -> list[Effect]:
        header = self._header(exchange, self._window.next_request, response=False)
        datagrams = self._encode(header, payloads)
        if exchange == ExchangeType.IKE_SA_INIT:
            (self.init.request,) = datagrams
        self._window.sent(datagrams, self.path, now, self.shared.entropy.uniform())
        self._sent = now
        return [Send(self.path, one) for one in datagrams]

    def last_words(self, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """A protected request whose response nobody waits for; none if the peer takes no more now."""
        if not self._window.has_room:
            return []
        return self._send_request(ExchangeType.INFORMATIONAL, payloads, now)

    def restart_init(self, task: Task) -> None:
        """Begin again with message ID 0 (COOKIE, INVALID_KE_PAYLOAD)."""
        self._window.restart()
        self.spi_r = bytes(8)
        self.enqueue(task, first=True)

    def _response(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        header = message.header
        task = self._under_way.get(header.message_id)
        if task is None or header.exchange != task.exchange:
            return []
        if self._keyed is None:
            return self._init_response(datagram, message, task, now)
        opened = self._open(datagram, message, now)
        if opened is None:
            return []
        followed = self._authentic(path, now)
        mobike.answered(self, path)
        self._window.finished(header.message_id)
        del self._under_way[header.message_id]
        try:
            payloads = opened.payloads()
            self._check(header, payloads, protected=True)
            effects = [*followed, *task.response(self, payloads, now)]
            self._widen(payloads)
        except WireError as error:
            return self._disown(task, f"the peer's response is malformed: {error}", now)
        except PeerError as error:
            if error.fatal:
                return self._disown(task, str(error), now)
            effects = [*followed, self.log(Level.ERROR, str(error)), *task.failed(self, str(error))]
        return effects + self.proceed(now)

    def _disown(self, task: Task, text: str, now: float) -> list[Effect]:
        """A response that no sane peer sends: tell it that the IKE_SA is gone, and don't wait (2.21.3)."""
        effects = [self.log(Level.ERROR, text), *task.failed(self, text)]
        if self.phase is Phase.ESTABLISHED:
            effects += self.last_words([DeletePayload(ProtocolId.IKE, ())], now)
        return effects + self.kill(End.REFUSED, text)

    def _init_response(self, datagram: bytes, message: Message, task: Task, now: float) -> list[Effect]:
        """Not authentic: nonsense in it is not believed but waited out."""
        self.spi_r = message.header.spi_r
        self.init.response = datagram
        outstanding = self._window.finished(message.header.message_id)
        assert outstanding is not None  # a task waits for it
        try:
            self._check(message.header, message.payloads, protected=False)
            effects = task.response(self, message.payloads, now)
        except (PeerError, WireError) as error:
            if isinstance(error, PeerError) and error.fatal:
                effects = [self.log(Level.ERROR, str(error)), *task.failed(self, str(error))]
                return effects + self.kill(End.REFUSED, str(error))
            self._window.resume(outstanding)
            self.spi_r = bytes(8)
            return [self.log(Level.WARNING, f"ignored an IKE_SA_INIT response: {error}")]
        self._under_way.clear()
        self._heard = now
        return effects + self.proceed(now)

    def _unanswered(self) -> list[Effect]:
        text = "the peer does not answer, giving up"
        return [self.log(Level.WARNING, text), *self.kill(End.TIMEOUT, text)]

    # -- requests of the peer's --------------------------------------------------------------------

    def _request(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        header = message.header
        arrival = self._window.arrival(header.message_id)
        if self._keyed is None or arrival is Arrival.STALE:
            return [self.log(Level.DEBUG, f"dropped request {header.message_id}: stale or out of order")]
        if self.phase is Phase.CONNECTING and (self.initiator or header.exchange != ExchangeType.IKE_AUTH):
            return [self.log(Level.DEBUG, f"dropped exchange {header.exchange} before IKE_AUTH")]
        if arrival is Arrival.REPEATED:
            return self._repeat(datagram, message, path)
        opened = self._open(datagram, message, now)
        if opened is None:
            return []
        effects = self._authentic(path, now)
        try:
            answer = self._answer(header, opened.payloads(), path, now)
        except WireError as error:
            answer = self._refusal(PeerError(NotifyType.INVALID_SYNTAX, str(error), fatal=True))
        except PeerError as error:
            answer = self._refusal(error)
        reply = self._encode(self._header(header.exchange, header.message_id, response=True), answer.payloads)
        self._window.answered(header.message_id, reply)
        self.last_answered = opened.datagram, reply
        self._sent = now
        return [
            *effects,
            *answer.before,
            *(Send(path, one) for one in reply),
            *answer.after,
            *self.proceed(now),
        ]

    def _repeat(self, datagram: bytes, message: Message, path: Path) -> list[Effect]:
        """The peer sends its last request again: so do we the response, once for all of its fragments.

        It may be anybody's replay: no sign of life (RFC 7296 2.4), nor do we follow its address (2.23).
        """
        fragment = fragments.fragment_of(message, negotiated=self.fragmentation)
        if fragment is not None and fragment.number > 1:
            return []
        protection.unseal(datagram, message, self.keyed.cipher_in)
        reply = self._window.reply(message.header.message_id)
        return [Send(path, one) for one in reply]

    def _open(self, datagram: bytes, message: Message, now: float) -> fragments.Opened | None:
        """What is in a protected message; None while fragments of it are missing."""
        known = self.phase is not Phase.CONNECTING or self.initiator
        settings = self.shared.config.daemon
        limit = settings.max_message
        if not known:
            limit = min(limit, fragments.MAX_CONTENT_UNAUTHENTICATED)
        return self._reassembly.open(
            datagram,
            message,
            self.keyed.cipher_in,
            now,
            negotiated=self.fragmentation,
            limit=limit,
            most=settings.max_fragments,
        )

    def _answer(self, header: IkeHeader, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
        if header.exchange not in PERMITTED[self.phase]:
            raise PeerError(NotifyType.INVALID_SYNTAX, f"exchange {header.exchange} in {self.phase.value}")
        self._check(header, payloads, protected=True)
        saved = self._claim(payloads, now)
        answer = respond.respond(self, header.exchange, payloads, path, now)
        self._widen(payloads)
        return replace(answer, before=[*saved, *answer.before])

    def _check(self, header: IkeHeader, payloads: Sequence[Payload], *, protected: bool) -> None:
        """WireError or PeerError for what may not stand in this message, or not so often."""
        limits.check(self.shared.config.daemon, payloads)
        rules.check(header, payloads, protected=protected)

    def _claim(self, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """Of two IKE_SAs whose rekeys crossed, the peer uses this one: so the children are here (2.8.2)."""
        contested, self.contests = self.contests, None
        if contested is None or any(
            isinstance(p, DeletePayload) and p.protocol == ProtocolId.IKE for p in payloads
        ):
            return []
        return contested.settle_collision(now)

    def _refusal(self, error: PeerError) -> Answer:
        """An error notify; a fatal one takes the IKE_SA with it (RFC 7296 2.21)."""
        after: list[Effect] = []
        if error.fatal or self.phase is Phase.CONNECTING:
            after = self.kill(End.REFUSED, str(error))
        refused = NotifyPayload(error.notify, error.data)
        return Answer([refused], before=[self.log(Level.ERROR, f"{error.notify.name}: {error}")], after=after)

    def _authentic(self, path: Path, now: float) -> list[Effect]:
        """The peer has proven that it holds the keys: it lives, and behind a NAT it may have moved (2.23)."""
        self._heard = now
        behind_nat = self.nat.remote and not self.nat.local
        # With MOBIKE it says so when it moves (RFC 4555 3.8).
        follows = self.phase is Phase.CONNECTING or (behind_nat and self.mobike is None)
        return self.follow(path) if follows and path != self.path else []

    def follow(self, path: Path) -> list[Effect]:
        """The peer's address is another one: send all there, also what is sent again (RFC 7296 2.23).

        Other IKE_SAs with this peer came through the same mapping of its NAT, which is gone: they go along.
        """
        before, effects = self.path, list[Effect]()
        for sa in (self, *self.shared.duplicates(self)):
            if sa.path == sa.children_path == before:
                sa.path = path
                sa._window.redirect(path)
                effects += [UpdatePath(child_id, path, sa.encap) for child_id in sa.children]
        return effects

    # -- what tasks do to it -----------------------------------------------------------------------

    def become_keyed(self, keyed: Keyed) -> None:
        """IKE_SA_INIT is through."""
        self._keyed = keyed

    def float_to_nat_t(self) -> None:
        """Go on at port 4500, both ends (RFC 7296 2.23)."""
        local_port = self.shared.config.daemon.port_nat_t
        remote_port = self.connection.remote_port
        self.path = self.path.with_ports(local_port, 4500 if remote_port == 500 else remote_port)

    def _widen(self, payloads: Sequence[Payload]) -> None:
        """How many requests at once the peer takes, once it is authenticated (RFC 7296 2.3)."""
        told = pick.notify(payloads, NotifyType.SET_WINDOW_SIZE)
        if told is not None and self.phase is not Phase.CONNECTING:
            self._window.widen(min(int.from_bytes(told.data, "big"), MOST_REQUESTS))

    def window_size(self) -> list[NotifyPayload]:
        """What tells the peer how many requests we take at once, if it is more than one (RFC 7296 2.3)."""
        size = self.shared.config.daemon.window_size
        if size == 1:
            return []
        self._window.open(size)
        return [NotifyPayload(NotifyType.SET_WINDOW_SIZE, size.to_bytes(4, "big"))]

    def move(self, path: Path) -> None:
        """IKE messages go over another path from now on; the children stay until `redirect`."""
        self._children_path = self.children_path
        self.path = path
        self._window.redirect(path)

    def hasten(self, now: float) -> None:
        """Don't wait to send the outstanding request again: the network has changed."""
        self._window.hasten(now)

    def redirect(self) -> list[Effect]:
        """The children go where IKE messages go."""
        self._children_path = None
        for child in self.children.values():
            child.encap = self.encap
        return [UpdatePath(child_id, self.path, self.encap) for child_id in self.children]

    def establish(self, now: float) -> list[Effect]:
        """Both ends are authenticated."""
        self.phase = Phase.ESTABLISHED
        self.shared.established(self)
        self.established_at = now
        lowest = min(self.init.nonce_i, self.init.nonce_r)
        self.set_up = replace(self.set_up, ended_at=now, lowest_nonce=lowest)
        self._give_up_at = None
        chance = self.shared.entropy.uniform()
        self.lifetime = lifetime.of_ike(self.connection, now, chance)
        self.reauth_at = lifetime.reauthentication(self.connection, now, chance)
        text = f"{self.local_id} at {self.path.local} === {self.remote_id} at {self.path.remote}"
        return [
            Event(Topic.IKE_UP, self.connection.name, self.ike_id, text=text),
            self.log(Level.INFO, f"IKE_SA established, {text}"),
        ]

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

    def wants_child(self, name: str) -> bool:
        """Whether a child of this name is to come up here."""
        return any(one.config.name == name for one in self._all_wanted())

    @property
    def intended(self) -> tuple[Child, ...]:
        """The children that are to stand here: those that do, are to come up, or expired this moment."""
        configs = [child.config for child in self.children.values() if child.in_use]
        configs += [wanted.config for wanted in self._all_wanted()]
        for task in self._under_way.values():
            if isinstance(task, ChildRekey) and task.child_id in self.children:
                configs.append(task.config)  # the peer may have replaced it, and taken that back
            elif isinstance(task, DeleteChild) and task.missed is not None:
                configs.append(task.missed)
        return tuple({config.name: config for config in configs}.values())

    def _all_wanted(self) -> list[Wanted]:
        pending = [*self._under_way.values(), *self._tasks]
        pending += [task for _, task in self._postponed]
        return [*self.wanted, *(task.wanted for task in pending if isinstance(task, ChildCreate | AuthTask))]

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

    def want(self, config_name: str, tickets: Sequence[int], packet: Pair | None = None) -> None:
        """Bring up one more child, as soon as that can be: for a packet, or whatever is configured."""
        for wanted in self._all_wanted():
            if wanted.config.name == config_name:
                wanted.tickets += tickets
                return
        config = self.connection.children[config_name]
        wanted = Wanted(config, list(tickets), self._scope(config, packet))
        if self.phase is Phase.ESTABLISHED:
            self.create(wanted)
        else:
            self.wanted.append(wanted)
            self.purpose.append(config_name)

    def _scope(self, config: Child, packet: Pair | None) -> Scope:
        """What to ask for where other children of this configuration stand: the packet's pair only."""
        if packet is None or not self.lacks(config.name, packet):
            return Scope(packet)
        pair = pair_of(configured(self, config), packet)
        return Scope(packet, within=None if pair is None else Selectors.of(pair))

    def reopen(self, child: ChildSa, now: float) -> None:
        """Bring up a child again that ended (`close_action`); not at once if it hardly lasted."""
        config, scope = child.config, child.scope
        if config.close_action == "trap":
            self.shared.trapped.add((self.connection.name, config.name))
        if config.close_action != "start" or self.wants_child(config.name):
            return
        same = (c for c in self.children.values() if c.config.name == config.name and c.stays)
        if any(scope.met_by(one.selectors) for one in same):
            return
        task = ChildCreate(Wanted(config, scope=scope))
        if now - child.installed_at >= STABLE:
            self._bounced.pop(config.name, None)
            self.enqueue(task)
        else:
            bounced = self._bounced[config.name] = self._bounced.get(config.name, 0) + 1
            self.postpone(task, min(bounced + 1, MOST_DOUBLINGS), now)

    def create(self, wanted: Wanted) -> None:
        """Bring up a child that IKE_AUTH did not."""
        self.enqueue(ChildCreate(wanted))

    def next_wanted(self) -> Wanted:
        """The child that IKE_AUTH brings up."""
        return self.wanted.popleft()

    def enqueue_wanted(self) -> None:
        """Children that IKE_AUTH had no room for."""
        while self.wanted:
            self.create(self.wanted.popleft())

    def abandon_wanted(self, reason: str) -> list[Effect]:
        effects: list[Effect] = []
        while self.wanted:
            effects += outcomes(self.wanted.popleft().tickets, False, reason)
        return effects

    def remove_child(self, child_id: int, why: str) -> list[Effect]:
        child = self.children.pop(child_id)
        self.shared.remove_child(self, child)
        text = f"{child.config.name} #{child_id} removed ({why})"
        return [
            RemoveChild(child_id),
            Event(Topic.CHILD_DOWN, self.connection.name, self.ike_id, child.config.name, child_id, text),
            self.log(Level.INFO, f"CHILD_SA {text}"),
        ]

    def _stop_sending(self) -> list[Effect]:
        """It is to go: what another IKE_SA has a child for is sent there from now on."""
        return [RemoveOutbound(c.child_id) for c in self.children.values() if self.shared.elsewhere(self, c)]

    def _move_on(self, task: Task) -> bool:
        """Whether another IKE_SA does what is left to do here: a child that is to come up comes up there."""
        if not isinstance(task, ChildCreate) or self.end not in SUCCEEDED or self.end is End.DELETED:
            return False
        others = self.shared.of_connection(self.connection.name)
        other = next((sa for sa in others if sa.established and not sa.contested), None)
        if other is None or other.has_child(task.wanted.config.name):
            return False
        if other.wants_child(task.wanted.config.name):
            other.want(task.wanted.config.name, task.wanted.tickets)
        else:
            other.create(task.wanted)
        self.shared.touched.append(other)
        return True

    def _let_go(self, child: ChildSa, why: str) -> list[Effect]:
        """This IKE_SA ends, and the child. If another one has the same child, as after a reauthentication,
        packets that are under way are still taken."""
        other = self.shared.elsewhere(self, child) if self.end in SUCCEEDED else None
        if other is None:
            return self.remove_child(child.child_id, why)
        del self.children[child.child_id]
        child.state = ChildState.DELETED
        child.remove_at = self._heard + LINGER  # it ends with a message, so that is now
        other.children[child.child_id] = child
        self.shared.owners[child.child_id] = other
        self.shared.touched.append(other)
        return [RemoveOutbound(child.child_id)]

    def successor(self, spi_i: bytes, spi_r: bytes, keyed: Keyed, now: float, *, initiator: bool) -> IkeSa:
        """The IKE_SA that a rekey makes: between the same peers, without children yet."""
        new = IkeSa(self.shared, self.connection, self.path, spi_i=spi_i, spi_r=spi_r, initiator=initiator)
        new.candidates = self.candidates
        new.nat = self.nat
        new.set_up, new.bounces = self.set_up, self.bounces
        new.fragmentation = self.fragmentation
        new.mobike, new._children_path = self.mobike, self._children_path
        new.local_id, new.remote_id = self.local_id, self.remote_id
        new.phase = Phase.ESTABLISHED
        new.checked_unique = True
        new.established_at = new._heard = new._sent = now
        new.lifetime = lifetime.of_ike(self.connection, now, self.shared.entropy.uniform())
        new.reauth_at = self.reauth_at
        new.superseded_at, new.superseded_by = self.superseded_at, self.superseded_by
        new._keyed = keyed
        self.shared.add(new)
        return new

    def hand_over(self, new: IkeSa, now: float) -> list[Effect]:
        """`new` gets our children and whatever waits for its turn; this one waits to be deleted."""
        new.children.update(self.children)
        self.shared.owners.update(dict.fromkeys(self.children, new))
        self.children = {}
        self._heir = new
        new.replaces, self.replaces = self.replaces, []
        new.settles_at, self.settles_at = self.settles_at, None
        new.contests, self.contests = self.contests, None
        new.purpose = self.purpose
        new._tasks.extend(self._tasks)
        self._tasks.clear()
        for notify in new.window_size():
            new.enqueue(Tell(notify))
        new._postponed.extend(self._postponed)
        self._postponed.clear()
        self.shared.touched.append(new)
        self.await_delete(now)
        return mobike.handed_over(self, new)

    def await_delete(self, now: float) -> None:
        """The peer is to delete this IKE_SA, which another one replaces; we don't wait for ever."""
        self.phase = Phase.REKEYED
        self._give_up_at = now + REKEYED_TIMEOUT
        self.shared.touched.append(self)

    def settle_collision(self, now: float) -> list[Effect]:
        """The peer deletes this IKE_SA while our rekey of it is under way: its own rekey stays, if any."""
        task = self.current_task
        return task.settle_for_rival(self, now) if isinstance(task, IkeRekey) else []

    def kill(self, end: End, text: str) -> list[Effect]:
        """It is over: children are removed, and whoever waits is told."""
        if self.phase is Phase.DEAD:
            return []
        self.end = End.REPLACED if self.phase is Phase.REKEYED else end
        self.phase = Phase.DEAD
        effects: list[Effect] = []
        self.ended_children = self.intended
        for child in list(self.children.values()):
            effects += self._let_go(child, text)
        tasks = [*self._under_way.values(), *self._tasks]
        tasks += [task for _, task in self._postponed]
        self._postponed.clear()
        self._under_way.clear()
        self._tasks.clear()
        self._window.forget()
        self._reassembly.forget()
        for task in tasks:
            if not self._move_on(task):
                effects += task.failed(self, text)
        effects += self.abandon_wanted(text)
        effects.append(Event(Topic.IKE_DOWN, self.connection.name, self.ike_id, text=text))
        effects.append(self.log(Level.INFO, f"IKE_SA ended: {text}"))
        return effects

    def wipe(self) -> None:
        """Its keys are not needed any more."""
        if self._keyed is not None:
            self._keyed.wipe()

    # -- headers -----------------------------------------------------------------------------------

    def _header(self, exchange: int, message_id: int, *, response: bool) -> IkeHeader:
        flags = int(HeaderFlag.INITIATOR) if self.initiator else 0
        if response:
            flags |= int(HeaderFlag.RESPONSE)
        return IkeHeader(self.spi_i, self.spi_r, exchange, flags, message_id)

    def _encode(self, header: IkeHeader, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The datagrams of a message."""
        if self._keyed is None:
            return (encode_message(header, payloads),)
        limit: int | None = None
        if self.fragmentation and self.connection.fragmentation == "yes":
            packet = self.shared.config.daemon.fragment_size
            limit = fragments.message_limit(packet, self.path.remote.address)
        return fragments.seal(header, payloads, self._keyed.cipher_out, self.shared.entropy.random, limit)
