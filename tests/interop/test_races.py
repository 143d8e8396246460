"""Deletes and rekeys that ikepy and a real strongSwan ask for in the same moment: both agree in the end."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial

import pytest

from ikepy.lab.netns import LabError
from tests.interop.bed import OURS, SIDES, Bed
from tests.interop.crossing import OUR_PATIENCE, THEIR_TIMEOUT, THEIR_TRIES, at_once, idle

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

ROUNDS = 4  # either end begins, either end is heard first

DELETE_CHILD, DELETE_IKE, REKEY_CHILD, REKEY_IKE = "delete child", "delete ike", "rekey child", "rekey ike"


def ask(bed: Bed, side: str, action: str) -> None:
    """What is gone already cannot be asked for: each side says so in its own words."""
    end = bed.ours if side == "ikepy" else bed.theirs
    what, of = action.split()
    with contextlib.suppress(LabError):
        (end.terminate if what == "delete" else end.rekey)(**{of: "net"})


def agree(bed: Bed, most_sas: int, most_children: int) -> bool:
    """Do both have the same IKE_SA and child, or none, and no more than so many?"""
    ours, theirs = bed.ours.list_sas(), bed.theirs.list_sas()
    children = [(child["spi_in"], child["spi_out"]) for child in bed.ours.children()]
    mirrored = [(child["spi-out"], child["spi-in"]) for child in bed.their_children()]
    same = [one["spi_i"] for one in ours] == [one["initiator-spi"] for one in theirs]
    return same and children == mirrored and len(ours) <= most_sas and len(children) <= most_children


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (DELETE_CHILD, DELETE_CHILD),
        (DELETE_CHILD, REKEY_CHILD),
        (REKEY_CHILD, DELETE_CHILD),
        (DELETE_CHILD, DELETE_IKE),
        (DELETE_IKE, DELETE_CHILD),
        (DELETE_CHILD, REKEY_IKE),
        (REKEY_IKE, DELETE_CHILD),
        (DELETE_IKE, DELETE_IKE),
        (DELETE_IKE, REKEY_IKE),
        (REKEY_IKE, DELETE_IKE),
        (DELETE_IKE, REKEY_CHILD),
        (REKEY_CHILD, DELETE_IKE),
    ],
    ids=lambda action: action.replace(" ", "_"),
)
def test_a_delete_and_something_else(bed: Bed, ours: str, theirs: str) -> None:
    """Their requests cross, again and again; what was deleted can be brought up anew."""
    bed.start(
        replace(OURS, daemon=OUR_PATIENCE), retransmit_timeout=THEIR_TIMEOUT, retransmit_tries=THEIR_TRIES
    )
    for number in range(ROUNDS):
        bed.wait(partial(idle, bed), "end of a rekey of what is gone")
        bed.up(by=SIDES[number % 2])
        asks = partial(ask, bed, "ikepy", ours), partial(ask, bed, "strongSwan", theirs)
        at_once(bed, *asks, first=SIDES[number // 2])
        sas = 0 if DELETE_IKE in (ours, theirs) else 1
        bed.wait(partial(agree, bed, sas, 1), "agreement")
        for one in bed.ours.children():
            bed.terminate("ikepy", child=str(one["name"]))
        bed.wait(partial(agree, bed, sas, 0), "end of all children")
    bed.up(by="ikepy")
    bed.expect_traffic()
