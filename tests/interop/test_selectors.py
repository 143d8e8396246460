"""Traffic selectors with a real strongSwan: narrowing either way, none in common, IPv6, several children."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import (
    LEFT_HOST_2,
    LEFT_NET_2,
    OURS,
    RIGHT_HOST_2,
    RIGHT_NET_2,
    THEIRS,
    Bed,
    Side,
    either_side_initiates,
    our_child,
    ping,
    with_children,
)

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

# What tells two children apart at both ends.
SECOND_OURS = our_child("second", LEFT_NET_2, RIGHT_NET_2)
SECOND_THEIRS = {"second": {"local_ts": RIGHT_NET_2, "remote_ts": LEFT_NET_2, "esp_proposals": "aes128gcm16"}}


def test_we_are_narrowed(bed: Bed) -> None:
    """Our 0.0.0.0/0 and ::/0 become strongSwan's networks."""
    bed.start()
    for _ in bed.each_brings_it_up():
        assert bed.selectors == ([pair.LEFT_NET], [pair.RIGHT_NET])
        bed.expect_traffic()


def test_strongswan_is_narrowed(bed: Bed) -> None:
    """It has wider ranges than we do."""
    bed.start(
        replace(OURS, local_ts=(pair.LEFT_NET,), remote_ts=(pair.RIGHT_NET,)),
        replace(THEIRS, local_ts="10.2.0.0/16", remote_ts="10.0.0.0/15"),
    )
    for _ in bed.each_brings_it_up():
        assert bed.selectors == ([pair.LEFT_NET], [pair.RIGHT_NET])
        bed.expect_traffic()
        bed.expect_no_traffic(LEFT_HOST_2, RIGHT_HOST_2)


def test_both_are_narrowed(bed: Bed) -> None:
    """Each side is wider than the other at one end."""
    bed.start(
        replace(OURS, local_ts=("10.1.0.0/16",), remote_ts=(pair.RIGHT_NET,)),
        replace(THEIRS, local_ts="10.2.0.0/16", remote_ts=pair.LEFT_NET),
    )
    for _ in bed.each_brings_it_up():
        assert bed.selectors == ([pair.LEFT_NET], [pair.RIGHT_NET])
        bed.expect_traffic()


def test_several_a_side(bed: Bed) -> None:
    left, right = [pair.LEFT_NET, LEFT_NET_2], [pair.RIGHT_NET, RIGHT_NET_2]
    bed.start(
        replace(OURS, local_ts=tuple(left), remote_ts=tuple(right)),
        replace(THEIRS, local_ts=",".join(right), remote_ts=",".join(left)),
    )
    for _ in bed.each_brings_it_up():
        assert bed.selectors == (left, right)
        bed.expect_traffic()
        bed.expect_traffic(LEFT_HOST_2, RIGHT_HOST_2)
        bed.expect_traffic(pair.LEFT_HOST, RIGHT_HOST_2)


def test_some_in_common(bed: Bed) -> None:
    """Of several a side, those that both have."""
    bed.start(
        replace(OURS, local_ts=(LEFT_NET_2, pair.LEFT_NET), remote_ts=("10.77.0.0/16", pair.RIGHT_NET)),
        replace(
            THEIRS, local_ts=f"{RIGHT_NET_2},{pair.RIGHT_NET}", remote_ts=f"{pair.LEFT_NET},10.88.0.0/16"
        ),
    )
    for _ in bed.each_brings_it_up():
        assert bed.selectors == ([pair.LEFT_NET], [pair.RIGHT_NET])
        bed.expect_traffic()


@either_side_initiates
def test_nothing_in_common(bed: Bed, initiator: Side) -> None:
    """TS_UNACCEPTABLE: the child fails, the IKE_SA may stand."""
    bed.start(replace(OURS, local_ts=(LEFT_NET_2,), remote_ts=(RIGHT_NET_2,)))
    bed.refused(initiator)
    answered = "parsed" if initiator == "strongSwan" else "generating"
    bed.wait_for_log("strongSwan", rf"{answered} IKE_AUTH response 1 .*N\(TS_UNACCEPT\)")
    bed.wait_for_log("ikepy", "TS_UNACCEPTABLE|no child permits")
    assert not bed.ours.children()
    assert not bed.theirs.children()


