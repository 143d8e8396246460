"""`ikepy status` between two real daemons: each of the failures that people meet, made to happen, and what is
said of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ikepy.control.status import Finding
from tests.netns.diagnoses import found, owners, status, up
from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, Side, configuration, give_host, ping
from tests.netns.namespaces import connect, factory, wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
QUICK = "[daemon]\nretransmit_timeout = 0.2\nretransmit_tries = 1\n"
IKE = 'proposals = ["aes128gcm16-prfsha256-x25519"]'
ESP = 'esp_proposals = ["aes128gcm16"]'


class Case(NamedTuple):
    """A connection that fails: lines of it, what to find in them and what to write instead at either end."""

    name: str
    number: int
    left: tuple[str, str] = ("", "")
    right: tuple[str, str] = ("", "")
    starts: bool = True
    identity: str = ""

    def sides(self) -> tuple[Side, Side]:
        n = self.number
        networks = f"10.{n}.1.0/24", f"10.{n}.2.0/24"
        return (
            Side(f"{self.identity or self.name}-l", f"192.0.2.{100 + n}", f"169.254.{n}.1", networks[:1]),
            Side(f"{self.identity or self.name}-r", f"192.0.2.{200 + n}", f"169.254.{n}.2", networks[1:]),
        )

    def configurations(self) -> tuple[str, str]:
        left, right = self.sides()
        device = f"vti{self.number}"
        own = configuration(
            left, right, name=self.name, device=device, child=START if self.starts else "", selectors=True
        )
        peer = configuration(right, left, name=self.name, device=device, selectors=True)
        for old, text in ((self.left[0], own), (self.right[0], peer)):
            assert old in text
        return own.replace(*self.left), peer.replace(*self.right)


CASES = [
    Case("silent", 1, right=('local_addrs = ["192.0.2.201"]', 'local_addrs = ["192.0.2.2"]')),
    Case("suites", 2, right=(IKE, 'proposals = ["aes256-sha384-modp3072"]')),
    Case("secret", 3, right=('secret = "s3cr3t"', 'secret = "0ther"')),
    Case("identity", 4, left=('id = "identity-l"', 'id = "somebody"')),
    Case("networks", 5, right=('local_ts = ["10.5.2.0/24"]', 'local_ts = ["10.5.3.0/24"]')),
    Case("ciphers", 6, right=(ESP, 'esp_proposals = ["aes256-sha256"]')),
    Case(
        "pfs",
        7,
        left=(ESP, 'esp_proposals = ["aes128gcm16-x25519"]'),
        right=(ESP, 'esp_proposals = ["aes128gcm16-ecp256"]'),
    ),
    Case("blocked", 8),
    Case("routeless", 9, left=('peers = ["169.254.9.2"]', "routes = []")),
    Case("waiting", 10, starts=False),
    Case("group", 11, right=('local_addrs = ["192.0.2.211"]', 'local_addrs = ["192.0.2.2"]')),
    Case("fragmented", 12, left=(IKE, f'{IKE}\nfragmentation = "no"'), identity="f" * 900),
    Case("flapping", 13, starts=False),
    Case("lost", 14),
    Case("gone", 15),
    Case("twin", 17, left=("10.17.2.0/24", "10.7.2.0/24"), right=("10.17.2.0/24", "10.7.2.0/24")),
    Case(
        "natted",
        18,
        left=('id = "natted-l"', ""),
        right=('remote_addrs = ["192.0.2.118"]', 'remote_addrs = ["192.0.2.30"]'),
    ),
    Case("damaged", 19),
    Case("closed", 20, right=('local_addrs = ["192.0.2.220"]', 'local_addrs = ["192.0.2.2"]')),
    Case("rejected", 21),
    Case("rejected-esp", 22),
    Case("moving", 16, left=('["192.0.2.116"]', '["192.0.2.116", "192.0.2.1"]')),
]


FILTER = """
table ip f {
    set lost { type ipv4_addr; }
    chain i {
        type filter hook prerouting priority -450;
        ip protocol esp ip daddr 192.0.2.208 drop
        ip saddr 192.0.2.112 ip frag-off & 0x1fff != 0 drop
        ip daddr @lost drop
        ip protocol esp ip daddr 192.0.2.219 @th,64,8 set 0xff
    }
    chain r {
        type filter hook input priority 0;
        ip daddr 192.0.2.221 udp dport 500 reject with icmp type admin-prohibited
        ip daddr 192.0.2.222 ip protocol esp reject with icmp type admin-prohibited
    }
}
"""
NAT = """
table ip n {
    chain p {
        type nat hook postrouting priority 100;
        ip saddr 192.0.2.118 snat to 192.0.2.30
    }
}
"""
# Answers each IKE_SA_INIT with INVALID_KE_PAYLOAD, which asks for group 2.
OTHER_GROUP = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("192.0.2.211", 500))
while True:
    request, peer = sock.recvfrom(65535)
    head = request[:8] + bytes(8) + bytes.fromhex("29202220" "00000000" "00000026")
    sock.sendto(head + bytes.fromhex("0000000a" "00000011" "0002"), peer)
"""


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two gateways with a connection for each case, which the left one starts, over addresses of its own."""
    with factory() as make:
        left, right = make("left"), make("right")
        connect(left, right, "eth0", "eth0", ["192.0.2.1/24"], ["192.0.2.2/24"])
        for case in CASES:
            for namespace, side in zip((left, right), case.sides(), strict=True):
                if (case.name, namespace) != ("silent", right):
                    namespace.ip("addr", "add", f"{side.outer}/24", "dev", "eth0")
                give_host(namespace, side)
        right.run("nft", FILTER)
        left.run("nft", NAT)
        left.ip("addr", "add", "192.0.2.30/24", "dev", "eth0")
        right.start(sys.executable, "-c", OTHER_GROUP)
        directory = tmp_path_factory.mktemp("status")
        pair = Pair(Gateway(left, directory / "left"), Gateway(right, directory / "right"))
        configurations = [case.configurations() for case in CASES]
        pair.right.start(QUICK + "".join(theirs for _, theirs in configurations))
        pair.left.start(QUICK + "".join(ours for ours, _ in configurations))
        yield pair


def test_a_silent_peer(bed: Pair) -> None:
    told = found(bed.left, "silent", "peer-silent")
    assert "from 192.0.2.201, UDP port 500" in told["what"]
    assert "remote_addrs" in told["do"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("silent", "192.0.2.1 says of it: host unreachable: nothing answers at the peer's address"),
        ("closed", "192.0.2.220 says of it: port unreachable: no IKE daemon listens there"),
        ("rejected", "192.0.2.221 says of it: administratively prohibited: a firewall there rejects it"),
    ],
)
def test_what_icmp_says_of_a_silent_peer(bed: Pair, name: str, hint: str) -> None:
    told: list[Finding] = []

    def is_hinted() -> bool:
        told[:] = [one for one in owners(bed.left)[name] if one["code"] == "peer-silent"]
        return any(hint in one["why"] for one in told)

    wait_until(is_hinted, hint)
    assert "which is not authenticated" in told[0]["why"] and "Otherwise: " in told[0]["why"]
    assert hint in status(bed.left, name)


def test_no_common_ike_suite(bed: Pair) -> None:
    told = found(bed.left, "suites", "ike-proposals")
    assert told["ours"] == ["AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"]
    assert "theirs" not in told, "the peer does not tell"
    told = found(bed.right, "suites", "ike-proposals")
    assert told["ours"] == ["AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/MODP_3072"]
    assert told["theirs"] == ["AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"]
    text = status(bed.right, "suites")
    assert f"    {told['ours'][0]} | {told['theirs'][0]}" in text.splitlines(), text


def test_another_secret(bed: Pair) -> None:
    told = found(bed.left, "secret", "authentication")
    assert 'FQDN "secret-l"' in told["why"] and "[secrets.ike-secret]" in told["why"]
    told = found(bed.right, "secret", "authentication")
    assert "its secret is another one than ours" in told["why"]


def test_an_unknown_identity(bed: Pair) -> None:
    assert 'FQDN "somebody"' in found(bed.left, "identity", "authentication")["why"]
    told = found(bed.right, "identity", "authentication")
    assert 'No connection has the identity FQDN "somebody"' in told["why"]


def test_selectors_that_do_not_fit(bed: Pair) -> None:
    told = found(bed.left, "networks", "selectors")
    assert told["ours"] == ["10.5.1.0/24 === 10.5.2.0/24"]
    assert "networks to 192.0.2.205[4500]: IKE is up, no child is for" in status(bed.left, "networks")
    told = found(bed.right, "networks", "selectors")
    assert told["ours"] == ["10.5.3.0/24 === 10.5.1.0/24"]
    assert told["theirs"] == ["10.5.2.0/24 === 10.5.1.0/24"]


def test_no_common_esp_suite(bed: Pair) -> None:
    told = found(bed.left, "ciphers", "child-proposals")
    assert told["ours"] == ["AES_GCM_16_128/NO_ESN"]
    told = found(bed.right, "ciphers", "child-proposals")
    assert told["theirs"] == ["AES_GCM_16_128/NO_ESN"]


def test_pfs_fails_at_the_first_rekey(bed: Pair) -> None:
    wait_until(lambda: "pfs" in up(bed.left), "it is up")
    with pytest.raises(AssertionError, match="PFS mismatch"):
        bed.left.ask("rekey", ike="pfs", child="net", timeout=10)
    told = found(bed.left, "pfs", "nothing-goes-out")
    assert told["severity"] == "note" and "10.7.2.0/24" in told["what"]
    told = found(bed.left, "pfs", "pfs")
    assert "CURVE_25519" in told["ours"][0]
    assert "pfs" in up(bed.left), "traffic goes on until the child expires"


def test_esp_is_blocked(bed: Pair) -> None:
    wait_until(lambda: "blocked" in up(bed.left), "it is up")
    own, peer = case("blocked").sides()
    assert not ping(bed.left.namespace, own, peer, "-W", "0.2", count=3)
    told = found(bed.left, "blocked", "esp-blocked")
    assert "IKE is up, nothing comes in" in told["what"] and "encap = true" in told["do"]
    assert "blocked to 192.0.2.208[4500]: up for" in status(bed.left, "blocked")


def test_esp_is_rejected(bed: Pair) -> None:
    wait_until(lambda: "rejected-esp" in up(bed.left), "it is up")
    own, peer = case("rejected-esp").sides()
    assert not ping(bed.left.namespace, own, peer, "-W", "0.2", count=3)
    told = found(bed.left, "rejected-esp", "esp-blocked")
    assert "192.0.2.222 says of it: administratively prohibited: a firewall there rejects it" in told["why"]


def test_every_packet_fails_its_check(bed: Pair) -> None:
    """As with a peer that uses another algorithm: here the first octet of each IV is changed."""
    wait_until(lambda: "damaged" in up(bed.right), "it is up")
    (own, peer), namespace = case("damaged").sides(), bed.left.namespace
    assert not ping(namespace, own, peer, "-W", "0.2", count=3)
    told = found(bed.right, "damaged", "integrity")
    assert told["severity"] == "error" and "Every packet fails" in told["why"]


def test_no_route_leads_into_the_tunnel(bed: Pair) -> None:
    assert "no route leads into vti9" in found(bed.left, "routeless", "no-route")["what"]


def test_two_tunnels_to_one_network(bed: Pair) -> None:
    wait_until(lambda: {"twin", "pfs"} <= up(bed.left), "both are up")
    told = found(bed.left, "twin", "overlapping-routes")
    assert "10.7.2.0/24 leads into vti17 and into vti7 of pfs" in told["what"]


def test_one_that_waits_for_a_command(bed: Pair) -> None:
    text = status(bed.left, "waiting")
    assert text.splitlines() == [
        "waiting to 192.0.2.210: waiting",
        "  net (vti10): down, waits for a command",
    ]


def test_the_peer_wants_another_group(bed: Pair) -> None:
    told = found(bed.left, "group", "key-exchange")
    assert (told["ours"], told["theirs"]) == (["CURVE_25519"], ["MODP_1024"])


def test_the_identity_is_the_address_behind_a_nat(bed: Pair) -> None:
    told = found(bed.left, "natted", "nat-identity")
    assert 'address "192.0.2.118"' in told["what"] and "local.id" in told["do"]


def test_ip_fragments_are_dropped(bed: Pair) -> None:
    told = found(bed.left, "fragmented", "auth-unanswered", "answered IKE_SA_INIT, but not IKE_AUTH")
    assert "IP fragments are dropped on the way; IKE fragmentation is not agreed on" in told["why"]


def test_it_goes_up_and_down(bed: Pair) -> None:
    for _ in range(3):
        bed.left.ask("initiate", ike="flapping", child="net", timeout=10)
        bed.right.ask("terminate", ike="flapping", timeout=10)
    told = found(bed.left, "flapping", "flapping")
    assert "3 times: the peer deleted it" in told["what"]
    assert "3 times: it was deleted here" in found(bed.right, "flapping", "flapping")["what"]


def test_the_peer_does_not_answer_any_more(bed: Pair) -> None:
    wait_until(lambda: "lost" in up(bed.left), "it is up")
    bed.right.namespace.run("nft", "add element ip f lost { 192.0.2.214 }")
    with pytest.raises(AssertionError, match="does not answer"):
        bed.left.ask("rekey", ike="lost", child="net", timeout=10)
    assert "the peer did not answer any more" in found(bed.left, "lost", "ended")["what"]


def test_our_address_goes(bed: Pair) -> None:
    wait_until(lambda: "gone" in up(bed.left), "it is up")
    bed.left.namespace.ip("addr", "del", "192.0.2.115/24", "dev", "eth0")
    assert "Our address 192.0.2.115 is gone" in found(bed.left, "gone", "address-gone")["what"]


def test_the_path_changes(bed: Pair) -> None:
    wait_until(lambda: "moving" in up(bed.left), "it is up")
    bed.left.namespace.ip("addr", "del", "192.0.2.116/24", "dev", "eth0")
    for gateway in bed:
        told = found(gateway, "moving", "peer-moved")
        assert "192.0.2.116[4500]" in told["what"] and "192.0.2.1[4500]" in told["what"]


def test_all_of_it_and_nothing_of_an_unknown_one(bed: Pair) -> None:
    text = status(bed.left)
    assert [line for line in text.splitlines() if line.startswith("silent to 192.0.2.201")]
    assert "\x1b" not in text, "colours are for terminals"
    command = [sys.executable, "-m", "ikepy", "status", "nobody", "--socket", str(bed.left.socket)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ikepy: no connection 'nobody' is configured; there is silent,")


def case(name: str) -> Case:
    return next(one for one in CASES if one.name == name)


# Sends each ESP packet that leaves twice more: as it is, and with another sequence number (so a wrong ICV).
REPEATER = """
import socket
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
sock.bind(("eth0", 0x0003))
seen = set()
print("ready", flush=True)
while True:
    frame, (_, _, kind, *_) = sock.recvfrom(65535)
    if kind != socket.PACKET_OUTGOING or frame[12:14] != b"\\x08\\0" or frame[23] != 50 or frame in seen:
        continue
    other = frame[:40] + bytes([frame[40] + 1]) + frame[41:]
    seen |= {frame, other}
    sock.send(frame)
    sock.send(other)
