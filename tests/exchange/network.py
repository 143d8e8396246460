"""Two IKE machines over a scripted network in virtual time; what passes reads as a ladder."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ikepy.config.model import AuthLocal, AuthRemote, Config, Connection, DnsName
from ikepy.config.toml_source import parse
from ikepy.sa.api.capacity import Capacity
from ikepy.sa.api.commands import Command
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Compute,
    Effect,
    InstallInbound,
    InstallOutbound,
    Level,
    Log,
    LookUp,
    Outcome,
    RemoveChild,
    RemoveOutbound,
    Send,
    SendKeepalive,
    SetNetworkSettings,
    UpdatePath,
)
from ikepy.sa.api.events import Event
from ikepy.sa.api.key_log import NOBODY, KeyLog
from ikepy.sa.api.names import NameTable, names_of
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.api.restart_keys import RestartKeys
from ikepy.sa.auth import choice
from ikepy.sa.auth.authenticator import Authenticator
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Credentials
from ikepy.sa.auth.psk import PskProver, PskVerifier
from ikepy.sa.auth.relay import Relay
from ikepy.sa.auth.rounds import LocalRound, RemoteRound, Rounds
from ikepy.sa.manager import IkeManager
from ikepy.sa.state.exchange_plan import PlanOf
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks import additional_ke
from ikepy.wire.constants import ExchangeType, HeaderFlag, PayloadType
from tests.event_chains import EventChains

ADDRESS_A = IPv4Address("192.0.2.1")
ADDRESS_B = IPv4Address("192.0.2.2")
DELAY = 0.01  # seconds each way
PSK = Rounds((LocalRound(AuthLocal(), PskProver()),), (RemoteRound(AuthRemote(), PskVerifier()),))

CONFIG = """
[connections.ab]
local_addrs = {local_addrs}
remote_addrs = ["{remote}"]
proposals = {proposals}
{connection}
[connections.ab.local]
id = "{local_id}"
{local}
[connections.ab.remote]
id = "{remote_id}"
{remote_auth}
[connections.ab.children.net]
local_ts = {local_ts}
remote_ts = {remote_ts}
esp_proposals = {esp_proposals}
{child}
{more}
[secrets.ike]
secret = "{secret}"
[daemon]
retransmit_jitter = 0
{daemon}
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What a test changes of the two sites' configuration.

    Unless it does so, one suite is proposed, without ML-KEM; the product's default would prefer that (`pq`).
    """

    proposals: str = '["aes128gcm16-prfsha256-x25519"]'
    esp_proposals: str = '["aes128gcm16"]'
    local_ts: str = '["0.0.0.0/0"]'
    remote_ts: str = '["0.0.0.0/0"]'
    secret: str = "correct horse"
    connection: str = ""
    child: str = ""
    more: str = ""
    daemon: str = ""
    local_id: str | None = None
    remote_id: str | None = None
    remote_addrs: str | None = None
    local_addrs: str | None = None  # TOML: a list, or "%any"
    local: str = ""  # in the section local
    remote: str = ""

    def config(self, name: str) -> Config:
        local, remote = (ADDRESS_A, ADDRESS_B) if name == "a" else (ADDRESS_B, ADDRESS_A)
        return parse(
            CONFIG.format(
                local_addrs=_quoted(self.local_addrs or str(local)),
                remote=self.remote_addrs or remote,
                local_id=self.local_id or f"gw{name}",
                remote_id=self.remote_id or ("gwb" if name == "a" else "gwa"),
                proposals=self.proposals,
                esp_proposals=self.esp_proposals,
                local_ts=self.local_ts,
                remote_ts=self.remote_ts,
                connection=self.connection,
                local=self.local,
                remote_auth=self.remote,
                child=self.child,
                more=self.more,
                secret=self.secret,
                daemon=self.daemon,
            )
        )


def _quoted(addresses: str) -> str:
    return addresses if addresses.startswith("[") else f'["{addresses}"]'


class SeededEntropy:
    """Randomness that a run can repeat."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def random(self, n: int) -> bytes:
        return self._random.randbytes(n)

    def child_spi(self, connection: str) -> int:
        return self._random.randrange(0x1000, 1 << 32)

    def uniform(self) -> float:
        return self._random.random()


