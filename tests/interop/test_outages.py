"""MOBIKE at both ends, LAN addresses announced, and IKE alone, or everything, is lost for a while.

Whatever the selectors, the IKE_SA stays where it is: neither is it given up, nor moved to an address that is
reached through the tunnel only. Timers are the defaults. IKEPY_LONG=1: outages of 5, 15 and 60 s with
either side as the initiator (six minutes), else two of them.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import pytest

from ikepy.lab import pair
from tests.interop.bed import OURS, SIDES, THEIRS, Bed, Side
from tests.interop.test_rekeys import rekey_child

pytestmark = [
    pytest.mark.root,
    pytest.mark.strongswan,
    pytest.mark.skipif(shutil.which("nft") is None, reason="needs Debian's nftables"),
]

RUNS: list[tuple[float, Side]] = (
    list(product((5, 15, 60), SIDES)) if os.environ.get("IKEPY_LONG") else [(5, "strongSwan"), (15, "ikepy")]
)
# ESP is let through: its first word is no non-ESP marker.
_IKE = 'iifname "eth0" udp dport 500 drop; iifname "eth0" udp dport 4500 udp length > 12 @th,64,32 0 drop'
_RULES = "table inet outage {{ chain input {{ type filter hook input priority filter; {rules}\n}}\n}}\n"
AGAIN = 50.0  # seconds until a request that was lost is sent again, after an outage of a minute
EVERYTHING = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Case:
    """`lost`: everything, IKE, or what IKE sends to us, where an answer through the tunnel would come in.

    `narrow`: the selectors, so that a negotiated route leads to the peer's LAN; otherwise they are 0/0, and
    the route is a configured one.
    """

    lost: Literal["everything", "IKE", "IKE to us"]
    narrow: bool

    @property
    def rules(self) -> str:
        return _RULES.format(rules='iifname "eth0" drop' if self.lost == "everything" else _IKE)


CASES = [
    Case("everything", True),
    Case("everything", False),
    Case("IKE", True),
    Case("IKE", False),
    Case("IKE to us", False),
]


def start(bed: Bed, case: Case, initiator: Side) -> None:
    """The tunnel is up, and carries."""
    ours = replace(OURS, local_addrs=("%any",), extra="dpd_delay = 1")
    theirs = replace(THEIRS, local_addrs="%any")
    if case.narrow:
        bed.start(ours, theirs)
    else:
        theirs = replace(theirs, local_ts=EVERYTHING, remote_ts=EVERYTHING)
        bed.start(replace(ours, routes=(pair.RIGHT_NET,)), theirs)
        # Its own route leads 0/0 into the tunnel, but for the peer's address.
        bed.pair.right.ip(f"route add throw {pair.RIGHT_NET} table 220")
    bed.up(by=initiator)
    bed.expect_traffic()


def lose(bed: Bed, case: Case, seconds: float) -> None:
    """For so long, on either side."""
    gateways = [bed.pair.left] if case.lost == "IKE to us" else [bed.pair.left, bed.pair.right]
    for gateway in gateways:
        gateway.run("nft", "-f", "-", text=case.rules)
    time.sleep(seconds)
    for gateway in gateways:
        gateway.run("nft", "flush", "ruleset")


def outage(bed: Bed, case: Case, initiator: Side, seconds: float) -> None:
    start(bed, case, initiator)
    before = bed.our_sa["spi_i"], bed.our_sa["spi_r"]
    with ExitStack() as stack:
        if case.lost != "everything":
            stack.enter_context(bed.flow())
        lose(bed, case, seconds)
    bed.expect_traffic()
    asked = len(bed.theirs.log())
    bed.wait(
        lambda: re.search(r"parsed INFORMATIONAL request \d+ \[ ?.*\]", bed.theirs.log()[asked:]),
        "our next liveness check",
        AGAIN,
    )
    assert before == (bed.our_sa["spi_i"], bed.our_sa["spi_r"])
    # Of what is tried at once these two get there, and whichever is quicker.
    assert bed.our_sa["remote"] in [f"{address}[4500]" for address in (pair.RIGHT, pair.RIGHT6)]
    rekey_child(bed)
    bed.expect_traffic()
    assert "giving up" not in bed.ours.log()
    assert not re.search(r"also [^\n]*10\.2\.", bed.ours.log()), "tried through the tunnel"


@pytest.mark.parametrize(("seconds", "initiator"), RUNS)
def test_outage(make_bed: Callable[[], Bed], seconds: float, initiator: Side) -> None:
    beds = [make_bed() for _ in CASES]
    with ThreadPoolExecutor(len(CASES)) as threads:
        runs = [
            threads.submit(outage, bed, case, initiator, seconds)
            for bed, case in zip(beds, CASES, strict=True)
        ]
    failed = [f"{case}: {error}" for case, run in zip(CASES, runs, strict=True) if (error := run.exception())]
    assert not failed, "\n".join(failed)
