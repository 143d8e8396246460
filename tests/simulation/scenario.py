"""What happens in a run: everything follows from its seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from esp.packet.selectors import Selector
from ikepy.sa.api.commands import Acquire, ChildrenLost, Initiate, Rekey, SequenceLow, Terminate
from ikepy.sa.state.child_sa import ChildState
from ikepy.sa.tasks import child_rekey
from ikepy.sa.tasks.ike_rekey import IkeRekey
from tests.exchange.methods import ChallengeResponse, Signature
from tests.exchange.network import PSK
from tests.key_exchanges import all_slow

from . import cheap
from .algorithms import ALGORITHMS, quantum_safe, signed
from .laws import check_quiet
from .plane import Breach
from .sites import ADDRESSES, CHILDREN, OTHER, OUTER, SECOND, Options
from .world import CALM, Weather, World

QUIET = 200.0  # seconds of calm after which the ends must agree
PATIENCE = 200.0  # further seconds for a run that is checked as soon as all is well
STILL = 1000.0  # further seconds until no timer is just at work: several IKE_SAs are rekeyed all the time
REAL = 10  # one run in so many has real crypto
THOUGHTFUL = 0.35  # share of the runs in which key exchanges take their time
PATIENT = 8  # one run in so many waits that long, the others until all is well
REMEMBERING = 1_000_000_000  # from this seed on keys outlive restarts, of which there are more
QUANTUM = 2_000_000_000  # from this seed on there are additional key exchanges, and in some runs PPKs
SIGNED = 3_000_000_000  # from this seed on certificates prove who the ends are, in half of them beside that
CROSSING = 4_000_000_000  # from this seed on both ends create much at once, and then messages are lost
SWARM = 5_000_000_000  # from this seed on a run does only some of what may be done, and that often
RESUMING = 0.5  # share of these runs in which keys outlive restarts, too
TAKEN_OVER = 0.2  # share of the runs in which new processes take sites over
TRIES = 10  # to do so
PAUSES = (0.0, 0.02, 0.7, 4.0, 10.0)  # seconds between two actions, on average
VOLUME = 1000  # bytes after which a child is rekeyed; twice as many end it
DENSE = (0.02, 0.05, 0.2, 0.5)
METHODS = (PSK, PSK, PSK, Signature(), ChallengeResponse(), ChallengeResponse(computes=True))
INNER = Selector.of("10.1.0.1/32")


@dataclass(frozen=True, slots=True)
class Result:
    """How a run went; `error` "" if it went well."""

    seed: int
    error: str
    transcript: str
    messages: int
    packets: int
    lost: int
    taken_over: int  # how often a new process went on for a site


def run(
    seed: int, *, transcript: bool = False, watch: Callable[[World], None] = lambda world: None
) -> Result:
    """One run, from its seed to its end or to the first breach of a law; one in ten with real crypto.

    `watch` is given the world before anything happens in it.
    """
    scenario = Scenario(seed)
    watch(scenario.world)
    error = ""
    try:
        thoughtful = random.Random(f"thoughtful {seed}").random() < THOUGHTFUL
        with (
            cheap.crypto() if seed % REAL else nullcontext(),
            all_slow() if thoughtful else nullcontext(),
        ):
            scenario.play()
    except Exception as found:  # whatever the machine raises is what a run looks for
        error = f"{type(found).__name__}: {found}"
        if not isinstance(found, Breach):
            scenario.world.note("!", _where(found))
    world = scenario.world
    text = world.transcript() if transcript or error else ""
    return Result(seed, error, text, world.sent, world.probed, world.lost, world.taken_over)


def _where(error: Exception) -> str:
    traceback = error.__traceback__
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return " > ".join(frames[-8:])


class Scenario:
    """Options, weather and a script of actions, drawn from the seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"scenario {seed}")
        self.gentle = self.chance.random() < 0.4 and seed < SWARM
        self.dense = self.chance.random() < 0.15  # much at once, and late
        options = self._options()
        method = random.Random(f"authenticator {seed}").choice(METHODS)
        options = {name: replace(one, authenticator=method) for name, one in options.items()}
        self.remembers = REMEMBERING <= seed < QUANTUM
        self.crossing = seed >= CROSSING
        drawn = random.Random(f"quantum {seed}")
        if self.crossing:
            options = quantum_safe(options, drawn) if drawn.random() < 0.5 else options
            self.remembers = seed >= SWARM and drawn.random() < 0.3
        elif seed >= SIGNED:
            options = signed(options, random.Random(f"signed {seed}"))
            self.remembers = random.Random(f"remembers {seed}").random() < RESUMING
        elif seed >= QUANTUM:
            options = quantum_safe(options, drawn)
        options = {name: replace(one, remembers=self.remembers) for name, one in options.items()}
        self.table = GENTLE if self.gentle else CREATING if self.crossing else ROUGH
        if seed >= SWARM:
            self.table = [(drawn.choice((0, 0, 1, 4)), act) for _, act in ROUGH]
            self.table.append((1, drawn.choice(ROUGH)[1]))
        self.restarts = random.Random(f"restarts {seed}")
        self.world = World(options, seed, gentle=self.gentle)
        self.links = ("ab", "cb") if "c" in self.world.sites else ("ab",)
        self.patient = seed % PATIENT == 0  # whether to look for what goes wrong later
        self.ended = False  # whether somebody ended something on purpose
        self.takeovers = random.Random(f"takeover {seed}")
        self.taken_over = self.takeovers.random() < TAKEN_OVER  # whether new processes go on for sites

    def play(self) -> None:
        world, chance = self.world, self.chance
        self._bring_up()
        world.weather = self._weather()
        world.lossy = world.weather.loss > 0
        for site in world.sites.values():
            if self.gentle and site.nat is not None:
                world.converse(site.name)  # else a peer whose NAT forgot it can't be told anything
        end = world.now + (chance.uniform(0.5, 3) if self.dense else chance.uniform(5, 25))
        self.crowded_until = world.now + chance.uniform(0.5, 3) if self.crossing else 0.0
        while world.now < end:
            world.run(chance.choice(self._pauses()) * 2 * chance.random())
            self._act()
            self._perhaps_take_over()
            if self.remembers and not self.gentle and self.restarts.random() < 0.2:
                world.restart(self.restarts.choice(list(world.sites)))
        world.run(max(end - world.now, 0.0))
        world.weather, world.down_until = CALM, 0.0
        world.note("*", "calm")
        for name in world.sites:
            world.reconfigure(name, "as at first")
        if self.moves:
            for name in world.sites:
                first, second = ADDRESSES[name], SECOND[name]
                world.move(name, chance.choice(((first,), (first, second), (second, first))))
        if not self.patient:
            self._settle()
        else:
            world.run(QUIET)
            until = world.now + STILL
            while not world.still:
                if not world.step(until):
                    raise Breach("no rest after all")
        world.note("*", "checked")
        self._check()

    def _pauses(self) -> tuple[float, ...]:
        """Seconds between two actions, on average, one of which is drawn."""
        if self.dense or (self.crossing and self.world.now < self.crowded_until):
            return DENSE
        return PAUSES

    def _settle(self) -> None:
        """Until all is well and nobody waits for anything, but not for ever."""
        world = self.world
        until = world.now + QUIET + PATIENCE
        while world.step(until):
            if world.still:
                try:
                    self._check()
                    return
                except Breach:  # they may not know yet
                    continue

    def _check(self) -> None:
        check_quiet(self.world, {link: self._must_be_up(link) for link in self.links})

    def _must_be_up(self, link: str) -> bool:
        """Whether one end brings up what is missing, and nobody ended anything on purpose."""
        return not self.ended and any(self.world.sites[name].options.persistent for name in link)

    def _perhaps_take_over(self) -> None:
        """In some runs: a new process goes on for a site, as soon as what it has can be exported."""
        if self.taken_over and self.takeovers.random() < 0.3:
            self._take_over(self.takeovers.choice(list(self.world.sites)), TRIES)

    def _take_over(self, name: str, tries: int) -> None:
        if not self.world.take_over(name) and tries:
            again = self.world.now + self.takeovers.choice((0.003, 0.05, 0.3, 1.0))
            self.world.at(again, partial(self._take_over, name, tries - 1))

    # -- choices -----------------------------------------------------------------------------------

    def _options(self) -> dict[str, Options]:
        chance = self.chance
        ike, esp = chance.choice(ALGORITHMS)
        timed = chance.random() < 0.15  # SAs are replaced by time too, not only at the script's moments
        self.moves = not self.gentle and chance.random() < 0.2
        self.measured = chance.random() < 0.2
        natted = chance.choice(("a", "ac")) if chance.random() < 0.15 else ""
        common = Options(
            unique=chance.choice(("no", "replace", "replace", "never")),
            three=chance.random() < 0.06,
            cookie_threshold=chance.choice((30, 30, 30, 1)),
            moves=self.moves,
            fragment_size=300 if chance.random() < 0.06 else 1280,
            child_bytes=VOLUME if self.measured else 0,
            window_size=4 if chance.random() < 0.1 else 1,
            natted=natted,
            mobike=not natted or chance.random() < 0.5,
        )
        options: dict[str, Options] = {}
        for n, name in enumerate("abc" if common.three else "ab"):
            rekey = chance.choice((0.0, 20.0, 60.0)) if timed else 0.0
            options[name] = replace(
                common,
                proposals=ike[n % len(ike)],
                esp_proposals=esp[n % len(esp)],
                persistent=name != "b"
                if self.gentle
                else chance.random() < 0.4 and not (natted and name == "b"),
                dpd_delay=chance.choice((30.0, 60.0)),
                child_rekey=rekey,
                child_life=rekey + (60.0 if self.gentle else 8.0) if rekey else 0.0,
                ike_rekey=chance.choice((0.0, 30.0, 50.0)) if timed and not self.gentle else 0.0,
                reauth=chance.choice((0.0, 0.0, 40.0)) if timed and not self.gentle else 0.0,
            )
        return options

    def _weather(self) -> Weather:
        chance = self.chance
        if self.crossing:
            late, latest = chance.choice((0.2, 0.5)), chance.choice((0.5, 3.0, 12.0))
            return Weather(chance.choice((0.1, 0.3, 0.5)), duplicates=0.1, late=late, latest=latest)
        if self.dense:
            return Weather(chance.choice((0.0, 0.0, 0.1)), duplicates=0.2, late=0.5, latest=1.0)
        if self.gentle:
            return Weather(
                loss=chance.choice((0.0, 0.1, 0.2)),
                duplicates=chance.choice((0.0, 0.3)),
                late=chance.choice((0.0, 0.2, 0.5)),
                latest=chance.choice((0.5, 3.0)),
            )
        return Weather(
            loss=chance.choice((0.0, 0.1, 0.3, 0.5)),
            duplicates=chance.choice((0.0, 0.1, 0.5)),
            late=chance.choice((0.0, 0.2, 0.5)),
            latest=chance.choice((0.5, 3.0, 12.0)),
        )

    def _bring_up(self) -> None:
        world = self.world
        for site in world.sites.values():
            world.start(site)
        if self.gentle or self.chance.random() < 0.7:
            world.run(0.2)
            world.command("a", Initiate("ab", "net"))
            world.command("a", Initiate("ab", "second"))
            world.run(3.0)
        if self.gentle and world.thoughtful:  # its laws are of ends that are up
            until = world.now + QUIET
            while not world.still and world.step(until):
                pass

    # -- actions -----------------------------------------------------------------------------------

    def _act(self) -> None:
        """One thing, or the same thing at two sites in one instant."""
        names = list(self.world.sites)
        weights = [weight for weight, _ in self.table]
        act = self.chance.choices(self.table, weights)[0][1]
        act(self, self.chance.choice(names))
        if self.chance.random() < 0.4:
            if self.chance.random() < 0.5:
                act = self.chance.choices(self.table, weights)[0][1]
            act(self, self.chance.choice(names))

    def nothing(self, name: str) -> None:
        """Let time pass."""

    def rekey_child(self, name: str) -> None:
        site = self.world.sites[name]
        found = [
            (sa, child)
            for sa in site.sas()
            for child in sa.children.values()
            if sa.established and child.state is ChildState.INSTALLED
        ]
        if found:
            sa, child = self.chance.choice(found)
            self.world.note(name, f"rekeys child {child.config.name} #{child.child_id}")
            child_rekey.begin(sa, child)
            self.world.apply(site, site.manager.proceed(sa, self.world.clock(site)))

    def rekey_ike(self, name: str) -> None:
        site = self.world.sites[name]
        found = [sa for sa in site.sas() if sa.established]
        if found:
            sa = self.chance.choice(found)
            self.world.note(name, f"rekeys IKE_SA #{sa.ike_id}")
            sa.enqueue(IkeRekey())
            self.world.apply(site, site.manager.proceed(sa, self.world.clock(site)))

    def initiate(self, name: str) -> None:
        connection = self.chance.choice(self.world.sites[name].connections)
        self.world.command(name, Initiate(connection, self.chance.choice(list(CHILDREN))))

    def acquire(self, name: str) -> None:
        self.world.command(
            name, Acquire(self.chance.choice(self.world.sites[name].connections), INNER, INNER)
        )

    def rekey_command(self, name: str) -> None:
        """A user's rekey of all that has a name, or a reauthentication."""
        connection = self.chance.choice(self.world.sites[name].connections)
        kind = self.chance.choice(("child", "IKE_SA", "reauthentication"))
        if kind == "child":
            self.world.command(name, Rekey(ike=connection, child=self.chance.choice(list(CHILDREN))))
        else:
            self.world.command(name, Rekey(ike=connection, reauth=kind == "reauthentication"))

    def reauthenticate(self, name: str) -> None:
        """One at a time: of several IKE_SAs that go at once the peer can't know which child to send under."""
        link = self.chance.choice(self.world.sites[name].connections)
        if all(len(self.world.sites[end].sas(link)) == 1 for end in link):
            self.world.command(name, Rekey(ike=link, reauth=True))

    def measure(self, name: str) -> None:
        """A child has carried so much: it is rekeyed, or its life is over."""
        site = self.world.sites[name]
        if self.measured and site.plane.outbound:
            child_id = self.chance.choice(list(site.plane.outbound))
            used = VOLUME if self.gentle else self.chance.choice((VOLUME - 1, VOLUME, VOLUME, 2 * VOLUME))
            self.world.note(name, f"child {child_id} has carried {used} bytes")
            self.world.apply(site, site.manager.usage(child_id, used, 1, self.world.clock(site)))

    def move(self, name: str) -> None:
        """Addresses come and go."""
        if self.moves:
            first, second = ADDRESSES[name], SECOND[name]
            choices = ((first,), (second,), (first, second), (second, first))
            self.world.move(name, self.chance.choice(choices))

    def rebind(self, name: str) -> None:
        """A NAT gives other ports, or has another address too."""
        self.world.rebind(name, self.chance.choice((OUTER, OUTER, OTHER))[name])

    def delete_child(self, name: str) -> None:
        self.ended = self.world.unwanted = True
        self.world.command(name, Terminate(child=self.chance.choice(list(CHILDREN))))

    def delete_ike(self, name: str) -> None:
        self.ended = self.world.unwanted = True
        self.world.command(name, Terminate(ike=self.chance.choice(self.world.sites[name].connections)))

    def forget_ike(self, name: str) -> None:
        self.ended = True
        self.world.disturbed.add(name)
        connection = self.chance.choice(self.world.sites[name].connections)
        self.world.command(name, Terminate(ike=connection, force=True))

    def lose_children(self, name: str) -> None:
        """A worker died, which had the device of one connection or one of its own for each child."""
        self.world.disturbed.add(name)
        site = self.world.sites[name]
        connection = self.chance.choice(site.connections)
        children = self.chance.choice((tuple(CHILDREN), ("net",), ("second",)))
        lost = [
            child.child_id
            for sa in site.sas(connection)
            for child in sa.children.values()
            if child.config.name in children
        ]
        site.plane.lose(set(lost))
        self.world.command(name, ChildrenLost(tuple(lost)))

    def run_low(self, name: str) -> None:
        outbound = list(self.world.sites[name].plane.outbound)
        if outbound:
            self.world.command(name, SequenceLow(self.chance.choice(outbound)))

    def restart(self, name: str) -> None:
        self.world.restart(name)

    def jump(self, name: str) -> None:
        self.world.jump(name, self.chance.choice((0.5, 5.0, 30.0, 600.0)))

    def change_in_place(self, name: str) -> None:
        """Another configuration that no SA may suffer from."""
        kinds = ("as it is", "as at first", "in place", "by a rekey")
        self.world.reconfigure(name, self.chance.choice(kinds))

    def reconfigure(self, name: str) -> None:
        kinds = ("as it is", "as at first", "in place", "by a rekey", "other terms", "other child",
                 "without a child", "without a connection")  # fmt: skip
        kind = self.chance.choice(kinds)
        if kind.startswith("without"):
            self.ended = True
        self.world.reconfigure(name, kind)

    def cut(self, name: str) -> None:
        seconds = self.chance.choice((0.5, 3.0, 15.0, 60.0))
        self.world.note("*", f"the link is cut for {seconds} s")
        self.world.down_until = self.world.now + seconds