@dataclass(slots=True)
class DataPlane:
    """What a worker would hold: both directions by child_id, and which children may send."""

    inbound: dict[int, InstallInbound] = field(default_factory=dict)
    outbound: dict[int, InstallOutbound] = field(default_factory=dict)
    standby: set[int] = field(default_factory=set)
    networks: dict[int, NetworkSettings] = field(default_factory=dict)  # of the device, by ike_id
    network_changes: list[SetNetworkSettings] = field(default_factory=list)

    def run(self, effect: Effect) -> None:
        match effect:
            case InstallInbound():
                assert effect.child_id not in self.inbound
                self.inbound[effect.child_id] = effect
            case InstallOutbound():
                assert effect.child_id not in self.outbound
                self.outbound[effect.child_id] = effect
                if effect.standby:
                    self.standby.add(effect.child_id)
            case ActivateOutbound():
                self.standby.discard(effect.child_id)
            case SetNetworkSettings(ike_id=ike_id, settings=settings):
                self.network_changes.append(effect)
                self.networks[ike_id] = settings
                if not settings:
                    del self.networks[ike_id]
            case RemoveOutbound():
                self._remove_outbound(effect.child_id)
            case RemoveChild():
                self.inbound.pop(effect.child_id, None)
                self._remove_outbound(effect.child_id)
            case _:
                pass

    def _remove_outbound(self, child_id: int) -> None:
        """As `esp.datapath.sa_database` does: when the last active SA of its selectors goes, nothing stands
        by."""
        gone = self.outbound.pop(child_id, None)
        self.standby.discard(child_id)
        if gone is not None:
            alike = {i for i, sa in self.outbound.items() if sa.ts_remote == gone.ts_remote}
            if alike and alike <= self.standby:
                self.standby.discard(min(alike))

    def sending(self) -> list[InstallOutbound]:
        return [sa for child_id, sa in self.outbound.items() if child_id not in self.standby]


