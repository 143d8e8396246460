"""Replaces IKE_SAs by newer ones: reauthentication, uniqueness, INITIAL_CONTACT (RFC 7296 2.4, 2.8.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import End
from ikepy.sa.driver.turns import proceed
from ikepy.sa.lifecycle import uniqueness
from ikepy.sa.lifecycle.teardown import announce_end, terminate
from ikepy.sa.setup.connector import Connector
from ikepy.sa.setup.demand import Demand
from ikepy.sa.state.connecting import NewlyUp
from ikepy.sa.state.ike_sa import IkeSa, Registry, Settle
from ikepy.sa.state.replacement import Superseded
from ikepy.sa.state.task import outcomes
from ikepy.sa.tasks import desired
from ikepy.sa.tasks.delete import DeleteIke

SETTLING = 10.0  # seconds in which a peer sets up the children of an IKE_SA that it initiated
# Seconds that a peer has to delete an IKE_SA itself that it has replaced, or whose set-up crossed ours. More
# than SETTLING: if the set-ups crossed in the view of one end only, the peer deletes the other IKE_SA.
SUPERSEDED = 30.0
LAST = 120.0  # the same limit while the peer retransmits on the new IKE_SA, as it does not get our responses


class Reauthentication:
    """Deletes older IKE_SAs, as a rule when their children are up on the newer one."""

    def __init__(self, registry: Registry, set_ups: Connector, settle: Settle) -> None:
        self._registry = registry
        self._connector = set_ups
        self._settle = settle

    def reauthenticate(self, old: IkeSa, now: float, tickets: Sequence[int] = ()) -> list[Effect]:
        """Set up a new IKE_SA with the same children, then delete the old one (make before break).

        Nothing follows a former configuration, nor one that is to be deleted anyway. `tickets`: commands that
        wait for the new one.
        """
        if old.is_ending or not self._registry.is_current(old.connection):
            return outcomes(tickets, False, f"IKE_SA #{old.ike_id} ends")
        children = old.connection.children
        names = tuple(config.name for config in desired.intended(old) if config.name in children)
        if not names:
            return self._settle(old, terminate(old, None, False, list(tickets), now), now)
        if self._registry.is_being_replaced(old):
            return outcomes(tickets, False, f"IKE_SA #{old.ike_id} is being reauthenticated already")
        redirect, old.redirection.to = old.redirection.to, None
        if redirect is not None and old.reauth_at is None and old.connection.reauth_time:
            redirect = replace(redirect, reauthenticates=True)  # it was due, too
        demand = Demand(old.connection, names, tuple(tickets), replaces=old, redirect=redirect)
        log = old.log(Level.INFO, "reauthenticating")
        return [log, *self._connector.connect(demand, now)]

    def end_replaced(self, new: IkeSa, now: float) -> list[Effect]:
        """Delete the IKE_SAs that `new` replaces, as soon as all of their children are up on it."""
        if not new.replacing.olds or not new.quiet or new.replacing.settles_at is not None or _yields(new):
            return []
        for config in (config for old in _all_replaced(new) for config in desired.intended(old)):
            if config.name not in new.connection.children:
                continue
            if config.name not in new.desired.purpose and not new.has_child(config.name):
                new.desired.purpose.append(config.name)  # demanded after `new` was initiated; tried once
                desired.want(new, config.name, ())
        if not new.quiet:
            return proceed(new, now)
        olds, new.replacing.olds = _all_replaced(new), []
        reauthenticates = new.set_up.again and new.set_up.ours
        if reauthenticates and not olds and self._is_surplus(new):
            olds = [new]  # the peer has replaced and deleted the old one before us
        effects: list[Effect] = []
        for old in olds:
            old.enqueue(DeleteIke(end=End.REAUTHENTICATED))
            effects += self._settle(old, proceed(old, now), now)
        return effects

    def let_go(self, sa: IkeSa) -> None:
        """An IKE_SA that ends is preferred no more: those that yielded to it end what they replace."""
        if sa.established_at is not None and not sa.established:
            for other in self._registry.duplicates(sa):
                preferred = other.replacing.yields_to
                if other.replacing.olds and preferred is not None and preferred.successor is sa:
                    self._registry.changed_sas.append(other)

    def _is_surplus(self, new: IkeSa) -> bool:
        """Whether other IKE_SAs have all the children that `new` was set up for, of which some still are
        configured."""
        others, names = list(self._registry.others(new)), new.desired.purpose
        return bool(names) and all(any(other.has_child(name) for other in others) for name in names)

    def enforce_unique(self, sa: IkeSa, newly: NewlyUp, now: float) -> list[Effect]:
        """Apply INITIAL_CONTACT and `unique` to older IKE_SAs between the same identities (RFC 7296 2.4).

        `unique` is about those of the connection, as in charon: others there may be for other networks.
        """
        policy = sa.connection.unique
        effects = self._end_forgotten(sa, now) if newly.initial_contact else []
        replaced, one_stays = sa.replaced, policy == "replace" or sa.set_up.again
        for other in reversed(self._registry.siblings(sa)):  # of a shared identity there may be thousands
            if replaced and other in replaced:
                continue  # `end_replaced` deletes it when its children are up on `sa`
            if (one_stays or other.set_up.again) and uniqueness.crossed(sa, other):
                self._prefer_one(sa, other, now)
            elif policy == "replace" and sa.set_up.ours and not other.is_ending:
                sa.replacing.olds.append(other)
            elif (
                policy == "replace" and not sa.set_up.ours
            ):  # the peer may be reauthenticating: it deletes it when it is done
                self._supersede(other, sa, now)
            elif not sa.set_up.ours and other.reauth_at is not None:
                # The peer may be reauthenticating `other` just now.
                other.reauth_at = max(other.reauth_at, now + SUPERSEDED)
        return effects

    def _end_forgotten(self, sa: IkeSa, now: float) -> list[Effect]:
        """End the IKE_SAs that the peer lost, if it said with INITIAL_CONTACT that `sa` is its only one."""
        if sa.connection.unique == "never":
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
        """Mark the redundant one of two IKE_SAs whose set-ups crossed; its initiator deletes it."""
        redundant = uniqueness.redundant(sa, other)
        stays = other if redundant is sa else sa
        if not redundant.set_up.ours:
            self._supersede(redundant, stays, now)
            return
        stays.replacing.olds.append(redundant)
        redundant.replacing.yields_to = stays
        stays.replacing.settles_at = now + SETTLING
        self._registry.changed_sas.append(stays)

    def _supersede(self, old: IkeSa, new: IkeSa, now: float) -> None:
        """Give the peer time to delete `old`; after that we do, unless `new` has ended."""
        old.superseded = Superseded(new, at=now + SUPERSEDED, last=now + LAST)
        self._registry.changed_sas.append(old)


def _yields(sa: IkeSa) -> bool:
    """Whether it is redundant itself: the preferred IKE_SA, while it lives, ends it and what it replaces."""
    yields_to = sa.replacing.yields_to
    return yields_to is not None and yields_to.successor.established


def _all_replaced(sa: IkeSa) -> list[IkeSa]:
    """The IKE_SAs that it replaces, and those that these in turn were to replace before being redundant."""
    found: dict[IkeSa, None] = {}
    waiting = sa.replaced
    while waiting:
        old = waiting.pop()
        if old is not sa and old not in found:
            found[old] = None
            waiting += old.replaced
    return list(found)
