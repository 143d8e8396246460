"""One configuration for an ikepy and for a strongSwan, each against a strongSwan that ends what they have.

user (ikepy or strongSwan) ==== peer (strongSwan)

Every connection has an address of the peer's for itself, and children of all combinations of actions.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ikepy.lab import pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import Side, daemon

# Seconds: three times of asking, then the peer is given up. Both take the same.
TIMEOUT, TRIES = 0.7, 2
ACQUIRE_INTERVAL = 1.1  # seconds between packets: one a second of each device may start something
# The peer has an address a connection, which are no ways to one peer.
WORDS = {"mobike": "no", "rekey_time": "0"}
CHILD_WORDS = {"rekey_time": "0"}
_NUMBERS = {"rekey_time", "reauth_time", "over_time", "rand_time", "life_time", "dpd_delay", "keyingtries"}


class State(StrEnum):
    """What becomes of a child."""

    UP = "up"
    TRAPPED = "trapped"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Actions:
    """A child's, in swanctl's words."""

    start: str = "none"
    close: str = "none"
    dpd: str = "none"

    @property
    def words(self) -> dict[str, str]:
        """What the configuration has of them."""
        return {"start_action": self.start, "close_action": self.close, "dpd_action": self.dpd}

    def __str__(self) -> str:
        return f"{self.start}-{self.close}-{self.dpd}"


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A connection, the same at every user, and what the peer has that differs.

    `words` and `child_words` are the user's; `peer_words`, `peer_child_words` and `peer_secret` are the
    peer's until it is mended; `peer_unique` is its `unique`.
    """

    number: int
    name: str
    actions: tuple[Actions, ...]
    words: Mapping[str, str] = field(default_factory=dict)
    child_words: Mapping[str, str] = field(default_factory=dict)
    peer_words: Mapping[str, str] = field(default_factory=dict)
    peer_child_words: Mapping[str, str] = field(default_factory=dict)
    peer_secret: str = "s3cr3t"
    peer_unique: str = "no"

    @property
    def peer_address(self) -> str:
        """The peer's."""
        return f"192.0.2.{10 + self.number}"

    def child(self, actions: Actions) -> str:
        """The name of the child that has them."""
        return f"{self.name}-{actions}"

    @property
    def children(self) -> dict[Actions, str]:
        """All names."""
        return {actions: self.child(actions) for actions in self.actions}

    def host(self, actions: Actions) -> str:
        """The host behind the peer to which the child leads."""
        return f"10.12.{self.number}.{self.actions.index(actions) + 1}"

    def source(self, actions: Actions) -> str:
        """The host behind the user whose packets the child carries: libipsec has one child a route."""
        return f"10.11.{self.number}.{self.actions.index(actions) + 1}"

    def user(self) -> strongswan.Connection:
        """As a strongSwan at the user's place has it, without its children."""
        return strongswan.Connection(
            name=self.name,
            local_addrs=pair.LEFT,
            remote_addrs=self.peer_address,
            local_id=f"user-{self.name}",
            remote_id=f"peer-{self.name}",
            options={**WORDS, **self.words},
        )

    def swanctl(self) -> str:
        """swanctl.conf of a user."""
        children = {
            self.child(actions): {
                "local_ts": f"{self.source(actions)}/32",
                "remote_ts": f"{self.host(actions)}/32",
                "esp_proposals": "aes128gcm16",
                **CHILD_WORDS,
                **self.child_words,
                **actions.words,
            }
            for actions in self.actions
        }
        return _swanctl(self.user(), children)

    def toml(self) -> str:
        """The same for ikepy."""
        words = {**CHILD_WORDS, **self.child_words}
        children = [
            f"[connections.{self.name}.children.{self.child(actions)}]\n"
            f'local_ts = ["{self.source(actions)}/32"]\nremote_ts = ["{self.host(actions)}/32"]\n'
            f'esp_proposals = ["aes128gcm16"]\n{_toml({**words, **actions.words})}'
            for actions in self.actions
        ]
        user = self.user()
        return f"""\
[connections.{user.name}]
local_addrs = ["{user.local_addrs}"]
remote_addrs = ["{user.remote_addrs}"]
proposals = ["{user.proposals}"]
{_toml(user.options)}
[connections.{user.name}.local]
id = "{user.local_id}"
[connections.{user.name}.remote]
id = "{user.remote_id}"
{"".join(children)}
[connections.{user.name}.vti]
name = "vti{self.number}"
routes = ["10.12.{self.number}.0/24"]
[secrets.ike-{user.name}]
ids = ["{user.local_id}", "{user.remote_id}"]
secret = "{user.secret}"
"""

    def peer(self, *, mended: bool = False) -> str:
        """swanctl.conf of the peer; `mended`: it has what the user asks for."""
        children = {
            self.child(actions): {
                "local_ts": f"{self.host(actions)}/32",
                "remote_ts": f"{self.source(actions)}/32",
                "esp_proposals": "aes128gcm16",
                **CHILD_WORDS,
                **({} if mended else self.peer_child_words),
            }
            for actions in self.actions
        }
        connection = strongswan.Connection(
            name=self.name,
            local_addrs=self.peer_address,
            remote_addrs=pair.LEFT,
            local_id=f"peer-{self.name}",
            remote_id=f"user-{self.name}",
            secret="s3cr3t" if mended else self.peer_secret,
            options={**WORDS, "unique": self.peer_unique, **({} if mended else self.peer_words)},
        )
        return _swanctl(connection, children)


