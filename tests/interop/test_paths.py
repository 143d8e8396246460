"""What lies between us and a real strongSwan: IPv6, NAT on either side, forced encapsulation, MOBIKE."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import OURS, THEIRS, Bed, Side, daemon, either_side_initiates, ping, reaches
from tests.interop.nat import INSIDE, MOVED, PUBLIC, BehindNat

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

OURS_INSIDE = replace(OURS, local_addrs=(INSIDE,))
THEIRS_OUTSIDE = replace(THEIRS, remote_addrs="%any")
OURS_OUTSIDE = replace(OURS, remote_addrs=("%any",))
THEIRS_INSIDE = replace(THEIRS, local_addrs=INSIDE)


def test_ipv6_outside(bed: Bed) -> None:
    """IPv4 inside IPv6."""
    bed.start(
        replace(OURS, local_addrs=(pair.LEFT6,), remote_addrs=(pair.RIGHT6,)),
        replace(THEIRS, local_addrs=pair.RIGHT6, remote_addrs=pair.LEFT6),
    )
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()


def test_ipv6_inside_and_outside(bed: Bed) -> None:
    bed.start(
        replace(OURS, local_addrs=(pair.LEFT6,), remote_addrs=(pair.RIGHT6,)),
        replace(
            THEIRS,
            local_addrs=pair.RIGHT6,
            remote_addrs=pair.LEFT6,
            local_ts=pair.RIGHT_NET6,
            remote_ts=pair.LEFT_NET6,
        ),
    )
    for _ in bed.each_brings_it_up():
        bed.expect_traffic(ipv6=True)


def test_we_force_encapsulation_too(bed: Bed) -> None:
    """encap = true: both sides pretend to be behind a NAT."""
    bed.start(replace(OURS, extra="encap = true"))
    for _ in bed.each_brings_it_up():
        assert bed.our_child["encap"]
        assert bed.their_sa["nat-remote"] == "yes"
        bed.expect_traffic()


def test_port_4500_from_the_start(bed: Bed) -> None:
    """Both are told to begin there."""
    bed.start(
        replace(OURS, extra="remote_port = 4500"),
        replace(THEIRS, options={"local_port": "4500", "remote_port": "4500"}),
    )
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()


@either_side_initiates
def test_mobike(bed: Bed, initiator: Side) -> None:
    """strongSwan offers MOBIKE and further addresses; we don't, and nothing comes of it."""
    bed.pair.right.ip("addr add 192.0.2.3/24 dev eth0")
    bed.start(replace(OURS, mobike=False))
    bed.up(by=initiator)
    with bed.flow() as flow:
        bed.pair.right.ip("addr add 192.0.2.4/24 dev eth0", "addr del 192.0.2.3/24 dev eth0")
        flow.wait_for(50)
    bed.wait_for_children(1)
    assert bed.our_sa["remote"] == f"{pair.RIGHT}[4500]"


def test_large_packets(bed: Bed) -> None:
    """Inner packets that are larger than the tunnel's MTU arrive in fragments."""
    bed.start()
    bed.up(by="ikepy")
    ping(bed.pair.left_host, pair.LEFT_HOST, pair.RIGHT_HOST, size=8000)
    ping(bed.pair.right_host, pair.RIGHT_HOST, pair.LEFT_HOST, size=8000)


def test_we_are_behind_nat(behind_nat: BehindNat) -> None:
    """We begin at a private address, and go on at port 4500."""
    bed, _ = behind_nat("ikepy")
    bed.start(OURS_INSIDE, THEIRS_OUTSIDE)
    bed.up(by="ikepy")
    assert bed.our_sa["nat_local"]
    assert bed.their_sa["remote-host"] == PUBLIC
    assert bed.their_sa["nat-remote"] == "yes"
    bed.expect_traffic()


def test_strongswan_is_behind_nat(behind_nat: BehindNat) -> None:
    bed, _ = behind_nat("strongSwan")
    bed.start(OURS_OUTSIDE, THEIRS_INSIDE)
    bed.up(by="strongSwan")
    assert bed.our_sa["nat_remote"]
    assert bed.our_sa["remote"].startswith(f"{PUBLIC}[")
    bed.expect_traffic()


def test_rekeys_behind_nat(behind_nat: BehindNat) -> None:
    """Child and IKE_SA, asked for by the side that can't be reached but through the mapping's port."""
    bed, _ = behind_nat("ikepy")
    bed.start(OURS_INSIDE, THEIRS_OUTSIDE)
    bed.up(by="ikepy")
    with bed.flow() as flow:
        bed.theirs.rekey(child="net")
        bed.wait_for_log("ikepy", "CHILD_SA net #1 rekeyed as")
        bed.theirs.rekey(ike="net")
        bed.wait_for_log("ikepy", "IKE_SA rekeyed as")
        flow.wait_for(20)
    bed.wait_for_children(1)
    bed.expect_traffic()


def test_our_nat_moves(behind_nat: BehindNat) -> None:
    """The router gets another address and other ports: our next liveness check tells strongSwan.

    Its userspace ESP can't be told another address: it rekeys the child instead.
    """
    bed, nat = behind_nat("ikepy")
    bed.start(replace(OURS_INSIDE, extra="dpd_delay = 0.5"), THEIRS_OUTSIDE)
    bed.up(by="ikepy")
    bed.expect_traffic()
    nat.move()
    bed.wait(lambda: bed.their_sa["remote-host"] == MOVED, "strongSwan's knowledge of our new address")
    bed.wait_for_log("ikepy", r"CHILD_SA net #\d+ rekeyed as")
    bed.wait_for_children(1)
    bed.expect_traffic()


def test_their_nat_moves(behind_nat: BehindNat) -> None:
    """strongSwan's next ESP packet is enough for us; only the answer to that one may go astray."""
    bed, nat = behind_nat("strongSwan")
    bed.start(OURS_OUTSIDE, THEIRS_INSIDE)
    bed.up(by="strongSwan")
    bed.expect_traffic()
    nat.move()
    bed.wait(lambda: reaches(bed.pair.right_host, pair.RIGHT_HOST, pair.LEFT_HOST), "an answer")
    assert bed.our_sa["remote"].startswith(f"{MOVED}[")
    bed.expect_traffic()


def test_keepalives(behind_nat: BehindNat) -> None:
    """We keep the NAT's mapping alive; strongSwan swallows them."""
    bed, _ = behind_nat("ikepy")
    bed.start(replace(OURS_INSIDE, daemon=daemon(keep_alive=0.2)), THEIRS_OUTSIDE)
    bed.up(by="ikepy")
    counter = ["nft", "-f", "-"]
    bed.pair.right.run(*counter, text=KEEPALIVES)
    bed.wait(lambda: "packets 3" in bed.pair.right.run("nft", "list", "ruleset"), "three keepalives")
    bed.expect_traffic()


# A UDP payload of one byte, 0xff (RFC 3948 2.3).
KEEPALIVES = """\
table ip keepalives {
    chain input {
        type filter hook input priority filter; policy accept;
        udp dport 4500 udp length 9 @th,64,8 0xff counter
    }
}
"""
