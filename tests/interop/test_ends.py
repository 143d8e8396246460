"""What becomes of a child after each end: ikepy and a real charon with the same configuration, side by side.

The table is `ikepy.sa.state.end_actions`; here its rows, and what it says of charon, are held against
charon itself. A strongSwan as the peer of either brings the ends about. All connections of a user's end at
the same time, each in its own way, with a child for each combination of actions. Where the two differ, the
row says why.

Not here are the ends for which charon has no like (a worker lost, a fault of our own), and those to which a
strongSwan brings nobody at will (an error that is fatal to an IKE_SA that stood, a redundant IKE_SA).

IKEPY_LONG=1: all 27 combinations, and users that have answered too (four minutes).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import product
from typing import Literal

import pytest

from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair
from tests.interop.bed import OUR_FAULTS, SIDES, Side
from tests.interop.ends import Actions, Line, Scene, State
from tests.netns.namespaces import wait_until

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

LONG = bool(os.environ.get("IKEPY_LONG"))
Role = Literal["initiator", "responder"]
ROLES: tuple[Role, ...] = ("initiator", "responder") if LONG else ("initiator",)
WORDS = ("none", "trap", "start")
# Each action by itself, and those of which one might be taken for another.
ACTIONS = (
    [Actions(*words) for words in product(WORDS, repeat=3)]
    if LONG
    else [
        Actions(),
        *(Actions(start=word) for word in WORDS[1:]),
        *(Actions(close=word) for word in WORDS[1:]),
        *(Actions(dpd=word) for word in WORDS[1:]),
        Actions("trap", "start", "none"),
        Actions("trap", "none", "start"),
        Actions("none", "trap", "start"),
        Actions("start", "trap", "trap"),
    ]
)
SETTLED = 4.0  # seconds after which what was not to come has not come
COMES = 25.0  # seconds within which what is to come has come: tries that failed come again after 2, 4, 8 s
REPLACED = 60.0  # seconds within which an IKE_SA has gone in whose place the peer has another one

Rule = Callable[[Actions], State]


def counting(*keys: str) -> Rule:
    """Which of the actions count; what is trapped from the start stays that."""

    def rule(actions: Actions) -> State:
        words = [str(getattr(actions, key)) for key in keys]
        if "start" in words:
            return State.UP
        return State.TRAPPED if "trap" in [*words, actions.start] else State.GONE

    return rule


NEVER, CLOSE, DPD, START = counting(), counting("close"), counting("dpd"), counting("start")
ANY = counting("start", "close", "dpd")


def always(_: Actions) -> State:
    return State.UP


def traps_only(actions: Actions) -> State:
    """What `dpd_action` traps is; what it starts is not."""
    return State.TRAPPED if "trap" in (actions.start, actions.dpd) else State.GONE


class Time(Enum):
    """When a connection ends."""

    AT_ONCE = auto()
    IN_SILENCE = auto()  # while the peer is not heard
    IN_LONG_SILENCE = auto()  # as well, until the next try of the user's has failed
    AT_SET_UP = auto()  # nothing ever stood; what was wrong at the peer is mended a moment later
    AT_RESTART = auto()  # of the peer


About = Callable[[Scene, Line], None]


def nothing(scene: Scene, line: Line) -> None:
    """It ends by itself."""


def children_deleted_by_peer(scene: Scene, line: Line) -> None:
    for name in line.children.values():
        scene.peer.terminate(child=name)


def children_terminated(scene: Scene, line: Line) -> None:
    for name in line.children.values():
        scene.user.terminate(child=name)


def deleted_by_peer(scene: Scene, line: Line) -> None:
    scene.peer.terminate(ike=line.name)


def terminated(scene: Scene, line: Line) -> None:
    scene.user.terminate(ike=line.name)


def reauthenticated(scene: Scene, line: Line) -> None:
    scene.reauthenticate(line.name)


def reauthenticated_by_peer(scene: Scene, line: Line) -> None:
    scene.peer.swanctl("--rekey", "--reauth", "--ike", line.name)


def rekeyed(scene: Scene, line: Line) -> None:
    """In vain, which charon's user is not told."""
    with contextlib.suppress(LabError):
        scene.user.rekey(ike=line.name)


@dataclass(frozen=True, slots=True)
class Row:
    """How an end comes about, and what follows for a child: at charon, and at ikepy where that differs.

    The words are those of `Line`.
    """

    name: str
    charon: Rule
    about: About = nothing
    ours: Rule | None = None
    deviation: str = ""
    time: Time = Time.AT_ONCE
    words: dict[str, str] = field(default_factory=dict)
    child_words: dict[str, str] = field(default_factory=dict)
    peer_words: dict[str, str] = field(default_factory=dict)
    peer_child_words: dict[str, str] = field(default_factory=dict)
    peer_secret: str = "s3cr3t"
    peer_unique: str = "no"

    def rule(self, kind: Side) -> Rule:
        """What follows at this kind of user."""
        return self.charon if kind == "strongSwan" or self.ours is None else self.ours

    def line(self, number: int, actions: tuple[Actions, ...]) -> Line:
        """Its connection."""
        return Line(
            number,
            self.name,
            actions,
            self.words,
            self.child_words,
            self.peer_words,
            self.peer_child_words,
            self.peer_secret,
            self.peer_unique,
        )


