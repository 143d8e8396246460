"""Descriptors that are closed while others have something better to do."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from tun.closing import close_later


def test_a_descriptor_is_closed_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    permitted, closed = threading.Event(), threading.Event()
    close: Callable[[int], None] = os.close

    def slowly(fd: int) -> None:
        permitted.wait(10)
        close(fd)
        closed.set()

    reading, writing = os.pipe()
    with monkeypatch.context() as patch:
        patch.setattr("tun.closing.os.close", slowly)
        close_later(writing)
        assert not closed.is_set()
        permitted.set()
        assert closed.wait(10)
    assert os.read(reading, 1) == b""
    os.close(reading)
