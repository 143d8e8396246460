"""Sites over a network that loses, repeats, delays and reorders, in virtual time, and laws at every step."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ikepy.config.difference import difference
from ikepy.sa.api.commands import Command, Initiate, LocalAddressesChanged, Rekey, Terminate
from ikepy.sa.api.effects import (
    Compute,
    Effect,
    InstallInbound,
    Level,
    Log,
    Outcome,
    Send,
    SendKeepalive,
)
from ikepy.sa.api.ends import ChildRemoval, Silence
from ikepy.sa.api.events import ChildDown, Event, IkeDown
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.state.event_text import ENDED
from ikepy.wire.constants import ExchangeType, HeaderFlag, PayloadType
from tests.exchange.network import outcome_of

from .plane import Breach, Packet
from .sites import CHILDREN, LINKS, NAMES, Options, Site, changed, ends_children, peer_of

# What is said of an IKE_SA whose peer did not answer.
GIVEN_UP = (f"{ENDED}the peer does not answer, giving up", f"{ENDED}timed out")
CONVERSATION = 1.5  # seconds between two packets
MAX_STEPS = 30_000  # more than any run needs: a busy loop


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to IKE messages: shares from 0 to 1, seconds."""

    loss: float = 0.0
    duplicates: float = 0.0
    delay: float = 0.02  # of most
    late: float = 0.0  # share that takes up to `latest`
    latest: float = 0.0


CALM = Weather()


