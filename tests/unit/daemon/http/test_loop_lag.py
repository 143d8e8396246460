"""How late the loop was."""

from __future__ import annotations

import asyncio
import time

import pytest

from ikepy.daemon.http import loop_lag
from ikepy.daemon.http.loop_lag import LoopLag


def test_the_worst_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "BEAT", 0.02)

    async def scenario() -> None:
        lag = LoopLag()
        assert lag.worst() == 0.0
        await asyncio.sleep(0.05)
        time.sleep(0.3)  # noqa: ASYNC251  what must not happen, and does
        await asyncio.sleep(0.05)
        assert 0.2 < lag.worst() < 5.0
        monkeypatch.setattr(loop_lag, "WINDOW", 0.0)
        assert lag.worst() == 0.0
        lag.stop()

    asyncio.run(scenario())
