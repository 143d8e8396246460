"""REDIRECT (RFC 5685) with a real strongSwan: each side as the client and as the gateway.

Both gateways of a side are one daemon with two addresses.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from ikepy.lab import pair
from ikepy.lab.netns import LabError
from tests.interop.bed import OURS, THEIRS, Bed

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

LEFT_OTHER, RIGHT_OTHER = "192.0.2.11", "192.0.2.12"
SERVES_HERE_AND_THERE = replace(OURS, local_addrs=(pair.LEFT, LEFT_OTHER))
CLIENT = replace(THEIRS, remote_addrs=f"{pair.LEFT},{LEFT_OTHER}")


@pytest.fixture
def bed_of_two(bed: Bed) -> Bed:
    for namespace, address in ((bed.pair.left, LEFT_OTHER), (bed.pair.right, RIGHT_OTHER)):
        (device,) = {
            line.split()[1]
            for line in namespace.run("ip", "-o", "-4", "address", "show", "to", "192.0.2.0/24").splitlines()
        }
        namespace.run("ip", "address", "add", f"{address}/24", "dev", device)
    return bed


def wait_until_ours_is_at(bed: Bed, end: str, address: str) -> None:
    """Until our only IKE_SA has this address at an end ("local", "remote"), and the child is there."""
    words = f"the IKE_SA at {address}"
    bed.wait(
        lambda: (
            [sa[end].split("[")[0] for sa in bed.ours.list_sas()] == [address]  # type: ignore[literal-required]
            and bed.ours.established
        ),
        words,
    )
    bed.wait_for_children(1)


def test_strongswan_sends_us_elsewhere(bed_of_two: Bed) -> None:
    bed = bed_of_two
    ours = replace(OURS, remote_addrs=(pair.RIGHT, RIGHT_OTHER))
    bed.start(ours, replace(THEIRS, local_addrs=f"{pair.RIGHT},{RIGHT_OTHER}"))
    bed.up(by="ikepy")
    bed.theirs.swanctl("--redirect", "--ike", "net", "--gateway", RIGHT_OTHER)
    wait_until_ours_is_at(bed, "remote", RIGHT_OTHER)
    bed.expect_traffic()


def test_strongswan_sends_us_where_the_policy_does_not_let_us_go(bed_of_two: Bed) -> None:
    bed = bed_of_two
    bed.start(OURS, replace(THEIRS, local_addrs=f"{pair.RIGHT},{RIGHT_OTHER}"))
    bed.up(by="ikepy")
    bed.theirs.swanctl("--redirect", "--ike", "net", "--gateway", RIGHT_OTHER)
    bed.wait_for_log("strongSwan", "client does not support IKE redirection")  # we have not said so
    assert bed.our_sa["remote"].startswith(pair.RIGHT)


def test_we_send_an_established_strongswan_elsewhere(bed_of_two: Bed) -> None:
    bed = bed_of_two
    bed.start(SERVES_HERE_AND_THERE, CLIENT)
    bed.up(by="strongSwan")
    bed.ours.ask("redirect", {"ike": "net", "gateway": LEFT_OTHER})
    wait_until_ours_is_at(bed, "local", LEFT_OTHER)
    bed.expect_traffic()


def test_we_send_strongswan_elsewhere_as_it_begins(bed_of_two: Bed) -> None:
    bed = bed_of_two
    bed.start(replace(SERVES_HERE_AND_THERE, daemon=f'redirect_to = "{LEFT_OTHER}"'), CLIENT)
    bed.initiate("strongSwan")
    wait_until_ours_is_at(bed, "local", LEFT_OTHER)
    bed.expect_traffic()


def test_we_send_strongswan_elsewhere_once_it_is_authenticated(bed_of_two: Bed) -> None:
    """charon 5.9.8 believes it and begins there; then it crashes, which is its own matter."""
    bed = bed_of_two
    bed.charon_crashes = True
    bed.start(replace(SERVES_HERE_AND_THERE, extra=f'redirect_to = "{LEFT_OTHER}"'), CLIENT)
    with contextlib.suppress(LabError):  # charon tells its user of a failure, and goes on elsewhere
        bed.initiate("strongSwan")
    bed.wait_for_log("strongSwan", f"redirected to {LEFT_OTHER}")
    bed.wait_for_log("strongSwan", f"initiating IKE_SA net.* to {LEFT_OTHER}")
