"""Bisection: every set is found, with few questions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection

import pytest

from ikepy.probe.discovery.search import Sorted, bisect
from ikepy.wire.constants import TransformType
from ikepy.wire.proposal import Transform

ALL = [Transform(TransformType.ENCR, one) for one in range(1, 65)]


def sort(accepted: Collection[Transform], unclear: Collection[Transform] = ()) -> tuple[Sorted, int]:
    questions = 0

    async def ask(transforms: tuple[Transform, ...]) -> bool | None:
        nonlocal questions
        questions += 1
        if set(transforms) & set(unclear):
            return None
        return bool(set(transforms) & set(accepted))

    found = Sorted()
    asyncio.run(bisect(ALL, ask, found))
    assert sorted(found.accepted + found.refused + found.unclear, key=ALL.index) == ALL
    return found, questions


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_accepted_is_found(seed: int) -> None:
    noise = random.Random(seed)
    accepted = noise.sample(ALL, noise.randrange(len(ALL) + 1))
    found, _ = sort(accepted)
    assert set(found.accepted) == set(accepted)


def test_nothing_costs_one_question() -> None:
    assert sort([])[1] == 1


def test_one_of_64_costs_few() -> None:
    assert max(sort([one])[1] for one in ALL) <= 13


def test_all_cost_no_more_than_asking_for_each() -> None:
    assert sort(ALL)[1] <= 2 * len(ALL)


def test_what_spoils_an_answer_spoils_that_of_few_others() -> None:
    found, _ = sort(ALL[:8], unclear=[ALL[30]])
    assert set(found.accepted) == set(ALL[:8])
    assert len(found.unclear) <= 4
