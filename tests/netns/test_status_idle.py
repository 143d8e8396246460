"""`ikepy status` where a NAT or a firewall forgets an idle tunnel, which comes back by itself.

left (inside) -- router, whose conntrack forgets within a second -- right (outside)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.netns.diagnoses import found, owners, status, up
from tests.netns.gateways import LEFT, RIGHT, Gateway, Side, configuration, give_host, ping
from tests.netns.namespaces import Namespace, connect, factory, wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
FORGETS = 1  # seconds
INSIDE = Side(LEFT.identity, "192.168.0.10", LEFT.vti, LEFT.networks)
OUTSIDE = RIGHT
PUBLIC = "192.0.2.101"
# Ports are translated too, as a busy NAT does it: each mapping has another one.
NAT = """
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        meta l4proto udp oifname "outside" masquerade to :20000-60000 random
    }
}
"""
# What begins inside may be answered.
FIREWALL = """
table ip firewall {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established accept
        iifname "inside" accept
    }
}
"""
CONNTRACK = ("udp_timeout", "udp_timeout_stream", "generic_timeout")
# Nothing keeps the flow open: no DPD inside, no NAT keepalive within the test.
LAZY = "[daemon]\nkeep_alive = 600\n"
PATIENT = "[daemon]\nretransmit_timeout = 0.5\nretransmit_base = 1\nretransmit_tries = 60\n"


class Ends(NamedTuple):
    """The two gateways, and what is between them."""

    left: Gateway
    router: Namespace
    right: Gateway


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    """No daemon is running yet."""
    with factory() as make:
        left, router, right = make("left"), make("router"), make("right")
        connect(left, router, "eth0", "inside", [f"{INSIDE.outer}/24"], ["192.168.0.1/24"])
        connect(router, right, "outside", "eth0", [f"{PUBLIC}/24"], [f"{OUTSIDE.outer}/24"])
        left.ip("route", "add", "default", "via", "192.168.0.1")
        right.ip("route", "add", "192.168.0.0/24", "via", PUBLIC)
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        router.run("sysctl", "-qw", *(f"net.netfilter.nf_conntrack_{one}={FORGETS}" for one in CONNTRACK))
        give_host(left, INSIDE)
        give_host(right, OUTSIDE)
        yield Ends(Gateway(left, tmp_path / "left"), router, Gateway(right, tmp_path / "right"))


@pytest.mark.parametrize(
    ("way", "why", "do"),
    [
        (NAT, "only a packet of the peer opens it again", "Have the peer send NAT keepalives"),
        (FIREWALL, "a firewall on the way has forgotten the flow", "the peer's DPD, too"),
    ],
    ids=["nat", "firewall"],
)
def test_it_dies_when_idle_and_comes_back_by_itself(ends: Ends, way: str, why: str, do: str) -> None:
    right, remote = ends.right.namespace, "%any" if way is NAT else INSIDE.outer
    ends.router.run("nft", way)
    ends.right.start(
        PATIENT + configuration(OUTSIDE, INSIDE, remote=remote, connection="dpd_delay = 2", selectors=True)
    )
    ends.left.start(LAZY + configuration(INSIDE, OUTSIDE, child=START, selectors=True))
    wait_until(lambda: up(ends.left) and up(ends.right), "it is up")

    def works(*, back: bool = False) -> bool:  # what is forgotten meanwhile may cost an answer
        goes = ping(ends.left.namespace, INSIDE, OUTSIDE, "-W", "0.5", count=1)
        return goes and (not back or ping(right, OUTSIDE, INSIDE, "-W", "0.5", count=1))

    wait_until(works, "at first it works")
    time.sleep(FORGETS + 1.5)

    def silent() -> bool:
        ping(right, OUTSIDE, INSIDE, "-W", "0.1", count=1)
        there = {one["code"]: one["what"] for one in owners(ends.right)["tunnel"]}
        return "went-silent" in there and "was sent 2 times" not in there.get("unanswered", "2 times")

    wait_until(silent, "neither ESP nor IKE is answered, more than once")
    told = found(ends.right, "tunnel", "went-silent")
    assert told["severity"] == "error" and "nothing has come in for" in told["what"]
    assert why in told["why"] and do in told["do"]
    if way is NAT:
        wait_until(lambda: "the NAT there has no such mapping" in status(ends.right), "the NAT says so, too")
    text = status(ends.right)
    assert "error: Packets are sent, but nothing has come in for" in text
    assert "error: The peer" in text and "does not answer: request" in text
    assert not owners(ends.left)["tunnel"], "inside nothing is amiss, and nothing was sent"

    wait_until(works, "from inside it works, which opens it")
    wait_until(lambda: works(back=True), "and then both ways")
    if way is NAT:
        told = found(ends.right, "tunnel", "came-back")
        assert told["severity"] == "note" and "The NAT before the peer" in told["why"]
        assert f"{PUBLIC}[" in found(ends.right, "tunnel", "peer-moved")["what"]
        wait_until(
            lambda: works() and {one["severity"] for one in owners(ends.right)["tunnel"]} == {"note"},
            "nothing is amiss any more",
        )
    else:
        told = found(ends.right, "tunnel", "unanswered", "though ESP came")
        assert "a firewall has forgotten its flow while IKE was idle" in told["why"]
