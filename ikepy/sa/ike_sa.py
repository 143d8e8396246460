"""One IKE_SA: its state, and the calls that move it.

What arrives is worked on in `incoming`, what the clock brings in `upkeep`; what an exchange means stands in
`tasks/`, and which of them has its turn in `task_queue`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ikepy.config.identity import Identity
from ikepy.config.model import Child, Connection
from ikepy.errors import LocalMisuse, PeerError
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, Message, encode_message
from ikepy.wire.payloads import NotifyPayload, Payload

from . import ending, explain, fragments, incoming, lifetime, upkeep
from .child import ChildSa, ChildState
from .effects import Effect, Event, Level, Log, RemoveChild, Send, Topic
from .info import IkeSaInfo, shown
from .jobs import Jobs
from .keyed import Keyed
from .lifetime import Lifetime
from .mobike import Mobike
from .nat import Nat
from .path import Endpoint, Path
from .peers import NOBODY
from .phase import End, Phase
from .proposals import describe
from .rate import Rate
from .scope import Pair
from .shared import Shared
from .source import Peer, kind_of
from .task_queue import TaskQueue
from .tasks import init, mobike
from .tasks.child_rekey import ChildRekey
from .tasks.delete import DeleteIke
from .tasks.ike_rekey import IkeRekey
from .tasks.liveness import Liveness
from .tasks.task import Task
from .tasks.tell import Tell
from .unique import SetUp
from .window import Window
from .wishes import Wishes
from .work import AT_ONCE, Wanted, Work
from .worthless import Excess

MEANT = (End.DELETED, End.EXPIRED, End.REPLACED)  # ends that stay what they are, whatever the peer says
FIRST_AFTER_AUTH = 2  # the message ID of the initiator's request behind IKE_AUTH
ENDED = "IKE_SA ended: "
DOUBTS = 0.1  # a second: liveness checks and notifies that strangers can make us send


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
        self.candidates = NOBODY  # the connections that the peer may mean, if it began
        self.path = path
        self.spi_i, self.spi_r = spi_i, spi_r
        self.initiator = initiator
        self.phase = Phase.CREATED
        self.end: End | None = None  # why it is dead, or is about to be
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
        self.established_at: float | None = None
        self.lifetime = Lifetime()
        self.reauth_at: float | None = None
        self.reauth_due = False
        self.superseded_at: float | None = None  # when it has to go, for the peer has authenticated anew
        self.superseded_last = 0.0  # the same at the latest
        self.superseded_by: IkeSa | None = None
        self.hindered_at = float("-inf")  # when the peer last asked for something again, or in vain
        self.replaces: list[IkeSa] = []  # those that go when their children are here
        self.settles_at: float | None = None  # not before; the peer is to have heard of its own children
        self.bounces = 0  # how many before it were ended by the peer as soon as they were up
        self.set_up = SetUp(initiator, 0.0, 0.0, b"")
        self.ended_children: tuple[Child, ...] = ()  # those that stood when it ended, or were to come up
        self.ended_wishes: tuple[Child, ...] = ()  # of these, those that did not stand
        self.expected = False  # whether the peer began, and shows that it is where one of ours may be
        self.init_remote: Endpoint | None = None  # whence IKE_SA_INIT came, if the peer began
        self.checked_unique = False
        # The peer's last request (its first fragment) and our response.
        self.last_answered: tuple[bytes, tuple[bytes, ...]] | None = None
        self.kept_path: Path | None = None  # the children's, while `path` is on trial
        self.tasks = TaskQueue(self)
        self.wishes = Wishes(self)
        self.window = Window(shared.retransmission)
        self.work = Work(AT_ONCE)  # whatever is worked on at the moment
        self.jobs = Jobs(self)
        self.reassembly = fragments.Reassembly()
        self._keyed: Keyed | None = None
        self.heard_at = self.sent_at = 0.0
        self.give_up_at: float | None = None
        self._doubts = Rate(DOUBTS)
        self.complaints = Rate(DOUBTS)
        self.excess = Excess()
        self.contests: IkeSa | None = None  # the peer made this one while a rekey of that one is under way
        self.succeeded_by: IkeSa | None = None  # it has our children
        self.frees: IkeSa | None = None  # the one that is deleted when this one has gone

    # -- what it is --------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.CREATED, Phase.CONNECTING, Phase.ESTABLISHED)

    @property
    def goes(self) -> bool:
        """Whether it is about to end, so that what is on it is not there to stay."""
        return self.end is not None or self.phase is Phase.DELETING or self.tasks.waits(DeleteIke)

    @property
    def established(self) -> bool:
        return self.phase is Phase.ESTABLISHED

    @property
    def quiet(self) -> bool:
        """Whether it is established and nothing of ours is under way or waits."""
        return self.phase is Phase.ESTABLISHED and not (self.tasks.all or self.wishes.waiting)

    @property
    def spi_local(self) -> bytes:
        return self.spi_i if self.initiator else self.spi_r

    @property
    def has_keys(self) -> bool:
        """Whether IKE_SA_INIT is through."""
        return self._keyed is not None

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

    def follows_auth(self, message_id: int) -> bool:
        """Whether a request of the peer's is the one behind its IKE_AUTH (RFC 7296 2.21.2)."""
        return not self.initiator and bool(self.init.request) and message_id == FIRST_AFTER_AUTH

    @property
    def contested(self) -> bool:
        """Whether it is not clear yet if it stays: both ends rekey the one before it (RFC 7296 2.8.2)."""
        return self.contests is not None and self.contests.established

    @property
    def heir(self) -> IkeSa:
        """This IKE_SA, or the one that its children are on after rekeys."""
        return self if self.succeeded_by is None else self.succeeded_by.heir

    @property
    def replaced(self) -> list[IkeSa]:
        """Those that stand and that this one replaces, or what has become of them."""
        return [old.heir for old in self.replaces if old.heir.established]

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

    def info(self) -> IkeSaInfo:
        return IkeSaInfo(
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

    def repeat_init(self, path: Path) -> list[Effect]:
        """The peer repeats its IKE_SA_INIT: so do we, until it goes on to IKE_AUTH."""
        return [Send(path, one) for one in self.window.reply(0)]

    def receive(self, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
        """A message for this IKE_SA; what is not authentic is dropped without a trace but a debug line."""
        return incoming.receive(self, datagram, message, path, now)

    def tick(self, now: float) -> list[Effect]:
        """Do what is due: retransmit, ask for life, keep the NAT's mapping, forget what is over."""
        if self.phase is Phase.DEAD:
            return []
        if self.give_up_at is not None and now >= self.give_up_at:
            return self.kill(End.TIMEOUT, "timed out")
        if self.window.exhausted(now):
            if not upkeep.is_heard(self, now):
                return self._give_up(now)
            self.window.prolong(now)
        effects: list[Effect] = []
        again = self.window.retransmit(now, self.shared.entropy.uniform())
        if again is not None:
            others = mobike.search(self, again.attempt)
            where = f", also {', '.join(map(str, others))}" if others else ""
            text = f"retransmit {again.attempt} of request {again.message_id}{where}"
            effects.append(self.log(Level.INFO, text))
            effects += [Send(again.path, one) for one in again.datagrams]
            self.window.spread(again, others, now)
            self.sent_at = now
        spread = self.window.spread_next(now)
        if spread is not None:
            effects += [Send(spread[1], one) for one in spread[0].datagrams]
        self.reassembly.expire(now)
        self.tasks.resume_postponed(now)
        effects += upkeep.tend(self, now)
        return effects + self.proceed(now)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next, on the caller's clock."""
        if self.phase is Phase.DEAD:
            return None
        times = [self.give_up_at, self.window.deadline, self.reassembly.deadline]
        times += [*self.tasks.deadlines, *upkeep.deadlines(self)]
        return min([t for t in times if t is not None], default=None)

    def ask_for_life(self, now: float) -> list[Effect]:
        """Somebody says that the peer lost this IKE_SA: ask the peer itself (RFC 7296 2.4)."""
        if self.phase is not Phase.ESTABLISHED or self.tasks.under_way or self.tasks.waiting:
            return []
        if not self._doubts.allow(now):
            return []
        self.look_for_life()
        return self.proceed(now)

    def look_for_life(self) -> None:
        """Let a liveness check have its turn."""
        self.enqueue(Liveness())

    def tell(self, notify: NotifyPayload, now: float) -> list[Effect]:
        """Send one notify in an INFORMATIONAL exchange, now and then at most."""
        if self.phase is not Phase.ESTABLISHED or not self._doubts.allow(now):
            return []
        self.enqueue(Tell(notify))
        return self.proceed(now)

    def rekey(self, tickets: Sequence[int] = ()) -> None:
        """Replace this IKE_SA; a failure sets another time."""
        self.lifetime.rekey_at = None
        self.enqueue(IkeRekey(tickets))

    # -- requests of ours --------------------------------------------------------------------------

    def enqueue(self, task: Task, *, first: bool = False) -> None:
        """Let `task` have its turn; `proceed` begins it. LocalMisuse if far too many wait."""
        self.tasks.enqueue(task, first=first)

    def proceed(self, now: float) -> list[Effect]:
        """Send the next tasks' requests, as many as may be under way."""
        effects: list[Effect] = []
        while self.phase is not Phase.DEAD and (task := self.tasks.take()) is not None:
            work = self.tasks.prepared(task)
            try:
                with self.jobs.at(work):
                    payloads = task.request(self, now)
            except Wanted as wanted:
                self.tasks.put_back(task, work)
                effects += self.jobs.lay_aside(work, wanted, self.proceed)
                continue
            except PeerError as error:
                effects += task.failed(self, str(error))
                return effects + self.kill(End.REFUSED, str(error), Level.ERROR)
            if payloads is None:
                effects += task.failed(self, "there is nothing left to do")
                continue
            self.tasks.begun(task, self.window.next_request)
            effects += self._send_request(task.exchange, payloads, now)
            if self.phase is Phase.DELETING:
                effects += ending.stop_sending(self)
        return effects

    def _send_request(self, exchange: ExchangeType, payloads: Sequence[Payload], now: float) -> list[Effect]:
        header = self.header(exchange, self.window.next_request, response=False)
        datagrams = self.encode(header, payloads)
        if exchange == ExchangeType.IKE_SA_INIT:
            (self.init.request,) = datagrams
        self.window.sent(datagrams, self.path, now, self.shared.entropy.uniform())
        self.sent_at = now
        return [Send(self.path, one) for one in datagrams]

    def last_words(self, payloads: Sequence[Payload], now: float) -> list[Effect]:
        """A protected request whose response nobody waits for; none if the peer takes no more now."""
        if not self.window.has_room:
            return []
        return self._send_request(ExchangeType.INFORMATIONAL, payloads, now)

    def restart_init(self, task: Task) -> None:
        """Begin again with message ID 0 (COOKIE, INVALID_KE_PAYLOAD)."""
        self.window.restart()
        self.spi_r = bytes(8)
        self.enqueue(task, first=True)

    # -- what tasks do to it -----------------------------------------------------------------------

    def become_keyed(self, keyed: Keyed) -> None:
        """IKE_SA_INIT is through."""
        self._keyed = keyed

    def window_size(self) -> list[NotifyPayload]:
        """What tells the peer how many requests we take at once, if it is more than one (RFC 7296 2.3)."""
        size = self.shared.config.daemon.window_size
        if size == 1:
            return []
        self.window.open(size)
        return [NotifyPayload(NotifyType.SET_WINDOW_SIZE, size.to_bytes(4, "big"))]

    def establish(self, now: float) -> list[Effect]:
        """Both ends are authenticated."""
        self.phase = Phase.ESTABLISHED
        self.shared.established(self)
        self.established_at = now
        lowest = min(self.init.nonce_i, self.init.nonce_r)
        self.set_up = replace(self.set_up, ended_at=now, lowest_nonce=lowest)
        self.give_up_at = None
        chance = self.shared.entropy.uniform()
        self.lifetime = lifetime.of_ike(self.connection, now, chance)
        self.reauth_at = lifetime.reauthentication(self.connection, now, chance)
        text = f"{self.local_id} at {self.path.local} === {self.remote_id} at {self.path.remote}"
        return [
            Event(Topic.IKE_UP, self.connection.name, self.ike_id, text=text),
            self.log(Level.INFO, f"IKE_SA established, {text}"),
        ]

    def another(self, spi_i: bytes, spi_r: bytes, *, initiator: bool) -> IkeSa:
        """A further IKE_SA between the same two ends."""
        return IkeSa(self.shared, self.connection, self.path, spi_i=spi_i, spi_r=spi_r, initiator=initiator)

    @property
    def rival(self) -> IkeSa | None:
        """What the peer's rekey made, while ours is under way: one of the two gets the children (2.8.2)."""
        task = self.tasks.current
        return task.rival if isinstance(task, IkeRekey) else None

    def settle_collision(self, now: float) -> list[Effect]:
        """This IKE_SA ends while our rekey of it is under way: the peer's own rekey stays, if any."""
        task = self.tasks.current
        return task.settle_for_rival(self, now) if isinstance(task, IkeRekey) else []

    def kill(self, end: End, text: str, level: Level = Level.INFO, details: str = "") -> list[Effect]:
        """It is over, which one line of the log tells: children are removed, and whoever waits is told."""
        if self.phase is Phase.DEAD:
            return []
        if self.phase is Phase.REKEYED:
            end = End.REPLACED
        elif self.phase is Phase.DELETING and self.end in MEANT:
            end = self.end  # also if the peer's delete crosses ours, or no answer comes
        self.end = end
        self.phase = Phase.DEAD
        effects: list[Effect] = [self.log(level, f"{ENDED}{text}{details}")]
        self.ended_children = self.wishes.intended
        self.ended_wishes = self.wishes.unfulfilled
        for child in list(self.children.values()):
            effects += ending.let_go(self, child)
        tasks = self.tasks.all
        self.tasks.clear()
        self.jobs.forget()
        self.window.forget()
        self.reassembly.forget()
        for task in tasks:
            if not ending.pass_on(self, task):
                effects += task.failed(self, text)
        effects += self.wishes.abandon(text)
        if self.frees is not None:
            self.frees.tasks.bring_forward(DeleteIke)
            self.shared.touched.append(self.frees)
        return [*effects, Event(Topic.IKE_DOWN, self.connection.name, self.ike_id, text=text)]

    def _give_up(self, now: float) -> list[Effect]:
        """Our last try went unanswered (RFC 7296 2.4), perhaps as the peer has rekeyed this IKE_SA itself.

        Then the one that it made gets the children, and is asked whether the peer lives.
        """
        why = explain.silence(self, now)
        saved = self.settle_collision(now)
        ended = self.kill(End.TIMEOUT, "the peer does not answer, giving up", Level.WARNING, f": {why}")
        return [*saved, *ended, *self.heir.ask_for_life(now)]

    def wipe(self) -> None:
        """Its keys are not needed any more."""
        if self._keyed is not None:
            self._keyed.wipe()

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
        self.shared.remove_child(self, child)
        text = f"{child.config.name} #{child_id} removed ({why})"
        return [
            RemoveChild(child_id),
            Event(Topic.CHILD_DOWN, self.connection.name, self.ike_id, child.config.name, child_id, text),
            self.log(Level.DEBUG if child.state is ChildState.DELETED else Level.INFO, f"CHILD_SA {text}"),
        ]

    def rekey_child(self, child: ChildSa, tickets: Sequence[int] = ()) -> None:
        """Replace a child, as soon as it is this task's turn; a failure sets another time."""
        child.lifetime.rekey_at = None
        self.enqueue(ChildRekey(child.child_id, child.config, tickets, child.scope))

    # -- headers -----------------------------------------------------------------------------------

    def header(self, exchange: int, message_id: int, *, response: bool) -> IkeHeader:
        flags = int(HeaderFlag.INITIATOR) if self.initiator else 0
        if response:
            flags |= int(HeaderFlag.RESPONSE)
        return IkeHeader(self.spi_i, self.spi_r, exchange, flags, message_id)

    def encode(self, header: IkeHeader, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The datagrams of a message."""
        if self._keyed is None:
            return (encode_message(header, payloads),)
        limit: int | None = None
        if self.fragmentation and self.connection.fragmentation == "yes":
            packet = self.shared.config.daemon.fragment_size
            limit = fragments.message_limit(packet, self.path.remote.address)
        return fragments.seal(header, payloads, self._keyed.cipher_out, self.shared.entropy.random, limit)
