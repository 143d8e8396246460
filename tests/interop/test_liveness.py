"""Liveness with a real strongSwan, and what follows when one side vanishes or starts anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import OURS, THEIRS, Bed, Side, daemon, either_side_initiates, reaches

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

IMPATIENT = daemon(retransmit_timeout=0.2, retransmit_tries=2, retransmit_base=1)
HEARD = 10  # seconds for which ESP that came in counts as a sign of life
OURS_ASKING = replace(OURS, extra="dpd_delay = 0.5", daemon=IMPATIENT)
THEIRS_ASKING = replace(THEIRS, options={"dpd_delay": "1s"})


def test_we_answer(bed: Bed) -> None:
    """strongSwan asks every second, and would drop a peer that doesn't answer."""
    bed.start(OURS, THEIRS_ASKING, retransmit_timeout=0.5, retransmit_tries=1)
    bed.up(by="ikepy")
    ike = bed.our_sa["ike_id"]
    bed.wait_for_log("strongSwan", r"parsed INFORMATIONAL response \d+ \[ \]", times=2)
    assert bed.our_sa["ike_id"] == ike
    bed.expect_traffic()


def test_we_ask(bed: Bed) -> None:
    """And would drop a peer that doesn't answer."""
    bed.start(OURS_ASKING)
    bed.up(by="strongSwan")
    ike = bed.our_sa["ike_id"]
    bed.wait_for_log("strongSwan", r"parsed INFORMATIONAL request \d+ \[ \]", times=2)
    assert bed.our_sa["ike_id"] == ike
    bed.expect_traffic()


@either_side_initiates
def test_strongswan_vanishes(bed: Bed, initiator: Side) -> None:
    """We notice, drop the SA and take the device's carrier away."""
    bed.start(OURS_ASKING)
    bed.up(by=initiator)
    bed.expect_traffic()
    bed.theirs.kill()
    bed.wait(lambda: not bed.ours.list_sas(), "end of our SA", HEARD + 10)
    bed.wait(lambda: not bed.has_carrier, "loss of carrier")
    bed.wait_for_log("ikepy", "the peer does not answer, giving up")


@either_side_initiates
def test_we_vanish(bed: Bed, initiator: Side) -> None:
    """strongSwan notices."""
    bed.start(OURS, THEIRS_ASKING, retransmit_timeout=0.2, retransmit_tries=1)
    bed.up(by=initiator)
    bed.expect_traffic()
    bed.ours.kill()
    bed.wait(lambda: not bed.theirs.list_sas(), "end of its SA")
    bed.wait_for_log("strongSwan", "giving up after 1 retransmits")


@either_side_initiates
def test_strongswan_comes_back(bed: Bed, initiator: Side) -> None:
    """Killed and started again: dpd_action = start has brought a new tunnel up, without anybody's help."""
    ours = replace(
        OURS_ASKING, extra=f"{OURS_ASKING.extra}\nkeyingtries = 0", child_extra='dpd_action = "start"'
    )
    bed.start(ours)
    bed.up(by=initiator)
    bed.expect_traffic()
    bed.theirs.kill()
    bed.wait_for_log("ikepy", "the peer does not answer, giving up", timeout=HEARD + 10)
    bed.theirs.start(THEIRS)
    bed.wait_for_children(1, timeout=20)
    # Its device for packets is new too, and it looks at addresses and routes again for a moment.
    bed.wait(lambda: reaches(bed.pair.left_host, pair.LEFT_HOST, pair.RIGHT_HOST), "way through it")
    bed.expect_traffic()


def test_we_come_back(bed: Bed) -> None:
    """The same with strongSwan's dpd_action = restart."""
    theirs = replace(
        THEIRS_ASKING,
        options={"dpd_delay": "1s", "keyingtries": "0"},
        child_options={"dpd_action": "restart"},
    )
    bed.start(OURS, theirs, retransmit_timeout=0.3, retransmit_tries=2)
    bed.up(by="strongSwan")
    bed.expect_traffic()
    bed.ours.kill()
    bed.wait_for_log("strongSwan", "giving up after 2 retransmits")
    bed.start_ours()
    bed.wait_for_children(1, timeout=20)
    bed.expect_traffic()


@either_side_initiates
def test_strongswan_starts_anew(bed: Bed, initiator: Side) -> None:
    """Without a word and without liveness: its INITIAL_CONTACT ends the old IKE_SA at once."""
    bed.start()
    bed.up(by=initiator)
    bed.expect_traffic()
    bed.theirs.kill()
    bed.theirs.start(THEIRS)
    bed.up(by="strongSwan")
    bed.expect_traffic()
    assert bed.has_carrier


@either_side_initiates
def test_we_start_anew(bed: Bed, initiator: Side) -> None:
    """Our INITIAL_CONTACT ends strongSwan's old IKE_SA at once."""
    bed.start()
    bed.up(by=initiator)
    bed.expect_traffic()
    bed.ours.kill()
    bed.start_ours()
    bed.up(by="ikepy")
    bed.expect_traffic()


@either_side_initiates
def test_closed_by_strongswan(bed: Bed, initiator: Side) -> None:
    """close_action = start: what strongSwan deletes comes back."""
    bed.start(replace(OURS, child_extra='close_action = "start"'))
    bed.up(by=initiator)
    bed.expect_traffic()
    before = bed.our_sa["spi_i"]
    bed.terminate("strongSwan", ike="net")
    bed.wait_for_children(1)
    assert bed.our_sa["spi_i"] != before
    bed.expect_traffic()
