"""What follows each end of a child and of an IKE_SA, by `start_action`, `close_action` and `dpd_action`.

A row of the table in `end_actions` is a row here, which says what counts; and again for what looks like it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from esp.packet.selectors import Selector
from ikepy.errors import PeerError
from ikepy.sa.api.commands import Acquire, ChildrenLost, Initiate, Rekey, Terminate
from ikepy.sa.api.ends import End
from ikepy.sa.driver import clock
from ikepy.sa.state.end_actions import AFTER_CHILD, AFTER_IKE, ChildEnd
from ikepy.sa.tasks import child_create, child_rekey, ike_rekey
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload

from .network import DELAY, Network, Options
from .test_established import ike_sa
from .two_children import SECOND, child_id

LASTING = "rekey_time = 0"
SELECTOR = '["10.1.0.0/24"]'
PACKET = Selector.of("10.1.0.1/32")
ACTIONS = ("start_action", "close_action", "dpd_action")
NEVER: tuple[str, ...] = ()


class Bed:
    """a has the actions, and b nothing of its own."""

    def __init__(self, row: Row, actions: str) -> None:
        a = Options(
            local_ts=SELECTOR,
            remote_ts=SELECTOR,
            child=f"{row.child}\n{actions}",
            connection=row.connection,
            more=SECOND + LASTING,
        )
        self.quiet = Options(
            local_ts=SELECTOR,
            remote_ts=SELECTOR,
            child=LASTING,
            connection=f'rekey_time = 0\nunique = "{row.unique}"',
            more=SECOND + LASTING,
        )
        self.net = Network(a, self.quiet)
        self.net.command("a", Initiate("ab", "net"))
        self.net.run(15)
        assert self.up() == ["net"]

    def up(self) -> list[str]:
        return sorted(sa.child for sa in self.net.a.plane.outbound.values())

    def silence(self, seconds: float) -> None:
        self.net.script = lambda line, nth, data: []
        self.net.run(seconds)
        self.net.script = lambda line, nth, data: [DELAY]

    def refuse(self, monkeypatch: pytest.MonkeyPatch, module: object, seconds: float = 0.0) -> None:
        """b refuses what a asks for, once or for a time."""
        answer: Callable[..., object] = vars(module)["respond"]
        until = self.net.now + seconds
        refused: list[int] = []

        def respond(*arguments: object) -> object:
            if not refused or self.net.now < until:
                refused.append(1)
                raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "not now")
            return answer(*arguments)

        monkeypatch.setattr(module, "respond", respond)

    def second_life(self) -> None:
        """b loses its memory, and brings up its other child."""
        self.net.b = Network(None, self.quiet, seed="restarted").b
        self.net.command("b", Initiate("ab", "second"))
        self.net.run(2)


@dataclass(frozen=True, slots=True)
class Row:
    """How an end comes about, and which actions count; None: it comes again whatever they are."""

    end: End | ChildEnd
    about: Callable[[Bed, pytest.MonkeyPatch], None]
    counts: tuple[str, ...] | None
    child: str = LASTING
    connection: str = "rekey_time = 0"
    unique: str = "no"


def child_deleted_by_peer(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("b", Terminate(child="net"))


def child_deleted_by_peer_while_we_rekey_it(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Rekey(child="net"))
    bed.net.command("b", Terminate(child="net"))


def child_terminated(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Terminate(child="net"))


def deletes_of_the_child_cross(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Terminate(child="net"))
    bed.net.command("b", Terminate(child="net"))


def child_expires(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rekey is refused until `life_time` is over, and so is the first child that is to come instead."""
    bed.refuse(monkeypatch, child_rekey, 60)
    bed.net.run(20)
    assert any(log.text.endswith("expired") for log in bed.net.a.logs)


