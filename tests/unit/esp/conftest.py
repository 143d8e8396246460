"""A worker with a device and a UDP socket, and its peer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from esp.net.sockets import open_udp
from tests.unit.esp.bed import LOOPBACK, Bed
from tests.unit.esp.peer import Peer


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one


@pytest.fixture
def port(bed: Bed) -> int:
    """The bed's worker has a UDP socket on this port, and device 1."""
    bed.add_device()
    return bed.add_socket(open_udp(LOOPBACK, 0))


@pytest.fixture
def peer(port: int) -> Iterator[Peer]:
    one = Peer(port)
    yield one
    one.sock.close()