"""


def test_traffic_that_goes_wrong(pair: Pair) -> None:
    """Packets outside the selectors, repeated and damaged ones, those for SAs that a peer lost."""
    pair.right.start(configuration(RIGHT, LEFT, selectors=True))
    routes = 'routes = ["10.2.0.0/16"]'
    pair.left.start(configuration(LEFT, RIGHT, child=START, selectors=True, vti=routes))
    wait_until(lambda: up(pair.left), "it is up")
    left = pair.left.namespace
    assert ping(left, LEFT, RIGHT, count=1)
    left.run("ping", "-n", "-q", "-c", "1", "-W", "0.1", "-I", "10.1.0.1", "10.2.9.1", check=False)
    told = found(pair.left, "tunnel", "outside-selectors-out")
    assert told["severity"] == "warning", "others pass"
    assert told["what"] == (
        "1 packet that came into vti0 was dropped: outside the selectors of its children; the last one "
        "10.1.0.1 -> 10.2.9.1, protocol 1."
    )
    assert told["why"] == "10.2.9.1 is in no remote_ts. The route 10.2.0.0/16 leads it into vti0."
    assert "connections.tunnel.children here and at the peer" in told["do"]
    assert told["ours"] == ["10.1.0.0/24 fd01::/64 === 10.2.0.0/24 fd02::/64"]
    assert "10.1.0.1 -> 10.2.9.1" in status(pair.left, "tunnel")

    repeater = left.start(sys.executable, "-c", REPEATER)

    def repeated() -> bool:
        ping(left, LEFT, RIGHT)
        return any(child["drops"].get("replay") for child in pair.right.children())

    wait_until(repeated, "the repeater is at work")
    try:
        assert "dropped as replays" in found(pair.right, "tunnel", "replays")["what"]
        told = found(pair.right, "tunnel", "integrity")
        assert told["severity"] == "warning", "others pass"
    finally:
        repeater.kill()
        repeater.wait()

    pair.right.kill()
    pair.right.start(configuration(RIGHT, LEFT, selectors=True))
    assert not ping(left, LEFT, RIGHT, "-W", "0.2", count=1)
    found(pair.right, "", "unknown-spi")
    pair.right.ask("initiate", child="net", timeout=10)
    found(pair.left, "tunnel", "peer-restarted")
