"""Several children on one device: the narrowest selectors that fit carry a packet (RFC 4301 4.4.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, Side, configuration, give_host, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

LEFT_2 = replace(LEFT, networks=("10.1.1.0/24",))
RIGHT_2 = replace(RIGHT, networks=("10.2.1.0/24",))
BOTH = (
    replace(LEFT, networks=(LEFT.networks[0], *LEFT_2.networks)),
    replace(RIGHT, networks=(RIGHT.networks[0], *RIGHT_2.networks)),
)


def further(name: str, own: Side, peer: Side, action: str = "none") -> str:
    """A child with the first network of each side, to stand behind the first child's lines."""
    return f"""
[connections.tunnel.children.{name}]
local_ts = ["{own.networks[0]}"]
remote_ts = ["{peer.networks[0]}"]
esp_proposals = ["aes128gcm16"]
start_action = "{action}"
"""


def wait_for_sent(pair: Pair, packets: dict[str, int]) -> None:
    """Until so many are counted under each child, which is done when nothing has come for a moment."""
    wait_until(lambda: sent(pair) == packets, f"{packets} sent")


def sent(pair: Pair) -> dict[str, int]:
    """What left under each child so far, in packets."""
    return {child["name"]: child["out_packets"] for child in pair.left.children()}


def test_the_narrowest_child_carries_the_packet(pair: Pair) -> None:
    """Beside 0/0 and ::/0; what does not fit the narrow one goes under the wide one."""
    pair.right.start(configuration(RIGHT, LEFT, child=further("narrow", RIGHT, LEFT)))
    start = 'start_action = "start"\n' + further("narrow", LEFT, RIGHT, "start")
    pair.left.start(configuration(LEFT, RIGHT, child=start))
    wait_until(lambda: len(pair.left.children()) == 2, "both children are installed")
    left = pair.left.namespace
    assert ping(left, LEFT, RIGHT)
    wait_for_sent(pair, {"net": 0, "narrow": 3})
    assert ping(left, LEFT, RIGHT, version=6)
    wait_for_sent(pair, {"net": 3, "narrow": 3})
    pair.left.ask("terminate", child="narrow", timeout=10)
    assert ping(left, LEFT, RIGHT)
    wait_for_sent(pair, {"net": 6})


@pytest.mark.parametrize("action", ["start", "trap"])
def test_one_pair_a_child_without_a_lost_packet(pair: Pair, action: str) -> None:
    """One end has two networks a side in one child, the other one a child for each pair. Routes, too."""
    own, peer = BOTH
    for namespace, side in ((pair.left.namespace, LEFT_2), (pair.right.namespace, RIGHT_2)):
        give_host(namespace, side)
    first = replace(LEFT, networks=LEFT.networks[:1]), replace(RIGHT, networks=RIGHT.networks[:1])
    pairs = configuration(first[1], first[0], child=further("second", RIGHT_2, LEFT_2), selectors=True)
    pair.right.start(pairs)
    pair.left.start(configuration(own, peer, child=f'start_action = "{action}"', selectors=True))
    if action == "start":
        wait_until(pair.left.children, "the first child is installed")
    left = pair.left.namespace
    assert "dev vti0" in left.ip("route", "show", RIGHT_2.networks[0])
    assert ping(left, LEFT_2, RIGHT_2)
    assert ping(left, LEFT, RIGHT)
    assert len(pair.left.children()) == len(pair.right.children()) == 2
    assert [child["drops"] for child in pair.left.children()] == [{}, {}]
