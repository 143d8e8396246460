"""Decides which children an IKE_SA still has to bring up: now, later, or again after they ended.

`state.desired_children` holds the list.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Child
from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange.configuration import configured
from ikepy.sa.negotiation.ts_request import Pair, Selectors, TsRequest, pair_of
from ikepy.sa.state import end_actions
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.desired_children import AT_ONCE
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import outcomes
from ikepy.sa.state.task_queue import pause
from ikepy.sa.state.wanted_child import WantedChild

MOST_DOUBLINGS = 7  # of the delay before a short-lived child is brought up again: up to 2 minutes
STABLE = 10.0  # seconds: a child that ends sooner is brought up again after a delay


def wants(sa: IkeSa, name: str) -> bool:
    """Whether a child of this name is still to be brought up here."""
    return any(one.config.name == name for one in _all(sa))


def intended(sa: IkeSa) -> tuple[Child, ...]:
    """The configurations of the children that `sa` should have: those that are up or still to come up."""
    unwanted = sa.tasks.unwanted
    configs = [one.config for one in sa.children.values() if one.in_use and one.child_id not in unwanted]
    configs += [wanted.config for wanted in _all(sa)]
    # A rekey under way counts even if the peer has deleted both children meanwhile; so does the deletion of a
    # child that is brought up again.
    replacing = [
        task
        for task in sa.tasks.under_way
        if task.replaces not in unwanted and not (task.wanted is not None and task.wanted.given_up)
    ]
    configs += [config for task in replacing if (config := task.intends(sa)) is not None]
    return tuple({config.name: config for config in configs}.values())


def unfulfilled(sa: IkeSa) -> tuple[Child, ...]:
    """The configurations of the children that are still to come up here, or failed to, last."""
    configs = [wanted.config for wanted in _all(sa)]
    configs += [config for name in sa.desired.unmet if (config := sa.connection.children.get(name))]
    return tuple(
        config for config in {one.name: one for one in configs}.values() if not sa.has_child(config.name)
    )


def _all(sa: IkeSa) -> list[WantedChild]:
    return [one for one in _asked(sa) if not one.given_up]


def _asked(sa: IkeSa) -> list[WantedChild]:
    asked = [task.wanted for task in sa.tasks.all if task.wanted is not None]
    return [*sa.desired.waiting, *asked, *(wanted for _, wanted in sa.desired.due)]


def want(sa: IkeSa, name: str, tickets: Sequence[int], packet: Pair | None = None) -> bool:
    """Bring up a child once `sa` is established, at once for a user. `packet`: the packet that needs it, if
    one does. False if it is not configured any more: then nothing is done, and whoever waits is to be told.
    """
    for wanted in _asked(sa):
        if wanted.config.name == name and not _is_doomed(sa, wanted):
            wanted.given_up = False
            wanted.tickets = [*wanted.tickets, *tickets]
            if sa.phase is not Phase.ESTABLISHED and name not in sa.desired.purpose:
                sa.desired.purpose.append(name)
            if any(tickets):
                sa.desired.bring_forward(wanted)
            return True
    config = sa.connection.children.get(name)
    if config is None:
        return False
    wanted = WantedChild(config, list(tickets), _ts_request(sa, config, packet))
    if sa.phase is Phase.ESTABLISHED:
        create(sa, wanted)
    else:
        sa.desired.waiting.append(wanted)
        sa.desired.purpose.append(name)
    return True


def _is_doomed(sa: IkeSa, wanted: WantedChild) -> bool:
    """Whether it is to replace a lost child which is to be deleted, and then goes with that."""
    unwanted = sa.tasks.unwanted
    replaced = [task.replaces for task in sa.tasks.all if task.wanted is wanted]
    return any(child_id in unwanted for child_id in (wanted.replaces, *replaced))


def _ts_request(sa: IkeSa, config: Child, packet: Pair | None) -> TsRequest:
    """The selectors to propose: all that are configured, or the packet's pair only, if the children of this
    configuration that are up don't carry the packet."""
    if packet is None or not sa.children.lacks(config.name, packet):
        return TsRequest(packet)
    pair = pair_of(configured(sa, config), packet)
    return TsRequest(packet, within=None if pair is None else Selectors.of(pair))


