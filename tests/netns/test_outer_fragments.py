"""A path narrower than the tunnel's MTU: outer packets in fragments, IKE and ESP, IPv4 and IPv6.

left -- 1500 octets -- router -- 1300 octets -- right
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, configuration, give_host, host, ping
from tests.netns.namespaces import MakeNamespace, Namespace, connect, wait_until

pytestmark = pytest.mark.root

NARROW = 1300
OUTER = {4: ("192.0.2.1", "198.51.100.1"), 6: ("2001:db8:1::1", "2001:db8:2::1")}
PORT = 4711
LOAD = os.urandom(1 << 20)
versions = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])


@dataclass(frozen=True, slots=True)
class Path3:
    """Two gateways and the router between them, no daemon running yet."""

    left: Gateway
    router: Namespace
    right: Gateway


@pytest.fixture
def path(make_namespace: MakeNamespace, tmp_path: Path) -> Path3:
    left, router, right = make_namespace("left"), make_namespace("router"), make_namespace("right")
    wide = ["192.0.2.1/24", "2001:db8:1::1/64"], ["192.0.2.254/24", "2001:db8:1::fe/64"]
    narrow = ["198.51.100.1/24", "2001:db8:2::1/64"], ["198.51.100.254/24", "2001:db8:2::fe/64"]
    connect(left, router, "eth0", "wide", *wide)
    connect(right, router, "eth0", "narrow", *narrow, mtu=NARROW)
    for setting in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        router.run("sysctl", "-q", "-w", f"{setting}=1")
    for namespace, four, six in ((left, "192.0.2", "2001:db8:1"), (right, "198.51.100", "2001:db8:2")):
        namespace.ip("route", "add", "default", "via", f"{four}.254")
        namespace.ip("route", "add", "::/0", "via", f"{six}::fe")
    give_host(left, LEFT)
    give_host(right, RIGHT)
    return Path3(Gateway(left, tmp_path / "left"), router, Gateway(right, tmp_path / "right"))


def up(path: Path3, version: int, connection: str = "") -> None:
    left, right = (replace(side, outer=OUTER[version][n]) for n, side in enumerate((LEFT, RIGHT)))
    path.right.start(configuration(right, left, remote="%any", connection=connection))
    path.left.start(configuration(left, right, child='start_action = "start"', connection=connection))
    wait_until(path.left.children, "the child is installed")


def reassembled(namespace: Namespace, version: int) -> int:
    """How many datagrams the kernel has put together."""
    shown = namespace.run("nstat", "-a", "-z", "-s", "-j").stdout
    name = {4: "IpReasmOKs", 6: "Ip6ReasmOKs"}[version]
    return int(json.loads(shown)["kernel"][name])


def transfer(sender: Namespace, receiver: Namespace, destination: str) -> str:
    """Send LOAD over one TCP connection; the digest of what arrives."""
    listener = receiver.call(socket.create_server, (destination, PORT))

    def send() -> None:
        with socket.create_connection((destination, PORT), timeout=20) as client:
            client.sendall(LOAD)

    thread = threading.Thread(target=lambda: sender.call(send))
    thread.start()
    digest = hashlib.sha256()
    with listener:
        listener.settimeout(20)
        server, _ = listener.accept()
        with server:
            server.settimeout(20)
            while chunk := server.recv(1 << 16):
                digest.update(chunk)
    thread.join()
    return digest.hexdigest()


@versions
@pytest.mark.parametrize("encap", [False, True], ids=["native", "encap"])
def test_esp_in_fragments(path: Path3, version: int, encap: bool) -> None:
    """The tunnel's MTU is the uplink's: what is too large for the rest of the path goes in fragments."""
    up(path, version, "encap = true" if encap else "")
    left, right = path.left.namespace, path.right.namespace
    (link,) = json.loads(left.ip("-j", "link", "show", "dev", "vti0"))
    assert link["mtu"] > NARROW
    size = str(link["mtu"] - 28)
    wait_until(lambda: ping(left, LEFT, RIGHT, "-s", size, count=1), "the kernel knows the path's MTU")
    assert ping(left, LEFT, RIGHT, "-s", size, count=5), "fragments lose nothing"
    assert reassembled(right, version) >= 6
    assert transfer(left, right, host(RIGHT.networks[0])) == hashlib.sha256(LOAD).hexdigest()
    assert transfer(right, left, host(LEFT.networks[0])) == hashlib.sha256(LOAD).hexdigest()
    for gateway in (path.left, path.right):
        (child,) = gateway.children()
        assert not set(child["drops"]) - {"too_big"}, child["drops"]


@versions
def test_ike_sa_init_in_fragments(path: Path3, version: int) -> None:
    """IKE can't fragment it (RFC 7383 2.3): IP does, and the responder takes it, as it is."""
    integs = "sha256", "sha384", "sha512"
    many = [f"aes{bits}-{integ}-modp8192" for bits in (128, 192, 256) for integ in integs]
    offered = f"proposals = {json.dumps(many)}\n"
    left, right = (replace(side, outer=OUTER[version][n]) for n, side in enumerate((LEFT, RIGHT)))
    plain = 'proposals = ["aes128gcm16-prfsha256-x25519"]\n'
    path.right.start(configuration(right, left, remote="%any").replace(plain, offered))
    path.left.start(configuration(left, right).replace(plain, offered))
    before = reassembled(path.right.namespace, version), reassembled(path.left.namespace, version)

    def bring_up() -> bool:
        """The first one may be lost, until the kernel knows the path's MTU (IPv6)."""
        try:
            path.left.ask("initiate", child="net", timeout=12)
        except AssertionError:
            return False
        return True

    wait_until(bring_up, "the child is installed", 30)
    after = reassembled(path.right.namespace, version), reassembled(path.left.namespace, version)
    assert after[0] > before[0], "the request was put together"
    assert ping(path.left.namespace, LEFT, RIGHT)


@versions
def test_ike_auth_stays_below_the_paths_mtu(path: Path3, version: int) -> None:
    """What IKE can fragment needs no IP fragments (RFC 7383): fragment_size, 1280 octets by default."""
    long_name = "x" * 1000
    left, right = (replace(side, outer=OUTER[version][n]) for n, side in enumerate((LEFT, RIGHT)))
    left = replace(left, identity=f"keyid:{long_name}")
    path.right.start(configuration(right, left, remote="%any"))
    path.left.start(configuration(left, right))
    path.left.ask("initiate", child="net", timeout=12)
    assert reassembled(path.right.namespace, version) == reassembled(path.left.namespace, version) == 0
    assert ping(path.left.namespace, LEFT, RIGHT)
