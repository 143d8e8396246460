"""Rekeying and reauthentication that a real strongSwan asks for, while traffic goes on: no packet is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import (
    LEFT_HOST_2,
    LEFT_NET_2,
    OURS,
    RIGHT_HOST_2,
    RIGHT_NET_2,
    SIDES,
    THEIRS,
    Bed,
    Side,
    either_side_initiates,
    our_child,
    with_children,
)

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

TIMES = 3
BEFORE_AND_AFTER = 20  # packets each way, at least


def child_spis(bed: Bed) -> set[str]:
    """The inbound SPIs of our installed children."""
    return {child["spi_in"] for child in bed.ours.children() if child["state"] == "INSTALLED"}


def ike_spis(bed: Bed) -> set[str]:
    """The initiators' SPIs of our IKE_SAs."""
    return {sa["spi_i"] for sa in bed.ours.list_sas()}


def rekey_child(bed: Bed, name: str = "net") -> None:
    """Until both sides have the new child in the old one's place."""
    before = child_spis(bed)
    bed.theirs.rekey(child=name)
    bed.wait(
        lambda: len(child_spis(bed)) == len(before) and not before <= child_spis(bed), "new child, old gone"
    )


def rekey_ike(bed: Bed) -> None:
    """Until both sides have the new IKE_SA only."""
    before = ike_spis(bed)
    bed.theirs.rekey(ike="net")
    bed.wait(
        lambda: len(ike_spis(bed)) == 1 and ike_spis(bed) != before and len(bed.theirs.list_sas()) == 1,
        "new IKE_SA alone",
    )


@either_side_initiates
@pytest.mark.parametrize("esp", ["aes128gcm16", "aes128gcm16-x25519", "aes256-sha256-ecp256"])
def test_child(bed: Bed, initiator: Side, esp: str) -> None:
    """Several times in a row, with and without a key exchange of its own (PFS)."""
    bed.start(replace(OURS, esp_proposals=(esp,)), replace(THEIRS, esp_proposals=esp))
    bed.up(by=initiator)
    with bed.flow() as flow:
        for _ in range(TIMES):
            flow.wait_for(BEFORE_AND_AFTER)
            rekey_child(bed)
        flow.wait_for(BEFORE_AND_AFTER)
    if esp != "aes128gcm16":
        assert str(bed.their_child["dh-group"]) in ("CURVE_25519", "ECP_256")
    bed.expect_traffic()


def test_old_child_goes(bed: Bed) -> None:
    """It takes late packets for a while, then nothing of it is left on either side."""
    bed.start()
    bed.up(by="strongSwan")
    rekey_child(bed)
    bed.wait(lambda: len(bed.theirs.children()) == 1, "one child with strongSwan")
    bed.wait_for_log("ikepy", r"CHILD_SA net #1 removed \(rekeyed\)")
    bed.wait_for_children(1)
    bed.expect_traffic()


@either_side_initiates
def test_ike_sa(bed: Bed, initiator: Side) -> None:
    """Several times in a row; the child stays as it is, and can be rekeyed under the new IKE_SA."""
    bed.start()
    bed.up(by=initiator)
    child = child_spis(bed)
    with bed.flow() as flow:
        for _ in range(TIMES):
            flow.wait_for(BEFORE_AND_AFTER)
            rekey_ike(bed)
        assert child_spis(bed) == child
        rekey_child(bed)
        flow.wait_for(BEFORE_AND_AFTER)
    bed.expect_traffic()


@either_side_initiates
def test_deletes_after_a_rekey_of_the_ike_sa(bed: Bed, initiator: Side) -> None:
    """Message IDs begin anew with the new IKE_SA, in both directions."""
    bed.start()
    bed.up(by=initiator)
    rekey_ike(bed)
    for by in SIDES:
        bed.expect_traffic()
        bed.terminate(by, child="net")
        bed.wait_for_children(0)
        bed.up(by=by)
    bed.expect_traffic()
    bed.terminate("ikepy", ike="net")
    bed.wait_for_nothing()


