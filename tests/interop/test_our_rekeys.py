"""Rekeys that ikepy asks a real strongSwan for, alone and both ends at once, while traffic goes on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError
from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import OURS, SIDES, THEIRS, Bed, Side, either_side_initiates
from tests.interop.crossing import OUR_PATIENCE, THEIR_TIMEOUT, THEIR_TRIES, at_once, cross
from tests.netns.namespaces import wait_until

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

TIMES = 5
AT_ONCE = 50  # both ends in the same moment
CROSSINGS, MOST_CROSSINGS = 10, 40
PACKETS = 20  # each way, between two rekeys


@either_side_initiates
@pytest.mark.parametrize("esp", ["aes128gcm16", "aes128gcm16-x25519"])
def test_child(bed: Bed, initiator: Side, esp: str) -> None:
    bed.start(replace(OURS, esp_proposals=(esp,)), replace(THEIRS, esp_proposals=esp))
    bed.up(by=initiator)
    with bed.flow() as flow:
        for _ in range(TIMES):
            flow.wait_for(PACKETS)
            bed.ours.rekey(child="net")
        flow.wait_for(PACKETS)
    bed.wait_for_children(1)
    bed.expect_traffic()


@either_side_initiates
def test_ike_sa(bed: Bed, initiator: Side) -> None:
    bed.start()
    bed.up(by=initiator)
    with bed.flow() as flow:
        for _ in range(TIMES):
            flow.wait_for(PACKETS)
            bed.ours.rekey(ike="net")
        flow.wait_for(PACKETS)
    bed.wait_for_children(1)
    bed.expect_traffic()


def test_by_our_clock(bed: Bed) -> None:
    """`rekey_time` of one second: several generations, none of them left behind."""
    bed.start(replace(OURS, extra="rekey_time = 3", child_extra="rekey_time = 1"), THEIRS)
    bed.up(by="ikepy")
    with bed.flow() as flow:
        flow.wait_for(600, timeout=20)
    assert bed.ours.log().count(" rekeyed as #") >= 3
    bed.expect_traffic()


def both_rekey(bed: Bed, what: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """To be called: what asks either end for it."""

    def rekey(side: Gateway | StrongSwan) -> None:
        side.rekey(child="net") if what == "child" else side.rekey(ike="net")

    return partial(rekey, bed.ours), partial(rekey, bed.theirs)


@pytest.mark.parametrize("what", ["child", "ike"])
def test_both_at_once(bed: Bed, what: str) -> None:
    """Whoever is heard first, one stays, both ends agree which, and nothing is lost."""
    bed.start(
        replace(OURS, daemon=OUR_PATIENCE), retransmit_timeout=THEIR_TIMEOUT, retransmit_tries=THEIR_TRIES
    )
    bed.up(by="ikepy")
    with bed.flow() as flow:
        for number in range(AT_ONCE):
            flow.wait_for(PACKETS)
            at_once(bed, *both_rekey(bed, what), first=SIDES[number % 2])
            bed.wait_for_children(1)
        flow.wait_for(PACKETS)
    bed.wait(lambda: len(bed.theirs.children()) == 1, "end of all that was replaced")
    bed.expect_traffic()
    kind = f"{what.upper()}_REKEY"
    assert bed.theirs.log().count(f"detected {kind} collision with {kind}") >= AT_ONCE // 2  # ikepy first


@pytest.mark.parametrize("what", ["child", "ike"])
def test_requests_that_cross(bed: Bed, what: str) -> None:
    """Both ends compare the nonces and keep the same one (RFC 7296 2.8.1, 2.25.2)."""
    bed.start(
        replace(OURS, daemon=OUR_PATIENCE), retransmit_timeout=THEIR_TIMEOUT, retransmit_tries=THEIR_TRIES
    )
    for number in range(MOST_CROSSINGS):
        bed.up(by=SIDES[number % 2])
        cross(bed, *both_rekey(bed, what))
        bed.wait(partial(one_stays, bed), "one IKE_SA and child that stay, the same on both sides")
        if what == "ike":  # much sooner than after REKEYED_TIMEOUT
            bed.wait(lambda: len(bed.ours.list_sas()) == 1, "the end of both IKE_SAs that don't stay")
        with contextlib.suppress(LabError):
            bed.theirs.terminate(ike="net", force=True)
        # Its deletes are heard first: one that finds nothing would be answered without protection.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not bed.ours.list_sas(), "their deletes", 1)
        with contextlib.suppress(LabError):
            bed.ours.terminate(ike="net", force=True)
        bed.wait_for_nothing()
        if number >= CROSSINGS - 1 and re.search("rekey collision (won|lost)", bed.theirs.log()):
            return  # once at least strongSwan had all four nonces in time
    pytest.fail("none of the requests have crossed")


def one_stays(bed: Bed) -> bool:
    """Beside it there may be others that are about to go."""
    ours = [sa for sa in bed.ours.list_sas() if sa["state"] == "ESTABLISHED"]
    theirs = [sa for sa in bed.theirs.list_sas() if sa["state"] == "ESTABLISHED"]
    same = [sa["spi_i"] for sa in ours] == [sa["initiator-spi"] for sa in theirs]
    children = [(c["spi_in"], c["spi_out"]) for c in bed.ours.children() if c["state"] == "INSTALLED"]
    mirrored = [(c["spi-out"], c["spi-in"]) for c in bed.their_children()]
    return same and children == mirrored and len(ours) == len(children) == 1


@either_side_initiates
def test_a_window_that_the_peer_has_no_use_for(bed: Bed, initiator: Side) -> None:
    """charon reads SET_WINDOW_SIZE, and keeps to one request at a time; after an IKE rekey as well."""
    bed.start(replace(OURS, daemon="window_size = 8\n"))
    bed.up(by=initiator)
    bed.wait_for_log("strongSwan", r"parsed IKE_AUTH \w+ 1 .*N\(SET_WINSIZE\)")
    bed.ours.rekey(ike="net")
    bed.ours.rekey(child="net")
    bed.wait_for_children(1)
    bed.expect_traffic()