class Site:
    """One machine and everything its effects did."""

    def __init__(
        self,
        name: str,
        config: Config,
        seed: str,
        authenticator: Authenticator | None = None,
        plan_of: PlanOf[IkeSa] = additional_ke.plan,
        credentials: Credentials = NO_CREDENTIALS,
        relay: Relay | None = None,
        key_log: KeyLog = NOBODY,
    ) -> None:
        """`authenticator`: another one than the configuration asks for."""
        self.name = name
        # What the route to the peer would send from; None: there is none.
        self.address: Address | None = ADDRESS_A if name == "a" else ADDRESS_B
        self.config = config
        self.tunnelled: set[Address] = set()  # where the routes lead through our own device
        self.heard: dict[int, float] = {}  # when ESP came in last, by child
        self.dns: dict[str, list[Address] | str] = {}  # what names mean now, or why nothing is known
        self.names = NameTable()
        self.silent = False  # name servers do not answer: look-ups are kept
        self.look_ups: list[LookUp] = []  # those that were asked for
        self.restart_keys = RestartKeys()  # as from a file
        self.room = Capacity(1 << 16, 1 << 16)  # in the worker
        self._seed, self._authenticator, self._plan_of = f"{seed}{name}", authenticator, plan_of
        self.machine: Callable[..., IkeManager] = IkeManager  # what `restart` makes
        self.credentials, self.relay, self.key_log = credentials, relay, key_log
        self.restart()
        self.outcomes: dict[int, Outcome] = {}
        self.logs: list[Log] = []
        self.keepalives = 0
        self.moves: list[UpdatePath] = []
        self.sent: list[Path] = []  # on which path each datagram left

    def restart(self) -> None:
        """The process is killed, and another one begins: a machine without memory, no ESP SAs."""
        self.manager = self.machine(
            self.config,
            SeededEntropy(self._seed),
            resolve=self._resolve,
            leads_out=lambda path: path.remote.address not in self.tunnelled,
            esp_heard=self.heard.get,
            capacity_of=lambda connection: self.room,
            authenticator_of=lambda connection: self._authenticator or choice.authenticator_of(connection),
            credentials=self.credentials,
            relay=self.relay,
            plan_of=self._plan_of,
            names=self.names,
            restart_keys=self.restart_keys,
            key_log=self.key_log,
        )
        self._seed += " again"
        self.plane = DataPlane()
        self.chains = EventChains()

    def _resolve(self, connection: Connection, failed: Collection[Address]) -> tuple[Address, Address] | str:
        peer: Address = ADDRESS_B if self.name == "a" else ADDRESS_A
        known = sorted(self.names.fixed(connection.remote_addrs), key=lambda one: one in failed)
        if not known and any(isinstance(one, DnsName) for one in connection.remote_addrs):
            return "; ".join(self.names.failures(connection.remote_addrs))
        if known:
            peer = known[0]
        return "no way there" if self.address is None else (self.address, peer)

    def learn(self, asked: Iterable[DnsName] = ()) -> None:
        """Write what the configuration's names, and those that are asked for, mean now into the table."""
        configured = (one for each in self.config.connections.values() for one in each.remote_addrs)
        for name in dict.fromkeys((*names_of(configured), *asked)):
            found = self.dns.get(name.text, "no such name")
            if isinstance(found, str):
                self.names.fail(name, found, gone=found == "no such name")
            else:
                self.names.learn(name, found)

    @property
    def events(self) -> list[Event]:
        return self.chains.events

    def errors(self) -> list[str]:
        return [log.text for log in self.logs if log.level in (Level.ERROR, Level.WARNING)]


@dataclass(order=True, slots=True)
class Flight:
    """A datagram under way."""

    at: float
    number: int
    to: str = field(compare=False)
    path: Path = field(compare=False)
    data: bytes = field(compare=False)


@dataclass(order=True, slots=True)
class Thought:
    """What a site computes, and when it is done."""

    at: float
    number: int
    site: str = field(compare=False)
    job: Compute = field(compare=False)


Script = Callable[[str, int, bytes], list[float]]
"""(ladder line, how often this line was sent before, data) -> the delays of the copies that arrive."""


def deliver_all(line: str, nth: int, data: bytes) -> list[float]:
    return [DELAY]


def lose(wanted: str, *, times: int = 1) -> Script:
    """Lose the first `times` sendings of a message, named as in the ladder."""
    return lambda line, nth, data: [] if line == wanted and nth < times else [DELAY]


def duplicate(wanted: str) -> Script:
    """Deliver a message twice, the second copy late."""
    return lambda line, nth, data: [DELAY, DELAY * 5] if line == wanted else [DELAY]


def at_once(site: str, job: Compute) -> float:
    """Seconds until what a site computes is done."""
    return 0.0


def outcome_of(job: Compute) -> object:
    """What a job gives, or the exception that it raises."""
    try:
        return job.job()
    except Exception as error:  # the machine's to judge
        return error


