"""A real libreswan: IKE_SA, liveness and IKE rekey in both roles, and all it can do wrong (`whack --impair`).

It can't install a CHILD_SA on a kernel without ESP: netlink answers "Add SA" with ENOSYS, and pluto refuses
the child, or gives up its IKE_SA if it was to get it in IKE_AUTH. So the IKE_SAs here are childless.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ikepy.lab import libreswan
from ikepy.lab.netns import LabError
from tests.interop.libreswan_bed import OURS, PATIENCE, SIDES, LibreswanBed, Side, libreswan_bed
from tests.netns.namespaces import wait_until

pytestmark = [pytest.mark.root, pytest.mark.libreswan]
RACES = 3
either_side_initiates = pytest.mark.parametrize("initiator", SIDES)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibreswanBed]:
    """Both daemons for the whole module: an adversary comes back, too."""
    reason = libreswan.missing()
    if reason is not None:
        pytest.skip(reason)
    with libreswan_bed(f"iki-{os.getpid()}-l-", tmp_path_factory.mktemp("libreswan")) as bed:
        bed.start()
        yield bed


@pytest.fixture
def bed(running: LibreswanBed) -> Iterator[LibreswanBed]:
    """Nothing is negotiated, and nothing impaired; after the test a plain set-up works, by either side."""
    yield running
    running.behave()
    running.clear()
    for side in SIDES:
        running.up(side)
        running.clear()
    running.assert_unharmed()


# -- a peer that behaves ---------------------------------------------------------------------------


@either_side_initiates
def test_ike_sa(bed: LibreswanBed, initiator: Side) -> None:
    bed.up(initiator)
    (sa,) = bed.ours.list_sas()
    assert sa["suite"] == "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"
    assert sa["children"] == []


@either_side_initiates
def test_ike_rekeys_by_both(bed: LibreswanBed, initiator: Side) -> None:
    bed.up(initiator)
    for round_ in range(3):
        ids = bed.our_ids()
        if round_ % 2:
            bed.theirs.rekey_ike()
        else:
            bed.ours.rekey(ike="net")
        wait_until(lambda: bed.our_ids() != ids, "a new IKE_SA", 5)  # noqa: B023
        bed.wait_for_one()


@either_side_initiates
def test_ike_rekeys_at_the_same_moment(bed: LibreswanBed, initiator: Side) -> None:
    """libreswan 4.10 does not resolve it (RFC 7296 2.8.1): it may never delete the IKE_SA that lost, or the
    old one, or never have it. We wait for a minute for a delete that is its task. Once in two hundred times
    pluto dies of it, and then says nothing about us."""
    for _ in range(RACES):
        try:
            cross_rekeys(bed, initiator)
            return
        except (AssertionError, LabError):
            if bed.theirs.running:
                raise
            bed.revive()
    pytest.fail(f"pluto has died {RACES} times")


def cross_rekeys(bed: LibreswanBed, initiator: Side) -> None:
    bed.up(initiator)
    (first,) = bed.our_ids()
    bed.theirs.rekey_ike()
    bed.ours.rekey(ike="net", timeout=5)

    def settled() -> bool:
        states = {sa["ike_id"]: sa["state"] for sa in bed.ours.list_sas()}
        established = sum(state == "ESTABLISHED" for state in states.values())
        replaced = established > 0 and states.get(first) in (None, "REKEYED")
        return replaced and established <= len(bed.theirs.established()) <= len(states) <= 2

    # Which may be deleted by us, after a while, and that without an answer
    wait_until(settled, "a new IKE_SA at both ends, and no more than waits for its end", 20)


@either_side_initiates
def test_liveness_asked_by_libreswan(bed: LibreswanBed, initiator: Side) -> None:
    bed.up(initiator)
    (number,) = bed.theirs.established()
    before = bed.theirs.log()
    bed.theirs.impair(f"initiate-v2-liveness:{number}")
    wait_until(lambda: "liveness" in bed.theirs.log()[len(before) :], "it asks", 15)
    time.sleep(0.3)
    assert bed.theirs.established() == [number]


def test_liveness_asked_by_us_and_a_peer_that_is_gone(tmp_path: Path) -> None:
    reason = libreswan.missing()
    if reason is not None:
        pytest.skip(reason)
    with libreswan_bed(f"iki-{os.getpid()}-d-", tmp_path) as bed:
        bed.start(replace(OURS, extra=f"{OURS.extra}dpd_delay = 0.5\n"))
        bed.up("ikepy")
        time.sleep(2)
        assert bed.agree(), "it answers"
        bed.theirs.impair("drop-outgoing:1")
        time.sleep(1.5)
        assert bed.agree(), "one lost answer is none"
        bed.theirs.stop(keep_files=True)
        wait_until(lambda: not bed.ours.list_sas(), "the peer is found to be gone", 10)
        bed.assert_unharmed()


@either_side_initiates
def test_a_child_that_can_not_be_installed_costs_no_more(bed: LibreswanBed, initiator: Side) -> None:
    """With a child in IKE_AUTH: what the peer refuses is removed here, too."""
    bed.theirs.impair("omit-v2-ike-auth-child:no")
    bed.initiate(initiator)
    time.sleep(0.5)
    bed.behave()
    for sa in bed.ours.list_sas():
        assert initiator == "libreswan" or sa["children"] == []


# -- one that does not -----------------------------------------------------------------------------

TOLERATED = [
    "replay-duplicates:yes",
    "replay-forward:yes",
    "replay-backward:yes",
    "replay-encrypted:yes",
    "jacob-two-two:yes",
    "minor-version-bump:yes",
    "send-bogus-isakmp-flag:yes",
    "send-bogus-payload-flag:yes",
    "send-nonzero-reserved:yes",
    "send-nonzero-reserved-id:yes",
    "send-no-idr:yes",
    "ke-payload:DUPLICATE",
    "add-unknown-v2-payload-to:IKE_SA_INIT",
    "add-unknown-v2-payload-to:IKE_AUTH",
    "add-unknown-v2-payload-to-sk:IKE_AUTH",
    "drop-outgoing:1",
    "drop-outgoing:2",
    "drop-incoming:1",
    "drop-incoming:2",
]
NOT_TOLERATED = [
    "corrupt-encrypted:yes",
    "ke-payload:OMIT",
    "ke-payload:EMPTY",
    "ke-payload:0",
    "ke-payload:1",
    "ike-key-length-attribute:OMIT",
    "ike-key-length-attribute:EMPTY",
    "ike-key-length-attribute:DUPLICATE",
    "ike-key-length-attribute:17",
    "v2-proposal-dh:omit",
    "major-version-bump:yes",
    "send-no-ikev2-auth:yes",
    "force-v2-auth-method:RSA",
    "force-v2-auth-method:NULL",
    "force-v2-auth-method:DIGSIG",
    "unknown-v2-payload-critical:yes add-unknown-v2-payload-to:IKE_SA_INIT",
    "unknown-v2-payload-critical:yes add-unknown-v2-payload-to-sk:IKE_AUTH",
]

# It adds them to the first proposal: to the only one that it offers, but not to the second one of ours.
NOT_TOLERATED_OF_AN_INITIATOR = ["ikev2-add-ike-transform:65535", "ikev2-add-ike-transform:16711935"]


@pytest.mark.parametrize("behaviour", TOLERATED)
def test_what_does_no_harm(bed: LibreswanBed, behaviour: str) -> None:
    """The IKE_SA comes up all the same, by either side, and can be rekeyed."""
    for side in SIDES:
        bed.theirs.impair(*behaviour.split())
        bed.initiate(side)
        wait_until(bed.stands, f"an IKE_SA, begun by {side}", 30)
        bed.behave()
        bed.clear()


@pytest.mark.parametrize(
    ("behaviour", "sides"),
    [
        *((one, SIDES) for one in NOT_TOLERATED),
        *((one, ("libreswan",)) for one in NOT_TOLERATED_OF_AN_INITIATOR),
    ],
)
def test_what_ends_a_set_up(bed: LibreswanBed, behaviour: str, sides: tuple[Side, ...]) -> None:
    """No IKE_SA, by either side, and nothing of it stays once the peer behaves."""
    for side in sides:
        bed.theirs.impair(*behaviour.split())
        bed.initiate(side)
        time.sleep(0 if side == "ikepy" else PATIENCE)
        assert not bed.stands()
        bed.behave()
        bed.clear()


@pytest.mark.parametrize(
    "behaviour",
    [
        "jacob-two-two:yes",
        "replay-duplicates:yes",
        "replay-forward:yes",
        "replay-backward:yes",
        "drop-outgoing:1",
        "drop-incoming:1",
        "send-bogus-payload-flag:yes",
        "add-unknown-v2-payload-to:CREATE_CHILD_SA",
        "add-unknown-v2-payload-to-sk:CREATE_CHILD_SA",
        "add-unknown-v2-payload-to:INFORMATIONAL",
        "add-unknown-v2-payload-to-sk:INFORMATIONAL",
    ],
)
def test_rekeys_meanwhile(bed: LibreswanBed, behaviour: str) -> None:
    """On an IKE_SA that stands: it is rekeyed by either side, and both agree in the end."""
    bed.up("ikepy")
    for by in SIDES:
        ids = bed.our_ids()
        bed.theirs.impair(*behaviour.split())
        if by == "ikepy":
            bed.ours.rekey(ike="net")
        else:
            bed.theirs.rekey_ike()
        wait_until(lambda: bed.our_ids() and bed.our_ids() != ids, "a new IKE_SA", 5)  # noqa: B023
        bed.behave()
        bed.wait_for_one()


@pytest.mark.parametrize(
    "behaviour",
    [
        "corrupt-encrypted:yes",
        "unknown-v2-payload-critical:yes add-unknown-v2-payload-to-sk:CREATE_CHILD_SA",
        "unknown-v2-payload-critical:yes add-unknown-v2-payload-to-sk:INFORMATIONAL",
        "ke-payload:EMPTY",
        "ke-payload:0",
        "ke-payload:OMIT",
    ],
)
def test_rekeys_that_fail(bed: LibreswanBed, behaviour: str) -> None:
    """The rekey fails or not, the IKE_SA ends or not: in the end each side can set up again (the fixture)."""
    for _ in SIDES:
        bed.up("libreswan")
        bed.theirs.impair(*behaviour.split())
        bed.theirs.rekey_ike()
        time.sleep(0.7)
        bed.behave()
        bed.clear()
