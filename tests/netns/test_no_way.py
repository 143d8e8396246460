"""A child that waits for packets, and no way to its peer: a real daemon says what came and why it waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

FAR = replace(RIGHT, outer="198.51.100.2")


@pytest.mark.parametrize("local", ["192.0.2.1", "%any"])
def test_a_packet_for_a_peer_without_a_route(pair: Pair, local: str) -> None:
    left, right = pair.left.namespace, pair.right.namespace
    right.ip("addr", "add", f"{FAR.outer}/32", "dev", "lo")
    pair.right.start(configuration(FAR, LEFT, remote="%any"))
    config = configuration(LEFT, FAR, child='start_action = "trap"')
    pair.left.start(config.replace('local_addrs = ["192.0.2.1"]', f'local_addrs = ["{local}"]'))
    assert not ping(left, LEFT, RIGHT, "-W", "0.2", count=3)
    wait_until(lambda: "etwork is unreachable" in pair.left.log(), "the log says why")
    assert "10.1.0.1/32[icmp" in pair.left.log(), "and what came"
    left.ip("route", "add", f"{FAR.outer}/32", "via", "192.0.2.2")
    wait_until(lambda: ping(left, LEFT, RIGHT, "-W", "0.5", count=1), "a later packet starts it", 20)
