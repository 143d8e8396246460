"""ESP in transport mode between real daemons: VXLAN and GRE of the gateways themselves (RFC 7296 1.3.1)."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, Side
from tests.netns.namespaces import Namespace, wait_until

pytestmark = pytest.mark.root

INSIDE = {LEFT.identity: "10.77.0.1", RIGHT.identity: "10.77.0.2"}
LEFT6, RIGHT6 = replace(LEFT, outer="2001:db8::1"), replace(RIGHT, outer="2001:db8::2")

# Sends a datagram of a protocol from a raw socket, and waits for what comes back; or sends back what comes.
RAW = """
import socket, sys
role, protocol, own, peer = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
sock = socket.socket(socket.AF_INET6 if ":" in own else socket.AF_INET, socket.SOCK_RAW, protocol)
sock.bind((own, 0))
sock.settimeout(60 if role == "echo" else 2)
if role == "echo":
    print("ready", flush=True)
    while True:
        data, sender = sock.recvfrom(65535)
        sock.sendto(data if ":" in own else data[20:], (sender[0], 0))
payload = bytes([0, 0, 8, 0]) + bytes(range(200))
if role == "say":
    sock.sendto(payload, (peer, 0))
    sys.exit()
if role == "hear":
    sock.settimeout(5)
    print("ready", flush=True)
    try:
        sys.exit(len(sock.recv(65535)))
    except TimeoutError:
        sys.exit()
for _ in range(5):
    sock.sendto(payload, (peer, 0))
    try:
        data = sock.recv(65535)
    except TimeoutError:
        continue
    sys.exit((data if ":" in own else data[20:]) != payload)
sys.exit(2)
"""


def configuration(
    own: Side, peer: Side, selectors: list[str], *, connection: str = "", child: str = ""
) -> str:
    return f"""\
[connections.tunnel]
local_addrs = ["{own.outer}"]
remote_addrs = ["{peer.outer}"]
proposals = ["aes128gcm16-prfsha256-x25519"]
{connection}
[connections.tunnel.local]
id = "{own.identity}"
[connections.tunnel.remote]
id = "{peer.identity}"
[connections.tunnel.children.net]
mode = "transport"
local_ts = {json.dumps(selectors)}
remote_ts = {json.dumps(selectors)}
esp_proposals = ["aes128gcm16"]
{child}
[connections.tunnel.vti]
name = "vti0"
[secrets.ike-tunnel]
ids = ["{own.identity}", "{peer.identity}"]
secret = "s3cr3t"
"""


def up(pair: Pair, selectors: list[str], sides: tuple[Side, Side] = (LEFT, RIGHT), **options: str) -> None:
    left, right = sides
    pair.right.start(configuration(right, left, selectors, **options))
    pair.left.start(configuration(left, right, selectors, child='start_action = "start"', **options))
    wait_until(pair.left.children, "the child is installed")
    wait_until(pair.right.children, "the child is installed on the right, too")


def vxlan(gateway: Gateway, own: Side, peer: Side) -> None:
    network = gateway.namespace
    words = f"type vxlan id 7 dstport 4789 local {own.outer} remote {peer.outer}".split()
    network.ip("link", "add", "vx7", "mtu", "1300", *words)
    network.ip("addr", "add", f"{INSIDE[own.identity]}/24", "dev", "vx7")
    network.ip("link", "set", "vx7", "up")


def pings(namespace: Namespace, address: str, *options: str) -> bool:
    command = ["ping", "-n", "-q", "-W", "2", "-c", "1", *options, address]
    return any(namespace.run(*command, check=False).returncode == 0 for _ in range(5))


def packets(gateway: Gateway) -> tuple[int, int]:
    (child,) = gateway.children()
    return child["in_packets"], child["out_packets"]


def echoes(pair: Pair, protocol: int, left: Side, right: Side) -> None:
    """A datagram of this protocol gets there through ESP, and comes back."""
    before = packets(pair.left)
    arguments = [str(protocol), right.outer, left.outer]
    echo = pair.right.namespace.start(sys.executable, "-c", RAW, "echo", *arguments)
    try:
        assert echo.stdout is not None and echo.stdout.readline()  # it listens
        arguments = [str(protocol), left.outer, right.outer]
        pair.left.namespace.run(sys.executable, "-c", RAW, "ask", *arguments)
    finally:
        echo.kill()
        echo.wait()
    after = packets(pair.left)
    assert after[0] > before[0] and after[1] > before[1]


@pytest.mark.parametrize(
    ("sides", "connection"),
    [((LEFT, RIGHT), "encap = true"), ((LEFT6, RIGHT6), "")],
    ids=["IPv4 in UDP", "IPv6"],
)
def test_vxlan(pair: Pair, sides: tuple[Side, Side], connection: str) -> None:
    """Frames between the gateways' VXLAN devices go through ESP, and IKE goes on beside it. VXLAN's source
    ports are others than 4789, and the selectors leave IKE's out."""
    everything = "0.0.0.0/0" if sides[0] is LEFT else "::/0"
    up(pair, [f"{everything}[udp/4501-65534]"], sides, connection=f"{connection}\ndpd_delay = 1")
    vxlan(pair.left, *sides)
    vxlan(pair.right, *reversed(sides))
    assert pings(pair.left.namespace, INSIDE[RIGHT.identity])
    assert pings(pair.right.namespace, INSIDE[LEFT.identity], "-s", "1200")
    came, left = packets(pair.left)
    assert came >= 2 and left >= 2
    (child,) = pair.left.children()
    assert not any(child["drops"].values()), child["drops"]