_FOR_EVER = (
    "README: what is configured to be up is tried for ever; charon's keyingtries is 1, and what was refused "
    "it never repeats"
)
_KEPT = "README: what is configured to be up, by whichever action, comes up again; charon forgets it"

ROWS = [
    Row("child-deleted-by-peer", CLOSE, children_deleted_by_peer),
    Row("child-terminated", NEVER, children_terminated),
    # It lives for long enough, or ikepy waits for some seconds before it makes the next one.
    Row("child-expired", always, child_words={"life_time": "11"}),
    Row("deleted-by-peer", CLOSE, deleted_by_peer),
    Row("terminated", NEVER, terminated),
    Row("reauthenticated", always, reauthenticated),
    Row("reauthenticated-by-peer", always, reauthenticated_by_peer),
    Row("dpd", DPD, time=Time.IN_SILENCE, words={"dpd_delay": "1", "keyingtries": "0"}),
    Row("rekey-unanswered", DPD, rekeyed, time=Time.IN_SILENCE, words={"keyingtries": "0"}),
    Row("terminated-in-silence", NEVER, terminated, time=Time.IN_SILENCE, words={"keyingtries": "0"}),
    Row(
        "silent-for-long",
        traps_only,
        ours=DPD,
        deviation=_FOR_EVER,
        time=Time.IN_LONG_SILENCE,
        words={"dpd_delay": "1"},
    ),
    Row(
        "expired",
        NEVER,
        ours=ANY,
        deviation=_KEPT,
        time=Time.IN_SILENCE,
        words={"rekey_time": "4", "over_time": "1", "rand_time": "0", "keyingtries": "0"},
    ),
    Row("other-secret", NEVER, ours=START, deviation=_FOR_EVER, time=Time.AT_SET_UP, peer_secret="other"),
    Row("other-secret-once", NEVER, time=Time.AT_SET_UP, peer_secret="other", words={"keyingtries": "1"}),
    Row(
        "other-proposal",
        NEVER,
        ours=START,
        deviation=_FOR_EVER,
        time=Time.AT_SET_UP,
        peer_words={"proposals": "aes256-sha384-ecp384"},
    ),
    Row(
        "other-proposal-once",
        NEVER,
        time=Time.AT_SET_UP,
        words={"keyingtries": "1"},
        peer_words={"proposals": "aes256-sha384-ecp384"},
    ),
    Row(
        "other-esp-proposal",
        NEVER,
        ours=START,
        deviation=_FOR_EVER,
        time=Time.AT_SET_UP,
        peer_child_words={"esp_proposals": "aes256gcm16"},
    ),
    Row(
        "other-selectors",
        NEVER,
        ours=START,
        deviation=_FOR_EVER,
        time=Time.AT_SET_UP,
        peer_child_words={"remote_ts": "10.99.0.0/24"},
    ),
    Row("peer-starts-anew", NEVER, ours=DPD, deviation=_KEPT, time=Time.AT_RESTART),
]
if LONG:  # it takes half a minute
    ROWS.append(
        Row(
            "replaced",
            NEVER,
            ours=DPD,
            deviation=_KEPT,
            time=Time.AT_RESTART,
            words={"unique": "replace"},
            peer_unique="never",
        )
    )