Action = Callable[[Scenario, str], None]

GENTLE: list[tuple[int, Action]] = [
    (3, Scenario.nothing),
    (6, Scenario.rekey_child),
    (3, Scenario.rekey_ike),
    (1, Scenario.run_low),
    (1, Scenario.measure),
    (1, Scenario.reauthenticate),
    (2, Scenario.rebind),
    (2, Scenario.change_in_place),
]
ROUGH: list[tuple[int, Action]] = [
    (6, Scenario.nothing),
    (6, Scenario.rekey_child),
    (4, Scenario.rekey_ike),
    (4, Scenario.initiate),
    (1, Scenario.acquire),
    (2, Scenario.delete_child),
    (1, Scenario.delete_ike),
    (1, Scenario.forget_ike),
    (1, Scenario.lose_children),
    (1, Scenario.run_low),
    (2, Scenario.rekey_command),
    (2, Scenario.measure),
    (3, Scenario.move),
    (3, Scenario.rebind),
    (1, Scenario.restart),
    (1, Scenario.jump),
    (1, Scenario.cut),
    (3, Scenario.reconfigure),
]
CREATING: list[tuple[int, Action]] = [
    (6, Scenario.rekey_child),
    (4, Scenario.rekey_ike),
    (6, Scenario.initiate),
    (1, Scenario.acquire),
    (2, Scenario.delete_child),
    (1, Scenario.delete_ike),
    (1, Scenario.lose_children),
    (3, Scenario.rekey_command),
    (1, Scenario.move),
    (3, Scenario.cut),
    (1, Scenario.reconfigure),
]