class World:
    """All of a run. `gentle`: nothing happens that may cost a packet once both ends are up."""

    def __init__(self, options: dict[str, Options], seed: int, *, gentle: bool) -> None:
        self.now = 1000.0
        self.sites = {name: Site(name, one, seed) for name, one in options.items()}
        self.weather = CALM
        self.lossy = False  # whether the weather has ever lost messages
        self.gentle = gentle
        self.random = random.Random(seed)
        self.unwanted = False  # a child was ended on purpose or by its age: a hole is what was asked for
        self.given_up = False  # an IKE_SA ended because its peer did not answer
        self.surplus = 0  # set-ups that were asked for while others stood or were under way
        self.down_until = 0.0  # the link is cut
        self.sent = 0
        self.probed = self.lost = 0
        self.taken_over = 0  # how often a new process went on for a site
        self.ladder: list[
            tuple[float, str, bytes, str]
        ] = []  # when, who, a message or b"", what is said of it
        self.up: set[tuple[str, str]] = set()  # (site, policy) that must not fall into a hole
        self.disturbed: set[str] = set()  # sites where an IKE_SA died or that restarted
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._flying = 0
        self._thinking = random.Random(f"thinking {seed}")
        self._thoughts = 0  # jobs that sites compute
        self.thoughtful = False  # whether any site has ever computed something beside all else
        self._tickets = 0
        self._steps = 0
        self._contents: dict[bytes, bytes] = {}  # message ID in its direction -> the message
        self._ivs: dict[bytes, bytes] = {}  # IV in its direction -> the message

    # -- time --------------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, what))

    def clock(self, site: Site) -> float:
        return self.now + site.ahead

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.step(end):
            pass
        self.now = end

    def step(self, end: float) -> bool:
        """The next thing that happens until `end`; False if nothing does."""
        queued = self._queue[0][0] if self._queue else end + 1
        due, late = None, end + 1
        for site in self.sites.values():
            if site.touched:
                site.touched, site.due = False, site.manager.deadline
            if site.due is not None and site.due - site.ahead < late:
                due, late = site, site.due - site.ahead
        if min(queued, late) > end:
            return False
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise Breach("a busy loop")
        if due is not None and late < queued:
            self.now = max(self.now, late)
            # The clocks' difference is rounded: a deadline is due when it is the next thing there is.
            local = max(self.clock(due), due.due or 0.0)
            self.apply(due, due.manager.tick(local))
        else:
            self.now = max(self.now, queued)
            heapq.heappop(self._queue)[2]()
        return True

    @property
    def still(self) -> bool:
        """Whether no IKE message is under way, nothing is computed, and no site has to do but to wait."""
        return not self._flying and not self._thoughts and all(site.still for site in self.sites.values())

    # -- what the script does ----------------------------------------------------------------------

    def reconfigure(self, name: str, kind: str) -> None:
        """A site has another configuration from now on (`sites.changed`)."""
        site = self.sites[name]
        self.note(name, f"is configured anew: {kind}")
        before, site.config = site.config, changed(site, kind)
        if ends_children(difference(before, site.config)):
            self.unwanted = True
            self.surplus += len(site.sas())
        self.apply(site, site.manager.replace_config(site.config, self.clock(site)))

    def note(self, site: str, text: str) -> None:
        self.ladder.append((self.now, site, b"", text))

    def command(self, name: str, command: Command) -> None:
        site = self.sites[name]
        if (isinstance(command, Rekey) and command.reauth) or (
            isinstance(command, Terminate) and command.force  # the peer replaces what isn't there any more
        ):
            self.surplus += len(site.sas(command.ike))
        if isinstance(command, Initiate | Rekey | Terminate):
            self._tickets += 1
            site.asked.add(self._tickets)
            command = replace(command, ticket=self._tickets)
            if isinstance(command, Initiate):
                site.wishes[self._tickets] = command.connection, command.child
        self.note(name, str(command))
        self.apply(site, site.manager.request(command, self.clock(site)))

    def restart(self, name: str) -> None:
        self.note(name, "restart")
        self.disturbed.add(name)
        self.surplus += 1
        site = self.sites[name]
        site.restart()
        self.start(site)

    def take_over(self, name: str) -> bool:
        """A new process takes a site over, without a word to its peers; False if it can't now."""
        site = self.sites[name]
        restored = site.take_over(self.clock(site))
        if restored is None:
            return False
        self.note(name, "taken over by a new process")
        self.taken_over += 1
        for effects in restored:
            self.apply(site, effects)
        self.start(site)
        return True

    def start(self, site: Site) -> None:
        """A daemon tells its machine what it may send from, and lets it begin."""
        if site.options.moves:
            self.command(site.name, LocalAddressesChanged(site.addresses))
        self.apply(site, site.manager.start(self.clock(site)))

    def move(self, name: str, addresses: tuple[Address, ...]) -> None:
        """A site has other addresses."""
        self.sites[name].addresses = addresses
        self.command(name, LocalAddressesChanged(addresses))

    def rebind(self, name: str, address: Address) -> None:
        """The NAT before a site restarts."""
        nat = self.sites[name].nat
        if nat is not None:
            self.note(name, f"the NAT forgets its mappings, and has the address {address}")
            nat.rebind(address)

    def converse(self, name: str) -> None:
        """From now on packets flow between a site and its peers, whatever else happens."""
        for link in LINKS[name]:
            self.probe(name, peer_of(name, link))
        self.at(self.now + CONVERSATION, partial(self.converse, name))

    def jump(self, name: str, seconds: float) -> None:
        self.note(name, f"clock jumps by {seconds:.1f} s")
        self.disturbed.add(name)  # what waits for the peer waits no more
        self.sites[name].ahead += seconds

    # -- effects -----------------------------------------------------------------------------------

    def apply(self, site: Site, effects: list[Effect]) -> None:
        site.touched = True
        told: set[str] = set()  # peers that a message went to
        ended: dict[int, IkeDown] = {}  # by ike_id
        answered: list[Outcome] = []  # of wishes for a child
        for effect in effects:
            if isinstance(effect, Event):
                site.tell(effect)
            match effect:
                case Send():
                    told.add(NAMES[effect.path.remote.address])
                    self._send(site, effect)
                case IkeDown(sa=sa):
                    ended[sa.ike_id] = effect
                case ChildDown(sa=sa, reason=ChildRemoval.WITH_IKE_SA):
                    self.disturbed.add(site.name)
                    forgotten = self._forgotten(site, sa.connection, sa.spi_i)
                    given_up = _is_given_up(ended[sa.ike_id]) and not forgotten
                    if given_up and self.gentle and not self.lossy:
                        raise Breach(f"{site.name} gives up a peer that is there")
                case Log():
                    if effect.text.startswith(GIVEN_UP):
                        self.given_up = True
                        self.surplus += 1  # for the other end it stands, and may be reauthenticated
                        if "but not IKE_AUTH" in effect.text:
                            self.disturbed.add(site.name)  # the other end's packets may go that way
                    self.unwanted |= effect.text.endswith("expired")
                    if effect.level is not Level.DEBUG:
                        self.note(site.name, f"{effect.subject}: {effect.text}")
                case Outcome():
                    if effect.ticket in site.outcomes:
                        raise Breach(f"two outcomes of {site.name}'s command {effect.ticket}")
                    site.outcomes[effect.ticket] = effect
                    if effect.ticket in site.wishes:
                        answered.append(effect)
                case Compute():
                    self._think(site, effect)
                case SendKeepalive():
                    site.seen_as(effect.path.local, self.now)
                case _ if not isinstance(effect, Event):
                    if isinstance(effect, InstallInbound) and peer_of(site.name, effect.connection) in told:
                        raise Breach("a message was sent before the SA that it speaks of was installed")
                    site.plane.run(effect)
        for outcome in answered:
            self._check_answer(site, outcome)

    def _forgotten(self, site: Site, connection: str, spi_i: bytes) -> bool:
        """Whether the peer has deleted it, and may have been taken over since: a new process does not know
        what the former one answered last on IKE_SAs that had ended."""
        peer = self.sites[peer_of(site.name, connection)]
        return self.taken_over > 0 and all(one.spi_i != spi_i for one in peer.sas())

    def _of_a_forgotten(self, site: Site, spi_out: int) -> bool:
        """Whether a packet goes under a child of such an IKE_SA, which still waits for that answer."""
        ending = [sa for sa in site.sas() if sa.is_ending and sa.children.by_outbound_spi(spi_out)]
        return any(self._forgotten(site, sa.connection.name, sa.spi_i) for sa in ending)

    def _think(self, site: Site, job: Compute) -> None:
        """What a site computes takes a moment or, now and then, longer than a retransmission."""
        chance, manager = self._thinking.random, site.manager
        delay = (0.0, 0.0, 0.05 * chance(), 0.05 * chance(), 2.0 * chance())[int(5 * chance())]
        self._thoughts += 1
        self.thoughtful = True

        def done() -> None:
            self._thoughts -= 1
            if site.manager is manager:  # else it was restarted
                self.apply(site, manager.complete(job.ticket, outcome_of(job), self.clock(site)))

        self.at(self.now + delay, done)

    def _check_answer(self, site: Site, outcome: Outcome) -> None:
        """A child that is told to be up is, and one that is told not to be is not, or is to be deleted."""
        connection, child = site.wishes[outcome.ticket]
        up = site.plane.has(connection, child) if outcome.ok else site.has(connection, child)
        if outcome.ok is not up:
            raise Breach(f"{site.name} is told of {connection}.{child}: {outcome.text}, which is not so")

    def _send(self, site: Site, effect: Send) -> None:
        data, receiver = effect.data, NAMES[effect.path.remote.address]
        self.sent += 1
        self._check_content(data)
        fates: list[str] = []
        if effect.path.local.address in site.addresses:
            source = site.seen_as(effect.path.local, self.now)
            for delay in self._delays(receiver):
                self._fly(site.name, source, effect.path.remote, data, delay)
                fates.append(f"{delay:.3f}")
        self.ladder.append((self.now, site.name, data, f"{receiver} {'+'.join(fates) or 'lost'}"))

    def _delays(self, receiver: str) -> list[float]:
        """When the copies of a message that are not lost arrive."""
        weather, chance = self.weather, self.random.random
        if receiver not in self.sites or self.now < self.down_until:
            return []
        delays: list[float] = []
        for _ in range(1 + (chance() < weather.duplicates)):
            if chance() < weather.loss:
                continue
            delay = weather.delay * (0.5 + chance())
            if chance() < weather.late:
                delay += weather.latest * chance()
            delays.append(delay)
        return delays

    def _fly(self, sender: str, source: Endpoint, to: Endpoint, data: bytes, delay: float) -> None:
        self._flying += 1
        receiver = NAMES[to.address]

        def arrive() -> None:
            self._flying -= 1
            site = self.sites[receiver]
            inside = site.reached_at(to, self.now)
            if inside is None:
                return
            path, now = Path(inside, source), self.clock(site)
            worthless = site.manager.is_worthless(data, path, now)
            effects = site.manager.receive(data, path, now)
            if worthless and not all(isinstance(effect, Log) for effect in effects):
                raise AssertionError("something followed from a message that was to be dropped")
            self.apply(site, effects)
            self.probe(sender, receiver)

        self.at(self.now + delay, arrive)

    def _check_content(self, data: bytes) -> None:
        """A message ID (with a fragment's number) stands for one content, and an IV for one plaintext."""
        if data[16] not in (PayloadType.SK, PayloadType.SKF):
            return
        begin = 36 if data[16] == PayloadType.SKF else 32
        direction = data[:16] + bytes([data[19] & HeaderFlag.INITIATOR])
        if data[18] == ExchangeType.IKE_INTERMEDIATE:
            direction += data[20:24]  # after each of these come other keys (RFC 9370 2.2.2)
        if self._contents.setdefault(data[:16] + data[19:24] + data[32:begin], data) != data:
            raise Breach("a message ID stands for two contents")
        if self._ivs.setdefault(direction + data[begin : begin + 8], data) != data:
            raise Breach("an IV comes a second time under one key")

    # -- packets -----------------------------------------------------------------------------------

    def probe(self, one: str, other: str) -> None:
        """A packet each way for every policy, some at once and some under way for a while."""
        connection = one + other if other == "b" else other + one
        for sender, receiver in ((one, other), (other, one)):
            for child in CHILDREN:
                packet = self.sites[sender].plane.send(connection, child)
                policy = f"{connection}.{child}"
                if packet is None:
                    if self.gentle and not self.given_up and (sender, policy) in self.up:
                        raise Breach(f"{sender} has no SA to send under for {policy}: a hole")
                    continue
                self.probed += 1
                source = self.sites[sender].seen_as(packet.path.local, self.now)
                delay = self.random.choice((0.0, 0.0, 0.05, 0.4))
                if delay:
                    self.at(
                        self.now + delay,
                        partial(self._packet, sender, receiver, policy, packet, source),
                    )
                else:
                    self._packet(sender, receiver, policy, packet, source)

    @property
    def strict(self) -> bool:
        """Whether no packet may be lost: no IKE_SA died, and nobody restarted."""
        return self.gentle and not self.disturbed

    def _packet(self, sender: str, receiver: str, policy: str, packet: Packet, source: Endpoint) -> None:
        site = self.sites[receiver]
        inside = site.reached_at(packet.path.remote, self.now)
        if inside is None or packet.path.local.address not in self.sites[sender].addresses:
            self.lost += 1  # it went where nobody is
            return
        if site.plane.receive(packet):
            self.up.add((sender, policy))
            moved = site.plane.moved(packet, source)
            if moved is not None:
                self.apply(site, site.manager.peer_moved(moved, source, self.clock(site)))
            return
        self.lost += 1
        self._judge(sender, site, policy, packet)
        path = Path(inside, source)
        self.apply(site, site.manager.unknown_spi(packet.sa.spi, path, self.clock(site)))

    def _judge(self, sender: str, receiver: Site, policy: str, packet: Packet) -> None:
        """A packet can't be decrypted: whether that is allowed."""
        had = packet.sa.spi in receiver.plane.spis
        forgotten = self._of_a_forgotten(self.sites[sender], packet.sa.spi)
        if self.strict and (sender, policy) in self.up and not forgotten:
            raise Breach(
                f"{sender} sends for {policy} under {packet.sa.spi:08x}, {receiver.name} can't decrypt it"
            )
        excused = self.unwanted or receiver.name in self.disturbed or sender in self.disturbed
        if packet.standby_born and not had and not excused:
            raise Breach(
                f"{sender} sends for {policy} under the rekeyed {packet.sa.spi:08x}, "
                f"which {receiver.name} has never had"
            )

    # -- for people --------------------------------------------------------------------------------

    def transcript(self) -> str:
        return "\n".join(f"{at - 1000:9.3f} {_line(who, data, text)}" for at, who, data, text in self.ladder)


def _is_given_up(end: IkeDown) -> bool:
    """Whether the peer did not answer our last request."""
    return end.failure is not None and isinstance(end.failure.cause, Silence)


def _line(who: str, data: bytes, text: str) -> str:
    if not data:
        return f"{who}: {text}"
    known = data[18] in set(ExchangeType)
    name = ExchangeType(data[18]).name if known else f"exchange {data[18]}"
    kind = "response" if data[19] & HeaderFlag.RESPONSE else "request"
    receiver, fate = text.split()
    sealed = "" if data[16] in (PayloadType.SK, PayloadType.SKF) else "unprotected, "
    if data[16] == PayloadType.SKF:
        sealed = f"{data[33]}/{data[35]}, "
    message_id = int.from_bytes(data[20:24], "big")
    spis = f"{data[:3].hex()}_{data[8:11].hex()}"
    return f"{who} -> {receiver} {name} {kind} {message_id} ({spis}, {sealed}{fate})"
