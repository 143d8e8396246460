"""One IKE_SA: what arrives is checked, decrypted and given to a task; what tasks want is sent.

Everything that moves an IKE_SA passes through here; what an exchange means stands in `tasks/`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ikepy.config.identity import Identity
from ikepy.config.model import Child, Connection
from ikepy.errors import IntegrityError, LocalMisuse, PeerError, WireError
from ikepy.wire import rules
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader, Message, encode_message
from ikepy.wire.payloads import DeletePayload, NotifyPayload, Payload

from . import lifetime, protection
from .child import ChildSa, ChildState
from .effects import (
    Effect,
    Event,
    Level,
    Log,
    RemoveChild,
    Send,
    SendKeepalive,
    Topic,
    UpdatePath,
)
from .info import IkeSaInfo
from .keyed import Keyed
from .lifetime import Lifetime
from .nat import Nat
from .path import Endpoint, Path
from .phase import PERMITTED, End, Phase
from .proposals import describe
from .rate import Rate
from .shared import Shared
from .tasks import init, respond
from .tasks.auth import Wanted
from .tasks.child_create import ChildCreate
from .tasks.child_rekey import ChildRekey
from .tasks.delete import DeleteChild, DeleteIke
from .tasks.ike_rekey import IkeRekey
from .tasks.liveness import Liveness
from .tasks.task import Answer, Task, outcomes
from .tasks.tell import Tell
from .window import Arrival, Window

DOUBTS = 0.1  # a second: liveness checks and notifies that strangers can make us send
MAX_TASKS = 1024  # commands that may wait for their turn on one IKE_SA
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
        self.replaces: int | None = None  # the ike_id of the one that this one reauthenticates
        self.tries = 1  # which attempt of `keyingtries` this is
        self.purpose: tuple[str, ...] = ()  # the children that it was set up for
        self.ended_children: tuple[Child, ...] = ()  # those that stood when it ended
        self.init_remote: Endpoint | None = None  # whence IKE_SA_INIT came, if the peer began
        self.checked_unique = False
        self.last_answered: tuple[bytes, bytes] | None = None  # the peer's last request and our response
        self._window = Window(shared.retransmission)
        self._tasks: deque[Task] = deque()
        self._current: Task | None = None
        self._keyed: Keyed | None = None
        self._postponed: list[tuple[float, Task]] = []
        self._heard = self._sent = 0.0
        self._give_up_at: float | None = None
        self._doubts = Rate(DOUBTS)

    # -- what it is --------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.CREATED, Phase.CONNECTING, Phase.ESTABLISHED)

    @property
    def established(self) -> bool:
        return self.phase is Phase.ESTABLISHED

    @property
    def current_task(self) -> Task | None:
        """The task whose request is under way."""
        return self._current

    @property
    def quiet(self) -> bool:
        """Whether it is established and nothing of ours is under way or waits."""
        return (
            self.phase is Phase.ESTABLISHED and self._current is None and not self._tasks and not self.wanted
        )

    @property
    def busy(self) -> bool:
        """Whether a request of ours is under way that changes which SAs there are (RFC 7296 2.25)."""
        return self._current is not None and not isinstance(self._current, Liveness)

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

    def child_by_outbound(self, spi: int) -> ChildSa | None:
        """The child that we send under this SPI."""
        return next((c for c in self.children.values() if c.spi_out == spi), None)

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
        self.purpose = tuple(wanted.config.name for wanted in self.wanted)
        self.enqueue(init.InitTask(self))
        return [self.log(Level.INFO, f"initiating IKE_SA, {self.path}"), *self.proceed(now)]

    def accept_init(self, message: Message, datagram: bytes, now: float) -> list[Effect]:
        """Answer the peer's IKE_SA_INIT; PeerError or WireError if it is not acceptable."""
        rules.check(message.header, message.payloads, protected=False)
        payloads = init.respond(self, message.header, message.payloads, datagram)
        self.phase = Phase.CONNECTING
        self._give_up_at = now + self.shared.config.daemon.half_open_timeout
        self.init.response = encode_message(
            self._header(ExchangeType.IKE_SA_INIT, 0, response=True), payloads
        )
        self._window.answered(self.init.response)
        self._heard = self._sent = now
        return [
            self.log(Level.INFO, f"{self.path.remote} initiates an IKE_SA, {describe(self.keyed.proposal)}"),
            Send(self.path, self.init.response),
        ]

    def repeat_init(self, path: Path) -> list[Effect]:
        """The peer repeats its IKE_SA_INIT: so do we, until it goes on to IKE_AUTH."""
        if self._window.arrival(0) is Arrival.REPEATED and self._window.cached_reply is not None:
            return [Send(path, self._window.cached_reply)]
        return []

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
            effects.append(Send(again.path, again.datagram))
            self._sent = now
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
            self._liveness_due(),
            self._keepalive_due(),
            *(at for c in self.children.values() for at in c.deadlines),
            *(at for at, _ in self._postponed),
        ]
        if self.phase is Phase.ESTABLISHED:
            times += [self.lifetime.rekey_at, self.lifetime.expires_at, self.reauth_at]
        return min((t for t in times if t is not None), default=None)

    def _liveness_due(self) -> float | None:
        delay = self.connection.dpd_delay
        if not delay or self.phase is not Phase.ESTABLISHED or self._window.outstanding or self._tasks:
            return None
        return self._heard + delay

    def ask_for_life(self, now: float) -> list[Effect]:
        """Somebody says that the peer lost this IKE_SA: ask the peer itself (RFC 7296 2.4)."""
        if self.phase is not Phase.ESTABLISHED or self._current is not None or self._tasks:
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
            self.enqueue(DeleteChild(child.child_id))
            return [self.log(Level.WARNING, f"CHILD_SA {child.config.name} #{child.child_id} expired")]
        if child.state is ChildState.INSTALLED and life.rekey_at is not None and now >= life.rekey_at:
            self.rekey_child(child)
        return []

    def rekey_child(self, child: ChildSa, tickets: Sequence[int] = ()) -> None:
        """Replace a child, as soon as it is this task's turn; a failure sets another time."""
        child.lifetime.rekey_at = None
        self.enqueue(ChildRekey(child.child_id, child.config, tickets))

    def rekey(self, tickets: Sequence[int] = ()) -> None:
        """Replace this IKE_SA; a failure sets another time."""
        self.lifetime.rekey_at = None
        self.enqueue(IkeRekey(tickets))

    def _tend_itself(self, now: float) -> list[Effect]:
        life = self.lifetime
        if life.expires_at is not None and now >= life.expires_at:
            life.expires_at = life.rekey_at = None
            self.enqueue(DeleteIke())
            return [self.log(Level.WARNING, "IKE_SA expired")]
        if life.rekey_at is not None and now >= life.rekey_at:
            self.rekey()
        if self.reauth_at is not None and now >= self.reauth_at:
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
        """Send the next task's request, if none of ours is under way."""
        effects: list[Effect] = []
        while self._tasks and self._window.outstanding is None and self.phase is not Phase.DEAD:
            task = self._tasks.popleft()
            try:
                payloads = task.request(self, now)
            except PeerError as error:
                return [*effects, *task.failed(self, str(error)), *self.kill(End.REFUSED, str(error))]
            if payloads is not None:
                self._current = task
                return [*effects, self._send_request(task.exchange, payloads, now)]
            effects += task.failed(self, "there is nothing left to do")
        return effects

    def _send_request(self, exchange: ExchangeType, payloads: Sequence[Payload], now: float) -> Send:
        header = self._header(exchange, self._window.next_request, response=False)
        datagram = self._encode(header, payloads)
        if exchange == ExchangeType.IKE_SA_INIT:
            self.init.request = datagram
        self._window.sent(datagram, self.path, now, self.shared.entropy.uniform())
        self._sent = now
        return Send(self.path, datagram)

    def last_words(self, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """A protected request whose response nobody waits for."""
        return [self._send_request(ExchangeType.INFORMATIONAL, payloads, now)]

    def restart_init(self, task: Task) -> None:
        """Begin again with message ID 0 (COOKIE, INVALID_KE_PAYLOAD)."""
        self._window.restart()
        self.spi_r = bytes(8)
        self.enqueue(task, first=True)

    def _response(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        header, task, outstanding = message.header, self._current, self._window.outstanding
        if task is None or outstanding is None or not self._window.expects(header.message_id):
            return []
        if header.exchange != task.exchange:
            return []
        if self._keyed is None:
            return self._init_response(datagram, message, task, now)
        sk, plaintext = protection.unseal(datagram, message, self._keyed.cipher_in)
        self._authentic(path, now)
        self._window.finished()
        self._current = None
        try:
            payloads = protection.payloads_of(sk, plaintext)
            rules.check(header, payloads, protected=True)
            effects = task.response(self, payloads, now)
        except WireError as error:
            return self._disown(task, f"the peer's response is malformed: {error}", now)
        except PeerError as error:
            if error.fatal:
                return self._disown(task, str(error), now)
            effects = [self.log(Level.ERROR, str(error)), *task.failed(self, str(error))]
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
        outstanding, self._window.outstanding = self._window.outstanding, None
        try:
            rules.check(message.header, message.payloads, protected=False)
            effects = task.response(self, message.payloads, now)
        except (PeerError, WireError) as error:
            if isinstance(error, PeerError) and error.fatal:
                effects = [self.log(Level.ERROR, str(error)), *task.failed(self, str(error))]
                return effects + self.kill(End.REFUSED, str(error))
            self._window.outstanding = outstanding
            self.spi_r = bytes(8)
            return [self.log(Level.WARNING, f"ignored an IKE_SA_INIT response: {error}")]
        self._current = None
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
        sk, plaintext = protection.unseal(datagram, message, self._keyed.cipher_in)
        if self.phase is Phase.CONNECTING and (self.initiator or header.exchange != ExchangeType.IKE_AUTH):
            return [self.log(Level.DEBUG, f"dropped exchange {header.exchange} before IKE_AUTH")]
        effects = self._authentic(path, now)
        if arrival is Arrival.REPEATED:
            assert self._window.cached_reply is not None
            return [*effects, Send(path, self._window.cached_reply)]
        try:
            answer = self._answer(header, protection.payloads_of(sk, plaintext), now)
        except WireError as error:
            answer = self._refusal(PeerError(NotifyType.INVALID_SYNTAX, str(error), fatal=True))
        except PeerError as error:
            answer = self._refusal(error)
        reply = self._encode(self._header(header.exchange, header.message_id, response=True), answer.payloads)
        self._window.answered(reply)
        self.last_answered = datagram, reply
        self._sent = now
        return [*effects, *answer.before, Send(path, reply), *answer.after, *self.proceed(now)]

    def _answer(self, header: IkeHeader, payloads: Sequence[Payload], now: float) -> Answer:
        if header.exchange not in PERMITTED[self.phase]:
            raise PeerError(NotifyType.INVALID_SYNTAX, f"exchange {header.exchange} in {self.phase.value}")
        rules.check(header, payloads, protected=True)
        return respond.respond(self, header.exchange, payloads, now)

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
        follows = self.phase is Phase.CONNECTING or (self.nat.remote and not self.nat.local)
        if path == self.path or not follows:
            return []
        self.path = path
        return [UpdatePath(child_id, path, self.encap) for child_id in self.children]

    # -- what tasks do to it -----------------------------------------------------------------------

    def become_keyed(self, keyed: Keyed) -> None:
        """IKE_SA_INIT is through."""
        self._keyed = keyed

    def float_to_nat_t(self) -> None:
        """Go on at port 4500, both ends (RFC 7296 2.23)."""
        local_port = self.shared.config.daemon.port_nat_t
        remote_port = self.connection.remote_port
        self.path = self.path.with_ports(local_port, 4500 if remote_port == 500 else remote_port)

    def establish(self, now: float) -> list[Effect]:
        """Both ends are authenticated."""
        self.phase = Phase.ESTABLISHED
        self.established_at = now
        self._give_up_at = None
        chance = self.shared.entropy.uniform()
        self.lifetime = lifetime.of_ike(self.connection, now, chance)
        self.reauth_at = lifetime.reauthentication(self.connection, now, chance)
        text = f"{self.local_id} at {self.path.local} === {self.remote_id} at {self.path.remote}"
        return [
            Event(Topic.IKE_UP, self.connection.name, self.ike_id, text=text),
            self.log(Level.INFO, f"IKE_SA established, {text}"),
        ]

    def want(self, config_name: str, ticket: int) -> None:
        """Bring up one more child, as soon as that can be."""
        for wanted in self.wanted:
            if wanted.config.name == config_name:
                wanted.tickets.append(ticket)
                return
        wanted = Wanted(self.connection.children[config_name], [ticket])
        if self.phase is Phase.ESTABLISHED:
            self.create(wanted)
        else:
            self.wanted.append(wanted)

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
        text = f"{child.config.name} #{child_id} removed ({why})"
        return [
            RemoveChild(child_id),
            Event(Topic.CHILD_DOWN, self.connection.name, self.ike_id, child.config.name, child_id, text),
            self.log(Level.INFO, f"CHILD_SA {text}"),
        ]

    def successor(self, spi_i: bytes, spi_r: bytes, keyed: Keyed, now: float, *, initiator: bool) -> IkeSa:
        """The IKE_SA that a rekey makes: between the same peers, without children yet."""
        new = IkeSa(self.shared, self.connection, self.path, spi_i=spi_i, spi_r=spi_r, initiator=initiator)
        new.candidates = self.candidates
        new.nat = self.nat
        new.local_id, new.remote_id = self.local_id, self.remote_id
        new.phase = Phase.ESTABLISHED
        new.checked_unique = True
        new.established_at = new._heard = new._sent = now
        new.lifetime = lifetime.of_ike(self.connection, now, self.shared.entropy.uniform())
        new.reauth_at = self.reauth_at
        new._keyed = keyed
        self.shared.add(new)
        return new

    def hand_over(self, new: IkeSa, now: float) -> list[Effect]:
        """`new` gets our children and whatever waits for its turn; this one waits to be deleted."""
        new.children.update(self.children)
        self.children = {}
        new._tasks.extend(self._tasks)
        self._tasks.clear()
        new._postponed.extend(self._postponed)
        self._postponed.clear()
        self.await_delete(now)
        return []

    def await_delete(self, now: float) -> None:
        """The peer is to delete this IKE_SA, which another one replaces; we don't wait for ever."""
        self.phase = Phase.REKEYED
        self._give_up_at = now + REKEYED_TIMEOUT
        self.shared.touched.append(self)

    def settle_collision(self, now: float) -> list[Effect]:
        """The peer deletes this IKE_SA while our rekey of it is under way: its own rekey stays, if any."""
        return self._current.settle_for_rival(self, now) if isinstance(self._current, IkeRekey) else []

    def kill(self, end: End, text: str) -> list[Effect]:
        """It is over: children are removed, and whoever waits is told."""
        if self.phase is Phase.DEAD:
            return []
        self.end = End.REPLACED if self.phase is Phase.REKEYED else end
        self.phase = Phase.DEAD
        effects: list[Effect] = []
        self.ended_children = tuple(c.config for c in self.children.values() if c.in_use)
        for child_id in list(self.children):
            effects += self.remove_child(child_id, text)
        tasks = [*([self._current] if self._current else []), *self._tasks]
        tasks += [task for _, task in self._postponed]
        self._postponed.clear()
        self._current = None
        self._tasks.clear()
        self._window.finished()
        for task in tasks:
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
        flags = HeaderFlag.INITIATOR if self.initiator else HeaderFlag(0)
        if response:
            flags |= HeaderFlag.RESPONSE
        return IkeHeader(self.spi_i, self.spi_r, exchange, flags, message_id)

    def _encode(self, header: IkeHeader, payloads: Sequence[Payload]) -> bytes:
        if self._keyed is None:
            return encode_message(header, payloads)
        return protection.seal(header, payloads, self._keyed.cipher_out, self.shared.entropy.random)
