"""Several requests under way at once, where the peer takes them (RFC 7296 2.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message.window import RequestState, Retransmission, Window

from .network import ADDRESS_A, ADDRESS_B, Network, Options, Script, assert_joined

NAMES = [f"c{number}" for number in range(6)]
CHILDREN = "".join(
    f'[connections.ab.children.{name}]\nlocal_ts = ["10.{n}.0.0/16"]\nremote_ts = ["10.{n}.0.0/16"]\n'
    f'esp_proposals = ["aes128gcm16-x25519"]\nrekey_time = 0\n'
    for n, name in enumerate(NAMES, 1)
)
ONE = Options(local_ts='["10.9.0.0/16"]', remote_ts='["10.9.0.0/16"]', child="rekey_time = 0", more=CHILDREN)
FOUR = replace(ONE, daemon="window_size = 4")
A_TO_B = Path(Endpoint(ADDRESS_B, 4500), Endpoint(ADDRESS_A, 4500))


def test_a_request_that_is_worked_on() -> None:
    """It is neither new nor answered, and others that the window permits are not touched by it."""
    window = Window(Retransmission())
    window.open(2)
    assert window.arrival(0) is RequestState.NEW
    window.begun(0)
    assert window.arrival(0) is RequestState.PENDING
    assert window.arrival(1) is RequestState.NEW
    window.begun(1)
    window.answered(1, (b"later",))
    assert [window.arrival(n) for n in (0, 1, 2)] == [
        RequestState.PENDING,
        RequestState.REPEATED,
        RequestState.STALE,
    ]
    window.answered(0, (b"reply",))
    assert [window.arrival(n) for n in (0, 1, 2)] == [
        RequestState.REPEATED,
        RequestState.REPEATED,
        RequestState.NEW,
    ]
    assert window.reply(0) == (b"reply",)


def test_a_request_whose_response_is_worked_on() -> None:
    """It is not sent again, keeps its place in the window, and has no deadline; others have theirs."""
    path = Path(A_TO_B.remote, A_TO_B.local)
    window = Window(Retransmission(timeout=4.0, tries=1))
    window.widen(2)
    for number in range(2):
        window.sent((b"%d" % number,), path, 10.0 + number, 0.0)
    first = window.awaited(0)
    assert first is not None
    window.finished(0)
    window.hold(first)
    assert window.awaited(0) is None
    assert window.awaited(1) is not None
    assert list(window.outstanding) == [0, 1]
    assert not window.has_room
    assert window.deadline == 15.0
    window.hasten(12.0)
    assert window.deadline == 12.0
    again = window.retransmit(12.0, 0.0)
    assert again is not None
    assert again.message_id == 1
    assert window.retransmit(12.0, 0.0) is None
    window.finished(1)
    assert window.deadline is None
    assert not window.exhausted(1000.0)
    assert window.silent_since() is None


def established(a: Options = ONE, b: Options = FOUR) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=99))
    net.run(1)
    assert net.a.outcomes[99].ok, net.a.outcomes[99].text
    net.ladder.clear()
    return net


def all_children(net: Network, who: str = "a") -> None:
    for ticket, name in enumerate(NAMES, 1):
        net.command(who, Initiate("ab", name, ticket=ticket))


def under_way(net: Network, who: str = "a") -> int:
    """The most requests of one end that waited for a response at any time."""
    waiting: set[str] = set()
    most = 0
    for line in net.ladder:
        arrow = f"{who} -> " if " request " in line else f" -> {who} "
        if arrow not in line:
            continue
        number = line.split()[-1]
        if " request " in line:
            waiting.add(number)
        else:
            waiting.discard(number)
        most = max(most, len(waiting))
    return most


def test_as_many_as_the_peer_takes() -> None:
    net = established()
    all_children(net)
    assert net.ladder == [f"a -> b CREATE_CHILD_SA request {n}" for n in (2, 3, 4, 5)]
    net.run(2)
    assert all(net.a.outcomes[n].ok for n in range(1, 7))
    assert_joined(net, 7)
    assert under_way(net) == 4


def test_one_after_the_other_if_the_peer_says_nothing() -> None:
    net = established(FOUR, ONE)
    all_children(net)
    net.run(2)
    assert under_way(net) == 1
    assert_joined(net, 7)
    net.ladder.clear()
    for name in NAMES:
        net.command("b", Rekey(child=name))
    net.run(10)
    assert under_way(net, "b") == 4, "a has told b of its window"
    assert_joined(net, 7)


def swap(first: str, second: str) -> Script:
    """`first` arrives after `second`."""
    return lambda line, nth, data: [0.05] if line == first else [0.02] if line == second else [0.01]


def lose_often(wanted: str) -> Script:
    return lambda line, nth, data: [] if line == wanted and nth < 2 else [0.01]


def twice(wanted: str) -> Script:
    return lambda line, nth, data: [0.01, 3.0] if line == wanted else [0.01]


@pytest.mark.parametrize(
    "script",
    [
        swap("a -> b CREATE_CHILD_SA request 2", "a -> b CREATE_CHILD_SA request 5"),
        swap("b -> a CREATE_CHILD_SA response 3", "b -> a CREATE_CHILD_SA response 4"),
        lose_often("a -> b CREATE_CHILD_SA request 3"),
        lose_often("b -> a CREATE_CHILD_SA response 2"),
        twice("a -> b CREATE_CHILD_SA request 4"),
        twice("b -> a CREATE_CHILD_SA response 5"),
        lambda line, nth, data: [] if nth == 0 and line.endswith(("3", "5")) else [0.01],
    ],
)
def test_reordered_lost_and_repeated(script: Script) -> None:
    """Every request is answered once, the same again for a repetition, and the window holds."""
    net = established()
    sent: dict[str, set[bytes]] = {}

    def watched(line: str, nth: int, data: bytes) -> list[float]:
        sent.setdefault(line, set()).add(data)
        return script(line, nth, data)

    net.script = watched
    all_children(net)
    net.run(60)
    assert all(net.a.outcomes[n].ok for n in range(1, 7))
    assert_joined(net, 7)
    assert all(len(contents) == 1 for contents in sent.values()), "a message ID has one content"
    assert under_way(net) == 4
    assert len(net.b.plane.inbound) == 7


def test_a_request_that_is_not_answered_holds_the_window() -> None:
    """2 is lost: 3, 4 and 5 may go, 6 must wait for 2, not just for any of them."""
    net = established()
    net.script = lambda line, nth, data: [] if line.endswith("request 2") and nth == 0 else [0.01]
    all_children(net)
    net.run(3)
    assert not [line for line in net.ladder if line.endswith(("request 6", "request 7"))]
    net.run(10)
    assert_joined(net, 7)


def test_beyond_the_window_nothing_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """a ignores b's window of 2 and sends six requests at once: the last four are dropped, and sent again."""
    widen = Window.widen
    monkeypatch.setattr(Window, "widen", lambda window, size: widen(window, 6))
    net = established(ONE, replace(FOUR, daemon="window_size = 2"))
    held: list[bytes] = []

    def hold(line: str, nth: int, data: bytes) -> list[float]:
        if nth == 0 and line.startswith("a -> b CREATE_CHILD_SA"):
            held.append(data)
            return []
        return [0.01]

    net.script = hold
    all_children(net)
    assert len(held) == 6
    for data in held[2:]:
        assert not [e for e in net.inject("b", A_TO_B, data) if type(e).__name__ == "Send"]
    assert len(net.b.plane.inbound) == 1
    net.run(30)
    assert_joined(net, 7)