def _swanctl(connection: strongswan.Connection, children: Mapping[str, Mapping[str, str]]) -> str:
    """One connection with these children, and its secret."""
    sections = "".join(
        f"{name} {{\n" + "".join(f"{key} = {value}\n" for key, value in words.items()) + "}\n"
        for name, words in children.items()
    )
    # `proposals` stands before the options: of two the later counts.
    head, rest = connection.text().split("children {\n")
    _, tail = rest.split("secrets {")
    return f"{head}children {{\n{sections}}}\n}}\n}}\nsecrets {{{tail}"


def _toml(words: Mapping[str, str]) -> str:
    return "".join(
        f"{key} = {value if key in _NUMBERS else json.dumps(value)}\n" for key, value in words.items()
    )


class Scene:
    """A user of one kind and its peer, both started by `start`."""

    def __init__(self, pair: Pair, files: Path, kind: Side) -> None:
        self.pair = pair
        self.kind = kind
        # All of a user's connections begin at once, from one address.
        self.peer = StrongSwan(
            pair.right,
            files / "peer",
            install_routes=False,
            quick_log=True,
            options={"dos_protection": "no"},
        )
        self._strongswan = StrongSwan(
            pair.left,
            files / "user",
            install_routes=False,
            retransmit_timeout=TIMEOUT,
            retransmit_base=1,
            retransmit_tries=TRIES,
            quick_log=True,
        )
        self._ikepy = Gateway(pair.left, files / "ikepy")

    @property
    def user(self) -> StrongSwan | Gateway:
        """Who is looked at."""
        return self._ikepy if self.kind == "ikepy" else self._strongswan

    def start(self, lines: Iterable[Line]) -> None:
        """The peer first: what is to be up at once finds it."""
        lines = list(lines)
        self.pair.right.ip(*(f"addr add {line.peer_address}/24 dev eth0" for line in lines))
        # libipsec routes by addresses that are there.
        both = [(line.source(actions), line.host(actions)) for line in lines for actions in line.actions]
        self.pair.left.ip(*(f"addr add {source}/32 dev lo" for source, _ in both))
        self.pair.right.ip(*(f"addr add {host}/32 dev lo" for _, host in both))
        self.peer.start("\n".join(line.peer() for line in lines))
        if self.kind == "strongSwan":
            self._strongswan.start("\n".join(line.swanctl() for line in lines))
            return
        patience = daemon(retransmit_timeout=TIMEOUT, retransmit_base=1, retransmit_tries=TRIES)
        settings = f'log_level = "debug"\n{patience}'
        self._ikepy.start("".join(line.toml() for line in lines) + f"[daemon]\n{settings}")

    def mend_peer(self, lines: Iterable[Line], unmended: Collection[Line] = ()) -> None:
        """The peer has what its user asks for, but in those."""
        self.peer.load("\n".join(line.peer(mended=line not in unmended) for line in lines))

    def restart_peer(self, lines: Iterable[Line]) -> None:
        """The peer forgets everything, without a word."""
        self.peer.kill()
        self.peer.start("\n".join(line.peer(mended=True) for line in lines))

    def reauthenticate(self, name: str) -> None:
        """The user does, by command."""
        if self.kind == "ikepy":
            self._ikepy.rekey(ike=name, reauth=True)
        else:
            self._strongswan.swanctl("--rekey", "--reauth", "--ike", name)

    # -- what is up ---------------------------------------------------------------------------------

    def up(self) -> dict[str, set[str]]:
        """The SPIs of the children that are installed at the user, by their names."""
        found: dict[str, set[str]] = {}
        if self.kind == "ikepy":
            for ours in self._ikepy.children():
                if ours["state"] == "INSTALLED":
                    found.setdefault(ours["name"], set()).add(ours["spi_in"])
            return found
        for theirs in self._strongswan.children():
            if theirs["state"] == "INSTALLED":
                found.setdefault(str(theirs["name"]), set()).add(str(theirs["spi-in"]))
        return found

    def ike_sas(self) -> set[str]:
        """The connections that have an IKE_SA, or try to get one."""
        if self.kind == "ikepy":
            return {sa["connection"] for sa in self._ikepy.list_sas()}
        return {str(sa["name"]) for sa in self._strongswan.list_sas()}

    def states(self, lines: Iterable[Line]) -> dict[str, State]:
        """Of each child by its name. ikepy's that wait for a packet are GONE here, see `woken`."""
        up = self.up()
        listed = self._strongswan.swanctl("--list-pols", "--trap") if self.kind == "strongSwan" else ""

        def state(name: str) -> State:
            if name in up:
                return State.UP
            return State.TRAPPED if f"/{name}, " in listed else State.GONE

        return {name: state(name) for line in lines for name in line.children.values()}

    def woken(
        self, lines: Sequence[Line], states: dict[str, State], expected: Mapping[str, State]
    ) -> dict[str, State]:
        """The states where those of ikepy's count as trapped that a packet brings up.

        Packets for children that are `expected` to be trapped come first: the others wait in vain, and count
        again for the device whenever a child of its comes up. charon says itself what is trapped; its
        libipsec starts nothing for a packet.
        """
        if self.kind == "strongSwan":
            return states

        def asleep(line: Line, trapped: bool) -> list[Actions]:
            gone = [actions for actions, name in line.children.items() if states[name] is State.GONE]
            return [one for one in gone if (expected[line.child(one)] is State.TRAPPED) == trapped]

        waiting = [(line, asleep(line, True) + asleep(line, False)) for line in lines]
        for turn in range(max(len(all_actions) for _, all_actions in waiting)):
            for line, all_actions in waiting:
                for actions in all_actions[turn : turn + 1]:
                    self._send_packet(line.source(actions), line.host(actions))
            time.sleep(ACQUIRE_INTERVAL)
        self._wait_for_quiet()
        up = self.up()
        return {
            name: State.TRAPPED if state is State.GONE and name in up else state
            for name, state in states.items()
        }

    def _send_packet(self, source: str, destination: str) -> None:
        with self.pair.left.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
            sender.bind((source, 0))
            with contextlib.suppress(OSError):  # there is no way where nothing is up and nothing trapped
                sender.sendto(b"wake up", (destination, 9))

    def _wait_for_quiet(self) -> None:
        """Until nothing more has come up for a second."""
        before: dict[str, set[str]] = {}
        while (now := self.up()) != before:
            before = now
            time.sleep(1)

    # -- the wire -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def silent(self, lines: Iterable[Line]) -> Iterator[None]:
        """The peer neither hears nor says anything in these."""
        addresses = ", ".join(line.peer_address for line in lines)
        rules = (
            f"table inet silence {{\nchain i {{ type filter hook input priority 0; "
            f"ip daddr {{ {addresses} }} drop; }}\nchain o {{ type filter hook output priority 0; "
            f"ip saddr {{ {addresses} }} drop; }}\n}}"
        )
        self.pair.right.run("nft", "-f", "-", text=rules)
        try:
            yield
        finally:
            self.pair.right.run("nft", "delete", "table", "inet", "silence")

    def stop(self) -> None:
        """End both, and keep their logs."""
        self.user.stop(keep_files=True)
        self.peer.stop(keep_files=True)

    def logs(self) -> str:
        """Of both, without charon's echo of its configuration."""
        logs = {self.kind: self.user.log(), "peer": self.peer.log()}
        return "\n".join(
            f"--- {who}\n" + "\n".join(line for line in log.splitlines() if "[CFG]   " not in line)
            for who, log in logs.items()
        )
