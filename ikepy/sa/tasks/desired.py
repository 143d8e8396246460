"""The children that one IKE_SA is to have: those that are to come up, at once, later, or again."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Child
from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange.child_negotiation import configured
from ikepy.sa.negotiation.ts_request import Pair, Selectors, TsRequest, pair_of
from ikepy.sa.state import end_actions
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import outcomes
from ikepy.sa.state.task_queue import pause
from ikepy.sa.state.wanted_child import WantedChild

MOST_DOUBLINGS = 7  # of the wait before a child that does not last is brought up again: 2 minutes
STABLE = 10.0  # seconds that a child has to last, or it is not brought up again at once
AT_ONCE = float("-inf")


def wants(sa: IkeSa, name: str) -> bool:
    """Whether a child of this name is to come up here."""
    return any(one.config.name == name for one in _all(sa))


def intended(sa: IkeSa) -> tuple[Child, ...]:
    """The children that are to stand here: those that do, are to come up, or expired this moment."""
    unwanted = sa.tasks.unwanted
    configs = [one.config for one in sa.children.values() if one.in_use and one.child_id not in unwanted]
    configs += [wanted.config for wanted in _all(sa)]
    # The peer may have replaced one, and taken that back; one may be deleted to be brought up again.
    replacing = [task for task in sa.tasks.under_way if task.replaces not in unwanted]
    configs += [config for task in replacing if (config := task.intends(sa)) is not None]
    return tuple({config.name: config for config in configs}.values())


def unfulfilled(sa: IkeSa) -> tuple[Child, ...]:
    """The children that are to come up here and have not yet."""
    configs = [wanted.config for wanted in _all(sa)]
    return tuple(config for config in configs if not sa.has_child(config.name))


def _all(sa: IkeSa) -> list[WantedChild]:
    asked = [task.wanted for task in sa.tasks.all if task.wanted is not None]
    return [*sa.desired.waiting, *asked, *(wanted for _, wanted in sa.desired.due)]


def want(sa: IkeSa, name: str, tickets: Sequence[int], packet: Pair | None = None) -> None:
    """Bring up one more child, as soon as that can be: for a packet, or whatever is configured."""
    for wanted in _all(sa):
        if wanted.config.name == name:
            wanted.tickets += tickets
            return
    config = sa.connection.children[name]
    wanted = WantedChild(config, list(tickets), _ts_request(sa, config, packet))
    if sa.phase is Phase.ESTABLISHED:
        create(sa, wanted)
    else:
        sa.desired.waiting.append(wanted)
        sa.desired.purpose.append(name)


def _ts_request(sa: IkeSa, config: Child, packet: Pair | None) -> TsRequest:
    """What to ask for where other children of this configuration stand: the packet's pair only."""
    if packet is None or not sa.lacks(config.name, packet):
        return TsRequest(packet)
    pair = pair_of(configured(sa, config), packet)
    return TsRequest(packet, within=None if pair is None else Selectors.of(pair))


def reopen(sa: IkeSa, child: ChildSa, end: end_actions.ChildEnd, now: float) -> None:
    """Do what follows the end of a child; bring it up again, but not at once if it hardly lasted."""
    config, ts_request = child.config, child.ts_request
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
    """Ask for a child in an exchange of its own, when that has its turn."""
    sa.desired.due.append((AT_ONCE, wanted))


def create_others(sa: IkeSa) -> None:
    """Ask for those that IKE_AUTH had no room for."""
    while sa.desired.waiting:
        create(sa, sa.desired.waiting.popleft())


def failed(sa: IkeSa, wanted: WantedChild, reason: str) -> list[Effect]:
    """It does not come up here: tell so, unless it stands, as for a command that finds it up."""
    name = wanted.config.name
    if stands(sa, wanted):
        return outcomes(wanted.tickets, True, f"CHILD_SA {name} is up already")
    if sa.phase is Phase.ESTABLISHED:  # the manager is to see what follows
        sa.desired.unmet[name] = None
        sa.registry.changed_sas.append(sa)
    return outcomes(wanted.tickets, False, reason)


def stands(sa: IkeSa, wanted: WantedChild) -> bool:
    """Whether there is such a child, on whichever IKE_SA of the connection that is not to go."""
    sas = [one for one in sa.registry.of_connection(sa.connection.name) if not one.is_ending]
    return any(wanted.met_by(child) and child.stays for one in sas for child in one.children.values())


def take_unmet(sa: IkeSa) -> tuple[str, ...]:
    """Those that did not come up since it was asked last, and are not wanted again."""
    unmet = tuple(name for name in sa.desired.unmet if not wants(sa, name))
    sa.desired.unmet.clear()
    return unmet


def abandon(sa: IkeSa, reason: str) -> list[Effect]:
    """None of those that wait for the IKE_SA to stand will come up."""
    effects: list[Effect] = []
    while sa.desired.waiting:
        effects += failed(sa, sa.desired.waiting.popleft(), reason)
    return effects