class Network:
    """Runs both sites until nothing moves or the time is over."""

    def __init__(
        self,
        a: Options | None = None,
        b: Options | None = None,
        *,
        seed: str = "seed",
        methods: tuple[Authenticator | None, Authenticator | None] = (None, None),
        plan_of: PlanOf[IkeSa] = additional_ke.plan,
        credentials: tuple[Credentials, Credentials] = (NO_CREDENTIALS, NO_CREDENTIALS),
        relay: Relay | None = None,
        key_logs: tuple[KeyLog, KeyLog] = (NOBODY, NOBODY),
    ) -> None:
        """`relay`: b's, to an AAA server."""
        self.now = 1000.0
        of_a, of_b = (a or Options()).config("a"), (b or a or Options()).config("b")
        self.a = Site("a", of_a, seed, methods[0], plan_of, credentials[0], None, key_logs[0])
        self.b = Site("b", of_b, seed, methods[1], plan_of, credentials[1], relay, key_logs[1])
        self.script: Script = deliver_all
        self.ladder: list[str] = []
        self.nat_to_a: Endpoint | None = None  # as which B sees A
        self.gone: set[Address] = set()  # addresses that nobody has at the moment
        self.thinking: Callable[[str, Compute], float] = at_once
        self.computed: list[tuple[str, Compute]] = []
        self._flying: list[Flight] = []
        self._thoughts: list[Thought] = []
        self._count = 0

    def site(self, name: str) -> Site:
        return self.a if name == "a" else self.b

    def command(self, name: str, command: Command) -> None:
        site = self.site(name)
        self._apply(site, site.manager.request(command, self.now))

    def answer(self, name: str, number: int = -1) -> list[Effect]:
        """A site's name servers answer a look-up that was kept; the effects are run and returned."""
        return self._looked_up(self.site(name), self.site(name).look_ups[number])

    def replace_config(self, name: str, options: Options) -> list[Effect]:
        """Give a site another configuration; the effects are run and returned."""
        site = self.site(name)
        site.config = options.config(name)
        return self._apply(site, site.manager.replace_config(site.config, self.now))

    def run_effects(self, name: str, effects: list[Effect]) -> list[Effect]:
        """Run what a call into a site's machine gave; gives it and what followed at once."""
        return self._apply(self.site(name), effects)

    def start(self) -> None:
        for site in (self.a, self.b):
            self._apply(site, site.manager.start(self.now))

    def inject(self, name: str, path: Path, data: bytes) -> list[Effect]:
        """Give a site a datagram from anywhere; the effects are run and returned."""
        site = self.site(name)
        return self._apply(site, site.manager.receive(data, path, self.now))

    def run(self, seconds: float = 1.0) -> None:
        """Let `seconds` of virtual time pass."""
        end = self.now + seconds
        while (at := self._next()) is not None and at <= end:
            self.now = max(self.now, at)
            self._step()
        self.now = end

    def _next(self) -> float | None:
        times = [f.at for f in self._flying] + [t.at for t in self._thoughts]
        times += [d for s in (self.a, self.b) if (d := s.manager.deadline) is not None]
        return min(times, default=None)

    def _step(self) -> None:
        arrived = sorted(f for f in self._flying if f.at <= self.now)
        self._flying = [f for f in self._flying if f.at > self.now]
        for flight in arrived:
            self._receive(self.site(flight.to), flight)
        done = sorted(t for t in self._thoughts if t.at <= self.now)
        self._thoughts = [t for t in self._thoughts if t.at > self.now]
        for thought in done:
            self._complete(self.site(thought.site), thought.job)
        for site in (self.a, self.b):
            if (deadline := site.manager.deadline) is not None and deadline <= self.now:
                self._apply(site, site.manager.tick(self.now))

    def _receive(self, site: Site, flight: Flight) -> None:
        worthless = site.manager.is_worthless(flight.data, flight.path, self.now)
        effects = site.manager.receive(flight.data, flight.path, self.now)
        if worthless:
            assert all(isinstance(effect, Log) for effect in effects), "something followed from it"
        self._apply(site, effects)

    def _complete(self, site: Site, job: Compute) -> list[Effect]:
        return self._apply(site, site.manager.complete(job.ticket, outcome_of(job), self.now))

    def _looked_up(self, site: Site, look_up: LookUp) -> list[Effect]:
        site.learn(look_up.names)
        return self._apply(site, site.manager.complete(look_up.ticket, None, self.now))

    def _apply(self, site: Site, effects: list[Effect]) -> list[Effect]:
        """Run them; gives them and what followed at once."""
        jobs: list[Compute] = []
        asked: list[LookUp] = []
        for effect in effects:
            match effect:
                case Compute():
                    jobs.append(effect)
                case LookUp():
                    asked.append(effect)
                case Send():
                    self._send(site, effect)
                case SendKeepalive():
                    site.keepalives += 1
                case Outcome():
                    assert effect.ticket not in site.outcomes, "a command has one outcome"
                    site.outcomes[effect.ticket] = effect
                case Log():
                    site.logs.append(effect)
                case UpdatePath():
                    site.moves.append(effect)
                case _ if isinstance(effect, Event):
                    site.chains.publish(effect)
                case _:
                    site.plane.run(effect)
        followed = list(effects)
        site.look_ups += asked
        for look_up in asked if not site.silent else []:
            followed += self._looked_up(site, look_up)
        for job in jobs:
            self.computed.append((site.name, job))
            seconds = self.thinking(site.name, job)
            if seconds:
                self._count += 1
                self._thoughts.append(Thought(self.now + seconds, self._count, site.name, job))
            else:
                followed += self._complete(site, job)
        return followed

    def _send(self, site: Site, effect: Send) -> None:
        line = describe(site.name, effect.data)
        site.sent.append(effect.path)
        copies = self.script(line, self.ladder.count(line), effect.data)
        self.ladder.append(line)
        if self.gone & {effect.path.local.address, effect.path.remote.address}:
            copies = []
        path = Path(effect.path.remote, effect.path.local)
        if self.nat_to_a is not None:
            through = self._through_nat(site, self.nat_to_a, path)
            path, copies = through or path, copies if through else []
        for delay in copies:
            self._count += 1
            to = "b" if site.name == "a" else "a"
            self._flying.append(Flight(self.now + delay, self._count, to, path, effect.data))

    def _through_nat(self, sender: Site, outer: Endpoint, path: Path) -> Path | None:
        """None: to a mapping that the NAT doesn't have, or not any more."""
        ports = {500: outer.port, 4500: outer.port + 1}
        if sender is self.a:
            return Path(path.local, Endpoint(outer.address, ports[path.remote.port]))
        for inside, outside in ports.items():
            if path.local == Endpoint(outer.address, outside):
                return Path(Endpoint(ADDRESS_A, inside), path.remote)
        return None