def test_others_disturb_the_way_into_the_device(pair: Pair) -> None:
    """A rule that is deleted, a device that is taken down and up again or deleted: it is as before, soon."""
    up(pair, ["0.0.0.0/0[gre]"])
    left = pair.left.namespace
    for words in (
        ["rule", "del", "pref", "4"],
        ["route", "flush", "table", str(0x69700000 + index_of(left))],
        ["link", "set", "vti0", "down"],
        ["link", "del", "vti0"],
    ):
        before = index_of(left)
        left.ip(*words)
        if "down" in words:
            wait_until(
                lambda: "vti0 was taken down by others" in pair.left.log(), "it is noticed, and left so"
            )
            left.ip("link", "set", "vti0", "up")
        if words[:2] == ["link", "del"]:
            wait_until(lambda: index_of(left) not in (0, before), "another device")  # noqa: B023
        wait_until(lambda: leads_in(left), f"packets lead into the device after ip {' '.join(words)}")
        echoes(pair, 47, LEFT, RIGHT)


def index_of(namespace: Namespace) -> int:
    """The kernel's number of vti0; 0 without one."""
    found = namespace.run("cat", "/sys/class/net/vti0/ifindex", check=False)
    return int(found.stdout or 0)


def leads_in(namespace: Namespace) -> bool:
    """Whether there is one rule for GRE, and its table leads into vti0."""
    table = str(0x69700000 + index_of(namespace))
    rules = namespace.run("ip", "rule", "show", "pref", "4").stdout.splitlines()
    routes = namespace.run("ip", "route", "show", "table", table, check=False).stdout
    return len(rules) == 1 and "default dev vti0" in routes


def test_gre(pair: Pair) -> None:
    """GRE between the gateways' addresses, by raw sockets: not every kernel has its device."""
    up(pair, ["0.0.0.0/0[gre]"])
    echoes(pair, 47, LEFT, RIGHT)


# What leaves the left one by UDP seems to come from another address, as behind a NAT.
OUTSIDE = "192.0.2.30"
NAT = (
    "add table ip n; add chain ip n out { type nat hook postrouting priority srcnat; }; "
    f"add rule ip n out oifname eth0 meta l4proto udp snat to {OUTSIDE}"
)
SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 7)) as server:
    print("ready", flush=True)
    connection, (client, _) = server.accept()
    while data := connection.recv(65536):
        connection.sendall(data)
    print(client)
"""
CLIENT = """
import socket, sys, time
for _ in range(50):
    try:
        connection = socket.create_connection((sys.argv[1], 7), timeout=20)
        break
    except ConnectionRefusedError:
        time.sleep(0.2)
sent = bytes(range(256)) * 400
connection.sendall(sent)
connection.shutdown(socket.SHUT_WR)
found = b""
while data := connection.recv(65536):
    found += data
sys.exit(found != sent)
"""


def test_tcp_through_a_nat(pair: Pair) -> None:
    """Each end has the addresses that it knows, and TCP's checksums are right for them (RFC 3948 3.1.2)."""
    pair.left.namespace.ip("addr", "add", f"{OUTSIDE}/24", "dev", "eth0")
    pair.left.namespace.run("nft", NAT)
    anyone = replace(LEFT, outer="%any")
    pair.right.start(configuration(RIGHT, anyone, ["0.0.0.0/0[tcp]"]))
    pair.left.start(configuration(LEFT, RIGHT, ["0.0.0.0/0[tcp]"], child='start_action = "start"'))
    wait_until(pair.left.children, "the child is installed")
    (child,) = pair.right.children()
    assert child["ts_remote"] == [f"{OUTSIDE}/32[tcp]"]
    server = pair.right.namespace.start(sys.executable, "-c", SERVER, RIGHT.outer)
    try:
        pair.left.namespace.run(sys.executable, "-c", CLIENT, RIGHT.outer, timeout=60)
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait()
    came, left = packets(pair.right)
    assert came > 50 and left > 50


def test_nothing_leaves_in_the_clear(pair: Pair) -> None:
    """Without an SA the peer gets none of it; other packets to the peer go their usual way."""
    up(pair, ["0.0.0.0/0[gre]"])
    assert pings(pair.left.namespace, RIGHT.outer)
    pair.left.ask("terminate", ike="tunnel")
    wait_until(lambda: not pair.left.children(), "the child is gone")
    assert steered(pair.left.namespace)
    heard = pair.right.namespace.start(sys.executable, "-c", RAW, "hear", "47", RIGHT.outer, LEFT.outer)
    try:
        assert heard.stdout is not None and heard.stdout.readline()
        for _ in range(3):
            pair.left.namespace.run(sys.executable, "-c", RAW, "say", "47", LEFT.outer, RIGHT.outer)
        assert heard.wait(20) == 0, "a datagram came in the clear"
    finally:
        heard.kill()
        heard.wait()
    pair.left.stop()
    assert not steered(pair.left.namespace), "nothing is left behind"


def steered(namespace: Namespace) -> bool:
    return any("ipproto gre" in one for one in namespace.ip("rule").splitlines())
