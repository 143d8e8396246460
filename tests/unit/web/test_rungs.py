"""The messages of a page's ladder, which anybody may repeat any number of times."""

from __future__ import annotations

import pytest

from ikepy.web import rungs as rungs_module
from ikepy.web.crossings import View
from ikepy.web.onlooker import Onlooker
from ikepy.web.rungs import DATAGRAMS, REMEMBERED, Rung, Rungs


def message(number: int) -> bytes:
    """An empty request."""
    return number.to_bytes(8, "big") + bytes(8) + bytes([0, 0x20, 34, 8]) + bytes(4) + (28).to_bytes(4, "big")


def arrive(rungs: Rungs, number: int, times: int) -> None:
    for copy in range(times):
        view = View("ikepy", copy * 0.02, "192.0.2.2[500]", "192.0.2.1[500]", message(number))
        rungs.arrived(view)


def kept(rungs: Rungs) -> int:
    datagrams = [one["datagrams"] for one in rungs.whole()]
    return sum(len(each) for each in datagrams if isinstance(each, list))


@pytest.fixture
def rungs() -> Rungs:
    def changed(rung: Rung) -> None:
        """Nobody looks."""

    return Rungs(Onlooker([], most=REMEMBERED).feed, changed)


def test_repetitions_of_one_message_are_kept_in_part(rungs: Rungs) -> None:
    arrive(rungs, 1, DATAGRAMS + 50)
    assert kept(rungs) == DATAGRAMS


def test_repetitions_of_many_are_kept_in_part(rungs: Rungs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message itself is there."""
    monkeypatch.setattr(rungs_module, "OCTETS", 28 * 100)
    for number in range(REMEMBERED + 50):
        arrive(rungs, number, 2)
    assert kept(rungs) == REMEMBERED
    rungs.clear()
    for number in range(40):
        arrive(rungs, number, 2)
    assert kept(rungs) == 80
