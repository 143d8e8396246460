"""Executes the commands `Terminate`, `Rekey` and `RedirectClients` on all SAs that match their criteria."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ikepy.sa.api.commands import RedirectClients, Rekey, Terminate
from ikepy.sa.api.effects import Effect
from ikepy.sa.api.ends import End
from ikepy.sa.driver.turns import proceed
from ikepy.sa.lifecycle import teardown
from ikepy.sa.lifecycle.reauthentication import Reauthentication
from ikepy.sa.setup.connector import Connector
from ikepy.sa.setup.demand import Key
from ikepy.sa.state.child_sa import ChildState
from ikepy.sa.state.ike_sa import IkeSa, Registry, Settle
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.target_ticket import TargetTicket
from ikepy.sa.state.task import outcomes
from ikepy.sa.tasks import child_rekey, desired, ike_rekey, redirect

Target = tuple[IkeSa, int | None]  # a child of an IKE_SA, or with None all of it


class ByCriteria:
    """Begins a command on every SA that matches, or on none; either way an outcome follows."""

    def __init__(
        self, registry: Registry, set_ups: Connector, replacing: Reauthentication, settle: Settle
    ) -> None:
        self._registry = registry
        self._connector = set_ups
        self._reauthentication = replacing
        self._settle = settle

    def terminate(self, command: Terminate, now: float) -> list[Effect]:
        targets = [(sa, child) for sa in list(self._registry.sas.values()) for child in _matches(sa, command)]
        # IKE_SAs that are terminated by force end at once: they need no room in the task queue.
        crowded = _crowded(one for one in targets if one[1] is not None or not command.force)
        if crowded:
            return outcomes([command.ticket], False, crowded)
        given_up: list[str] = []
        if command.ike_id is None and command.child_id is None:
            given_up = self._connector.give_up(_meant_by(command))
        ending = {sa for sa, child_id in targets if child_id is None}
        coming = self._give_up(command, [sa for sa in self._registry.sas.values() if sa not in ending])
        given_up += [f"{sa.connection.name}/{command.child}" for sa in coming]
        effects: list[Effect] = []
        for sa, told in coming.items():
            effects += self._settle(sa, told, now)  # it may be set up for this child alone, and ends
        if not targets:
            text = f"no further try of {', '.join(given_up)}" if given_up else _nothing(command)
            return [*effects, *outcomes([command.ticket], bool(given_up), text)]
        if command.force:  # an IKE_SA of a colliding rekey would get the children: it ends too
            colliding = [ike_rekey.colliding(sa) for sa, child_id in targets if child_id is None]
            targets += [(one, None) for one in colliding if one is not None and (one, None) not in targets]
        end = End.FAULT if command.fault else End.DELETED
        teardown.announce_end((sa for sa, child_id in targets if child_id is None), end)
        for (sa, child_id), tickets in zip(targets, _tickets(command, targets), strict=True):
            if _is_gone(sa, child_id):
                effects += outcomes(tickets, True, f"{_name(sa, child_id)} is gone")
                continue
            ended = teardown.terminate(sa, child_id, command.force, tickets, now, end=end)
            effects += self._settle(sa, ended, now)
        return effects

    def _give_up(self, command: Terminate, sas: Iterable[IkeSa]) -> dict[IkeSa, list[Effect]]:
        """Give up a child that is still to come up on some of these IKE_SAs: what is told at each of them."""
        if command.child is None or command.child_id is not None:
            return {}
        found = {}
        for sa in sas:
            if command.ike in (None, sa.connection.name) and command.ike_id in (None, sa.ike_id):
                told = desired.give_up(sa, command.child)
                if told is not None:
                    found[sa] = told
        return found

    def rekey(self, command: Rekey, now: float) -> list[Effect]:
        meant = [(sa, child) for sa in list(self._registry.sas.values()) for child in _matches(sa, command)]
        targets = [
            (sa, child_id)
            for sa, child_id in meant
            if sa.established and not sa.is_ending and not sa.in_collision
            if child_id is None or sa.children[child_id].state is ChildState.INSTALLED
        ]
        if targets:
            refused = _crowded(targets)
        elif meant:
            refused = f"{_name(*meant[0])} is being set up, replaced or deleted already"
        else:
            refused = _nothing(command)
        if refused:
            return outcomes([command.ticket], False, refused)
        effects: list[Effect] = []
        for (sa, child_id), tickets in zip(targets, _tickets(command, targets), strict=True):
            if _is_gone(sa, child_id):
                effects += outcomes(tickets, False, f"{_name(sa, child_id)} is gone")
                continue
            if child_id is not None:
                child_rekey.begin(sa, sa.children[child_id], tickets)
            elif command.reauth:
                effects += self._reauthentication.reauthenticate(sa, now, tickets)
            else:
                ike_rekey.begin(sa, tickets)
            effects += self._settle(sa, proceed(sa, now), now)
        return effects

    def redirect(self, command: RedirectClients, now: float) -> list[Effect]:
        """Tell each client that follows redirects where to go; why the others are not told."""
        meant = [sa for sa in map(self._registry.sas.get, command.ike_ids) if sa is not None]
        if not meant:
            return outcomes([command.ticket], False, "nothing matches: none of these IKE_SAs is up")
        effects: list[Effect] = []
        targets: list[Target] = [(sa, None) for sa in meant]
        for sa, tickets in zip(meant, _tickets(command, targets), strict=True):
            why = redirect.obstacle(sa)
            if why:
                effects += outcomes(tickets, False, f"IKE_SA #{sa.ike_id}: {why}")
                continue
            sa.enqueue(redirect.SendRedirect(command.gateway, tickets))
            effects += self._settle(sa, proceed(sa, now), now)
        return effects


def _tickets(command: Terminate | Rekey | RedirectClients, targets: list[Target]) -> list[list[int]]:
    """What each target tells its outcome to: several of them the command's outcome in common."""
    if len(targets) == 1 or not command.ticket:
        return [[command.ticket] for _ in targets]
    return [[one] for one in TargetTicket.each(command.ticket, [_name(*target) for target in targets])]


