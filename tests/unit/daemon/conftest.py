"""A place for a control socket: its path must be short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def control() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ikepy-t") as name:
        yield Path(name) / "s"
