"""The tasks of one IKE_SA: which are under way, which wait for their turn, and which may run side by side."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from ikepy.config.model import Connection
from ikepy.errors import LocalMisuse
from ikepy.sa.api.computation import Computation
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.message.window import Window
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.phase import End
from ikepy.sa.state.task import CREATING, HARMLESS, Task, TaskKind

MAX_TASKS = 1024  # commands that may wait for their turn on one IKE_SA
OF_A_CHILD = 5  # tasks beside those: one of the last command's, of the clock, the worker, the configuration


class Owner(Protocol):
    """What the queue has to know of its IKE_SA."""

    ike_id: int
    connection: Connection
    children: dict[int, ChildSa]
    window: Window

    @property
    def entropy(self) -> Entropy: ...


S = TypeVar("S", bound=Owner)


def pause(failures: int, chance: float) -> float:
    """Seconds before the next try after so many in vain. `chance`: 0 to 1."""
    return (2.0**failures) * (1 - chance / 2)


class TaskQueue(Generic[S]):
    """A task waits for its turn, perhaps for a time before; then its request is under way until answered."""

    def __init__(self, sa: S) -> None:
        self._sa = sa
        self._waiting: deque[Task[S]] = deque()
        self._postponed: list[tuple[float, Task[S]]] = []  # and until when
        self._under_way: dict[int, Task[S]] = {}  # by the message ID of their requests, oldest first
        self._prepared: dict[Task[S], Computation] = {}  # for the requests of those that wait for their turn

    # -- what there is -----------------------------------------------------------------------------

    @property
    def under_way(self) -> list[Task[S]]:
        """The tasks whose requests are under way, oldest first: more than one if the peer takes that."""
        return list(self._under_way.values())

    @property
    def current(self) -> Task[S] | None:
        """The oldest of them; the only one if it is of those that have to be alone."""
        return next(iter(self._under_way.values()), None)

    @property
    def doing(self) -> TaskKind | None:
        """What kind of task that is."""
        return None if self.current is None else self.current.kind

    @property
    def all(self) -> list[Task[S]]:
        """Those under way, then those that wait for their turn, then the postponed ones."""
        return [*self._under_way.values(), *self._waiting, *(task for _, task in self._postponed)]

    @property
    def unwanted(self) -> set[int]:
        """The children that nobody wants any more, and what has replaced them: they are to be deleted."""
        ids: set[int] = set()
        for child_id in (task.removes for task in self.all):
            while child_id is not None and child_id not in ids:
                ids.add(child_id)
                child = self._sa.children.get(child_id)
                child_id = None if child is None else child.replaced_by
        return ids

    @property
    def ends(self) -> list[End]:
        """Why the IKE_SA is to end: its deletes wait or are under way."""
        return [task.ends for task in self.all if task.ends is not None]

    @property
    def waiting(self) -> bool:
        """Whether any waits for its turn."""
        return bool(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a request of ours is under way that changes which SAs there are (RFC 7296 2.25)."""
        return any(task.kind not in HARMLESS for task in self._under_way.values())

    @property
    def creating(self) -> list[Task[S]]:
        """The tasks that wait for a child of the peer's making."""
        return [task for task in self._under_way.values() if task.kind in CREATING]

    @property
    def deadlines(self) -> list[float]:
        """When postponed ones are due."""
        return [at for at, _ in self._postponed]

    @property
    def crowded(self) -> bool:
        """Whether so many wait that no further command of a user's is to be taken."""
        return len(self._waiting) + len(self._postponed) >= MAX_TASKS

    def waits(self, kind: TaskKind) -> bool:
        """Whether a task of this kind waits for its turn."""
        return any(task.kind is kind for task in self._waiting)

    # -- the way of a task -------------------------------------------------------------------------

    def enqueue(self, task: Task[S], *, first: bool = False) -> None:
        """Let it have its turn. LocalMisuse if far too many wait."""
        children = len(self._sa.children) + len(self._sa.connection.children)
        if len(self._waiting) + len(self._postponed) >= MAX_TASKS + OF_A_CHILD * children:
            raise LocalMisuse(f"too many commands wait on IKE_SA #{self._sa.ike_id}")
        if first:
            self._waiting.appendleft(task)
        else:
            self._waiting.append(task)

    def postpone(self, task: Task[S], failures: int, now: float) -> float:
        """Let a task have its turn later, for the peer is busy (TEMPORARY_FAILURE); gives the seconds."""
        wait = pause(failures, self._sa.entropy.uniform())
        self._postponed.append((now + wait, task))
        return wait

    def put_off(self, task: Task[S], until: float) -> None:
        """Let a task have its turn then, unless `bring_forward` comes first."""
        self._postponed.append((until, task))

    def bring_forward(self, kind: TaskKind) -> None:
        """What was put off of this kind waits for its turn."""
        self._resume([entry for entry in self._postponed if entry[1].kind is kind])

    def resume_postponed(self, now: float) -> None:
        """Those whose time has come wait for their turn."""
        self._resume([entry for entry in self._postponed if entry[0] <= now])

    def _resume(self, entries: list[tuple[float, Task[S]]]) -> None:
        for entry in entries:
            self._postponed.remove(entry)
            self._waiting.append(entry[1])  # which was counted when it came

    def take(self) -> Task[S] | None:
        """The next one whose turn it is, if it may begin now."""
        if not self._waiting or not self._may_begin(self._waiting[0]):
            return None
        if self._waiting[0] in self._prepared and self._prepared[self._waiting[0]].awaited:
            return None
        return self._waiting.popleft()

    def prepared(self, task: Task[S]) -> Computation:
        """What was computed for the request of one that was taken."""
        return self._prepared.pop(task, None) or Computation()

    def put_back(self, task: Task[S], work: Computation) -> None:
        """It has its turn when something is computed that its request needs."""
        self._waiting.appendleft(task)
        self._prepared[task] = work

    def begun(self, task: Task[S], message_id: int) -> None:
        """Its request is sent."""
        self._under_way[message_id] = task

    def resume(self, task: Task[S], message_id: int) -> None:
        """It waits for its response still: for what that needs."""
        self._under_way[message_id] = task
        self._under_way = dict(sorted(self._under_way.items()))

    def awaiting(self, message_id: int) -> Task[S] | None:
        """The one that waits for the response to this request."""
        return self._under_way.get(message_id)

    def answered(self, message_id: int) -> None:
        del self._under_way[message_id]

    def hand_over(self, other: TaskQueue[S]) -> None:
        """Whatever is not under way is the other one's to do."""
        other._waiting.extend(self._waiting)
        other._postponed.extend(self._postponed)
        self._waiting.clear()
        self._postponed.clear()
        self._prepared.clear()  # keys of its own for every IKE_SA

    def clear(self) -> None:
        self._under_way.clear()
        self._waiting.clear()
        self._postponed.clear()
        self._prepared.clear()

    def _may_begin(self, task: Task[S]) -> bool:
        """Whether a task may run beside those under way: only such as are about different children."""
        if not self._sa.window.has_room:
            return False
        about = task.about(self._sa)
        others = [other.about(self._sa) for other in self._under_way.values()]
        return not others or (about is not None and all(o is not None and not o & about for o in others))
