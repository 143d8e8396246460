"""An answer is made once for all who ask, and anew only when a multiple of its cost has passed."""

from __future__ import annotations

import asyncio

import pytest

from ikepy.daemon.http import answers
from ikepy.daemon.http.answers import Answer, Shared


class Maker:
    """Counts what it makes; each takes `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.made = 0
        self.seconds = seconds
        self.fault: Exception | None = None

    async def make(self) -> Answer:
        self.made += 1
        await asyncio.sleep(self.seconds)
        if self.fault is not None:
            raise self.fault
        return Answer.text(200, str(self.made))


def test_all_who_ask_at_once_get_the_same() -> None:
    async def scenario() -> None:
        maker = Maker(0.01)
        shared = Shared(maker.make)
        got = await asyncio.gather(*(shared.get() for _ in range(100)))
        assert maker.made == 1 and len({id(one) for one in got}) == 1

    asyncio.run(scenario())


def test_one_who_goes_away_does_not_end_it_for_the_others() -> None:
    async def scenario() -> None:
        shared = Shared(Maker(0.05).make)
        first, second = asyncio.create_task(shared.get()), asyncio.create_task(shared.get())
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).status == 200

    asyncio.run(scenario())


def test_a_flood_takes_a_twentieth_of_the_time() -> None:
    async def scenario() -> None:
        maker, loop = Maker(0.05), asyncio.get_running_loop()
        shared, end = Shared(maker.make), loop.time() + 1.0
        while loop.time() < end:
            await shared.get()
            await asyncio.sleep(0.001)
        assert maker.made == 1  # the next one is due 20 * 0.05 s after it

    asyncio.run(scenario())


def test_it_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LEAST", 0.01)

    async def scenario() -> None:
        maker = Maker()
        shared = Shared(maker.make)
        first = await shared.get()
        async with asyncio.timeout(5):
            while await shared.get() is first:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert maker.made == 2

    asyncio.run(scenario())


def test_a_fault_of_ours_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        maker = Maker()
        maker.fault = ZeroDivisionError("a bug")
        shared = Shared(maker.make)
        for _ in range(20):
            answer = await shared.get()
            assert answer.status == 500 and b"a bug" not in answer.body
        assert maker.made == 1

    asyncio.run(scenario())


def test_what_is_under_way_ends_with_it() -> None:
    async def scenario() -> None:
        shared = Shared(Maker(60).make)
        asking = asyncio.create_task(shared.get())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await shared.close()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(scenario())
