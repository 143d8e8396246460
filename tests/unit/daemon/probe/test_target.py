"""When a target gets its requests, and what is made of its replies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ikepy.daemon.probe.mtu_search import SMALL
from ikepy.daemon.probe.target import MTU_EVERY, WINDOW, Loss, Request, Target

MTU = 1400


class Path:
    """A path that answers what `takes` lets through, after `delay` seconds."""

    def __init__(self, target: Target, takes: Callable[[Request], bool], delay: float = 0.05) -> None:
        self.target, self.takes, self.delay = target, takes, delay
        self.now = 1000.0
        self.requests: list[tuple[float, Request]] = []
        self._coming: list[tuple[float, Request]] = []

    def run(self, seconds: float) -> None:
        end, coming = self.now + seconds, self._coming
        while True:
            due = self.target.due()
            times = [at for at, _ in coming] + ([] if due is None else [due])
            if not times or min(times) > end:
                self.now = end
                return
            self.now = max(self.now, min(times))
            for at, request in [one for one in coming if one[0] <= self.now]:
                coming.remove((at, request))
                self.target.answered(request.sequence, request.size, self.now)
            for request in self.target.requests(self.now):
                self.requests.append((self.now, request))
                if self.takes(request):
                    coming.append((self.now + self.delay, request))


def target(*, mtu_check: bool = False) -> Target:
    made = Target(4, interval=1.0, timeout=0.5, mtu_check=mtu_check)
    made.up(MTU, 1000.0)
    return made


def test_one_request_an_interval() -> None:
    path = Path(target(), lambda _: True)
    path.run(10.5)
    assert [at for at, _ in path.requests] == [1000.0 + second for second in range(11)]
    assert {request.size for _, request in path.requests} == {SMALL}
    assert (path.target.sent, path.target.received) == (11, 11)
    assert path.target.loss == Loss(0, 11)
    found = path.target.round_trip
    assert found is not None
    assert (found.last, found.least, found.most) == pytest.approx((0.05, 0.05, 0.05))


def test_loss_over_the_last_requests() -> None:
    path = Path(target(), lambda request: request.sequence % 4 != 0)
    path.run(100.9)
    assert path.target.loss == Loss(5, WINDOW)
    assert path.target.loss.ratio == 0.25
    path.takes = lambda _: False
    path.run(WINDOW + 1)
    assert path.target.loss.ratio == 1 and path.target.round_trip is None


def test_a_tunnel_that_is_down_gets_nothing_and_loses_nothing() -> None:
    made = Target(4, 1.0, 0.5)
    assert made.due() is None and list(made.requests(5.0)) == []
    made = target()
    assert len(list(made.requests(1000.0))) == 1
    made.down()
    assert made.due() is None
    made.up(MTU, 2000.0)
    assert made.due() == 2000.0
    assert made.loss == Loss() and made.loss.ratio == 0


def test_a_gap_is_no_burst() -> None:
    made = target()
    assert len(list(made.requests(1000.0))) == 1
    assert len(list(made.requests(1060.0))) == 1
    assert len(list(made.requests(1060.1))) == 0


@pytest.mark.parametrize(("sequence", "size"), [(2, SMALL), (1, SMALL - 1), (0, SMALL)])
def test_a_reply_to_nothing(sequence: int, size: int) -> None:
    made = target()
    assert list(made.requests(1000.0)) == [Request(1, SMALL)]
    made.answered(sequence, size, 1000.1)
    assert made.received == 0
    made.answered(1, SMALL, 1000.2)
    made.answered(1, SMALL, 1000.3)
    assert made.received == 1


@pytest.mark.parametrize("takes", [MTU, 1380, 1000, 577])
def test_the_path_mtu(takes: int) -> None:
    path = Path(target(mtu_check=True), lambda request: request.size <= takes)
    path.run(60)
    assert path.target.tried_mtu == MTU
    assert path.target.path_mtu is not None and takes - 4 < path.target.path_mtu <= takes
    assert path.target.loss.lost == 0  # lost packets of the check don't count
    large = [request for _, request in path.requests if request.size != SMALL]
    assert len(large) == 1 if takes == MTU else len(large) < 30


def test_the_check_waits_for_a_reply_and_comes_again() -> None:
    path = Path(target(mtu_check=True), lambda _: False)
    path.run(60)
    assert {request.size for _, request in path.requests} == {SMALL}
    assert path.target.path_mtu is None
    path.takes = lambda _: True
    path.run(5)
    assert path.target.path_mtu == MTU
    checks = [at for at, request in path.requests if request.size == MTU]
    path.takes = lambda request: request.size <= 1300
    path.run(MTU_EVERY + 30)
    assert path.target.path_mtu is not None and 1296 < path.target.path_mtu <= 1300
    assert len(checks) == 1
    path.target.path_changed(path.now)
    path.takes = lambda _: True
    path.run(5)
    assert path.target.path_mtu == MTU


def test_another_mtu_is_another_check() -> None:
    path = Path(target(mtu_check=True), lambda _: True)
    path.run(5)
    path.target.up(1200, path.now)
    path.run(5)
    assert (path.target.tried_mtu, path.target.path_mtu) == (1200, 1200)


def test_a_path_that_breaks_during_the_check_has_no_result() -> None:
    path = Path(target(mtu_check=True), lambda request: request.size == SMALL)
    path.run(2)
    path.takes = lambda _: False
    path.run(120)
    assert path.target.path_mtu is None


def test_a_peer_that_dies_during_the_check_makes_no_result() -> None:
    path = Path(target(mtu_check=True), lambda request: request.size <= 1300)
    path.run(2)
    path.takes = lambda request: SMALL < request.size < 1000 and path.now < 1004
    path.run(120)
    assert path.target.path_mtu is None


def test_a_check_that_a_command_asks_for_is_made_whatever_is_configured() -> None:
    path = Path(target(mtu_check=False), lambda request: request.size <= 1300)
    path.run(5)
    assert (path.target.path_mtu, path.target.checks) == (None, 0)
    path.target.ask_for_check(path.now)
    path.run(30)
    found = path.target.path_mtu
    assert found is not None and 1300 - 4 < found <= 1300
    assert path.target.checks == 1
    path.run(2 * MTU_EVERY)
    assert path.target.checks == 1, "once, as it was asked for"


def test_asking_again_during_a_search_does_not_begin_anew() -> None:
    path = Path(target(mtu_check=True), lambda request: request.size <= 1300)
    for _ in range(60):
        path.target.ask_for_check(path.now)
        path.run(0.5)
    assert path.target.path_mtu is not None


def test_a_path_that_changes_while_a_large_packet_is_out_is_searched_anew() -> None:
    """Its reply, which comes before the new search begins, belongs to no search any more."""
    path = Path(target(mtu_check=True), lambda _: True, delay=0.4)
    path.run(0.45)  # the first ping is answered, a packet of the device's MTU is out
    path.target.path_changed(path.now)
    large = [request for _, request in path.requests if request.size == MTU]
    assert len(large) == 1
    path.target.answered(large[0].sequence, MTU, path.now + 0.1)
    path.run(30)
    assert path.target.path_mtu == MTU