def test_protocol_and_ports(bed: Bed) -> None:
    """UDP, and one port only: `Flow` has it, a ping doesn't fit."""
    left, right = f"{pair.LEFT_NET}[udp/9000]", f"{pair.RIGHT_NET}[udp/9000]"
    bed.start(
        replace(OURS, local_ts=(left,), remote_ts=(right,)), replace(THEIRS, local_ts=right, remote_ts=left)
    )
    for _ in bed.each_brings_it_up():
        assert bed.selectors == ([left], [right])
        with bed.flow() as flow:
            flow.wait_for(20)
        bed.expect_no_traffic()


def test_ipv6_inside(bed: Bed) -> None:
    bed.start(OURS, replace(THEIRS, local_ts=pair.RIGHT_NET6, remote_ts=pair.LEFT_NET6))
    for _ in bed.each_brings_it_up():
        assert bed.selectors == ([pair.LEFT_NET6], [pair.RIGHT_NET6])
        bed.expect_traffic(ipv6=True)


def test_both_families_inside(bed: Bed) -> None:
    theirs = replace(
        THEIRS,
        local_ts=f"{pair.RIGHT_NET},{pair.RIGHT_NET6}",
        remote_ts=f"{pair.LEFT_NET},{pair.LEFT_NET6}",
    )
    bed.start(OURS, theirs)
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()
        bed.expect_traffic(ipv6=True)


@pytest.mark.parametrize("second", ["ikepy", "strongSwan"])
@either_side_initiates
def test_two_children(bed: Bed, initiator: Side, second: Side) -> None:
    """A second child on the same IKE_SA; the end of one leaves the other alone."""
    bed.start(
        replace(OURS, local_ts=(pair.LEFT_NET,), remote_ts=(pair.RIGHT_NET,), child_extra=SECOND_OURS),
        with_children(THEIRS, SECOND_THEIRS),
    )
    bed.up(by=initiator)
    bed.up(by=second, child="second", children=2)
    bed.expect_traffic()
    bed.expect_traffic(LEFT_HOST_2, RIGHT_HOST_2)
    bed.terminate(initiator, child="net")
    bed.wait_for_children(1)
    bed.expect_traffic(LEFT_HOST_2, RIGHT_HOST_2)
    bed.expect_no_traffic()


def test_two_children_from_the_start(bed: Bed) -> None:
    """start_action = start on both: one comes with IKE_AUTH, the other with CREATE_CHILD_SA."""
    ours = replace(OURS, local_ts=(pair.LEFT_NET,), remote_ts=(pair.RIGHT_NET,), start_action="start")
    bed.start(
        replace(ours, child_extra=f'{SECOND_OURS}start_action = "start"\n'),
        with_children(THEIRS, SECOND_THEIRS),
    )
    bed.wait_for_children(2)
    bed.expect_traffic()
    bed.expect_traffic(LEFT_HOST_2, RIGHT_HOST_2)


def test_first_packet_starts_the_negotiation(bed: Bed) -> None:
    """start_action = trap with us: the packet that starts it is not lost."""
    bed.start(replace(OURS, start_action="trap", routes=(pair.RIGHT_NET,)))
    bed.expect_traffic()
    bed.wait_for_children(1)
    # Its own selectors were offered first (RFC 7296 2.9), with ICMP's type as a port.
    bed.wait_for_log("strongSwan", re.escape(f"{pair.LEFT_HOST}/32[icmp/8] "))


def test_one_pair_a_child(bed: Bed) -> None:
    """strongSwan wants each pair in a child of its own: we ask for the second when a packet needs it."""
    left, right = (pair.LEFT_NET, LEFT_NET_2), (pair.RIGHT_NET, RIGHT_NET_2)
    bed.start(replace(OURS, local_ts=left, remote_ts=right), with_children(THEIRS, SECOND_THEIRS))
    bed.up(by="ikepy")
    first = bed.our_child["ts_remote"]
    other = LEFT_HOST_2, RIGHT_HOST_2
    if first == [RIGHT_NET_2]:
        other = pair.LEFT_HOST, pair.RIGHT_HOST
    ping(bed.pair.left_host, *other)
    bed.wait_for_children(2)
    bed.expect_traffic()
    bed.expect_traffic(*other)
    with bed.flow() as flow, bed.flow(*other) as second:
        flow.wait_for(10)
        bed.ours.rekey(child="net")  # both of them
        flow.wait_for(20)
        second.wait_for(20)
    bed.wait(lambda: len(bed.theirs.children()) == 2, "end of those that were replaced")
    bed.wait_for_children(2)
