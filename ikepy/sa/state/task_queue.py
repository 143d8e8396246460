"""Schedules the tasks of one IKE_SA, and decides which may run side by side (RFC 7296 2.3, 2.25)."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar
from weakref import ref

from ikepy.config.model import Connection
from ikepy.errors import LocalMisuse
from ikepy.sa.api.computation import Computation
from ikepy.sa.api.ends import End
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.message.window import Window
from ikepy.sa.state.children import Children
from ikepy.sa.state.followups import Followups
from ikepy.sa.state.task import CREATING, HARMLESS, OF_CHILDREN, Task, TaskKind

MAX_TASKS = 1024  # waiting tasks on one IKE_SA, beyond which user commands are refused
OF_A_CHILD = 5  # more tasks per child: from the last command, the clock, the worker, the configuration


class Owner(Protocol):
    """The part of an IKE_SA that the queue needs."""

    ike_id: int
    connection: Connection
    children: Children
    window: Window
    followups: Followups

    @property
    def entropy(self) -> Entropy: ...


S = TypeVar("S", bound=Owner)


def pause(failures: int, chance: float) -> float:
    """Seconds to wait after so many failed tries. `chance`: 0 to 1."""
    return (2.0**failures) * (1 - chance / 2)


class TaskQueue(Generic[S]):
    """A task may be postponed, then waits for its turn, then is under way until its request is answered."""

    def __init__(self, sa: S) -> None:
        self._owner = ref(sa)  # no cycle: a dead IKE_SA is freed at once
        self._waiting: deque[Task[S]] = deque()
        self._postponed: list[tuple[float, Task[S]]] = []  # until when, and which
        self._under_way: dict[int, Task[S]] = {}  # by the message ID of their requests, oldest first
        self._prepared: dict[Task[S], Computation] = {}  # for requests of waiting tasks

    @property
    def _sa(self) -> S:
        sa = self._owner()
        if sa is None:
            raise LocalMisuse("a queue outlives its IKE_SA")
        return sa

    # -- what there is -----------------------------------------------------------------------------

    @property
    def under_way(self) -> list[Task[S]]:
        """The tasks that have begun, oldest first; several if the peer's window permits.

        One that is midway is among them even while the value for its next request is being computed.
        """
        return [*self._under_way.values(), *(task for task in self._waiting if task.midway)]

    @property
    def current(self) -> Task[S] | None:
        """The oldest task under way; the only one if it must run alone."""
        return next(iter(self.under_way), None)

    @property
    def doing(self) -> TaskKind | None:
        """The kind of the current task."""
        return None if self.current is None else self.current.kind

    @property
    def queued(self) -> list[Task[S]]:
        """Those that are not under way: the waiting, then the postponed ones."""
        return [*self._waiting, *(task for _, task in self._postponed)]

    @property
    def all(self) -> list[Task[S]]:
        """All tasks: those under way, then the waiting, then the postponed ones."""
        return [*self._under_way.values(), *self.queued]

    @property
    def unwanted(self) -> set[int]:
        """The child_ids that tasks are to delete, and those of their replacements, as long as the request has
        not named one; one that is spare leaves another, which may be its replacement."""
        ids: set[int] = set()
        for child_id in (task.removes for task in self.queued if not task.spare):
            while child_id is not None and child_id not in ids:
                ids.add(child_id)
                child = self._sa.children.get(child_id)
                child_id = None if child is None else child.replaced_by
        named = (task.removes for task in self._under_way.values() if not task.spare)
        return ids.union(child_id for child_id in named if child_id is not None)

    def replaces(self, child_id: int) -> bool:
        """Whether a task is to replace this child."""
        return any(task.replaces == child_id for task in self.all)

    @property
    def ends(self) -> list[End]:
        """The reasons of all tasks that are to end the IKE_SA."""
        return [task.ends for task in self.all if task.ends is not None]

    @property
    def waiting(self) -> bool:
        """Whether any task waits for its turn."""
        return bool(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a request of ours is under way that creates or deletes SAs (RFC 7296 2.25)."""
        return any(task.kind not in HARMLESS for task in self.under_way)

    @property
    def creating(self) -> list[Task[S]]:
        """The tasks under way that create or replace a child."""
        return [task for task in self.under_way if task.kind in CREATING]

    @property
    def deadlines(self) -> list[float]:
        """When postponed tasks are due."""
        return [at for at, _ in self._postponed]

    @property
    def crowded(self) -> bool:
        """Whether too many tasks wait to accept another user command."""
        return len(self._waiting) + len(self._postponed) >= MAX_TASKS

    def waits(self, kind: TaskKind) -> bool:
        """Whether a task of this kind waits for its turn."""
        return any(task.kind is kind for task in self._waiting)

    # -- the life of a task ------------------------------------------------------------------------

    def enqueue(self, task: Task[S], *, first: bool = False) -> None:
        """Append a task, or put it `first`. LocalMisuse if far too many wait."""
        children = len(self._sa.children) + len(self._sa.connection.children)
        if len(self._waiting) + len(self._postponed) >= MAX_TASKS + OF_A_CHILD * children:
            raise LocalMisuse(f"too many commands wait on IKE_SA #{self._sa.ike_id}")
        if first:
            self._waiting.appendleft(task)
        else:
            self._waiting.append(task)

    def postpone(self, task: Task[S], failures: int, now: float) -> float:
        """Retry a task later, as the peer is busy (TEMPORARY_FAILURE); return the wait in seconds."""
        wait = pause(failures, self._sa.entropy.uniform())
        self._postponed.append((now + wait, task))
        return wait

    def put_off(self, task: Task[S], until: float) -> None:
        """Postpone a task until `until`, unless `bring_forward` comes first."""
        self._postponed.append((until, task))

    def bring_forward(self, kind: TaskKind) -> None:
        """Move postponed tasks of this kind to those that wait for their turn."""
        self._resume([entry for entry in self._postponed if entry[1].kind is kind])

    def resume_postponed(self, now: float) -> None:
        """Move postponed tasks that are due to those that wait for their turn."""
        self._resume([entry for entry in self._postponed if entry[0] <= now])

    def _resume(self, entries: list[tuple[float, Task[S]]]) -> None:
        for entry in entries:
            self._postponed.remove(entry)
            self._waiting.append(entry[1])  # the limit counts postponed tasks already

    def take(self) -> Task[S] | None:
        """Remove and return the next task, if it may begin now. Tasks of children that wait until the peer
        has rekeyed the IKE_SA don't hold up those behind them, such as its deletion."""
        task = next((one for one in self._waiting if not self._held(one)), None)
        if task is None or not self._may_begin(task):
            return None
        if task in self._prepared and self._prepared[task].awaited:
            return None
        self._waiting.remove(task)
        return task

    def prepared(self, task: Task[S]) -> Computation:
        """The results computed for the request of a task that was taken."""
        return self._prepared.pop(task, None) or Computation()

    def put_back(self, task: Task[S], work: Computation) -> None:
        """Put a task back in front until a job for its request is computed."""
        self._waiting.appendleft(task)
        self._prepared[task] = work

    def begun(self, task: Task[S], message_id: int) -> None:
        """Record that the task's request takes this message ID."""
        self._under_way[message_id] = task

    def resume(self, task: Task[S], message_id: int) -> None:
        """Put a task back under way while a job for its response is computed."""
        self._under_way[message_id] = task
        self._under_way = dict(sorted(self._under_way.items()))

    def awaiting(self, message_id: int) -> Task[S] | None:
        """The task that waits for the response to this request, None if there is none."""
        return self._under_way.get(message_id)

    def answered(self, message_id: int) -> None:
        del self._under_way[message_id]

    def spare(self, child_id: int) -> None:
        """Forget the deletions of a child that were due to its configuration, which is in use again."""
        self._waiting = deque(
            task for task in self._waiting if not (task.outdated and task.removes == child_id)
        )

    def hand_over(self, other: TaskQueue[S]) -> None:
        """Move all tasks that are not under way to the successor's queue; one that is midway ends here."""
        other._waiting.extend(task for task in self._waiting if not task.midway)
        other._postponed.extend(self._postponed)
        self._waiting = deque(task for task in self._waiting if task.midway)
        self._postponed.clear()
        self._prepared.clear()  # results are of no use there: each IKE_SA has its own keys

    def clear(self) -> None:
        self._under_way.clear()
        self._waiting.clear()
        self._postponed.clear()
        self._prepared.clear()

    def _held(self, task: Task[S]) -> bool:
        """Whether it waits for the peer's rekey of the IKE_SA, which goes on in IKE_FOLLOWUP_KE: one of the
        two would refuse the other's request (RFC 7296 2.25.2)."""
        return task.kind in OF_CHILDREN and self._sa.followups.rekeys_ike

    def _may_begin(self, task: Task[S]) -> bool:
        """Whether a task may run beside those under way: only if they change different children."""
        if not self._sa.window.has_room:
            return False
        about = task.about(self._sa)
        others = [other.about(self._sa) for other in self._under_way.values()]
        return not others or (about is not None and all(o is not None and not o & about for o in others))
