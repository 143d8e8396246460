"""Virtual addresses with a real strongSwan, in both roles: pools, DNS, networks, failures (RFC 7296 3.15)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from ikepy.lab import pair
from ikepy.lab.strongswan import StrongSwan
from tests.interop import test_eap
from tests.interop.bed import OURS, THEIRS, Bed, ping

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

VIP = "10.3.0.1"
OUR_POOL = """
[pools.users]
addrs = "10.3.0.0/24"
dns = ["10.1.0.53"]
subnet = ["10.1.0.0/24"]
split_include = ["10.1.0.0/24"]
"""
OUR_GATEWAY = replace(OURS, local_ts=(pair.LEFT_NET,), remote_ts=("dynamic",), extra='pools = ["users"]')
THEIR_CLIENT = replace(THEIRS, local_ts="dynamic", remote_ts=pair.LEFT_NET, options={"vips": "0.0.0.0"})
OUR_CLIENT = replace(OURS, local_ts=("dynamic",), remote_ts=(pair.RIGHT_NET,), extra='vips = ["0.0.0.0"]')
THEIR_GATEWAY = replace(THEIRS, local_ts=pair.RIGHT_NET, remote_ts="dynamic", options={"pools": "users"})
THEIR_POOL = "pools {\n users {\n addrs = 10.3.0.0/24\n dns = 10.2.0.53\n subnet = 10.2.0.0/24\n }\n}\n"


def start_with_their_client(bed: Bed, ours: str) -> None:
    """charon gives its address to its own device."""
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, options={"install_virtual_ip": "yes"})
    bed.theirs.start(THEIR_CLIENT)
    bed.ours.start(ours)


def our_gateway(**changes: str) -> str:
    gateway = replace(OUR_GATEWAY, daemon='log_level = "debug"\n')
    return gateway.text().replace("[daemon]\n", f"{OUR_POOL.format(**changes)}[daemon]\n")


def test_their_client_at_our_pool(bed: Bed) -> None:
    start_with_their_client(bed, our_gateway())
    bed.up("strongSwan")
    assert bed.their_sa["local-vips"] == [VIP]
    assert bed.selectors == (["10.1.0.0/24"], [f"{VIP}/32"])
    for size in (56, 1200):
        ping(bed.pair.right, VIP, pair.LEFT_HOST, size=size)
        ping(bed.pair.left_host, pair.LEFT_HOST, VIP, size=size)
    lease = {"address": VIP, "identity": "gwb", "status": "online"}
    assert bed.ours.ask("get-pools", {"leases": "yes"})["users"] == {
        "base": "10.3.0.0",
        "size": "254",
        "online": "1",
        "offline": "0",
        "leases": {"0": lease},
    }
    assert bed.our_sa["network"]["leases"] == [VIP]
    bed.theirs.swanctl("--rekey", "--ike", "net")
    bed.wait(lambda: len(bed.ours.list_sas()) == 1 and len(bed.theirs.list_sas()) == 1, "one IKE_SA")
    ping(bed.pair.right, VIP, pair.LEFT_HOST)
    bed.theirs.swanctl("--rekey", "--reauth", "--ike", "net")
    bed.wait(lambda: len(bed.theirs.log().split("installing new virtual IP")) > 2, "a reauthentication")
    bed.wait_for_children(1)
    assert bed.their_sa["local-vips"] == [VIP]
    ping(bed.pair.right, VIP, pair.LEFT_HOST)


def replaced(bed: Bed, before: int) -> bool:
    """Whether there is one IKE_SA, and it is another one."""
    found = [sa["ike_id"] for sa in bed.ours.list_sas()]
    return len(found) == 1 and found != [before]


def test_our_client_at_their_pool(bed: Bed) -> None:
    bed.start(OUR_CLIENT, THEIR_GATEWAY.text() + THEIR_POOL)
    bed.up("ikepy")
    assert bed.their_sa["remote-vips"] == [VIP]
    assert bed.selectors == ([f"{VIP}/32"], ["10.2.0.0/24"])
    assert VIP in bed.pair.left.run("ip", "-4", "addr", "show", "dev", OURS.device)
    for size in (56, 1200):
        ping(bed.pair.left, VIP, pair.RIGHT_HOST, size=size)
        ping(bed.pair.right_host, pair.RIGHT_HOST, VIP, size=size)
    bed.pair.left.run(*f"ping -n -q -c 1 -W 5 {pair.RIGHT_HOST}".split())  # the source is the kernel's choice
    for reauth in (False, True):
        before = bed.our_sa["ike_id"]
        bed.ours.rekey(ike="net", reauth=reauth)
        bed.wait(partial(replaced, bed, before), "another IKE_SA")
        bed.wait_for_children(1)
        assert VIP in bed.pair.left.run("ip", "-4", "addr", "show", "dev", OURS.device)
        ping(bed.pair.left, VIP, pair.RIGHT_HOST)
    bed.terminate("ikepy", ike="net")
    bed.wait_for_nothing()
    assert VIP not in bed.pair.left.run("ip", "-4", "addr", "show", "dev", OURS.device)


def test_who_does_not_ask_gets_no_child(bed: Bed) -> None:
    bed.theirs.start(replace(THEIR_CLIENT, options={}))
    bed.ours.start(our_gateway())
    assert bed.refused("strongSwan")
    bed.wait_for_log("strongSwan", "FAILED_CP_REQUIRED|FAIL_CP_REQ")
    assert not bed.ours.children()


def test_a_gateway_without_pools_fails_our_client(bed: Bed) -> None:
    bed.start(OUR_CLIENT, replace(THEIR_GATEWAY, options={}))
    assert "no virtual address" in bed.refused("ikepy")
    bed.wait_for_nothing()


def test_a_lease_is_the_users_that_eap_authenticates(bed: Bed) -> None:
    """The request stands in the first round of IKE_AUTH, the reply in the last one."""
    options = {"install_virtual_ip": "yes"}
    bed.theirs = StrongSwan(
        bed.pair.right, bed.theirs.run_directory, options=options, plugins=test_eap.PLUGINS
    )
    before, heading, after = THEIR_CLIENT.text().partition(" local {")
    user = test_eap.THEIR_USER.format(word="eap-mschapv2")
    client = before + heading + after.replace("auth = psk", user, 1)
    bed.theirs.start(client + test_eap.THEIR_SECRET.format(password=test_eap.PASSWORD))
    heading = "[connections.net.remote]\n"
    asking = heading + test_eap.OUR_GATEWAY.format(word="eap-mschapv2")
    gateway = our_gateway().replace(f'{heading}auth = "psk"', asking)
    bed.ours.start(gateway + test_eap.OUR_SECRET.format(password=test_eap.PASSWORD))
    bed.up("strongSwan")
    ping(bed.pair.right, VIP, pair.LEFT_HOST)
    leases = bed.ours.ask("get-pools", {"leases": "yes"})["users"]
    assert isinstance(leases, dict)
    assert leases["leases"] == {"0": {"address": VIP, "identity": test_eap.USER, "status": "online"}}
