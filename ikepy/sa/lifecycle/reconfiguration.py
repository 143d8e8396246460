"""Applies a new configuration to the IKE_SAs of a running daemon: each one conforms to it, or ends.

Lifetimes, liveness checks and actions are changed in place. An IKE_SA that was negotiated on other terms is
deleted, and set up again if it is configured to be up. Exchanges under way are completed: `conform` runs
again whenever the IKE_SA has changed, until nothing of the former configuration is left in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ikepy.config.difference import (
    ConfigDifference,
    ConnectionChange,
    Impact,
    child_impact,
    child_keys,
    connection_change,
)
from ikepy.config.model import Child, Connection
from ikepy.sa.admission.connection_match import Candidates
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import End
from ikepy.sa.api.path import Address
from ikepy.sa.driver.turns import proceed
from ikepy.sa.lifecycle import teardown
from ikepy.sa.setup.connector import Connector
from ikepy.sa.setup.demand import Demand, Key
from ikepy.sa.state import lifetime
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.ike_sa import IkeSa, Registry, Settle
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import TaskKind
from ikepy.sa.tasks import child_create, child_rekey, desired
from ikepy.sa.tasks.delete import DeleteChild

IKE_LIFETIMES = frozenset({"rekey_time", "over_time", "rand_time", "reauth_time"})
CHILD_LIFETIMES = frozenset({"rekey_time", "life_time", "rand_time"})
CHILD_VOLUMES = frozenset(
    {"rekey_bytes", "life_bytes", "rand_bytes", "rekey_packets", "life_packets", "rand_packets"}
)


class Reconfiguration:
    """Makes the IKE_SAs conform to the registry's configuration."""

    def __init__(self, registry: Registry, connector: Connector, settle: Settle) -> None:
        self._registry = registry
        self._connector = connector
        self._settle = settle
        # Of half-open IKE_SAs: (former candidates, local address, remote address) -> present candidates
        self._rematched: dict[tuple[Candidates, Address, Address], Candidates] = {}

    def replace(self, change: ConfigDifference, now: float) -> list[Effect]:
        """Apply `change`, which the registry has adopted already, to the IKE_SAs that it concerns."""
        registry = self._registry
        self._rematched.clear()
        names = {one.name for one in (*change.removed, *(each.old for each in change.changed))}
        affected = [
            sa for sa in registry.sas.values() if sa.connection.name in names and not _is_half_open(sa)
        ]
        for sa in registry.sas.values():
            sa.window.retime(registry.retransmission)
            if sa.conforms_to == registry.generation - 1 and not _is_half_open(sa):
                sa.conforms_to = registry.generation
        for sa in affected:
            sa.conforms_to = 0
        obsolete = [sa for sa in affected if not sa.is_ending and self._is_obsolete(sa)]
        teardown.announce_end((sa for sa in obsolete if not _ends_later(sa)), End.DELETED)
        effects: list[Effect] = []
        for sa in affected:
            if sa.ike_id in registry.sas:
                effects += self._settle(sa, self._end(sa, now) if sa in obsolete else [], now)
        removed, other = {one.name for one in change.removed}, _otherwise_started(change.changed)
        self._connector.give_up(lambda key: key[0] in removed or key in other)
        if registry.stopping:
            return effects
        for connection in change.added:
            effects += self._bring_up(connection, connection.children, now)
        for each in change.changed:
            effects += self._bring_up(each.new, _begun(each), now)
        return effects

    def _bring_up(self, connection: Connection, names: Iterable[str], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for name in names:
            if self._registry.is_kept_up(connection, name):
                effects += self._connector.begin(Demand(connection, (name,)), now)
        return effects

    # -- one IKE_SA --------------------------------------------------------------------------------

    def match_again(self, sa: IkeSa) -> None:
        """Something is to happen to an IKE_SA: a peer that has not authenticated yet may mean another
        connection than it did. Strangers may have begun thousands: this waits until one of them goes on."""
        if sa.conforms_to != self._registry.generation and _is_half_open(sa):
            self._match_again(sa)

    def conform(self, sa: IkeSa, now: float) -> list[Effect]:
        """Make an IKE_SA and its children conform to the configuration in use, as far as possible now."""
        if sa.phase is Phase.DEAD or sa.is_ending:
            sa.conforms_to = self._registry.generation
            return self._adopt_at_its_end(sa)
        if _is_half_open(sa):
            self._match_again(sa)
            return []
        if sa.in_collision:
            return []  # it may turn out redundant
        if self._is_obsolete(sa):
            return self._end(sa, now)
        if not self._registry.is_current(sa.connection):
            self._adopt(sa, now)
        effects = [*desired.reconfigure(sa), *self._conform_children(sa, now)]
        if sa.phase is Phase.CONNECTING and not desired.intended(sa):
            return [*effects, *sa.kill(End.DELETED, "nothing that it was for is configured any more")]
        if not self._is_outdated(sa):
            sa.conforms_to = self._registry.generation
        return [*effects, *proceed(sa, now)]

    def _is_obsolete(self, sa: IkeSa) -> bool:
        """Whether it was negotiated on terms that are not configured any more."""
        if _is_half_open(sa) or self._registry.is_current(sa.connection):
            return False
        current = self._registry.config.connections.get(sa.connection.name)
        return current is None or connection_change(sa.connection, current).impact is Impact.REPLACE

    def _is_outdated(self, sa: IkeSa) -> bool:
        """Whether an exchange that is under way, ours or the peer's, may still bring a child of the former
        configuration."""
        children = sa.connection.children
        intended = [config for task in sa.tasks.all if (config := task.intends(sa)) is not None]
        return any(children.get(config.name) is not config for config in [*intended, *sa.followups.intended])

    def _match_again(self, sa: IkeSa) -> None:
        """Find the candidates of a half-open IKE_SA again: its peer may mean another connection now.

        A connection that was replaced stays a candidate, as IKE_SA_INIT was negotiated by it: the peer
        authenticates by that, and then the IKE_SA ends.
        """
        key = sa.connecting.candidates, sa.path.local.address, sa.path.remote.address
        if key not in self._rematched:
            self._rematched[key] = self._candidates(sa)
        sa.connecting.candidates = self._rematched[key]
        connections = {one.name: one for one in sa.connecting.candidates.connections}
        if connections:
            first = sa.connecting.candidates.connections[0]
            self._registry.assign(sa, connections.get(sa.connection.name, first))
        if all(self._registry.is_current(one) for one in connections.values()):
            sa.conforms_to = self._registry.generation

    def _candidates(self, sa: IkeSa) -> Candidates:
        before = {one.name: one for one in sa.connecting.candidates.connections}
        found = self._registry.connection_match.candidates(sa.path)
        if sa.resumption.resumed is not None:  # a ticket is good for its own connection alone (RFC 5723)
            found = Candidates(one for one in found.connections if one.name in before)
        replaced = {
            one.name
            for one in found.connections
            if one.name in before and connection_change(before[one.name], one).impact is Impact.REPLACE
        }
        if not replaced:
            return found
        return Candidates(before[one.name] if one.name in replaced else one for one in found.connections)

    def _end(self, sa: IkeSa, now: float) -> list[Effect]:
        if _ends_later(sa):
            return []
        sa.conforms_to = self._registry.generation
        current = self._registry.config.connections.get(sa.connection.name)
        why = "its connection is not configured any more"
        if current is not None:
            keys = connection_change(sa.connection, current).keys
            why = f"another configuration replaces it ({', '.join(sorted(keys))})"
        log = sa.log(Level.INFO, f"IKE_SA ends: {why}")
        return [log, *teardown.terminate(sa, None, False, [], now)]

    def _adopt_at_its_end(self, sa: IkeSa) -> list[Effect]:
        """What follows the end of an IKE_SA follows from the configuration in use. Nothing follows if it is
        deleted, by a user or as it was obsolete: then it must not be taken for one of the connection."""
        deleted = End.DELETED in (sa.end, *sa.tasks.ends)
        if sa.phase is Phase.DEAD or deleted or _is_half_open(sa) or self._is_obsolete(sa):
            return []
        sa.connection = self._registry.config.connections[sa.connection.name]
        for child in sa.children.values():
            config = sa.connection.children.get(child.config.name)
            if config is not None and child_impact(child.config, config) is not Impact.REPLACE:
                child.config = config
        return desired.reconfigure(sa)

    def _adopt(self, sa: IkeSa, now: float) -> None:
        """Adopt a connection that was changed in place, and its lifetimes."""
        old, new = sa.connection, self._registry.config.connections[sa.connection.name]
        sa.connection = new
        changed = connection_change(old, new).keys & IKE_LIFETIMES
        if not changed or sa.established_at is None:
            return
        began = sa.established_at
        configured = lifetime.of_ike(new, began, sa.entropy.uniform())
        if sa.lifetime.rekey_at is None and old.rekey_time:
            configured.rekey_at = None  # a rekey is under way
        sa.lifetime.adjust(configured, now, sa.entropy.uniform(), began=began)
        if sa.reauth_at is None and old.reauth_time:
            return  # a reauthentication is under way
        at = lifetime.reauthentication(new, began, sa.entropy.uniform())
        if at is not None and at <= now:
            at = now + sa.entropy.uniform() * new.reauth_time
        sa.reauth_at = at

    # -- its children ------------------------------------------------------------------------------

    def _conform_children(self, sa: IkeSa, now: float) -> list[Effect]:
        effects: list[Effect] = []
        again: dict[str, Child] = {}
        for child in list(sa.children.values()):
            config = sa.connection.children.get(child.config.name)
            if config is child.config:
                continue
            impact = Impact.REPLACE if config is None else child_impact(child.config, config)
            if config is not None and impact is not Impact.REPLACE:
                _adopt_child(sa, child, config, now)
                sa.tasks.spare(child.child_id)
                if child.lost and _stands(child) and not sa.tasks.replaces(child.child_id):
                    child_create.replace_lost(sa, child)  # it was not, as long as it was not configured
                if impact is Impact.REKEY and child.stays and child.state is ChildState.INSTALLED:
                    child_rekey.begin(sa, child)
            elif _stands(child) and child.child_id not in sa.tasks.unwanted:
                why = "is not configured any more" if config is None else "is replaced: "
                if config is not None:
                    why += ", ".join(sorted(child_keys(child.config, config)))
                    again[config.name] = config
                effects.append(sa.log(Level.INFO, f"{child.config.name} #{child.child_id} {why}"))
                sa.enqueue(DeleteChild(child.child_id, wanted=True, like=child, outdated=True))
        for name, config in again.items():
            if self._registry.is_kept_up(sa.connection, name):
                desired.want_as_configured(sa, config)
        return effects


def _begun(change: ConnectionChange) -> list[str]:
    """The names of a changed connection's children that are to be set up, if they are to be up at all."""
    if change.impact is Impact.REPLACE:
        return list(change.new.children)
    olds = change.old.children
    return [
        name
        for name, child in change.new.children.items()
        if (old := olds.get(name)) is not child
        and (old is None or child_impact(old, child) is Impact.REPLACE or _starts_otherwise(old, child))
    ]


def _otherwise_started(changes: Iterable[ConnectionChange]) -> set[Key]:
    """The children that are started otherwise from now on, and not replaced."""
    return {
        (each.name, name)
        for each in changes
        if each.impact is not Impact.REPLACE
        for name, child in each.new.children.items()
        if (old := each.old.children.get(name)) is not None and old is not child
        if child_impact(old, child) is not Impact.REPLACE and _starts_otherwise(old, child)
    }


def _starts_otherwise(old: Child, new: Child) -> bool:
    return old.start_action != new.start_action


def _adopt_child(sa: IkeSa, child: ChildSa, config: Child, now: float) -> None:
    """Adopt a child's configuration that was changed in place, and its lifetimes."""
    old, child.config = child.config, config
    changed = child_keys(old, config)
    if not child.in_use:
        return
    if changed & CHILD_LIFETIMES:
        configured = lifetime.of_child(config, child.installed_at, sa.entropy.uniform())
        if child.state is ChildState.REKEYING or (child.lifetime.rekey_at is None and old.rekey_time):
            configured.rekey_at = None
        child.lifetime.adjust(configured, now, sa.entropy.uniform(), began=child.installed_at)
    if changed & CHILD_VOLUMES and child.state is ChildState.INSTALLED:
        chance = sa.entropy.uniform()
        child.bytes, child.packets = lifetime.bytes_of(config, chance), lifetime.packets_of(config, chance)


def _stands(child: ChildSa) -> bool:
    """Whether it is in use, and no rekey has replaced it."""
    return child.in_use and child.replaced_by is None


def _ends_later(sa: IkeSa) -> bool:
    """Whether it can't be deleted now: the peer may have established it in an IKE_AUTH that is under way, or
    will delete it anyway, as it was rekeyed."""
    return sa.phase is Phase.REKEYED or (sa.phase is Phase.CONNECTING and sa.tasks.doing is TaskKind.AUTH)


def _is_half_open(sa: IkeSa) -> bool:
    """Whether a peer initiated it that has not authenticated yet."""
    return not sa.initiator and sa.phase in (Phase.CREATED, Phase.CONNECTING)