def worker_lost(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.refuse(monkeypatch, child_create)
    bed.net.command("a", ChildrenLost((child_id(bed.net, "a", "net"),)))


def peer_is_silent(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.silence(200)


def peer_is_silent_when_its_ike_sa_is_rekeyed(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Rekey(ike="ab"))
    bed.silence(200)


def deleted_by_peer(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("b", Terminate(ike="ab"))


def terminated(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Terminate(ike="ab"))


def terminated_by_force(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Terminate(ike="ab", force=True))


def terminated_while_the_peer_is_silent(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Terminate(ike="ab"))
    bed.silence(200)


def terminated_while_another_request_is_unanswered(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Rekey(child="net"))
    bed.net.command("a", Terminate(ike="ab"))
    bed.silence(200)


def child_terminated_while_another_request_is_unanswered(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Rekey(ike="ab"))
    bed.net.command("a", Terminate(child="net"))
    bed.silence(200)


def child_terminated_while_its_rekey_is_unanswered(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Rekey(child="net"))
    bed.net.command("a", Terminate(child="net"))
    bed.silence(200)


def child_deleted_by_the_peer_before_our_delete(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Rekey(ike="ab"))
    bed.net.command("a", Terminate(child="net"))
    bed.net.command("b", Terminate(child="net"))


def ike_sa_expires_while_the_peer_is_silent(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.silence(200)


def deletes_cross(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.net.command("a", Terminate(ike="ab"))
    bed.net.command("b", Terminate(ike="ab"))


def ike_sa_expires(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.refuse(monkeypatch, ike_rekey, 60)
    bed.net.run(40)


def refused(bed: Bed, _: pytest.MonkeyPatch) -> None:
    notify = NotifyPayload(NotifyType.AUTHENTICATION_FAILED)
    sa = ike_sa(bed.net, "b")
    bed.net.run_effects("b", [*clock.tell(sa, notify, bed.net.now), *sa.kill(End.REFUSED, "as it says")])
    bed.net.run_effects("b", bed.net.b.manager.proceed(sa, bed.net.now))


def fault(bed: Bed, _: pytest.MonkeyPatch) -> None:
    command = Terminate(ike_id=ike_sa(bed.net, "a").ike_id, force=True, fault=True)
    bed.net.command("a", command)


def peer_starts_anew(bed: Bed, _: pytest.MonkeyPatch) -> None:
    bed.second_life()


def replaced(bed: Bed, _: pytest.MonkeyPatch) -> None:
    """The peer does not say that it started anew: it has half a minute to delete the old one, and no answer
    for our own delete."""
    bed.second_life()
    bed.net.run(220)


ROWS = [
    Row(ChildEnd.DELETED_BY_PEER, child_deleted_by_peer, ("close_action",)),
    Row(ChildEnd.DELETED_BY_PEER, child_deleted_by_peer_while_we_rekey_it, ("close_action",)),
    Row(ChildEnd.DELETED, child_terminated, NEVER),
    Row(ChildEnd.DELETED, deletes_of_the_child_cross, NEVER),
    Row(ChildEnd.DELETED, child_deleted_by_the_peer_before_our_delete, NEVER),
    Row(ChildEnd.EXPIRED, child_expires, None, child="rekey_time = 20\nrand_time = 0\nlife_time = 30"),
    Row(ChildEnd.NOT_REPLACED, worker_lost, ACTIONS),
    Row(End.TIMEOUT, peer_is_silent, ("dpd_action",), connection="rekey_time = 0\ndpd_delay = 10"),
    Row(End.TIMEOUT, peer_is_silent_when_its_ike_sa_is_rekeyed, ("dpd_action",)),
    Row(End.DELETED_BY_PEER, deleted_by_peer, ("close_action",)),
    Row(End.DELETED, terminated, NEVER),
    Row(End.DELETED, terminated_by_force, NEVER),
    Row(End.DELETED, terminated_while_the_peer_is_silent, NEVER),
    Row(End.DELETED, deletes_cross, NEVER),
    Row(End.DELETED, terminated_while_another_request_is_unanswered, NEVER),
    Row(End.TIMEOUT, child_terminated_while_another_request_is_unanswered, NEVER),
    Row(End.TIMEOUT, child_terminated_while_its_rekey_is_unanswered, NEVER),
    Row(End.EXPIRED, ike_sa_expires, ACTIONS, connection="rekey_time = 20\nrand_time = 0\nover_time = 10"),
    Row(
        End.EXPIRED,
        ike_sa_expires_while_the_peer_is_silent,
        ACTIONS,
        connection="rekey_time = 20\nrand_time = 0\nover_time = 10",
    ),
    Row(End.REFUSED, refused, ACTIONS),
    Row(End.FAULT, fault, ACTIONS),
    Row(End.RESTARTED, peer_starts_anew, ("dpd_action",)),
    Row(End.REPLACED, replaced, ("dpd_action",), connection='unique = "replace"', unique="never"),
]
# `test_addresses`, `test_rare_reauthentications`, `test_redirect` and `test_crash_detection` have these, in
# which nothing depends on the actions.
ELSEWHERE = {End.ADDRESS_GONE, End.REAUTHENTICATED, End.REDIRECTED, End.LOST_BY_PEER}


def test_every_end_has_a_row() -> None:
    assert {row.end for row in ROWS} | ELSEWHERE == {*AFTER_CHILD, *AFTER_IKE}
    assert set(AFTER_IKE) == set(End)
    assert set(AFTER_CHILD) == set(ChildEnd)


@pytest.mark.parametrize("action", ["start", "trap"])
@pytest.mark.parametrize("key", ACTIONS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.about.__name__)
def test_what_follows(row: Row, key: str, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(row, f'{key} = "{action}"')
    row.about(bed, monkeypatch)
    bed.net.run(25)
    comes = row.counts is None or (key in row.counts and action == "start")
    assert bed.up().count("net") == comes
    waits = action == "trap" and (key == "start_action" or key in (row.counts or ()))
    bed.net.command("a", Acquire("ab", PACKET, PACKET))
    bed.net.run(5)
    assert bed.up().count("net") == (comes or waits)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.about.__name__)
def test_what_follows_where_nothing_is_configured(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(row, "")
    row.about(bed, monkeypatch)
    bed.net.run(25)
    bed.net.command("a", Acquire("ab", PACKET, PACKET))
    bed.net.run(5)
    assert bed.up().count("net") == (row.counts is None)
