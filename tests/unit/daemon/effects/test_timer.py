"""The machine's deadline becomes one call, and never a busy loop."""

import asyncio

from ikepy.daemon.effects.timer import DeadlineTimer


async def _run(seconds: float, *deadlines: float | None) -> int:
    loop = asyncio.get_running_loop()
    ticks: list[float] = []
    timer = DeadlineTimer(loop, lambda: ticks.append(loop.time()))
    start = loop.time()
    for deadline in deadlines:
        timer.set(None if deadline is None else start + deadline)
    await asyncio.sleep(seconds)
    timer.cancel()
    return len(ticks)


def test_only_the_last_deadline_counts() -> None:
    assert asyncio.run(_run(0.05, 0.0, 0.01)) == 1
    assert asyncio.run(_run(0.05, 0.0, 10.0)) == 0
    assert asyncio.run(_run(0.05, 0.0, None)) == 0


def test_a_deadline_in_the_past_ticks_at_once() -> None:
    assert asyncio.run(_run(0.05, -100.0)) == 1


def test_a_deadline_that_stays_in_the_past_is_no_busy_loop() -> None:
    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            ticks += 1
            timer.set(0.0)

        timer = DeadlineTimer(loop, tick)
        timer.set(0.0)
        await asyncio.sleep(0.1)
        timer.cancel()
        return ticks

    assert 1 <= asyncio.run(scenario()) <= 25
