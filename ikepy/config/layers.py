"""The desired configuration as layers: what the file says, and above it what came while the daemon runs.

The file's layer is replaced as a whole by a reload. Connections and secrets that came by VICI stay until they
are taken back by VICI; one of the same name as the file's stands in its place until then. Uppermost are the
children whose actions were changed by `install` and `uninstall`, for as long as the layers below say what
they said then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from ikepy.config.fields import Action
from ikepy.config.model import Child, Config, Connection, Pool, SecretEntry

T = TypeVar("T")


class Actions(NamedTuple):
    """Those of a child, by its keys."""

    start_action: Action
    close_action: Action
    dpd_action: Action

    @classmethod
    def of(cls, child: Child) -> Actions:
        return cls(child.start_action, child.close_action, child.dpd_action)

    def trapping(self) -> Actions:
        """With a trap from the start on."""
        return self._replace(start_action="trap")

    def without_traps(self) -> Actions:
        """No packet starts the child, whatever may end it."""
        return Actions(*("none" if one == "trap" else one for one in self))


@dataclass(frozen=True, slots=True)
class ChangedActions:
    """Those of a child as configured, and as in use."""

    configured: Actions
    used: Actions


@dataclass(frozen=True, slots=True)
class Layers:
    """A value: every change makes another one. `actions`: by connection and child."""

    file: Config
    connections: Mapping[str, Connection] = field(default_factory=dict)
    secrets: Mapping[str, SecretEntry] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    actions: Mapping[tuple[str, str], ChangedActions] = field(default_factory=dict)

    def merged(self) -> Config:
        """The configuration that all layers together make.

        Connections keep the file's order, as the first that fits a peer's request is taken; of two secrets
        that fit equally well, the one that came by VICI is.
        """
        connections = {**self.file.connections, **self.connections}
        for (name, child), actions in self._valid_actions(connections):
            connections[name] = _with_actions(connections[name], child, actions.used)
        secrets = {
            **self.secrets,
            **{name: one for name, one in self.file.secrets.items() if name not in self.secrets},
        }
        return Config(
            connections=connections,
            secrets=secrets,
            private_keys=self.file.private_keys,
            tokens=self.file.tokens,
            pools={**self.file.pools, **self.pools},
            daemon=self.file.daemon,
            authorities=self.file.authorities,
            directories=self.file.directories,
            router_advertisements=self.file.router_advertisements,
            vxlan=self.file.vxlan,
            radius=self.file.radius,
        )

    def with_file(self, config: Config) -> Layers:
        """With another file's content; changed actions of children that it changes are forgotten."""
        return replace(self, file=config)._without_stale_actions()

    def with_connection(self, connection: Connection) -> Layers:
        """With a connection that came by VICI, in place of one of its name."""
        return replace(
            self, connections={**self.connections, connection.name: connection}
        )._without_stale_actions()

    def without_connection(self, name: str) -> Layers:
        """Without one that came by VICI; KeyError if none of this name did."""
        return replace(self, connections=_without(self.connections, name))._without_stale_actions()

    def with_secret(self, name: str, entry: SecretEntry) -> Layers:
        """With a secret that came by VICI, in place of one of its name."""
        return replace(self, secrets={**self.secrets, name: entry})

    def without_secret(self, name: str) -> Layers:
        """Without one that came by VICI; KeyError if none of this name did."""
        return replace(self, secrets=_without(self.secrets, name))

    def with_pool(self, pool: Pool) -> Layers:
        """With a pool of virtual addresses that came by VICI, in place of one of its name."""
        return replace(self, pools={**self.pools, pool.name: pool})

    def without_pool(self, name: str) -> Layers:
        """Without one that came by VICI; KeyError if none of this name did."""
        return replace(self, pools=_without(self.pools, name))

    def with_trap(self, connection: str, child: str) -> Layers:
        """A packet brings up this child. KeyError for one that is not configured."""
        return self._with_actions(connection, child, Actions.trapping)

    def without_trap(self, connection: str, child: str) -> Layers:
        """No packet does. KeyError for a child that is not configured."""
        return self._with_actions(connection, child, Actions.without_traps)

    def _with_actions(self, connection: str, child: str, used_of: Callable[[Actions], Actions]) -> Layers:
        below = {**self.file.connections, **self.connections}
        configured = Actions.of(below[connection].children[child])
        used = used_of(configured)
        changed = {key: one for key, one in self.actions.items() if key != (connection, child)}
        if used != configured:
            changed[connection, child] = ChangedActions(configured, used)
        return replace(self, actions=changed)

    def _without_stale_actions(self) -> Layers:
        connections = {**self.file.connections, **self.connections}
        return replace(self, actions=dict(self._valid_actions(connections)))

    def _valid_actions(
        self, connections: Mapping[str, Connection]
    ) -> Iterator[tuple[tuple[str, str], ChangedActions]]:
        for (name, child), actions in self.actions.items():
            found = connections[name].children.get(child) if name in connections else None
            if found is not None and Actions.of(found) == actions.configured:
                yield (name, child), actions


def _with_actions(connection: Connection, child: str, actions: Actions) -> Connection:
    changed = connection.children[child].model_copy(update=actions._asdict())
    return connection.model_copy(update={"children": {**connection.children, child: changed}})


def _without(entries: Mapping[str, T], name: str) -> dict[str, T]:
    kept = dict(entries)
    del kept[name]
    return kept
