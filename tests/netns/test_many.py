"""Many connections between the same two addresses: no limit on strangers is in the way of peers."""

from __future__ import annotations

from functools import partial
from secrets import token_hex

import pytest

from benchmarks.many import connections
from ikepy.lab.gateway import document
from tests.netns.gateways import Gateway, Pair
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

MANY = 64  # far more than the half-open IKE_SAs that one address may have


def all_up(gateway: Gateway) -> bool:
    return len(gateway.children()) == MANY


def test_all_come_up_and_no_message_is_sent_twice(pair: Pair) -> None:
    secrets = [token_hex(24) for _ in range(MANY)]
    pair.right.start(document(connections(MANY, secrets, initiator=False)))
    pair.left.start(document(connections(MANY, secrets, initiator=True)))
    for gateway in pair:
        wait_until(partial(all_up, gateway), "all children are installed", 30)
    assert "makes room" not in pair.right.log()
    assert "retransmit" not in pair.left.log()
