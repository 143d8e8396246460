"""What a daemon that ends waits for, how long, and that a second signal ends the wait."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from ikepy.config.model import Config
from ikepy.daemon import reconfiguration
from ikepy.daemon.farewell import within
from ikepy.daemon.signer.signer import Signer, Source
from ikepy.errors import LocalMisuse
from ikepy.sa.api.commands import Shutdown
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.fakes import connection

TOLD = f"request {Shutdown()}"
CLOSED = "the signer is closed"


def test_what_is_done_in_time_is_waited_for() -> None:
    async def scenario() -> None:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, done.set)
        assert await within(30, asyncio.Event(), done.wait())

    asyncio.run(scenario())


@pytest.mark.parametrize("hurried", [False, True])
def test_what_is_not_is_cancelled(hurried: bool) -> None:
    ends: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async def scenario() -> None:
        hurry = asyncio.Event()
        if hurried:
            asyncio.get_running_loop().call_later(0.02, hurry.set)
        assert not await within(30 if hurried else 0.02, hurry, work())

    asyncio.run(scenario())
    assert ends == ["cancelled"]


class SilentToken:
    """Once it is `silent`, keys are not loaded before the signer is closed, which is noted in `calls`.
    `asked`: they are to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
        self.silent = False
        self.asked, self.closed = threading.Event(), threading.Event()
        close = Signer.close

        def configure(signer: Signer, sources: Iterable[Source]) -> list[tuple[str, str]]:
            if self.silent:
                self.asked.set()
                self.closed.wait(30)
            return []

        def closed(signer: Signer) -> None:
            calls.append(CLOSED)
            self.closed.set()
            close(signer)

        monkeypatch.setattr(Signer, "configure", configure)
        monkeypatch.setattr(Signer, "close", closed)


async def until(event: threading.Event) -> None:
    while not event.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("patience", [0.05, 60], ids=["in time", "by a second signal"])
def test_a_token_that_is_silent_during_a_reload_holds_up_no_farewell(
    control: Path, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """The peers are told, and the machine does not get the new configuration any more."""
    monkeypatch.setattr(reconfiguration, "PATIENCE", patience)
    bed = Bed(control)
    token = SilentToken(monkeypatch, bed.machine.calls)
    entries = {name: connection(name, **bed.local) for name in ("a", "b")}
    config = Config.model_validate({"connections": entries, "daemon": bed.config.daemon})
    reloads: list[asyncio.Task[object]] = []

    async def scenario(bed: Bed) -> None:
        token.silent = True
        reloads.append(asyncio.create_task(bed.daemon.replace_config(config)))
        await until(token.asked)
        signal.raise_signal(signal.SIGTERM)
        if patience > 1:
            await asyncio.sleep(0.05)
            assert TOLD not in bed.machine.calls
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(LocalMisuse, match="is ending"):
            await reloads[0]
        assert bed.machine.calls.index(TOLD) < bed.machine.calls.index(CLOSED)

    run(bed, scenario)
    assert "replace_config" not in bed.machine.calls
