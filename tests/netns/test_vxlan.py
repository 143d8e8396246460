"""VXLAN devices (RFC 7348) of a real daemon: made, held and removed; those of others used as they are."""

from __future__ import annotations

import json

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, configuration
from tests.netns.namespaces import Namespace, connect, wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
BESIDE = ("10.0.0.1", "10.0.0.2")  # the underlay: the gateway, and a pod beside it
POD = "10.1.0.5"


def section(peers: str = f'"{BESIDE[1]}"', more: str = "") -> str:
    """Of vxeth0 as the gateway has it."""
    return f"""
[vxlan.vxeth0]
vni = 7
device = "lan0"
peers = [{peers}]
addresses = ["10.1.0.1/24", "fd01::1/64"]
{more}
"""


def text(vxlan: str) -> str:
    return configuration(LEFT, RIGHT, child=START) + vxlan


def beside(left: Namespace, pod: Namespace) -> None:
    """A pod with a device as kube-vxlan-controller makes it, behind a gateway without one."""
    connect(left, pod, "lan0", "eth0", [f"{BESIDE[0]}/24"], [f"{BESIDE[1]}/24"])
    controller_device(pod, "eth0", [BESIDE[0]], f"{POD}/24", port=4789)
    pod.ip("route", "add", RIGHT.networks[0], "via", "10.1.0.1")
    left.run("sysctl", "-qw", "net.ipv4.ip_forward=1")


def controller_device(
    namespace: Namespace,
    underlay: str,
    peers: list[str],
    address: str,
    *,
    port: int = 0,
    name: str = "vxeth0",
) -> None:
    ident = ["id", "7", "dev", underlay, "dstport", str(port)]
    namespace.ip("link", "add", name, "type", "vxlan", *ident)
    namespace.ip("addr", "add", address, "dev", name)
    namespace.ip("link", "set", name, "up")
    for peer in peers:
        zero = "00:00:00:00:00:00"
        namespace.run("bridge", "fdb", "append", "to", zero, "dst", peer, "dev", name)


def peers(namespace: Namespace) -> set[str]:
    done = namespace.run("bridge", "-j", "fdb", "show", "dev", "vxeth0", check=False)
    entries = json.loads(done.stdout or "[]")
    return {one["dst"] for one in entries if one["mac"] == "00:00:00:00:00:00"}


def link(namespace: Namespace) -> dict[str, object]:
    """vxeth0; empty if there is none."""
    done = namespace.run("ip", "-d", "-j", "addr", "show", "dev", "vxeth0", check=False)
    return dict(json.loads(done.stdout)[0]) if done.returncode == 0 else {}


def addresses(namespace: Namespace) -> set[str]:
    found = link(namespace).get("addr_info", [])
    assert isinstance(found, list)
    return {f"{one['local']}/{one['prefixlen']}" for one in found if one["scope"] == "global"}


def reaches(namespace: Namespace, address: str) -> bool:
    command = ["ping", "-n", "-q", "-c", "1", "-W", "0.5", address]
    return " 1 received" in namespace.run(*command, check=False).stdout


@pytest.fixture
def pod(pair: Pair, make_namespace: object) -> Namespace:
    """A pod beside the left gateway, whose network is behind vxeth0 and no longer on its loopback device."""
    assert callable(make_namespace)
    found: Namespace = make_namespace("pod")
    pair.left.namespace.ip("addr", "del", "10.1.0.1/24", "dev", "lo")
    pair.left.namespace.ip("-6", "addr", "del", "fd01::1/64", "dev", "lo")
    beside(pair.left.namespace, found)
    return found