@pytest.mark.parametrize("what", ["CHILD_SA", "IKE_SA"])
def test_by_its_own_clock(bed: Bed, what: str) -> None:
    """rekey_time of one second: strongSwan does it again and again."""
    if what == "CHILD_SA":
        theirs = replace(THEIRS, child_options={"rekey_time": "1s", "life_time": "10s", "rand_time": "0"})
    else:
        theirs = replace(THEIRS, options={"rekey_time": "1s", "over_time": "10s", "rand_time": "0"})
    bed.start(OURS, theirs)
    bed.up(by="strongSwan")
    with bed.flow():
        bed.wait_for_log("ikepy", rf"{what} .*rekeyed as", times=2)


@either_side_initiates
def test_one_of_two_children(bed: Bed, initiator: Side) -> None:
    bed.start(
        replace(
            OURS,
            local_ts=(pair.LEFT_NET,),
            remote_ts=(pair.RIGHT_NET,),
            child_extra=our_child("second", LEFT_NET_2, RIGHT_NET_2),
        ),
        with_children(
            THEIRS,
            {"second": {"local_ts": RIGHT_NET_2, "remote_ts": LEFT_NET_2, "esp_proposals": "aes128gcm16"}},
        ),
    )
    bed.up(by=initiator)
    bed.up(by=initiator, child="second", children=2)
    with bed.flow(), bed.flow(LEFT_HOST_2, RIGHT_HOST_2) as flow:
        flow.wait_for(BEFORE_AND_AFTER)
        rekey_child(bed, "second")
        flow.wait_for(BEFORE_AND_AFTER)
    bed.wait_for_children(2)
    bed.expect_traffic()


@either_side_initiates
def test_group_that_we_do_not_want(bed: Bed, initiator: Side) -> None:
    """strongSwan rekeys with its first group, which the child may not have: INVALID_KE_PAYLOAD, again."""
    bed.start(
        replace(OURS, esp_proposals=("aes128gcm16-ecp384",)),
        replace(THEIRS, esp_proposals="aes128gcm16-x25519-ecp384"),
    )
    bed.up(by=initiator)
    with bed.flow() as flow:
        rekey_child(bed)
        flow.wait_for(BEFORE_AND_AFTER)
    assert bed.their_child["dh-group"] == "ECP_384"
    bed.wait_for_log("strongSwan", r"parsed CREATE_CHILD_SA response \d+ \[ N\(INVAL_KE\) \]")
    bed.expect_traffic()


@either_side_initiates
def test_pfs_that_the_peer_does_not_have(bed: Bed, initiator: Side) -> None:
    """It shows only at the first rekey: refused, and the child that stands goes on."""
    bed.start(
        replace(OURS, esp_proposals=("aes128gcm16-x25519",)), replace(THEIRS, esp_proposals="aes128gcm16")
    )
    bed.up(by=initiator)
    before = child_spis(bed)
    with bed.flow() as flow:
        bed.theirs.rekey(child="net")
        bed.wait_for_log("strongSwan", r"parsed CREATE_CHILD_SA response \d+ \[ N\(NO_PROP\) \]")
        flow.wait_for(BEFORE_AND_AFTER)
    assert child_spis(bed) == before
    bed.expect_traffic()


@either_side_initiates
def test_reauthentication(bed: Bed, initiator: Side) -> None:
    """Break before make, strongSwan's default: a new IKE_SA from the beginning takes the old one's place."""
    bed.start()
    bed.up(by=initiator)
    before = ike_spis(bed)
    bed.theirs.swanctl("--rekey", "--ike", "net", "--reauth")
    bed.wait(lambda: len(ike_spis(bed)) == 1 and ike_spis(bed) != before, "new IKE_SA alone")
    bed.wait_for_children(1)
    bed.expect_traffic()
