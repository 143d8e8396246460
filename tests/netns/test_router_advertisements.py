"""Router advertisements of real daemons, taken by the kernel of a host behind the gateway."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration
from tests.netns.hosts import Ear, addresses, attach, learned, prepare
from tests.netns.namespaces import MakeNamespace, Namespace, wait_until

pytestmark = pytest.mark.root

FAR = "fd02::/64"
NEAR = "fd01::1/64"
WITHIN = (
    4.0  # seconds from a tunnel's change to what the host's kernel makes of it; below 1 on an idle machine
)
ANNOUNCED = """
[router_advertisements.vxeth0]
prefixes = ["fd01::/64"]
routes = ["fd02::/64"]
route_preference = "high"
rdnss = ["fd02::53"]
dnssl = ["b.example"]
mtu = 1400
max_interval = 30
"""
HOSTILE = (b"\x85" + bytes(6), b"\x85\1" + bytes(6), b"\x85" + bytes(15), b"\x85" + b"\xff" * 1200)
ROUTES_ONLY = """
[router_advertisements.vxeth0]
default_router = false
"""


@pytest.fixture
def host(pair: Pair, make_namespace: MakeNamespace) -> Namespace:
    """A host behind the left gateway, on its vxeth0."""
    host, router = make_namespace("host"), pair.left.namespace
    prepare(router, host)
    router.ip("addr", "del", NEAR, "dev", "lo")
    attach(router, host, NEAR)
    return host


@pytest.fixture
def ear(host: Namespace) -> Iterator[Ear]:
    with contextlib.closing(Ear(host)) as ear:
        yield ear


def left_config(more: str) -> str:
    return configuration(LEFT, RIGHT, child='start_action = "start"') + more


def start(pair: Pair, more: str) -> None:
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(left_config(more))


def is_up(gateway: Gateway) -> bool:
    return len(gateway.children()) == 1


def down(gateway: Gateway) -> float:
    """Delete the tunnel; when that was done."""
    gateway.ask("terminate", ike="tunnel", timeout=10)
    return time.monotonic()


def up(gateway: Gateway) -> None:
    gateway.ask("initiate", child="net", timeout=10)


def test_while_the_tunnel_is_up(pair: Pair, host: Namespace, ear: Ear) -> None:
    start(pair, ANNOUNCED)
    wait_until(lambda: "default" in learned(host), "the host has a default route")
    routes = learned(host)
    assert routes[FAR]["pref"] == "high"
    assert routes[FAR]["gateway"] == routes["default"]["gateway"] == str(ear.heard[-1].source)
    wait_until(lambda: addresses(host), "the host has an address of the prefix")
    assert addresses(host)[0].startswith("fd01:")
    assert host.run("cat", "/proc/sys/net/ipv6/conf/eth0/mtu").stdout.strip() == "1400"
    host.run("ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "fd02::1")
    assert ".forwarding" not in pair.left.log()

    # The tunnel goes: so does the router.
    gone = down(pair.left)
    wait_until(lambda: not learned(host).keys() & {"default", FAR}, "the routes are gone", WITHIN)
    final = ear.since(gone - WITHIN)[-1]
    assert final.lifetime == 0
    assert addresses(host)

    # It is back: so is the router.
    up(pair.left)
    wait_until(lambda: {"default", FAR} <= learned(host).keys(), "the routes are back", WITHIN)
    assert "vxeth0: router advertisements begin, with tunnel up" in pair.left.log()

    # It goes by the peer's word.
    pair.right.ask("terminate", ike="tunnel", timeout=10)
    wait_until(lambda: "default" not in learned(host), "the routes are gone", WITHIN)

    # The daemon's end, from what is up: three at once.
    up(pair.left)
    wait_until(lambda: "default" in learned(host), "the routes are back", 4)
    begin = time.monotonic()
    pair.left.stop()
    assert not learned(host).keys() & {"default", FAR}
    wait_until(lambda: [one.lifetime for one in ear.since(begin)] == [0, 0, 0], "it is said three times", 20)


def test_solicitations_are_answered(pair: Pair, host: Namespace, ear: Ear) -> None:
    start(pair, ANNOUNCED)
    wait_until(lambda: ear.heard and ear.heard[-1].lifetime, "it announces")
    first = ear.heard[-1]
    for octets in HOSTILE:
        for hop_limit in (255, 64):
            ear.send(octets, hop_limit)
    asked = ear.ask()
    for _ in range(200):
        ear.ask()
    wait_until(lambda: ear.since(asked), "it answers", 3 + 0.5 + 1)
    (answer,) = ear.since(asked)
    assert answer.at - first.at >= 3 - 0.1  # RFC 4861 6.2.6
    kinds = [option[0] for option in answer.options]
    assert sorted(kinds) == [1, 3, 5, 24, 25, 31]


def test_an_interface_that_comes_late_and_again(pair: Pair, make_namespace: MakeNamespace) -> None:
    host, router = make_namespace("host"), pair.left.namespace
    prepare(router, host)
    start(pair, ANNOUNCED)
    wait_until(lambda: is_up(pair.left), "the tunnel is up")
    wait_until(lambda: "wait for it: there is no such interface" in pair.left.log(), "the log says so")
    for _ in range(2):
        attach(router, host)
        wait_until(lambda: "default" in learned(host), "the host has a default route")
        router.ip("link", "del", "vxeth0")
    assert pair.left.process is not None and pair.left.process.poll() is None


def test_another_configuration(pair: Pair, host: Namespace, ear: Ear) -> None:
    start(pair, ANNOUNCED)
    wait_until(lambda: "default" in learned(host), "the host has a default route")
    pair.left.reload(left_config(ROUTES_ONLY))
    wait_until(lambda: "default" not in learned(host), "no default router any more", 4)
    wait_until(lambda: FAR in learned(host), "but the route of the tunnel", 4)
    (rdnss,) = [one for one in ear.heard[-1].options if one[0] == 25]
    assert rdnss[4:8] == bytes(4)
    pair.left.reload(left_config(""))
    wait_until(lambda: not learned(host), "nothing any more", 4)


def test_of_two_tunnels_all_have_to_be_up(pair: Pair, host: Namespace) -> None:
    """The second one has no peer: with "all" nothing is announced."""
    other = configuration(LEFT, RIGHT, name="other", device="vti1", vti="").replace("fd02", "fd03")
    other = other.replace(LEFT.vti, "169.254.11.1").replace(RIGHT.vti, "169.254.11.2")
    start(pair, other + ANNOUNCED + 'require = "all"\n')
    wait_until(lambda: is_up(pair.left), "the tunnel is up")
    pair.left.reload(left_config(other + ANNOUNCED))
    wait_until(lambda: "default" in learned(host), "one is enough now")
    pair.left.reload(left_config(other + ANNOUNCED + 'require = "all"\n'))
    wait_until(lambda: "default" not in learned(host), "one is not enough", WITHIN + 3)


def told(option: bytes) -> bytes:
    """An option without its length and its last zeros."""
    return (option[:1] + option[2:]).rstrip(b"\0")


@pytest.mark.radvd
def test_as_radvd_says_it(pair: Pair, host: Namespace, ear: Ear, tmp_path: Path) -> None:
    """The same settings bring the same octets, but for the order of options and the checksum."""
    settings = tmp_path / "radvd.conf"
    settings.write_text("""
    interface vxeth0 {
      AdvSendAdvert on; MaxRtrAdvInterval 30; AdvLinkMTU 1400; AdvDefaultPreference medium;
      prefix fd01::/64 { AdvValidLifetime 2592000; AdvPreferredLifetime 604800; };
      route fd02::/64 { AdvRoutePreference high; AdvRouteLifetime 90; };
      RDNSS fd02::53 { AdvRDNSSLifetime 90; };
      DNSSL b.example { AdvDNSSLLifetime 90; };
    };
    """)
    radvd = pair.left.namespace.start(
        *("radvd", "-n", "-m", "stderr", "-C", settings, "-p", tmp_path / "radvd.pid")
    )
    wait_until(lambda: ear.heard, "radvd announces")
    theirs = ear.heard[-1]
    radvd.terminate()
    radvd.wait(5)
    begin = time.monotonic()
    start(pair, ANNOUNCED)
    wait_until(lambda: any(one.lifetime for one in ear.since(begin)), "we announce")
    ours = next(one for one in ear.since(begin) if one.lifetime)
    assert ours.octets[:2] == theirs.octets[:2]
    assert ours.octets[4:16] == theirs.octets[4:16]
    # radvd writes 16 octets of a prefix where 8 will do (RFC 4191 2.3).
    assert sorted(map(told, ours.options)) == sorted(map(told, theirs.options))
    assert ours.source == theirs.source