def test_it_is_made_and_held_and_removed_and_carries_traffic_into_the_tunnel(
    pair: Pair, pod: Namespace
) -> None:
    left, far = pair.left.namespace, "10.2.0.1"
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(text(section()))
    wait_until(pair.left.children, "the child is installed")
    wait_until(lambda: reaches(pod, far), "a pod reaches the far network")
    assert addresses(left) == {"10.1.0.1/24", "fd01::1/64"}
    assert peers(left) == {BESIDE[1]}
    assert (link(left)["mtu"], link(left)["ifalias"]) == (1450, "ikepy")

    left.ip("link", "set", "lan0", "mtu", "1400")
    wait_until(lambda: link(left)["mtu"] == 1350, "the MTU follows the underlay's")
    left.ip("link", "set", "vxeth0", "mtu", "1000")
    wait_until(lambda: link(left)["mtu"] == 1350, "the MTU is back")
    left.ip("addr", "del", "10.1.0.1/24", "dev", "vxeth0")
    wait_until(lambda: "10.1.0.1/24" in addresses(left), "the address is back")
    left.run("bridge", "fdb", "del", "00:00:00:00:00:00", "dst", BESIDE[1], "dev", "vxeth0")
    left.ip("link", "set", "vxeth0", "alias", "ikepy")  # an event, so that nobody has to wait
    wait_until(lambda: peers(left) == {BESIDE[1]}, "the peer is back", 40)
    left.ip("link", "del", "vxeth0")
    wait_until(lambda: link(left).get("mtu") == 1350 and peers(left) == {BESIDE[1]}, "the device is back")
    wait_until(lambda: reaches(pod, far), "a pod reaches the far network again")
    assert "vxeth0 was deleted by others, and is made again" in pair.left.log()

    spi = pair.left.list_sas()[0]["spi_i"]
    further = "port = 4790\nmtu = 1300"
    pair.left.reload(text(section(f'"{BESIDE[1]}", "10.0.0.9"', further)))
    assert peers(left) == {BESIDE[1], "10.0.0.9"}
    assert link(left)["mtu"] == 1300
    pair.left.reload(configuration(LEFT, RIGHT, child=START))
    assert not link(left)
    pair.left.reload(text(section()))
    assert peers(left) == {BESIDE[1]}
    assert pair.left.list_sas()[0]["spi_i"] == spi
    pair.left.stop()
    assert not link(left)


def test_what_a_former_daemon_has_left_is_taken_over_and_brought_up_to_date(
    pair: Pair, pod: Namespace
) -> None:
    """And a daemon that is killed leaves nothing as long as its privileged process lives."""
    left = pair.left.namespace
    controller_device(left, "lan0", ["10.0.0.8"], "10.1.0.1/24", port=4789)
    left.ip("link", "set", "vxeth0", "alias", "ikepy")
    before = link(left)
    pair.left.start(text(section()))
    assert link(left)["ifindex"] == before["ifindex"]
    assert peers(left) == {BESIDE[1]}
    pair.left.kill()
    wait_until(lambda: not link(left), "it is removed")


def test_the_controllers_device_is_used_as_it_is(pair: Pair, pod: Namespace) -> None:
    """Also where the configuration names it: nothing is changed nor removed."""
    left = pair.left.namespace
    controller_device(left, "lan0", [BESIDE[1]], "10.1.0.1/24", port=4789)

    def seen() -> list[object]:
        return [*map(link(left).get, ("ifindex", "mtu", "ifalias")), addresses(left), peers(left)]

    before = seen()
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(text(section('"10.0.0.8"', "mtu = 1300")))
    wait_until(pair.left.children, "the child is installed")
    wait_until(lambda: reaches(pod, "10.2.0.1"), "a pod reaches the far network")
    assert "none of ikepy's; [vxlan.vxeth0] waits until that is settled" in pair.left.log()
    pair.left.stop()
    assert seen() == before


def test_an_underlay_that_is_not_there_yet_is_waited_for(pair: Pair) -> None:
    left = pair.left.namespace
    pair.left.start(text(section()))
    assert not link(left)
    assert "its underlay lan0: there is no such device" in pair.left.log()
    left.ip("link", "add", "lan0", "type", "veth", "peer", "name", "other0")
    wait_until(lambda: peers(left) == {BESIDE[1]}, "it is made", 40)  # at the latest by the regular look
