"""Users behind one NAT, each with its virtual address, at one connection and device of the gateway.

Traffic both ways, one that goes, and a restart of the gateway (RFC 7296 3.15).
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.netns.gateways import Gateway
from tests.netns.namespaces import MakeNamespace, Namespace, connect, wait_until

pytestmark = pytest.mark.root

SERVERS = {4: "10.8.0.1", 6: "fd08::1"}
MASQUERADE = """
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        meta l4proto udp oifname "outside" masquerade to :20000-30000
    }
}
"""
GATEWAY = """
[connections.users]
local_addrs = ["192.0.2.1"]
pools = ["four", "six"]
proposals = ["aes128gcm16-prfsha256-x25519"]
[connections.users.local]
id = "gw"
[connections.users.children.net]
local_ts = ["10.8.0.0/16", "fd08::/32"]
esp_proposals = ["aes128gcm16"]
[connections.users.vti]
name = "vti0"
[pools.four]
addrs = "10.3.0.0/24"
dns = ["10.8.0.53"]
[pools.six]
addrs = "fd03::/64"
[secrets.ike-users]
secret = "s3cr3t"
[daemon]
"""
CLIENT = """
[connections.office]
remote_addrs = ["192.0.2.1"]
vips = ["0.0.0.0", "::"]
proposals = ["aes128gcm16-prfsha256-x25519"]
dpd_delay = 2
[connections.office.local]
id = "NAME"
[connections.office.remote]
id = "gw"
[connections.office.children.net]
remote_ts = ["10.8.0.0/16", "fd08::/32"]
esp_proposals = ["aes128gcm16"]
start_action = "start"
dpd_action = "start"
close_action = "start"
[connections.office.vti]
name = "vti0"
[secrets.ike-office]
secret = "s3cr3t"
[daemon]
retransmit_timeout = 0.5
retransmit_base = 1.2
retransmit_tries = 3
"""


def users(make_namespace: MakeNamespace, directory: Path) -> tuple[Gateway, list[Gateway]]:
    """The gateway, and two users behind a router that masquerades; nothing is started yet."""
    outside, router = make_namespace("gw"), make_namespace("nat")
    connect(outside, router, "eth0", "outside", ["192.0.2.1/24"], ["192.0.2.101/24"])
    outside.ip("addr", "add", f"{SERVERS[4]}/32", "dev", "lo")
    outside.ip("addr", "add", f"{SERVERS[6]}/128", "dev", "lo")
    found: list[Gateway] = []
    for number in (1, 2):
        inside = make_namespace(f"user{number}")
        own, gateway = f"192.168.{number}.10", f"192.168.{number}.1"
        connect(inside, router, "eth0", f"inside{number}", [f"{own}/24"], [f"{gateway}/24"])
        inside.ip("route", "add", "default", "via", gateway)
        found.append(Gateway(inside, directory / f"user{number}"))
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    (directory / "nat.nft").write_text(MASQUERADE)
    router.run("nft", "-f", directory / "nat.nft")
    return Gateway(outside, directory / "gateway"), found


def ping(where: Namespace, source: str, destination: str) -> None:
    where.run(*f"ping -n -q -c 2 -i 0.2 -W 5 -s 1000 -I {source} {destination}".split())


def addresses(user: Gateway) -> list[str]:
    """The virtual addresses of a user, as its device has them."""
    shown = json.loads(user.namespace.ip("-j", "addr", "show", "dev", "vti0", "scope", "global"))
    return [one["local"] for one in shown[0]["addr_info"]]


def both_ways(gateway: Gateway, several: list[Gateway]) -> None:
    for user in several:
        for own in addresses(user):
            server = SERVERS[ip_address(own).version]
            ping(user.namespace, own, server)
            ping(gateway.namespace, server, own)


def test_two_users_behind_one_nat(make_namespace: MakeNamespace, tmp_path: Path) -> None:
    state = tmp_path / "state"
    gateway, several = users(make_namespace, tmp_path)
    configuration = GATEWAY + f'state_dir = "{state}"\n'
    gateway.start(configuration)
    for user, name in zip(several, ("alice", "bob"), strict=True):
        user.start(CLIENT.replace("NAME", name))
        wait_until(user.children, f"{name} is up")
    assert [addresses(user) for user in several] == [["10.3.0.1", "fd03::1"], ["10.3.0.2", "fd03::2"]]
    both_ways(gateway, several)
    routes = gateway.namespace.ip("-4", "route", "show", "dev", "vti0")
    assert {line.split()[0] for line in routes.splitlines()} >= {"10.3.0.1", "10.3.0.2"}
    assert len({sa["remote"] for sa in gateway.list_sas()}) == 2
    assert {sa["remote"].split("[")[0] for sa in gateway.list_sas()} == {"192.0.2.101"}

    # One goes: the other one's traffic and route stay.
    several[0].stop()
    wait_until(lambda: len(gateway.list_sas()) == 1, "alice is gone")
    both_ways(gateway, several[1:])
    assert "10.3.0.1" not in gateway.namespace.ip("-4", "route", "show", "dev", "vti0")

    # The gateway ends and starts anew: whoever comes first gets its own address.
    wait_until(
        lambda: any(b"10.3.0.2" in one.read_bytes() for one in state.glob("leases.*")), "they are kept"
    )
    gateway.stop()
    gateway.start(configuration)
    wait_until(lambda: len(gateway.children()) == 1, "bob is up again")
    wait_until(several[1].children, "bob is up again")
    assert addresses(several[1]) == ["10.3.0.2", "fd03::2"]
    several[0].start(CLIENT.replace("NAME", "alice"))
    wait_until(several[0].children, "alice is up again")
    assert addresses(several[0]) == ["10.3.0.1", "fd03::1"]
    both_ways(gateway, several)
    for user in several:
        user.stop()
    gateway.stop()
