"""Cases are run in order, each with a peer of its own; what they raise is the verdict."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ikepy.errors import LocalMisuse, WireError
from ikepy.probe import registry, runner, sets
from ikepy.probe.peer import Peer
from ikepy.probe.registry import Case
from ikepy.probe.verdict import Inconclusive, NotApplicable, Verdict
from tests.unit.probe.two_peers import targets


def a_case(function: Callable[[Peer], Awaitable[None]], id: str = "T.1") -> Case:
    return Case(id, "A title", "RFC 7296 1", "MUST", "responder", "test", function)


async def passes(peer: Peer) -> None:
    peer.check(peer.sas == [], "a peer without IKE_SAs", peer.sas)


async def fails(peer: Peer) -> None:
    peer.check(False, "one", "another")


async def does_not_apply(peer: Peer) -> None:
    raise NotApplicable("it can't")


async def is_unclear(peer: Peer) -> None:
    raise Inconclusive("nothing was seen")


async def breaks(peer: Peer) -> None:
    raise KeyError("a fault of the case")


async def gets_what_is_malformed(peer: Peer) -> None:
    raise WireError("12 bytes are no message")


async def takes_long(peer: Peer) -> None:
    await asyncio.sleep(60)


async def asks_nobody(peer: Peer) -> None:
    await peer.init()


@pytest.mark.parametrize(
    ("function", "verdict", "reason"),
    [
        (passes, Verdict.PASS, ""),
        (fails, Verdict.FAIL, "expected one; came another"),
        (does_not_apply, Verdict.NOT_APPLICABLE, "it can't"),
        (is_unclear, Verdict.INCONCLUSIVE, "nothing was seen"),
        (breaks, Verdict.INCONCLUSIVE, "KeyError"),
        (gets_what_is_malformed, Verdict.FAIL, "what came can't be used: 12 bytes are no message"),
        (takes_long, Verdict.INCONCLUSIVE, "took longer than 0.2 s"),
        (asks_nobody, Verdict.FAIL, "expected an IKE_SA_INIT response within 0.1 s; came nothing"),
    ],
)
def test_verdicts(function: Callable[[Peer], Awaitable[None]], verdict: Verdict, reason: str) -> None:
    target = targets()[0]
    limits = replace(target.limits, case_s=0.2 if function is takes_long else 30.0, response_s=0.1)
    (result,) = asyncio.run(runner.run([a_case(function)], target.but(limits=limits)))
    assert result.verdict is verdict
    assert reason in result.reason


def test_a_path_that_is_gone_when_a_case_is_closed_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Peer] = []

    async def close(peer: Peer) -> None:
        closed.append(peer)
        if len(closed) == 2:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr(Peer, "close", close)
    target = targets()[0]
    limits = replace(target.limits, interval_s=0.0)
    cases = [a_case(passes, f"T.{number}") for number in range(3)]
    results = asyncio.run(runner.run(cases, target.but(limits=limits)))
    said = "its IKE_SAs could not be deleted: Network is unreachable"
    assert [one.reason for one in results] == ["", said, ""]


def test_a_host_that_answers_nothing_is_left_alone() -> None:
    target = targets()[0]
    quick = target.but(limits=replace(target.limits, response_s=0.05))
    cases = [a_case(asks_nobody, f"T.{number}") for number in range(5)]
    results = asyncio.run(runner.run(cases, quick))
    assert [one.verdict for one in results] == [*3 * [Verdict.FAIL], *2 * [Verdict.INCONCLUSIVE]]
    assert results[-1].reason == "127.0.0.1 has sent nothing so far"
    assert not results[-1].trace.datagrams


async def is_refused(peer: Peer) -> None:
    peer.check(False, "IDr and AUTH", "IKE_AUTH response 1 SK [N(AUTHENTICATION_FAILED)]")


async def is_let_in(peer: Peer) -> None:
    peer.new_sa().established = True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind((str(peer.target.host), peer.target.port))
        host.sendto(b"a sign of life", (str(peer.target.local), peer.target.local_port))
        await asyncio.sleep(0.1)


def test_a_host_that_never_lets_us_in_is_left_alone() -> None:
    cases = [a_case(is_refused, f"T.{number}") for number in range(5)]
    results = asyncio.run(runner.run(cases, targets()[0]))
    assert [one.verdict for one in results] == [*3 * [Verdict.FAIL], *2 * [Verdict.INCONCLUSIVE]]
    assert "refused us 3 times by AUTHENTICATION_FAILED" in results[-1].reason
    cases.insert(0, a_case(is_let_in, "T"))
    results = asyncio.run(runner.run(cases, targets()[0]))
    assert [one.verdict for one in results[1:]] == 5 * [Verdict.FAIL]


def test_each_result_is_told_at_once_in_order() -> None:
    told: list[str] = []
    cases = [a_case(passes, "T.1"), a_case(fails, "T.2"), a_case(passes, "T.3")]
    results = asyncio.run(runner.run(cases, targets()[0], lambda result: told.append(result.case.id)))
    assert told == [one.case.id for one in results] == ["T.1", "T.2", "T.3"]


def test_cases_are_found_by_globs_in_an_order_of_numbers() -> None:
    sets.load()
    names = [one.id for one in registry.cases(["SGW.R.1.1.*"])]
    assert names.index("SGW.R.1.1.2.1") < names.index("SGW.R.1.1.10.4")
    assert [one.id for one in registry.cases(["SGW.R.1.1.11.5"])] == [
        "SGW.R.1.1.11.5.A",
        "SGW.R.1.1.11.5.B",
    ]
    assert registry.cases(["SGW.R.*"], "initiator") == []
    with pytest.raises(LocalMisuse):
        registry.case("SGW.R.1.1.2.1", rfc="RFC 7296 2.1")(passes)


def test_every_case_has_a_title_and_a_section() -> None:
    sets.load()
    for one in registry.cases():
        assert one.title, one.id
        assert "RFC " in one.rfc or "draft-" in one.rfc, one.id


def test_ports_that_are_taken_are_named() -> None:
    target = targets()[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((str(target.local), target.local_nat_port))
        with pytest.raises(OSError, match=f"UDP port {target.local_nat_port}: --ports takes others"):
            asyncio.run(runner.run([], target))


def test_a_case_says_more_than_its_title() -> None:
    sets.load()
    (one,) = registry.cases(["SGW.R.1.1.4.5"])
    assert one.title == "Invalid order payloads"
    assert one.note.startswith("The specification expects silence, as RFC 4306 permitted; RFC 7296 2.5")
