"""Requests of both ends under way at the same time, for certain: what the first ones sent is dropped."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ikepy.lab.netns import Namespace
from tests.interop.bed import Bed, daemon

# What is sent again comes soon, and in an order that is not always the same
OUR_PATIENCE = daemon(retransmit_timeout=0.1, retransmit_base=1.2, retransmit_tries=10)
THEIR_TIMEOUT, THEIR_TRIES = 0.12, 8

# IKE behind the non-ESP marker (RFC 3948 2.2); ESP goes on
_HELD = """
table inet held {
    counter sent { }
    counter received { }
    chain out {
        type filter hook output priority 0;
        udp dport 4500 @th,64,32 0 counter name "sent" drop
    }
    chain in {
        type filter hook input priority 0;
        udp dport 4500 @th,64,32 0 counter name "received" drop
    }
}
"""


def at_once(bed: Bed, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Both ends ask before either hears of the other's request, and after all that either had to do."""
    gateway = bed.pair.left
    bed.wait(partial(idle, bed), "end of what strongSwan has to do")
    with ThreadPoolExecutor(2) as pool:
        gateway.run("nft", "-f", "-", text=_HELD)
        try:
            asked = [pool.submit(ours), pool.submit(theirs)]
            bed.wait(lambda: min(_held(gateway)) > 0, "requests of both ends")
        finally:
            gateway.run("nft", "delete", "table", "inet", "held")
        for one in asked:
            one.result()


def idle(bed: Bed) -> bool:
    """Has strongSwan nothing under way? Else it takes the end of that for the end of what is asked next."""
    return not any(key in sa for sa in bed.theirs.list_sas() for key in ("tasks-active", "tasks-queued"))


def _held(gateway: Namespace) -> list[int]:
    """Messages dropped so far, ours and theirs."""
    found = json.loads(gateway.run("nft", "-j", "list", "counters", "table", "inet", "held"))["nftables"]
    return [int(each["counter"]["packets"]) for each in found if "counter" in each]
