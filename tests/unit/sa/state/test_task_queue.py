"""ikepy.sa.state.task_queue: whose turn it is, and which tasks run side by side (RFC 7296 2.3, 2.25)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import ClassVar, cast

import pytest

from ikepy.config.model import Connection
from ikepy.errors import LocalMisuse
from ikepy.sa.api.computation import Computation
from ikepy.sa.api.effects import Effect
from ikepy.sa.api.ends import End
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message.window import Retransmission, Window
from ikepy.sa.state.children import Children
from ikepy.sa.state.followups import Followups
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.state.task_queue import MAX_TASKS, OF_A_CHILD, TaskQueue, pause
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload

from .test_followups import followup
from .test_registry import Entropy, shared

HERE = Endpoint(IPv4Address("192.0.2.1"), 500)


@dataclass
class Child:
    """As much of a CHILD_SA as the queue looks at."""

    replaced_by: int | None = None


@dataclass
class Owner:
    """As much of an IKE_SA as the queue looks at; its window has room for three requests."""

    ike_id: int = 7
    connection: Connection = field(default_factory=lambda: shared().config.connections["one"])
    children: Children = field(default_factory=Children)
    window: Window = field(default_factory=lambda: Window(Retransmission()))
    entropy: Entropy = field(default_factory=Entropy)
    followups: Followups = field(default_factory=Followups)

    def __post_init__(self) -> None:
        self.window.widen(3)


class Job(Task[Owner]):
    """A task about some children, or about the whole IKE_SA (None)."""

    exchange = ExchangeType.INFORMATIONAL
    kind: ClassVar[TaskKind] = TaskKind.DELETE_CHILD

    def __init__(
        self, *names: str, alone: bool = False, removes: int | None = None, ends: End | None = None
    ) -> None:
        self._about = None if alone else frozenset(names)
        self.removes = removes
        self.ends = ends

    def about(self, sa: Owner) -> frozenset[str] | None:
        return self._about

    def request(self, sa: Owner, now: float) -> list[Payload] | None:
        return []

    def response(self, sa: Owner, payloads: Sequence[Payload], now: float) -> list[Effect]:
        return []


class Create(Job):
    kind = TaskKind.CHILD_CREATE


class Check(Job):
    kind = TaskKind.LIVENESS


class Midway(Job):
    midway = True


class OwnQueue(TaskQueue[Owner]):
    """A queue that keeps its owner alive, as nobody else does here."""

    def __init__(self, owner: Owner | None = None) -> None:
        self.owner = owner or Owner()
        super().__init__(self.owner)


def queue(*tasks: Job) -> TaskQueue[Owner]:
    found = OwnQueue()
    for task in tasks:
        found.enqueue(task)
    return found


def begin(tasks: TaskQueue[Owner], message_id: int) -> Task[Owner] | None:
    """Take the next task and send its request."""
    task = tasks.take()
    if task is not None:
        tasks.begun(task, message_id)
    return task


# -- turns -----------------------------------------------------------------------------------------


def test_tasks_have_their_turns_in_order_but_for_those_that_come_first() -> None:
    one, two, urgent = Job("a"), Job("b"), Job("c")
    tasks = queue(one, two)
    tasks.enqueue(urgent, first=True)
    assert tasks.all == [urgent, one, two]
    assert [tasks.take() for _ in range(4)] == [urgent, one, two, None]


@pytest.mark.parametrize(
    ("running", "waits", "may"),
    [
        (Job("a"), Job("b"), True),
        (Job("a"), Job("a"), False),
        (Job("a", "b"), Job("b", "c"), False),
        (Job("a"), Job(), True),
        (Job(), Job(), True),
        (Job("a"), Job(alone=True), False),
        (Job(alone=True), Job("a"), False),
        (Job(alone=True), Job(), False),
    ],
)
def test_tasks_about_different_children_run_side_by_side(running: Job, waits: Job, may: bool) -> None:
    tasks = queue(running, waits)
    assert begin(tasks, 0) is running
    assert begin(tasks, 1) is (waits if may else None)
    if not may:
        tasks.answered(0)
        assert begin(tasks, 1) is waits


def test_no_task_overtakes_one_that_may_not_begin() -> None:
    tasks = queue(Job("a"), Job("a"), Job("b"))
    begin(tasks, 0)
    assert tasks.take() is None


def test_what_waits_for_the_peers_rekey_of_the_ike_sa_is_overtaken() -> None:
    """Its IKE_FOLLOWUP_KE: a task of a child waits for that, others need not."""
    owner = Owner()
    tasks = OwnQueue(owner)
    of_a_child, check = Job("a"), Check()
    tasks.enqueue(of_a_child)
    tasks.enqueue(check)
    owner.followups.add(b"1", followup(rekeys_ike=True), 0.0)
    assert [tasks.take(), tasks.take()] == [check, None]
    owner.followups.forget_ike_rekey()
    assert tasks.take() is of_a_child


def test_no_task_begins_without_room_in_the_window() -> None:
    tasks, owner = queue(), Owner()
    tasks = TaskQueue(owner)
    tasks.enqueue(Job("a"))
    for _ in range(3):
        owner.window.sent((b"x",), Path(HERE, HERE), 0.0, 0.0)
    assert tasks.take() is None
    owner.window.finished(0)
    assert tasks.take() is not None


def test_responses_belong_to_tasks_by_message_id() -> None:
    one, two = Job("a"), Create("b")
    tasks = queue(one, two)
    begin(tasks, 3)
    begin(tasks, 4)
    assert (tasks.awaiting(3), tasks.awaiting(4), tasks.awaiting(5)) == (one, two, None)
    assert (tasks.under_way, tasks.current, tasks.doing) == ([one, two], one, TaskKind.DELETE_CHILD)
    tasks.answered(3)
    assert (tasks.under_way, tasks.current, tasks.doing) == ([two], two, TaskKind.CHILD_CREATE)
    tasks.resume(one, 3)
    assert tasks.under_way == [one, two], "oldest first"


# -- jobs that are computed elsewhere --------------------------------------------------------------


def test_a_task_whose_request_is_computed_waits_in_front_and_lets_nobody_by() -> None:
    one, two, work = Job("a"), Job("b"), Computation()
    tasks = queue(one, two)
    assert tasks.take() is one
    work.awaited = True
    tasks.put_back(one, work)
    assert tasks.take() is None
    work.awaited = False
    assert tasks.take() is one
    assert tasks.prepared(one) is work
    assert tasks.prepared(one) is not work, "used once"


# -- later -----------------------------------------------------------------------------------------


def test_a_postponed_task_comes_back_when_it_is_due() -> None:
    one, two = Create("a"), Job("b")
    tasks = queue()
    assert tasks.postpone(one, 2, 100.0) == 3.0  # 4 s less the quarter that chance, 0.5, takes
    tasks.put_off(two, 200.0)
    assert (tasks.deadlines, tasks.all, tasks.waiting) == ([103.0, 200.0], [one, two], False)
    tasks.resume_postponed(102.9)
    assert not tasks.waiting
    tasks.resume_postponed(103.0)
    assert (tasks.waits(TaskKind.CHILD_CREATE), tasks.deadlines) == (True, [200.0])
    tasks.bring_forward(TaskKind.CHILD_CREATE)
    assert tasks.deadlines == [200.0]
    tasks.bring_forward(TaskKind.DELETE_CHILD)
    assert [tasks.take(), tasks.take()] == [one, two]


@pytest.mark.parametrize(("failures", "chance", "seconds"), [(0, 0.0, 1.0), (3, 0.0, 8.0), (3, 1.0, 4.0)])
def test_pauses_double_less_up_to_a_half(failures: int, chance: float, seconds: float) -> None:
    assert pause(failures, chance) == seconds


def test_a_successor_gets_what_is_not_under_way() -> None:
    running, waits, later = Job("a"), Job("b"), Job("c")
    tasks, successor = queue(running, waits), queue()
    begin(tasks, 0)
    tasks.put_off(later, 5.0)
    tasks.hand_over(successor)
    assert (tasks.all, successor.all, successor.deadlines) == ([running], [waits, later], [5.0])
    tasks.clear()
    successor.clear()
    assert tasks.all == successor.all == []


def test_a_task_that_is_midway_ends_with_its_ike_sa() -> None:
    midway, waits = Midway("a"), Job("b")
    tasks, successor = queue(midway, waits), queue()
    tasks.hand_over(successor)
    assert (tasks.all, successor.all) == ([midway], [waits])


# -- what there is ---------------------------------------------------------------------------------


def test_busy_is_who_changes_sas() -> None:
    tasks = queue(Check(), Job("a"))
    assert not tasks.busy
    begin(tasks, 0)
    assert not tasks.busy
    begin(tasks, 1)
    assert tasks.busy
    assert not tasks.creating


def test_creating_are_those_that_may_collide() -> None:
    create = Create("a")
    tasks = queue(create, Job("b"))
    assert not tasks.creating
    begin(tasks, 0)
    begin(tasks, 1)
    assert tasks.creating == [create]


def test_unwanted_children_are_so_with_those_that_replaced_them() -> None:
    tasks = OwnQueue(
        Owner(children=cast("Children", {1: Child(2), 2: Child(3), 3: Child(), 4: Child(1), 5: Child()}))
    )
    for removes in (1, 9, None):
        tasks.enqueue(Job("a", removes=removes))
    assert tasks.unwanted == {1, 2, 3, 9}


def test_reasons_to_end() -> None:
    tasks = queue(Job("a"), Job(alone=True, ends=End.EXPIRED), Job(alone=True, ends=End.DELETED))
    assert tasks.ends == [End.EXPIRED, End.DELETED]


# -- too many --------------------------------------------------------------------------------------


def test_commands_are_refused_before_tasks_of_our_own() -> None:
    """Beyond MAX_TASKS there is room for those that follow from children; one more is a fault of ours."""
    tasks = queue(*(Job() for _ in range(MAX_TASKS - 1)))
    assert not tasks.crowded
    tasks.put_off(Job(), 5.0)
    assert tasks.crowded
    for _ in range(OF_A_CHILD):  # for the one child that is configured
        tasks.enqueue(Job())
    with pytest.raises(LocalMisuse, match="IKE_SA #7"):
        tasks.enqueue(Job())
