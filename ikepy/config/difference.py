"""What another configuration changes of the one in use: nothing, in place, or by replacing a connection.

Three tables say for each key what its change asks for. `difference` compares two configurations by them, and
keeps the objects of what is equal, so that whoever holds one of these sees that nothing happened to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from pydantic import BaseModel

from ikepy.config.model import AuthLocal, AuthRemote, Child, Config, Connection, Daemon


class Impact(IntEnum):
    """What a changed key asks for; of several keys the highest counts."""

    NONE = 0
    IN_PLACE = 1  # the SAs stay: what is read later is read anew, and timers are set anew
    REKEY = 2  # of children: an SA has it from its installation on, so that a rekey brings it
    REPLACE = 3  # the peer agreed to something else: the SAs are deleted, and set up anew


CONNECTION: Mapping[str, Impact] = {
    "name": Impact.REPLACE,
    "version": Impact.REPLACE,
    "local_addrs": Impact.REPLACE,
    "remote_addrs": Impact.REPLACE,
    "local_port": Impact.REPLACE,
    "remote_port": Impact.REPLACE,
    "pq": Impact.IN_PLACE,  # what it means is in the proposals
    "proposals": Impact.REPLACE,
    "ppk_id": Impact.REPLACE,
    "ppk_required": Impact.REPLACE,
    "encap": Impact.REPLACE,
    "mobike": Impact.REPLACE,
    "fragmentation": Impact.IN_PLACE,  # what was announced stays so until the next set-up
    "dpd_delay": Impact.IN_PLACE,
    "keyingtries": Impact.IN_PLACE,
    "childless": Impact.IN_PLACE,
    "redirect": Impact.IN_PLACE,  # what was announced stays so until the next set-up
    "redirect_to": Impact.IN_PLACE,
    "resumption": Impact.IN_PLACE,
    "rekey_time": Impact.IN_PLACE,
    "reauth_time": Impact.IN_PLACE,
    "over_time": Impact.IN_PLACE,
    "rand_time": Impact.IN_PLACE,
    "unique": Impact.IN_PLACE,
    "send_cert": Impact.IN_PLACE,
    "send_certreq": Impact.IN_PLACE,
    "ocsp": Impact.IN_PLACE,
    "experimental_mldsa": Impact.IN_PLACE,
    "max_ike_sas": Impact.IN_PLACE,
    "max_ike_sas_per_identity": Impact.IN_PLACE,
    "max_children": Impact.IN_PLACE,
    "max_children_in_all": Impact.IN_PLACE,
    "local": Impact.REPLACE,
    "remote": Impact.REPLACE,
    "local2": Impact.REPLACE,
    "remote2": Impact.REPLACE,
    "children": Impact.IN_PLACE,  # by the table below, child by child
    "probe": Impact.IN_PLACE,
    "impairments": Impact.IN_PLACE,
    "vips": Impact.REPLACE,
    "pools": Impact.IN_PLACE,  # what peers have they keep
    "vti": Impact.IN_PLACE,  # the device is made what it is to be now, and no SA notices
}
RENEWED = ("certs", "cacerts", "pubkeys")
CHILD: Mapping[str, Impact] = {
    "name": Impact.REPLACE,
    "local_ts": Impact.REPLACE,
    "remote_ts": Impact.REPLACE,
    "esp_proposals": Impact.REPLACE,
    "mode": Impact.REPLACE,
    "start_action": Impact.IN_PLACE,
    "close_action": Impact.IN_PLACE,
    "dpd_action": Impact.IN_PLACE,
    "replay_window": Impact.REKEY,
    "tfc_padding": Impact.REKEY,
    "rekey_time": Impact.IN_PLACE,
    "life_time": Impact.IN_PLACE,
    "rand_time": Impact.IN_PLACE,
    "rekey_bytes": Impact.IN_PLACE,
    "life_bytes": Impact.IN_PLACE,
    "rand_bytes": Impact.IN_PLACE,
    "rekey_packets": Impact.IN_PLACE,
    "life_packets": Impact.IN_PLACE,
    "rand_packets": Impact.IN_PLACE,
}
# Keys of [daemon] that sockets and processes have from the start on; others are read when they are needed.
FIXED = (
    "port",
    "port_nat_t",
    "workers",
    "worker_priority",
    "user",
    "worker_user",
    "socket",
    "socket_group",
    "state_dir",
    "keylog_dir",
    "crash_detection",
    "sysctls",
    "http",
    "impairments_allowed",
    "impairments",
)
_UNCHANGED: frozenset[str] = frozenset()

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """A connection before and after; `keys` of its own that differ: "dpd_delay", "vti.mtu", "local"."""

    old: Connection
    new: Connection
    keys: frozenset[str]
    impact: Impact  # NONE: only children differ

    @property
    def name(self) -> str:
        return self.new.name

    @property
    def device(self) -> bool:
        """Whether the device is to be another one."""
        return self.old.vti != self.new.vti


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """`config`: the new configuration with the objects of the old one where they are equal, and with the old
    values of what needs a restart: `fixed`, as (key path, text)."""

    config: Config
    added: tuple[Connection, ...]
    removed: tuple[Connection, ...]
    changed: tuple[ConnectionChange, ...]
    secrets: frozenset[str]  # names of those that were added, removed or changed
    credentials: bool  # whether CAs, certificates or CRLs that no connection names itself differ
    router_advertisements: frozenset[str]  # interfaces whose were
    pools: frozenset[str]  # names of pools that were added, removed or changed
    vxlan: frozenset[str]  # names of VXLAN devices that were added, removed or changed
    radius: bool  # whether [radius] differs
    daemon: frozenset[str]  # keys of [daemon] that differ and need no restart
    fixed: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        """Whether anything changes now."""
        connections = self.added or self.removed or self.changed
        beside = self.router_advertisements or self.vxlan or self.pools or self.credentials or self.radius
        return bool(connections or self.secrets or beside or self.daemon)

    def __str__(self) -> str:
        """For the log and whoever reloads: "1 connection added (site-c); secrets changed"."""
        parts = [
            _counted(what, [one.name for one in connections])
            for what, connections in (
                ("added", self.added),
                ("removed", self.removed),
                ("changed", [c for c in self.changed if c.impact is not Impact.REPLACE]),
                ("replaced", [c for c in self.changed if c.impact is Impact.REPLACE]),
            )
            if connections
        ]
        parts += ["secrets changed"] if self.secrets else []
        parts += ["certificates changed"] if self.credentials else []
        parts += [f"router advertisements of {name} changed" for name in sorted(self.router_advertisements)]
        parts += [f"pools.{name} changed" for name in sorted(self.pools)]
        parts += [f"vxlan.{name} changed" for name in sorted(self.vxlan)]
        parts += ["radius changed"] if self.radius else []
        parts += [f"daemon.{key} changed" for key in sorted(self.daemon)]
        parts += [f"{key} {text}" for key, text in self.fixed]
        return "; ".join(parts) or "nothing changed"


def difference(old: Config, new: Config) -> ConfigDifference:
    """What makes `new` of `old`. Pure: neither is changed, nor is anything looked up."""
    merged = {name: _kept(old.connections.get(name), one) for name, one in new.connections.items()}
    fixed = [key for key in FIXED if getattr(old.daemon, key) != getattr(new.daemon, key)]
    daemon = new.daemon.model_copy(update={key: getattr(old.daemon, key) for key in fixed})
    live = {key for key in Daemon.model_fields if getattr(old.daemon, key) != getattr(daemon, key)}
    changed = [
        connection_change(old.connections[name], one)
        for name, one in merged.items()
        if name in old.connections and old.connections[name] is not one
    ]
    return ConfigDifference(
        config=Config(
            connections=merged,
            secrets=new.secrets,
            private_keys=new.private_keys,
            tokens=new.tokens,
            pools=new.pools,
            vxlan=new.vxlan,
            radius=new.radius,
            daemon=daemon,
            authorities=new.authorities,
            directories=new.directories,
            router_advertisements=new.router_advertisements,
        ),
        added=tuple(one for name, one in merged.items() if name not in old.connections),
        removed=tuple(one for name, one in old.connections.items() if name not in merged),
        changed=tuple(changed),
        secrets=frozenset(
            name
            for one in ("secrets", "private_keys", "tokens")
            for name in _differing(getattr(old, one), getattr(new, one))
        ),
        credentials=(old.authorities, old.directories) != (new.authorities, new.directories),
        router_advertisements=frozenset(_differing(old.router_advertisements, new.router_advertisements)),
        pools=frozenset(_differing(old.pools, new.pools)),
        vxlan=frozenset(_differing(old.vxlan, new.vxlan)),
        radius=old.radius != new.radius,
        daemon=frozenset(live),
        fixed=tuple(
            (f"daemon.{key}", f"stays {_shown(getattr(old.daemon, key))} until the daemon is started anew")
            for key in fixed
        ),
    )


def connection_change(old: Connection, new: Connection) -> ConnectionChange:
    """How a connection differs from the one of the same name."""
    keys = {key for key in CONNECTION if getattr(old, key) != getattr(new, key)}
    impact = max((_impact(key, old, new) for key in keys - {"children"}), default=Impact.NONE)
    if "vti" in keys:
        fields = type(new.vti).model_fields
        keys |= {f"vti.{key}" for key in fields if getattr(old.vti, key) != getattr(new.vti, key)}
    return ConnectionChange(old, new, frozenset(keys - {"children", "vti"}), impact)


def _impact(key: str, old: Connection, new: Connection) -> Impact:
    """Certificates are renewed under SAs that stand: the next authentication uses them."""
    one, other = getattr(old, key), getattr(new, key)
    if isinstance(one, AuthLocal | AuthRemote) and isinstance(other, AuthLocal | AuthRemote):
        renewed = {name: getattr(other, name) for name in RENEWED if name in type(one).model_fields}
        if one.model_copy(update=renewed) == other:
            return Impact.IN_PLACE
    return CONNECTION[key]


def child_impact(old: Child, new: Child) -> Impact:
    """What the change of a child asks for."""
    if old is new:
        return Impact.NONE
    return max((CHILD[key] for key in child_keys(old, new)), default=Impact.NONE)


def is_replaced(old: Child, new: Child | None) -> bool:
    """Whether a child of the configuration `old` is to go where there is `new` (None: nothing) now."""
    return new is None or child_impact(old, new) is Impact.REPLACE


def child_keys(old: Child, new: Child) -> frozenset[str]:
    """The keys that differ."""
    if old is new:
        return _UNCHANGED
    return frozenset(key for key in CHILD if getattr(old, key) != getattr(new, key))


def _kept(old: Connection | None, new: Connection) -> Connection:
    """The old object if they are equal; else the new one, with those of the children that are."""
    if old is None or old is new:
        return new
    children = {
        name: old.children[name] if name in old.children and old.children[name] == child else child
        for name, child in new.children.items()
    }
    # The order of children decides which of them a peer's request means.
    if old == new and list(old.children) == list(children):
        return old
    return new.model_copy(update={"children": children})


def _differing(old: Mapping[str, S], new: Mapping[str, S]) -> Iterator[str]:
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            yield name


def _shown(value: object) -> str:
    return "as it is" if value in (None, "") or isinstance(value, BaseModel) else str(value)


def _counted(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"{len(names)} connection{'s' if len(names) > 1 else ''} {what} ({shown})"