def _meant_by(command: Terminate) -> Callable[[Key], bool]:
    return lambda key: command.ike in (None, key[0]) and command.child in (None, key[1])


def _matches(sa: IkeSa, command: Terminate | Rekey) -> list[int | None]:
    """The child_ids of `sa` that match a command, or [None] for the IKE_SA itself."""
    if command.ike is not None and sa.connection.name != command.ike:
        return []
    if command.ike_id is not None and sa.ike_id != command.ike_id:
        return []
    if command.child is None and command.child_id is None:
        return [None]
    if sa.phase is Phase.CONNECTING and sa.initiator and sa.desired.purpose == [command.child]:
        return [None]  # the IKE_SA is being set up for this child alone
    return [
        child.child_id
        for child in sa.children.values()
        if command.child in (None, child.config.name)
        # By name, a child that has been replaced does not match, but its successor does.
        and (
            command.child_id == child.child_id
            or (command.child_id is None and child.replaced_by not in sa.children)
        )
    ]


def _nothing(command: Terminate | Rekey) -> str:
    """Text for users: no SA matches the command's criteria."""
    ike = " ".join(
        [
            *([] if command.ike is None else [command.ike]),
            *([] if command.ike_id is None else [f"#{command.ike_id}"]),
        ]
    )
    if command.child is None and command.child_id is None:
        return f"nothing matches: no IKE_SA {ike} is up"
    child = " ".join(
        [
            *([] if command.child is None else [command.child]),
            *([] if command.child_id is None else [f"#{command.child_id}"]),
        ]
    )
    return f"nothing matches: no CHILD_SA {child}{f' of {ike}' if ike else ''} is up"


def _crowded(targets: Iterable[Target]) -> str:
    """Text for users if one of the targets has too many waiting commands to take one more; else ""."""
    sa = next((sa for sa, _ in targets if sa.tasks.crowded), None)
    if sa is None:
        return ""
    return (
        f"nothing is done: {len(sa.tasks.all)} commands wait for their turn on IKE_SA #{sa.ike_id}, whose "
        f"peer is slow or silent; what ends them all: ikepy terminate --ike-id {sa.ike_id} --force"
    )


def _is_gone(sa: IkeSa, child_id: int | None) -> bool:
    """Whether a target has ended, perhaps by what was begun on an earlier target."""
    return sa.phase is Phase.DEAD or (child_id is not None and child_id not in sa.children)


def _name(sa: IkeSa, child_id: int | None) -> str:
    return f"IKE_SA #{sa.ike_id}" if child_id is None else f"CHILD_SA #{child_id}"
