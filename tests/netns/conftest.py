"""Fixtures of the tests that run daemons in namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, give_host
from tests.netns.namespaces import MakeNamespace, connect


@pytest.fixture
def pair(make_namespace: MakeNamespace, tmp_path: Path) -> Pair:
    """Two gateways on one link, no daemon running yet."""
    left, right = make_namespace("left"), make_namespace("right")
    outer = ["192.0.2.1/24", "2001:db8::1/64"]
    connect(left, right, "eth0", "eth0", outer, ["192.0.2.2/24", "2001:db8::2/64"])
    give_host(left, LEFT)
    give_host(right, RIGHT)
    return Pair(Gateway(left, tmp_path / "left"), Gateway(right, tmp_path / "right"))