def test_what_has_to_be_alone_waits_and_is_waited_for() -> None:
    """CREATE_CHILD_SA 2 to 5, then the IKE rekey, then on the new IKE_SA the last two."""
    net = established(FOUR, FOUR)
    for ticket, name in enumerate(NAMES[:4], 1):
        net.command("a", Initiate("ab", name, ticket=ticket))
    net.command("a", Rekey(ike="ab", ticket=7))
    for ticket, name in enumerate(NAMES[4:], 5):
        net.command("a", Initiate("ab", name, ticket=ticket))
    net.run(5)
    assert all(net.a.outcomes[n].ok for n in range(1, 8))
    assert_joined(net, 7)
    rekey = net.ladder.index("a -> b CREATE_CHILD_SA request 6")
    assert net.ladder.index("b -> a CREATE_CHILD_SA response 5") < rekey
    assert net.ladder[rekey + 1] == "b -> a CREATE_CHILD_SA response 6"
    assert len(net.a.manager.list_sas(net.now)) == 1
    net.ladder.clear()
    for name in NAMES:
        net.command("a", Rekey(child=name))
    net.run(10)
    assert under_way(net) == 4, "the new IKE_SA's window is told anew"
    assert_joined(net, 7)


def test_two_tasks_about_one_child_do_not_run_beside_each_other() -> None:
    net = established()
    net.command("a", Rekey(child="net", ticket=1))
    net.command("a", Terminate(child="net", ticket=2))
    assert len(net.ladder) == 1
    net.run(10)
    assert (net.a.outcomes[1].ok, net.a.outcomes[2].ok) == (True, True)
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound


