"""The configurations that a run chooses from, and one machine with its data plane and its own clock."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any

from ikepy.config.difference import ConfigDifference, Impact, child_impact
from ikepy.config.model import Config, Connection
from ikepy.config.toml_source import parse
from ikepy.crypto.secret import Secret
from ikepy.sa.api.effects import Effect, Outcome
from ikepy.sa.api.events import Event
from ikepy.sa.api.path import Address, Endpoint
from ikepy.sa.api.restart_keys import RestartKeys, TicketKey
from ikepy.sa.auth import choice
from ikepy.sa.auth.authenticator import Authenticator
from ikepy.sa.auth.credentials import NO_CREDENTIALS
from ikepy.sa.manager import IkeManager
from ikepy.sa.state.child_sa import ChildState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.takeover import codec
from ikepy.sa.takeover.export import obstacle
from tests.event_chains import EventChains
from tests.exchange.credentials import Memory
from tests.exchange.network import PSK
from tests.pki import chain

from .nat import Nat
from .plane import Breach, Plane

ADDRESSES = {name: IPv4Address(f"192.0.2.{n}") for n, name in enumerate("abc", 1)}
SECOND = {name: IPv4Address(f"198.51.100.{n}") for n, name in enumerate("abc", 1)}  # where sites move to
# Those of the NATs before the sites: the first one, and the one after it.
OUTER = {name: IPv4Address(f"203.0.113.{n}") for n, name in enumerate("abc", 1)}
OTHER = {name: IPv4Address(f"203.0.113.{n}") for n, name in enumerate("abc", 101)}
NAMES: dict[Address, str] = {
    address: name for some in (ADDRESSES, SECOND, OUTER, OTHER) for name, address in some.items()
}
LINKS = {"a": ("ab",), "b": ("ab", "cb"), "c": ("cb",)}  # the connections of each site
KEY = Secret(bytes(range(32)))  # under which exports are sealed
CHILDREN = {"net": "10.1.0.0/24", "second": "10.9.0.0/24"}


@dataclass(frozen=True, slots=True)
class Options:
    """What differs from run to run, and from site to site in one run."""

    proposals: str = "aes128gcm16-prfsha256-x25519"
    esp_proposals: tuple[str, ...] = ("aes128gcm16",)
    unique: str = "no"
    persistent: bool = False  # starts its children, and again whenever they end
    dpd_delay: float = 0.0
    child_rekey: float = 0.0
    child_life: float = 0.0
    ike_rekey: float = 0.0
    reauth: float = 0.0
    child_bytes: int = 0  # rekeyed after so many
    moves: bool = False  # whether sites have second addresses
    fragment_size: int = 1280
    window_size: int = 1
    cookie_threshold: int = 30
    three: bool = False  # whether site c is there too
    natted: str = ""  # the sites behind a NAT: b can't set up anything with them
    mobike: bool = True
    authenticator: Authenticator = PSK
    ppk: str = ""  # TOML of a connection about postquantum preshared keys
    ppk_key: str = ""  # the key that the site has, in hex digits
    signed: str = ""  # by keys of this kind both ends prove themselves, with certificates
    remembers: bool = False  # keys outlive restarts: tokens of crashes, tickets


_NUMBERS: dict[str, Any] = {
    "authenticator": PSK,
    "dpd_delay": 0.0,
    "child_rekey": 0.0,
    "child_life": 0.0,
    "ike_rekey": 0.0,
    "reauth": 0.0,
    "child_bytes": 0,
    "moves": False,
    "fragment_size": 1280,
    "window_size": 1,
    "cookie_threshold": 30,
}


def peer_of(site: str, connection: str) -> str:
    return connection.replace(site, "")


def config_of(site: str, options: Options) -> Config:
    """A site's configuration: one connection a link, two children each."""
    config = _parsed(site, replace(options, **_NUMBERS))
    child = {
        "rekey_time": options.child_rekey,
        "life_time": options.child_life,
        "rand_time": options.child_rekey / 3,
        "rekey_bytes": options.child_bytes,
        "life_bytes": 2 * options.child_bytes,
    }
    ike = {
        "dpd_delay": options.dpd_delay,
        "rekey_time": options.ike_rekey,
        "reauth_time": options.reauth,
        "rand_time": (options.ike_rekey or options.reauth) / 3,
    }
    daemon = {
        "cookie_threshold": options.cookie_threshold,
        "fragment_size": options.fragment_size,
        "window_size": options.window_size,
    }
    connections = {}
    for name, one in config.connections.items():
        children = {key: each.model_copy(update=child) for key, each in one.children.items()}
        connections[name] = one.model_copy(update={**ike, "children": children})
    return config.model_copy(
        update={"connections": connections, "daemon": config.daemon.model_copy(update=daemon)}
    )


