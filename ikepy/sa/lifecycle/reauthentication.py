"""IKE_SAs that make way for others of the same peers: reauthentication, uniqueness (RFC 7296 2.4, 2.8)."""

from __future__ import annotations

from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.driver.turns import proceed
from ikepy.sa.lifecycle import uniqueness
from ikepy.sa.lifecycle.teardown import announce_end, terminate
from ikepy.sa.setup.connector import Connector
from ikepy.sa.setup.demand import Demand
from ikepy.sa.state.ike_sa import IkeSa, Registry, Settle
from ikepy.sa.state.phase import End
from ikepy.sa.tasks import desired
from ikepy.sa.tasks.delete import DeleteIke

SETTLING = 10.0  # seconds in which a peer hears of the children of an IKE_SA that it set up
# Seconds that a peer has to delete an IKE_SA itself which it has replaced, or whose set-up crossed ours. More
# than SETTLING: perhaps they crossed for one end only, and it is the other IKE_SA that the peer deletes.
SUPERSEDED = 30.0
LAST = 120.0  # the same while the peer repeats a request on the new one: its answers are lost


class Reauthentication:
    """Sees to it that the older IKE_SA goes, as a rule when its children are on the newer one."""

    def __init__(self, registry: Registry, set_ups: Connector, settle: Settle) -> None:
        self._registry = registry
        self._connector = set_ups
        self._settle = settle

    def reauthenticate(self, old: IkeSa, now: float) -> list[Effect]:
        """Make before break: a new IKE_SA with the same children, then the old one is deleted."""
        names = tuple(config.name for config in desired.intended(old))
        if not names:
            return self._settle(old, terminate(old, None, False, [], now), now)
        if any(old in sa.replaced for sa in self._registry.sas.values()):
            return []
        log = old.log(Level.INFO, "reauthenticating")
        return [log, *self._connector.connect(Demand(old.connection, names, replaces=old), now)]

    def end_replaced(self, new: IkeSa, now: float) -> list[Effect]:
        """Delete what `new` reauthenticates or is preferred to, when all of its children are there."""
        if not new.replaces or not new.quiet or new.settles_at is not None or _yields(new):
            return []
        for config in (config for old in _all_replaced(new) for config in desired.intended(old)):
            if config.name not in new.desired.purpose and not new.has_child(config.name):
                new.desired.purpose.append(config.name)  # it was wanted since the new one began; tried once
                desired.want(new, config.name, ())
        if not new.quiet:
            return proceed(new, now)
        olds, new.replaces = _all_replaced(new), []
        reauthenticates = new.set_up.again and new.set_up.ours
        if reauthenticates and not olds and self._is_surplus(new):
            olds = [new]  # the peer was faster, and has deleted the old one
        effects: list[Effect] = []
        for old in olds:
            old.enqueue(DeleteIke(end=End.REAUTHENTICATED))
            effects += self._settle(old, proceed(old, now), now)
        return effects

    def _is_surplus(self, new: IkeSa) -> bool:
        """Whether everything that it is for stands elsewhere."""
        others = list(self._registry.others(new))
        return all(any(other.has_child(name) for other in others) for name in new.desired.purpose)

    def enforce_unique(self, sa: IkeSa, now: float) -> list[Effect]:
        """INITIAL_CONTACT and `unique` (RFC 7296 2.4): older IKE_SAs between the same identities go."""
        policy = sa.connection.unique
        effects = self._end_forgotten(sa, now)
        for other in self._registry.duplicates(sa):
            crossed = uniqueness.crossed(sa, other)
            if other in sa.replaced:
                continue  # it ends when its children are here
            if crossed and (policy == "replace" or sa.set_up.again or other.set_up.again):
                self._prefer_one(sa, other, now)
            elif policy == "replace" and sa.set_up.ours:
                sa.replaces.append(other)
            elif policy == "replace":  # the peer may reauthenticate: it knows when its children are here
                self._supersede(other, sa, now)
            elif not sa.set_up.ours and other.reauth_at is not None:
                other.reauth_at = max(other.reauth_at, now + SUPERSEDED)  # the peer may just be at it
        return effects

    def _end_forgotten(self, sa: IkeSa, now: float) -> list[Effect]:
        """The peer says that it has none but `sa` (INITIAL_CONTACT)."""
        if not sa.initial_contact or sa.connection.unique == "never":
            return []
        forgotten = [
            other
            for other in self._registry.duplicates(sa)
            if other not in sa.replaced and not uniqueness.crossed(sa, other)
        ]
        announce_end(forgotten, End.RESTARTED)
        effects: list[Effect] = []
        for other in forgotten:
            effects += self._settle(other, other.kill(End.RESTARTED, "the peer started anew"), now)
        return effects

    def _prefer_one(self, sa: IkeSa, other: IkeSa, now: float) -> None:
        """Their set-ups crossed: the initiator of the redundant one deletes it."""
        redundant = uniqueness.redundant(sa, other)
        stays = other if redundant is sa else sa
        if not redundant.set_up.ours:
            self._supersede(redundant, stays, now)
            return
        stays.replaces.append(redundant)
        redundant.yields_to = stays
        stays.settles_at = now + SETTLING
        self._registry.changed_sas.append(stays)

    def _supersede(self, old: IkeSa, new: IkeSa, now: float) -> None:
        """The peer should delete `old`, or we do; unless `new` has gone until then."""
        old.superseded_at, old.superseded_by = now + SUPERSEDED, new
        old.superseded_last = now + LAST
        self._registry.changed_sas.append(old)


def _yields(sa: IkeSa) -> bool:
    """Whether it is redundant itself, and is deleted with what it replaces, unless the preferred one ends."""
    return sa.yields_to is not None and sa.yields_to.successor.established


def _all_replaced(sa: IkeSa) -> list[IkeSa]:
    """What it replaces, and what these were to replace before they turned out to be redundant."""
    found: dict[IkeSa, None] = {}
    waiting = sa.replaced
    while waiting:
        old = waiting.pop()
        if old is not sa and old not in found:
            found[old] = None
            waiting += old.replaced
    return list(found)
