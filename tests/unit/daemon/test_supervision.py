"""Long-lived tasks go on after an exception, told of and after a pause; they end when they are cancelled."""

from __future__ import annotations

import asyncio
import errno
import threading

import pytest

from ikepy.daemon import supervision
from ikepy.daemon.in_thread import in_thread
from ikepy.daemon.supervision import supervise
from tests.unit.daemon.in_loop import in_loop


@in_loop
async def test_one_that_fails_is_told_of_and_begins_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "FIRST", 0.0)
    again: list[None] = []
    failures = [OSError(errno.EMFILE, "Too many open files"), RuntimeError("a fault")]

    async def work() -> None:
        if failures:
            raise failures.pop(0)

    await asyncio.wait_for(supervise(work, "mend all", "device", lambda: again.append(None)), 20)
    assert len(again) == 2
    assert [record.getMessage() for record in caplog.records] == [
        '"mend all" begins again in 0 s: OSError: [Errno 24] Too many open files',
        '"mend all" begins again in 0 s: RuntimeError: a fault',
    ]
    assert all(record.exc_info for record in caplog.records), "with tracebacks"


@in_loop
async def test_the_pauses_grow_and_are_short_again_after_a_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, now = list[float](), 0.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def work() -> None:
        nonlocal now
        if len(pauses) == 10:
            return
        now += supervision.CALM if len(pauses) == 8 else 0.0
        raise ValueError

    await supervise(work, "work")
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 1, 2]


@in_loop
async def test_one_that_is_cancelled_ends() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    task = supervise(work, "wait")
    await asyncio.sleep(0)
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)


@in_loop
async def test_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    called: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(OSError, match="no room for another thread"):
            await in_thread(called.append, "given up")
    await in_thread(called.append, "later")
    assert called == ["later"]
    with pytest.raises(RuntimeError, match="its own"):
        await in_thread(_fails)


def _fails() -> None:
    raise RuntimeError("its own")