def describe(sender: str, data: bytes) -> str:
    """ "a -> b IKE_AUTH request 1", and " 2/3" behind it for a fragment. Its length may be wrong."""
    first, exchange, flags, message_id = data[16], data[18], data[19], int.from_bytes(data[20:24], "big")
    fragment = f" {data[33]}/{data[35]}" if first == PayloadType.SKF else ""
    kind = "response" if flags & HeaderFlag.RESPONSE else "request"
    arrow = "a -> b" if sender == "a" else "b -> a"
    known = exchange in set(ExchangeType)
    name = ExchangeType(exchange).name if known else f"exchange {exchange}"
    return f"{arrow} {name} {kind} {message_id}{fragment}"


def joined(sender: DataPlane, receiver: DataPlane) -> list[tuple[InstallOutbound, InstallInbound]]:
    """The pairs over which `sender` reaches `receiver`: same SPI, suite and keys."""
    return [
        (out, into)
        for out in sender.outbound.values()
        for into in receiver.inbound.values()
        if out.spi == into.spi and out.suite == into.suite and out.keys == into.keys and out.esn == into.esn
    ]


def assert_joined(network: Network, children: int = 1, note: str = "") -> None:
    """Both ends hold the same `children` CHILD_SAs, mirrored, and nothing else."""
    a, b = network.a.plane, network.b.plane
    for sender, receiver in ((a, b), (b, a)):
        pairs = joined(sender, receiver)
        assert len(pairs) == children == len(sender.outbound) == len(receiver.inbound), note
        for out, into in pairs:
            assert sorted(out.ts_local) == sorted(into.ts_remote)
            assert sorted(out.ts_remote) == sorted(into.ts_local)
            assert out.encap == into.encap