def changed(site: Site, kind: str) -> Config:
    """A site's next configuration; each name says what differs from the one in use."""
    config = site.config
    if kind == "as at first":
        return config_of(site.name, site.options)
    name = site.connections[0]
    one = config.connections.get(name)
    if one is None or kind == "as it is":
        return config.model_copy(update={"connections": dict(config.connections)})
    children = dict(one.children)
    child = children["net"]
    update: dict[str, object] = {"children": children}
    match kind:
        case "in place":
            update["dpd_delay"] = one.dpd_delay + 1
            children["net"] = child.model_copy(update={"rekey_time": child.rekey_time + 50})
        case "by a rekey":
            children["net"] = child.model_copy(update={"replay_window": child.replay_window + 1})
        case "other terms":  # the same twice, which the peer can't tell
            update["proposals"] = (*one.proposals, one.proposals[-1])[-3:]
        case "other child":
            children["net"] = child.model_copy(update={"esp_proposals": child.esp_proposals * 2})
        case "without a child":
            children.pop("second", None)
        case _:
            others = {key: each for key, each in config.connections.items() if key != name}
            return config.model_copy(update={"connections": others})
    connections = {**config.connections, name: one.model_copy(update=update)}
    return config.model_copy(update={"connections": connections})


def ends_children(change: ConfigDifference) -> bool:
    """Whether a child is deleted for it."""
    if change.removed or any(each.impact is Impact.REPLACE for each in change.changed):
        return True
    return any(
        name not in each.new.children or child_impact(child, each.new.children[name]) is Impact.REPLACE
        for each in change.changed
        for name, child in each.old.children.items()
    )


@lru_cache(maxsize=4096)
def _parsed(site: str, options: Options) -> Config:
    """The configuration without its numbers: there are few, and reading one takes long."""
    links = [link for link in LINKS[site] if options.three or "c" not in link]
    action = "start" if options.persistent else "none"
    lines = [
        "[secrets.ike]",
        'secret = "correct horse"',
        "[daemon]",
        "retransmit_timeout = 1",
        "retransmit_base = 1.6",
    ]
    if options.ppk_key:
        lines[:0] = ["[secrets.ppk-1]", 'ids = ["ppk1"]', f'secret = "0x{options.ppk_key}"']
    for link in links:
        peer = peer_of(site, link)
        remotes = ["%any"] if peer in options.natted else [str(ADDRESSES[peer]), str(SECOND[peer])]
        lines += [
            f"[connections.{link}]",
            f'local_addrs = ["{ADDRESSES[site]}", "{SECOND[site]}"]',
            f"remote_addrs = {remotes}",
            f"mobike = {str(options.mobike).lower()}",
            f'proposals = ["{options.proposals}"]',
            f'unique = "{options.unique}"',
            f"resumption = {str(options.remembers).lower()}",
            *([options.ppk] if options.ppk else []),
            *(["experimental_mldsa = true"] if options.signed else []),
            "over_time = 60",
            f"keyingtries = {0 if options.persistent else 1}",
            f"[connections.{link}.local]",
            f'id = "{site}"',
            f'auth = "{"pubkey" if options.signed else "psk"}"',
            f"[connections.{link}.remote]",
            f'id = "{peer}"',
            f'auth = "{"pubkey" if options.signed else "psk"}"',
        ]
        for child, selector in CHILDREN.items():
            lines += [
                f"[connections.{link}.children.{child}]",
                f'local_ts = ["{selector}"]',
                f'remote_ts = ["{selector}"]',
                f"esp_proposals = {list(options.esp_proposals)}",
                f'start_action = "{action}"',
                f'close_action = "{action}"',
                f'dpd_action = "{action}"',
            ]
    return parse("\n".join(lines))


def _restart_keys(site: str) -> RestartKeys:
    """What a site's file of keys has: the same after each restart."""
    crash, tickets = (Secret((site * 32 + use).encode()[-32:]) for use in ("1", "2"))
    return RestartKeys((crash,), (TicketKey(site.encode() * 4, tickets),), epoch=1_700_000_000.0)


@lru_cache(maxsize=64)
def _credentials(site: str, kind: str) -> Memory:
    """A site's certificate with a key of this kind, and the CA of all sites."""
    pki = chain(kind)
    return Memory(pki.issue(site, san=(site,)), (pki.root.der,))


