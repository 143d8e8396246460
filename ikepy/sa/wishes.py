"""The children that one IKE_SA is to have: those that are to come up, at once, later, or again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ikepy.config.model import Child

from . import again
from .child import ChildSa
from .child_negotiation import configured
from .effects import Effect
from .phase import Phase
from .scope import Pair, Scope, Selectors, pair_of
from .tasks.auth import AuthTask, Wanted
from .tasks.child_create import ChildCreate
from .tasks.child_rekey import ChildRekey
from .tasks.delete import DeleteChild

if TYPE_CHECKING:
    from .ike_sa import IkeSa

MOST_DOUBLINGS = 7  # of the wait before a child that does not last is brought up again: 2 minutes
STABLE = 10.0  # seconds that a child has to last, or it is not brought up again at once


class Wishes:
    """What was asked for on an IKE_SA. `purpose`: the children that it was to bring up before it stood."""

    def __init__(self, sa: IkeSa) -> None:
        self._sa = sa
        self.purpose: list[str] = []
        self._waiting: deque[Wanted] = deque()  # until the IKE_SA stands
        self._unmet: dict[str, None] = {}  # that did not come up, in order
        self._bounced: dict[str, int] = {}  # how often in a row a child ended that hardly lasted

    @property
    def waiting(self) -> bool:
        """Whether any waits for the IKE_SA to stand."""
        return bool(self._waiting)

    def wants(self, name: str) -> bool:
        """Whether a child of this name is to come up here."""
        return any(one.config.name == name for one in self._all())

    @property
    def intended(self) -> tuple[Child, ...]:
        """The children that are to stand here: those that do, are to come up, or expired this moment."""
        sa = self._sa
        configs = [child.config for child in sa.children.values() if child.in_use]
        configs += [wanted.config for wanted in self._all()]
        for task in sa.tasks.under_way:
            if isinstance(task, ChildRekey) and task.child_id in sa.children:
                configs.append(task.config)  # the peer may have replaced it, and taken that back
            elif isinstance(task, DeleteChild) and task.missed is not None:
                configs.append(task.missed)
        return tuple({config.name: config for config in configs}.values())

    @property
    def unfulfilled(self) -> tuple[Child, ...]:
        """The children that are to come up here and have not yet."""
        configs = [wanted.config for wanted in self._all()]
        return tuple(config for config in configs if not self._sa.has_child(config.name))

    def _all(self) -> list[Wanted]:
        tasks = self._sa.tasks.all
        return [*self._waiting, *(task.wanted for task in tasks if isinstance(task, ChildCreate | AuthTask))]

    def want(self, name: str, tickets: Sequence[int], packet: Pair | None = None) -> None:
        """Bring up one more child, as soon as that can be: for a packet, or whatever is configured."""
        for wanted in self._all():
            if wanted.config.name == name:
                wanted.tickets += tickets
                return
        config = self._sa.connection.children[name]
        wanted = Wanted(config, list(tickets), self._scope(config, packet))
        if self._sa.phase is Phase.ESTABLISHED:
            self.create(wanted)
        else:
            self._waiting.append(wanted)
            self.purpose.append(name)

    def _scope(self, config: Child, packet: Pair | None) -> Scope:
        """What to ask for where other children of this configuration stand: the packet's pair only."""
        if packet is None or not self._sa.lacks(config.name, packet):
            return Scope(packet)
        pair = pair_of(configured(self._sa, config), packet)
        return Scope(packet, within=None if pair is None else Selectors.of(pair))

    def reopen(self, child: ChildSa, end: again.ChildEnd, now: float) -> None:
        """Do what follows the end of a child; bring it up again, but not at once if it hardly lasted."""
        sa, config, scope = self._sa, child.config, child.scope
        action = again.after_child(end, config)
        if action == again.TRAP:
            sa.shared.trapped.add((sa.connection.name, config.name))
        if action != again.START or self.wants(config.name):
            return
        if again.kept(config) == again.START:
            sa.shared.standing.add((sa.connection.name, config.name))
        same = (c for c in sa.children.values() if c.config.name == config.name and c.stays)
        if any(scope.met_by(one.selectors) for one in same):
            return
        task = ChildCreate(Wanted(config, scope=scope))
        if now - child.installed_at >= STABLE:
            self._bounced.pop(config.name, None)
            sa.enqueue(task)
        else:
            bounced = self._bounced[config.name] = self._bounced.get(config.name, 0) + 1
            sa.tasks.postpone(task, min(bounced + 1, MOST_DOUBLINGS), now)

    def create(self, wanted: Wanted) -> None:
        """Bring up a child that IKE_AUTH did not."""
        self._sa.enqueue(ChildCreate(wanted))

    def first(self) -> Wanted:
        """The child that IKE_AUTH brings up."""
        return self._waiting.popleft()

    def create_others(self) -> None:
        """Bring up those that IKE_AUTH had no room for."""
        while self._waiting:
            self.create(self._waiting.popleft())

    def note_unmet(self, name: str) -> None:
        """A child did not come up: the manager is to see what follows."""
        if self._sa.phase is Phase.ESTABLISHED:
            self._unmet[name] = None
            self._sa.shared.touched.append(self._sa)

    def take_unmet(self) -> tuple[str, ...]:
        """Those that did not come up since it was asked last, and are not wanted again."""
        unmet = tuple(name for name in self._unmet if not self.wants(name))
        self._unmet.clear()
        return unmet

    def abandon(self, reason: str) -> list[Effect]:
        """None of those that wait will come up."""
        effects: list[Effect] = []
        while self._waiting:
            effects += self._waiting.popleft().failed(self._sa, reason)
        return effects