class Play:
    """One user's connections from their beginning to their ends."""

    def __init__(self, scene: Scene, role: Role) -> None:
        # A user that is to have answered can't have begun.
        answers = role == "responder"
        actions = tuple(one for one in ACTIONS if not (answers and one.start == "start"))
        self.scene = scene
        self.role = role
        self.rows = {row.line(number, actions): row for number, row in enumerate(ROWS)}
        self.first: dict[str, set[str]] = {}  # the SPIs of the children that are to end

    def lines(self, *times: Time) -> list[Line]:
        """The connections that end then."""
        return [line for line, row in self.rows.items() if row.time in times]

    def run(self) -> dict[str, State]:
        """What became of each child, by its name."""
        scene, everything = self.scene, list(self.rows)
        scene.start(everything)
        self.bring_up()
        scene.mend_peer(everything, [line for line in everything if line.words.get("keyingtries") == "1"])
        with ThreadPoolExecutor(len(everything)) as threads:
            at_once = [threads.submit(self.end, line) for line in self.lines(Time.AT_ONCE)]
            self.endure_silence()
        for ended in at_once:
            ended.result()
        self.wait_for_ends(self.lines(Time.AT_ONCE))
        states = self.settled([line for line in everything if self.rows[line].time is not Time.AT_RESTART])
        return states | self.settled(self.restart_peer())

    def bring_up(self) -> None:
        """All but those whose set-up fails: a peer tries that once, users as their actions say."""
        failing = self.lines(Time.AT_SET_UP)
        lines = [line for line in self.rows if line not in failing]
        side = self.scene.user if self.role == "initiator" else self.scene.peer
        for line in failing if self.role == "responder" else []:
            with pytest.raises(LabError):
                side.initiate(line.child(Actions()))

        def initiate(line: Line) -> None:
            for actions, name in line.children.items():
                if actions.start != "start":
                    side.initiate(name)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(initiate, lines))
        names = {name for line in lines for name in line.children.values()}
        wait_until(lambda: names <= self.scene.up().keys(), "all children", COMES)
        self.first = self.scene.up()

    def end(self, line: Line) -> None:
        """Bring its end about."""
        self.rows[line].about(self.scene, line)

    def endure_silence(self) -> None:
        """The peer is silent until the user has given up, and for some until the next try has failed."""
        silent, longer = self.lines(Time.IN_SILENCE), self.lines(Time.IN_LONG_SILENCE)
        with ThreadPoolExecutor(len(silent)) as threads:
            with self.scene.silent([*silent, *longer]):
                ended = [threads.submit(self.end, line) for line in silent]
                self.wait_for_ends([*silent, *longer])
            for one in ended:
                one.result()
        names = {line.name for line in longer}
        with self.scene.silent(longer):
            wait_until(lambda: not names & self.scene.ike_sas(), "the end of the next try", COMES)

    def wait_for_ends(self, lines: list[Line], patience: float = COMES) -> None:
        """Until nothing of what was there is left."""
        names = {name for line in lines for name in line.children.values()}

        def over() -> bool:
            up = self.scene.up()
            return not any(self.first[name] & up.get(name, set()) for name in names)

        wait_until(over, "the ends of the children", patience)

    def restart_peer(self) -> list[Line]:
        """It brings up one child of each, with INITIAL_CONTACT, and what else there was ends; gives these."""
        lines = self.lines(Time.AT_RESTART)
        self.scene.restart_peer(self.rows)
        for line in lines:
            self.scene.peer.initiate(line.child(Actions()))
        self.wait_for_ends(lines, REPLACED)
        return lines

    def settled(self, lines: list[Line]) -> dict[str, State]:
        """What is so when what is expected has come, and a while later, when something else might have."""
        expected = self.expected(lines)
        wanted = {name for name, state in expected.items() if state is State.UP}
        with contextlib.suppress(AssertionError):  # what has not come is told with all else
            wait_until(lambda: wanted <= self.scene.up().keys(), "what comes again", COMES)
        time.sleep(SETTLED)
        states = self.scene.states(lines)
        self.scene.mend_peer(self.rows)  # what is trapped comes up with a packet, whatever it is
        return self.scene.woken(lines, states, expected)

    def expected(self, lines: list[Line]) -> dict[str, State]:
        """By the rows, of each child by its name."""
        return {
            name: self.rows[line].rule(self.scene.kind)(actions)
            for line in lines
            for actions, name in line.children.items()
        }


@dataclass(frozen=True)
class Played:
    """What became of the children of a user, and its log."""

    play: Play
    states: dict[str, State]
    log: str

    def about(self, name: str) -> str:
        """The last that the log says of a connection."""
        return "\n".join([line for line in self.log.splitlines() if name in line][-40:])


@pytest.fixture(scope="module", params=ROLES)
def played(
    request: pytest.FixtureRequest, prefixes: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[Side, Played]:
    """Both kinds of users, side by side."""
    if shutil.which("nft") is None:
        pytest.skip("needs Debian's nftables")
    files = tmp_path_factory.mktemp("ends")
    named = {kind: next(prefixes) for kind in SIDES}

    def play(kind: Side) -> Played:
        with Pair(named[kind]) as pair:
            scene = Scene(pair, files / kind, kind)
            one = Play(scene, request.param)
            try:
                states = one.run()
            finally:
                scene.stop()
                print(scene.logs())
        return Played(one, states, scene.user.log())

    with ThreadPoolExecutor(len(SIDES)) as threads:
        return dict(zip(SIDES, threads.map(play, SIDES), strict=True))


@pytest.mark.parametrize("kind", SIDES)
@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_what_follows(played: dict[Side, Played], name: str, kind: Side) -> None:
    one = played[kind]
    (line,) = (line for line in one.play.rows if line.name == name)
    expected = one.play.expected([line])
    if one.play.rows[line].time is Time.AT_RESTART:
        del expected[line.child(Actions())]  # the peer's own doing
    assert {child: one.states[child] for child in expected} == expected, one.about(name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_where_they_differ_the_row_says_why(row: Row) -> None:
    differ = any(row.rule("ikepy")(one) is not row.rule("strongSwan")(one) for one in ACTIONS)
    assert differ == bool(row.deviation)


def test_ikepy_had_no_fault(played: dict[Side, Played]) -> None:
    log = played["ikepy"].log
    assert not [line for line in log.splitlines() for fault in OUR_FAULTS if re.search(fault, line)]
