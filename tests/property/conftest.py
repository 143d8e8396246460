"""Turns and queues of the data plane that do not depend on the speed of the machine."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def turns_without_haste() -> Iterator[None]:
    """No turn of a worker ends before its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("esp.datapath.egress.TURN_SECONDS", 60.0)
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_queue_stands() -> Iterator[None]:
    """However slow the machine is, no packet is dropped to tell its sender so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("esp.datapath.codel.INTERVAL", 3600.0)
        yield