class SeededEntropy:
    """Randomness that a run can repeat. SPIs count up through a shuffled range: none comes twice."""

    def __init__(self, seed: str, start: int) -> None:
        self._random = random.Random(seed)
        self._spi = start

    def random(self, n: int) -> bytes:
        return self._random.randbytes(n)

    def child_spi(self, connection: str) -> int:
        self._spi += 1
        return self._spi * 0x9E3779B1 % 0xFFFFFF00 + 0x100

    def uniform(self) -> float:
        return self._random.random()


class Site:
    """One machine, its data plane and its clock, which runs ahead of the world's by `ahead` seconds."""

    def __init__(self, name: str, options: Options, seed: int) -> None:
        self.name = name
        self.options = options
        self.config = config_of(name, options)
        self.connections = tuple(self.config.connections)
        self.ahead = 0.0
        self.addresses: tuple[Address, ...] = (ADDRESSES[name], *([SECOND[name]] if options.moves else []))
        self.nat = Nat(OUTER[name]) if name in options.natted else None
        self.generation = 0
        self.restart_keys = _restart_keys(name) if options.remembers else RestartKeys()
        self._seed = seed
        self.restart()

    def restart(self) -> None:
        """A new machine without memory."""
        self._begin()

    def take_over(self, now: float) -> list[list[Effect]] | None:
        """A new machine, with a new worker, goes on with what this one exports: the effects of each IKE_SA;
        None if it can't now."""
        settled = self.asked <= self.outcomes.keys() and not self.manager.retrying
        if not settled or any(map(obstacle, self.sas())):
            return None
        states, used = self.plane.states(), self.plane.used
        sealed = [
            codec.seal(self.manager.export(sa.ike_id, states, now), KEY, random.randbytes)
            for sa in self.sas()
        ]
        self._begin()
        self.plane.used = used
        return [self.manager.restore(codec.unseal(one, KEY), now) for one in sealed]

    def _begin(self) -> None:
        self.generation += 1
        entropy = SeededEntropy(f"{self._seed} {self.name} {self.generation}", self._first_spi())
        authenticator, signed = self.options.authenticator, self.options.signed
        self.manager = IkeManager(
            self.config,
            entropy,
            resolve=self._resolve,
            authenticator_of=choice.authenticator_of if signed else lambda connection: authenticator,
            credentials=_credentials(self.name, signed) if signed else NO_CREDENTIALS,
            restart_keys=self.restart_keys,
        )
        self.plane = Plane()
        self.chains = EventChains()
        self.touched = True  # since `due` was asked for
        self.due: float | None = None  # the machine's deadline
        self.outcomes: dict[int, Outcome] = {}
        self.asked: set[int] = set()  # tickets of this machine's commands
        self.wishes: dict[int, tuple[str, str]] = {}  # by ticket: the policy that is to come up

    def tell(self, event: Event) -> None:
        """Hold the order of the events."""
        try:
            self.chains.publish(event)
        except AssertionError as error:
            raise Breach(f"{self.name}: {error or type(event).__name__}") from error

    def _first_spi(self) -> int:
        return ord(self.name) << 24 | self.generation << 16

    def _resolve(self, connection: Connection, failed: Collection[Address]) -> tuple[Address, Address] | str:
        peer = peer_of(self.name, connection.name)
        return "behind a NAT" if peer in self.options.natted else (self.addresses[0], ADDRESSES[peer])

    def seen_as(self, endpoint: Endpoint, now: float) -> Endpoint:
        """As whom the world sees what is sent from here; that renews a NAT's mapping."""
        return endpoint if self.nat is None else self.nat.outward(endpoint, now)

    def reached_at(self, endpoint: Endpoint, now: float) -> Endpoint | None:
        """Our endpoint that what is sent to `endpoint` comes to; None if it is nobody's any more."""
        inner = endpoint if self.nat is None else self.nat.inward(endpoint, now)
        return inner if inner is not None and inner.address in self.addresses else None

    @property
    def still(self) -> bool:
        """Whether there is nothing that it waits for: all is well, as far as it knows."""
        return not self.manager.retrying and all(
            sa.quiet
            and sa.replacing.settles_at is None  # else another one goes after that
            and sa.superseded is None  # else the peer is to delete it, or it goes then
            and all(child.state is ChildState.INSTALLED for child in sa.children.values())
            for sa in self.sas()
        )

    def has(self, connection: str, child: str) -> bool:
        """Whether an IKE_SA that stays has a child of this policy, which stays too."""
        return any(sa.established and not sa.is_ending and sa.has_child(child) for sa in self.sas(connection))

    def sas(self, connection: str | None = None) -> list[IkeSa]:
        """The living IKE_SAs, oldest first."""
        return [sa for sa in self.manager.ike_sas if connection in (None, sa.connection.name)]