@pytest.mark.parametrize("crossing", [0.01, 0.3])
def test_both_ends_rekey_everything_at_once(crossing: float) -> None:
    net = established(FOUR, FOUR)
    all_children(net)
    net.run(2)
    net.script = lambda line, nth, data: [crossing]
    for who in ("a", "b"):
        for name in ("net", *NAMES):
            net.command(who, Rekey(child=name))
    net.run(40)
    assert_joined(net, 7)
    assert all(c.state == "INSTALLED" for (sa,) in [net.a.manager.list_sas(net.now)] for c in sa.children)


def test_the_ike_sa_goes_while_requests_are_under_way() -> None:
    net = established()
    all_children(net)
    net.command("b", Terminate(ike="ab", ticket=9))
    net.run(40)
    assert net.b.outcomes[9].ok
    assert {net.a.outcomes[n].ok for n in range(1, 7)} <= {True, False}
    assert net.a.manager.idle
    assert net.b.manager.idle
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound


# The window itself

PATH = Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500))


def test_requests_in_any_order() -> None:
    window = Window(Retransmission())
    window.open(4)
    assert [window.arrival(n) for n in (0, 3, 4)] == [RequestState.NEW, RequestState.NEW, RequestState.STALE]
    window.answered(3, (b"3",))
    window.answered(1, (b"1",))
    assert window.arrival(4) is RequestState.STALE, "0 is missing"
    assert window.arrival(3) is window.arrival(1) is RequestState.REPEATED
    window.answered(0, (b"0",))
    assert [window.arrival(n) for n in (1, 2, 5, 6)] == [
        RequestState.REPEATED,
        RequestState.NEW,
        RequestState.NEW,
        RequestState.STALE,
    ]
    for n in (2, 4, 5, 6):
        window.answered(n, (b"%d" % n,))
    assert [window.reply(n) for n in (2, 3, 6)] == [(), (b"3",), (b"6",)]
    assert window.arrival(2) is RequestState.STALE, "as many as the window are kept"


def test_a_window_never_shrinks() -> None:
    window = Window(Retransmission())
    window.widen(3)
    window.widen(0)
    for _ in range(3):
        assert window.has_room
        window.sent((b"x",), PATH, 0.0, 0.0)
    assert not window.has_room
    window.finished(1)
    assert not window.has_room
    window.finished(0)
    assert window.has_room


def test_each_request_has_its_own_clock() -> None:
    window = Window(Retransmission(timeout=1.0, base=2.0, tries=1))
    window.widen(2)
    for at in (0.0, 0.5):
        window.sent((b"x",), PATH, at, 0.0)
    assert window.deadline == 1.0
    again = window.retransmit(1.5, 0.0)
    assert again is not None
    assert (again.message_id, again.attempt) == (0, 1)
    other = window.retransmit(1.5, 0.0)
    assert other is not None
    assert other.message_id == 1
    assert window.retransmit(1.5, 0.0) is None
    assert not window.exhausted(3.4)
    window.finished(0)
    assert window.exhausted(3.5)
