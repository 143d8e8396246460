"""A daemon that breaks the protocol is caught by the conformance cases of `caught`, each impairment by its
own; one without impairments passes the same cases.

All of it runs in this process, many cases at a time: most of their time they wait for what does not come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from ikepy.impair.catalogue import CATALOGUE, choose
from ikepy.impair.impairment import Number
from ikepy.probe import registry, sets
from ikepy.probe.runner import Result
from ikepy.probe.target import Limits, Target
from ikepy.probe.verdict import Verdict
from tests.impaired.caught import CAUGHT, HARMLESS, UNSEEN
from tests.impaired.gateway import TARGET, run_one

AT_ONCE = 16
# What does not come is given up soon: these cases are to fail.
IMPATIENT = TARGET.but(
    limits=Limits(response_s=0.8, retransmit_s=0.3, repeat_s=1.0, quiet_s=0.2, interval_s=0.0, case_s=10.0)
)
USUAL = (
    "SGW.R.1.1.1.2.D",
    "SGW.R.1.1.1.3",
    "SGW.R.1.1.3.4",
    "SGW.R.1.2.1.1.A",
    "SGW.I.1.1.1.3",
    "SGW.I.1.2.3.1",
)
ALL = sorted({id for ids in CAUGHT.values() for id in ids})
Wanted = tuple[str, tuple[str, ...]]  # a case, and the impairments


def run_all(wanted: Iterable[Wanted], target: Target) -> dict[Wanted, Result]:
    sets.load()
    cases = {one.id: one for one in registry.cases()}
    places = asyncio.Semaphore(AT_ONCE)

    async def run(one: Wanted) -> tuple[Wanted, Result]:
        async with places:
            return one, await run_one(cases[one[0]], target, one[1])

    async def run_them() -> list[tuple[Wanted, Result]]:
        return await asyncio.gather(*map(run, wanted))

    return dict(asyncio.run(run_them()))


@pytest.fixture(scope="module")
def right() -> dict[Wanted, Result]:
    return run_all([(id, ()) for id in ALL], TARGET)


@pytest.fixture(scope="module")
def harmless() -> dict[Wanted, Result]:
    return run_all([(id, (with_value(text),)) for text in HARMLESS for id in USUAL], TARGET)


def with_value(name: str) -> str:
    return f"{name}=1" if isinstance(CATALOGUE[name].value, Number) else name


@pytest.fixture(scope="module")
def impaired() -> dict[Wanted, Result]:
    return run_all([(id, (text,)) for text, ids in CAUGHT.items() for id in ids], IMPATIENT)


def test_every_impairment_is_in_the_table() -> None:
    caught = {choose(text).impairment.name for text in CAUGHT}
    assert not caught & (HARMLESS.keys() | UNSEEN.keys())
    assert caught | HARMLESS.keys() | UNSEEN.keys() == set(CATALOGUE)
    assert len(caught) >= 40


@pytest.mark.parametrize("id", ALL)
def test_a_right_daemon_passes(right: dict[Wanted, Result], id: str) -> None:
    result = right[id, ()]
    assert result.verdict is Verdict.PASS, result.reason


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_right_peer_lives_with(harmless: dict[Wanted, Result], name: str) -> None:
    for id in USUAL:
        result = harmless[id, (with_value(name),)]
        assert result.verdict is Verdict.PASS, f"{id}: {result.reason}"


@pytest.mark.parametrize("text", CAUGHT)
def test_an_impaired_daemon_is_caught(impaired: dict[Wanted, Result], text: str) -> None:
    missed = {id: impaired[id, (text,)] for id in CAUGHT[text]}
    assert {id: one.verdict.value for id, one in missed.items() if one.verdict is not Verdict.FAIL} == {}