def reopen(sa: IkeSa, child: ChildSa, end: end_actions.ChildEnd, now: float) -> None:
    """Do what the configuration says about a child that ended: nothing, trap it, or bring it up again.

    A child that lasted less than STABLE seconds comes up again after a delay.
    """
    config, ts_request = child.config, child.ts_request
    if sa.connection.children.get(config.name) is not config:
        return  # another configuration is without it, or brings it up as it is to be now
    action = end_actions.after_child(end, config)
    if action == end_actions.TRAP:
        sa.registry.trapped.add((sa.connection.name, config.name))
    if action != end_actions.START or wants(sa, config.name):
        return
    if end_actions.kept(config) == end_actions.START:
        sa.registry.standing.add((sa.connection.name, config.name))
    same = (c for c in sa.children.values() if c.config.name == config.name and c.stays)
    if any(ts_request.met_by(one.selectors) for one in same):
        return
    wanted, bounced = WantedChild(config, ts_request=ts_request), sa.desired.bounced
    if now - child.installed_at >= STABLE:
        bounced.pop(config.name, None)
        create(sa, wanted)
    else:
        count = bounced[config.name] = bounced.get(config.name, 0) + 1
        wait = pause(min(count + 1, MOST_DOUBLINGS), sa.entropy.uniform())
        sa.desired.due.append((now + wait, wanted))


def create(sa: IkeSa, wanted: WantedChild) -> None:
    """Schedule a CREATE_CHILD_SA exchange for a child."""
    sa.desired.due.append((AT_ONCE, wanted))


def create_others(sa: IkeSa) -> None:
    """Schedule the children beyond the one that IKE_AUTH created."""
    while sa.desired.waiting:
        create(sa, sa.desired.waiting.popleft())


def failed(sa: IkeSa, wanted: WantedChild, reason: str) -> list[Effect]:
    """Give up a child on this IKE_SA, and report that to the commands that wait; a success if it is up.

    Of a reauthentication that failed it is none that the child is up on the IKE_SA that was to be replaced.
    """
    up = _is_up(sa, wanted)
    if sa.phase is Phase.ESTABLISHED and not wanted.given_up and not up:
        sa.desired.unmet[wanted.config.name] = None  # the connector decides whether it is tried again
        sa.registry.changed_sas.append(sa)
    return _told(wanted, up, reason)


def _is_up(sa: IkeSa, wanted: WantedChild) -> bool:
    replaces = sa.established_at is None and bool(sa.replaced)
    return not replaces and stands(sa, wanted)


def _told(wanted: WantedChild, up: bool, reason: str) -> list[Effect]:
    text = f"CHILD_SA {wanted.config.name} is up already" if up else reason
    return outcomes(wanted.tickets, up, text)


def stands(sa: IkeSa, wanted: WantedChild) -> bool:
    """Whether such a child is up on any IKE_SA of the connection that is not about to end."""
    sas = [one for one in sa.registry.of_connection(sa.connection.name) if not one.is_ending]
    return any(wanted.met_by(child) and child.stays for one in sas for child in one.children.values())


def give_up(sa: IkeSa, name: str) -> list[Effect] | None:
    """A user wants this child down before it is up; None if it is not to come up here."""
    meant = [one for one in _all(sa) if one.config.name == name]
    effects: list[Effect] = []
    for wanted in meant:
        wanted.given_up = True
        sa.desired.remove(wanted)
        effects += _told(wanted, _is_up(sa, wanted), "terminated")
        wanted.tickets = []
    return effects if meant else None


def reconfigure(sa: IkeSa) -> list[Effect]:
    """`sa.connection` has other children now: those that are to come up are asked for as they are there.

    Tasks see for themselves when their turn comes.
    """
    effects: list[Effect] = []
    for wanted in [*sa.desired.waiting, *(one for _, one in sa.desired.due)]:
        config = sa.connection.children.get(wanted.config.name)
        if config is not None:
            wanted.reconfigure(config)
            continue
        sa.desired.remove(wanted)
        effects += outcomes(wanted.tickets, False, f"{wanted.config.name} is not configured any more")
    # Also that of the IKE_AUTH under way: it is not set up again if that fails.
    sa.desired.purpose = [name for name in sa.desired.purpose if name in sa.connection.children]
    return effects


def want_as_configured(sa: IkeSa, config: Child) -> None:
    """Request a child of a new configuration, unless a request waits; one under way is of the former."""
    former = {id(task.wanted) for task in sa.tasks.under_way}
    if all(id(one) in former for one in _all(sa) if one.config.name == config.name):
        create(sa, WantedChild(config))


def take_unmet(sa: IkeSa) -> tuple[str, ...]:
    """The names of children that failed to come up since the last call and are not being tried again."""
    configured = sa.connection.children
    unmet = tuple(name for name in sa.desired.unmet if name in configured and not wants(sa, name))
    sa.desired.unmet.clear()
    return unmet


def abandon(sa: IkeSa, reason: str) -> list[Effect]:
    """Give up the children that wait for an IKE_SA which ended before it was established."""
    effects: list[Effect] = []
    while sa.desired.waiting:
        effects += failed(sa, sa.desired.waiting.popleft(), reason)
    return effects
