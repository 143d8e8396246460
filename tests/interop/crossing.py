"""Requests of both ends under way at the same time, for certain: what the first ones sent is dropped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ikepy.lab.netns import Namespace
from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import Bed, Side, daemon
from tests.netns.namespaces import wait_until

# What is sent again comes soon
OUR_PATIENCE = daemon(retransmit_timeout=0.1, retransmit_base=1.2, retransmit_tries=10)
THEIR_TIMEOUT, THEIR_TRIES = 0.12, 8

# IKE behind the non-ESP marker (RFC 3948 2.2), its flag R telling requests from responses (RFC 7296 3.1);
# ESP goes on
_HELD = """
table inet held {{
    counter sent {{ }}
    counter received {{ }}
    chain out {{
        type filter hook output priority 0;
        {out}
    }}
    chain in {{
        type filter hook input priority 0;
        {into}
    }}
}}
"""
_IKE = "udp dport 4500 @th,64,32 0"
_REQUEST, _RESPONSE = f"{_IKE} @th,248,8 & 0x20 == 0", f"{_IKE} @th,248,8 & 0x20 == 0x20"
_SENT, _RECEIVED = 'counter name "sent"', 'counter name "received"'
_NEITHER = _HELD.format(out=f"{_IKE} {_SENT} drop", into=f"{_IKE} {_RECEIVED} drop")
# One end's requests come through, and what answers them, which is counted
_FIRST: dict[Side, str] = {
    "ikepy": _HELD.format(out="accept", into=f"{_REQUEST} drop; {_RESPONSE} {_RECEIVED}"),
    "strongSwan": _HELD.format(out=f"{_REQUEST} drop; {_RESPONSE} {_SENT}", into="accept"),
}
_BOTH = _HELD.format(out=f"{_IKE} {_SENT}", into="accept")


def at_once(bed: Bed, ours: Callable[[], object], theirs: Callable[[], object], *, first: Side) -> None:
    """Both ends ask before either hears of the other's request, and after all that either had to do.

    What they send is dropped; then that of `first` comes through and is answered, while the other end's own
    request is under way, and only then may that be sent again: so they collide however slow the machine is.
    """
    with _both_asked(bed, ours, theirs) as gateway:
        _replace(gateway, _FIRST[first])
        bed.wait(lambda: max(_counted(gateway).values()) > 0, f"an answer to {first}")


def cross(bed: Bed, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """The same, and both requests are on their way before either is answered, as far as that can be had:
    strongSwan is stopped until ours is there, and sends its own again while it reads ours."""
    with _both_asked(bed, ours, theirs) as gateway, _stopped(bed.theirs):
        _replace(gateway, _BOTH)
        wait_until(lambda: _counted(gateway)["sent"] > 0, "our request")
        time.sleep(3 * THEIR_TIMEOUT)  # that it is time to send its own again is the first thing it sees


@contextlib.contextmanager
def _both_asked(bed: Bed, ours: Callable[[], object], theirs: Callable[[], object]) -> Iterator[Namespace]:
    """What both ends send is dropped until the block replaces these rules; all comes through behind it."""
    gateway = bed.pair.left
    bed.wait(partial(idle, bed), "end of what strongSwan has to do")
    with ThreadPoolExecutor(2) as pool:
        gateway.run("nft", "-f", "-", text=_NEITHER)
        try:
            asked = [pool.submit(ours), pool.submit(theirs)]
            bed.wait(lambda: min(_counted(gateway).values()) > 0, "requests of both ends")
            yield gateway
        finally:
            gateway.run("nft", "delete", "table", "inet", "held")
        for one in asked:
            one.result()


def _replace(gateway: Namespace, rules: str) -> None:
    """In one step, so that nothing is answered whose answer is then dropped."""
    gateway.run("nft", "-f", "-", text=f"delete table inet held{rules}")


@contextlib.contextmanager
def _stopped(strongswan: StrongSwan) -> Iterator[None]:
    """It does nothing while the block runs; what is sent to it waits in its socket."""
    pid = strongswan.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def idle(bed: Bed) -> bool:
    """Has strongSwan nothing under way? Else it takes the end of that for the end of what is asked next."""
    return not any(key in sa for sa in bed.theirs.list_sas() for key in ("tasks-active", "tasks-queued"))


def _counted(gateway: Namespace) -> dict[str, int]:
    """Messages counted so far, by the counter's name."""
    found = json.loads(gateway.run("nft", "-j", "list", "counters", "table", "inet", "held"))["nftables"]
    counters = [each["counter"] for each in found if "counter" in each]
    return {counter["name"]: int(counter["packets"]) for counter in counters}
