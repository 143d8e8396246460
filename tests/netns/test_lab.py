"""`ikepy lab` as a user runs it, in all its variants, and what is left of it however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ikepy.lab import checks, links, pod_checks
from ikepy.lab.bed import Lab
from ikepy.lab.checks import Result
from ikepy.lab.netns import LabError
from ikepy.lab.state import PREFIX, RUN_DIRECTORY, Options
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

NAMESPACES = Path("/run/netns")


def leftovers() -> list[str]:
    """Everything a lab makes that is still there."""
    found = [path.name for path in NAMESPACES.glob(f"{PREFIX}*")] if NAMESPACES.exists() else []
    return found + ([str(RUN_DIRECTORY)] if RUN_DIRECTORY.exists() else [])


def skip_without(options: Options) -> None:
    """Skip the test where this machine lacks what such a lab needs."""
    try:
        Lab(options).require()
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture
def ground() -> Iterator[None]:
    """Nobody else's lab is touched, ours is gone afterwards."""
    skip_without(Options())
    if leftovers():
        pytest.skip("a lab is up on this machine: `ikepy lab down` removes it")
    try:
        yield
    finally:
        lab("down")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ikepy", "lab", *words]


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False)


def wait_for_node(node: str) -> None:
    deadline = time.monotonic() + 20
    while not (NAMESPACES / f"{PREFIX}{node}").exists():
        assert time.monotonic() < deadline, f"no {node}"
        time.sleep(0.02)


NATIVE = "Ethernet | IPv4 | ESP"
IN_UDP = "Ethernet | IPv4 | UDP 4500 | ESP"


@pytest.mark.parametrize(
    ("words", "esp"),
    [
        ((), NATIVE),
        (("--nat", "--ipv6", "--auth", "eap"), IN_UDP),
        (("--auth", "pubkey", "--pq"), NATIVE),
        pytest.param(("--bgp", "--ipv6"), NATIVE, marks=pytest.mark.bird),
        pytest.param(("--peer", "strongswan", "--auth", "pubkey"), IN_UDP, marks=pytest.mark.strongswan),
        pytest.param(
            ("--peer", "strongswan", "--nat", "--ipv6", "--auth", "eap"),
            IN_UDP,
            marks=pytest.mark.strongswan,
        ),
    ],
)
def test_whole(ground: None, words: tuple[str, ...], esp: str) -> None:
    skip_without(Options(peer="strongswan" if "strongswan" in words else "ikepy", nat="--nat" in words))
    done = lab(*words, "--seconds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        "UDP 4789 | VXLAN 100 | Ethernet | IPv4 | ICMP",
        "UDP 500 | IKE IKE_SA_INIT",
        esp,
        "pod1 to site (10.2.0.10)",
        "Mbit/s",
        "ESTABLISHED",
        "All of it worked.",
    ):
        assert expected in done.stdout
    assert ("IPv6 | ICMPv6" in done.stdout) is ("--ipv6" in words)
    assert "✗" not in done.stdout
    assert ("the SA is deleted: sessions and routes are gone" in done.stdout) is ("--bgp" in words)
    assert not leftovers()


@pytest.mark.bird
def test_pod(ground: None) -> None:
    """Each check has its line. The pods' way to the site over IPv6 is what they learned."""
    skip_without(Options(ipv6=True, bgp=True, pod=True))
    done = lab("--pod", "--seconds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    for expected in (
        "UDP 8472 | VXLAN 100 | Ethernet | IPv6 | ICMPv6",
        "pod1 to site (fd00:2::10)",
        "✓ cgw: all-zero entries",
        "✓ pod1: routes by router advertisements  fd00:2::/64 via fe80:",
        "✓ pod2: routes by router advertisements  fd00:2::/64 via fe80:",
        "✓ /readyz ",
        '✓ ikepy_child_sent_packets_total{child="net",connection="c4"}',
        "✓ a connection is added ",
        "✓ it is removed ",
        "✓ UDP meanwhile, 10.1.0.11 and 10.2.0.10    0 of ",
        "✓ UDP meanwhile, fd00:1::11 and fd00:2::10  0 of ",
        "✓ the SA is deleted: sessions and routes are gone ",
        "✓ the SA is deleted: the pods' routes are withdrawn ",
        "✓ cgw: SIGTERM ends the daemon ",
        "✓ c4: list-sas is empty ",
        "✓ c4: its log has the delete ",
        "All of it worked.",
    ):
        assert expected in done.stdout
    assert done.stdout.count("the pods' routes are withdrawn") == 2
    assert not leftovers()


@pytest.mark.parametrize("option", ["--bgp", "--pod"])
def test_bgp_needs_a_carrier_that_follows_the_sa(ground: None, option: str) -> None:
    done = lab(option, "--peer", "strongswan")
    assert done.returncode == 1
    assert f"{option} goes with --peer ikepy" in done.stderr


def test_up_and_down(ground: None) -> None:
    """A lab that stays: shown, used, refused to a second one, removed."""
    assert lab("status").returncode == 1
    assert lab("exec", "pod1", "true").returncode == 1
    up = lab("up", "--keylog")
    assert up.returncode == 0, up.stderr
    assert f"{RUN_DIRECTORY}/cgw/keys" in up.stdout
    assert "0x" in (RUN_DIRECTORY / "cgw" / "keys" / "esp_sa").read_text()
    shown = lab("status")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "ESTABLISHED" in shown.stdout
    assert lab("exec", "pod1", "ping", "-c2", "-i0.2", "-q", "10.2.0.10").returncode == 0
    assert lab("exec", "site", "sh", "-c", "exit 7").returncode == 7
    unknown = lab("exec", "moon", "true")
    assert unknown.returncode == 1
    assert "pod1, pod2" in unknown.stderr
    for words in ((), ("up",)):
        second = lab(*words)
        assert second.returncode == 1
        assert "ikepy lab down" in second.stderr
    assert lab("exec", "pod1", "ping", "-c1", "-q", "10.2.0.10").returncode == 0
    assert lab("down").returncode == 0
    assert not leftovers()
    assert lab("down").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_window_until_a_signal(ground: None, number: signal.Signals) -> None:
    """Its address is told before the tunnel is up; at the end nothing is left, keys least of all."""
    words = command("--web", "--port", "0")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "the tunnel is up" in line:
                break
        address = next(word for line in told for word in line.split() if word.startswith("http://127.0.0.1:"))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=10) as answer:
            assert b"a window into a negotiation" in answer.read()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert not leftovers()


def test_the_window_takes_no_foreign_port(ground: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = lab("--web", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "the page can't be served" in done.stderr
    assert not leftovers()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("node", ["pod1", "site"])
def test_interrupted(ground: None, number: signal.Signals, node: str) -> None:
    """While it is built, and while it starts its daemons; meanwhile a second one is refused."""
    with subprocess.Popen(command(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        wait_for_node(node)
        second = lab()
        assert second.returncode == 1
        assert f"process {process.pid}" in second.stderr
        process.send_signal(number)
        _, text = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "interrupted" in text
    assert not leftovers()


@pytest.mark.parametrize("words", [("down",), ("--seconds", "1")])
def test_killed(ground: None, words: tuple[str, ...]) -> None:
    """What a lab left that was killed: `down` removes it, and the next lab builds anew."""
    with subprocess.Popen(command(), stdout=subprocess.DEVNULL) as process:
        wait_for_node("site")
        process.kill()
    assert leftovers()
    done = lab(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not leftovers()


def test_output_that_cannot_be_written(ground: None) -> None:
    """A full disk, a reader that goes away: nothing stays behind."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert not leftovers()
    with subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(60)
    assert not leftovers()


@pytest.mark.strongswan
@pytest.mark.parametrize("nat", [False, True])
def test_strongswan_at_both_ends(tmp_path: Path, nat: bool) -> None:
    """The lab proves nothing about ikepy if it can't see a tunnel that others made."""
    options = Options(peer="strongswan", cgw="strongswan", nat=nat, ipv6=True)
    skip_without(options)
    machine = Lab(options, f"ikl{os.getpid()}-", tmp_path / "lab")
    try:
        machine.build()
        with machine.capture() as capture:
            machine.connect()
            # strongSwan moves its SAs (MOBIKE) when its own device comes up: a packet may be lost.
            wait_until(lambda: all(one.ok for one in checks.pings(machine)), "ten pings of ten", 30)
            results = checks.pings(machine) + checks.mtu(machine)
            capture.stop()
            verdicts = links.judge(machine, capture)
    finally:
        machine.down()
    assert all(one.ok for one in results), results
    assert all(one.ok for one in verdicts), verdicts
    assert not any(space.exists for space in machine.nodes.values())


def test_a_tunnel_that_fails_is_told(tmp_path: Path) -> None:
    """No tunnel: an error with both logs, not a wait without an end."""
    skip_without(Options())
    machine = Lab(Options(), f"ikl{os.getpid()}-", tmp_path / "lab")
    try:
        machine.build()
        machine.nodes["c4"].ip("link set eth0 down")
        with pytest.raises(LabError, match=r"no tunnel after 2 s[^$]*the log of c4"):
            machine.connect(patience=2.0)
    finally:
        machine.down()


def test_a_check_that_fails_is_seen(tmp_path: Path) -> None:
    """The site is cut off: pings and expected stacks are wrong, and say so."""
    skip_without(Options())
    machine = Lab(Options(), f"ikl{os.getpid()}-", tmp_path / "lab")
    try:
        machine.build()
        with machine.capture() as capture:
            machine.connect()
            machine.nodes["site"].ip("link set eth0 down")
            results = {result.what: result.ok for result in checks.pings(machine)}
            capture.stop()
            verdicts = {(one.link.node, one.link.device): one.ok for one in links.judge(machine, capture)}
    finally:
        machine.down()
    assert not results["pod1 to site (10.2.0.10)"]
    assert results["cgw to c4 through L4 (169.254.10.2)"]
    assert not verdicts["site", "eth0"]
    assert verdicts["c4", "eth0"]


@pytest.mark.bird
def test_a_pod_that_fails_is_seen(tmp_path: Path) -> None:
    """An entry is missing, a pod takes no advertisements, the site is cut off, the daemon is gone."""
    options = Options(ipv6=True, bgp=True, pod=True)
    skip_without(options)
    machine = Lab(options, f"ikl{os.getpid()}-", tmp_path / "lab")

    def tried(check: Callable[[Lab], list[Result]]) -> dict[str, bool]:
        return {one.what: one.ok for one in checks.attempt("all", machine, check)}

    try:
        machine.build()
        machine.connect()
        pod1 = machine.nodes["pod1"]
        assert all(tried(pod_checks.http).values())
        entry = ("00:00:00:00:00:00", "dev", "vxeth0", "dst", "10.244.0.12")
        pod1.run("bridge", "fdb", "del", *entry)
        assert list(tried(pod_checks.segment).values()) == [False, True, True]
        machine.nodes["c4"].ip("link set lan down")
        reloaded = tried(pod_checks.reload)
        assert [what for what, ok in reloaded.items() if not ok] == [
            "UDP meanwhile, 10.1.0.11 and 10.2.0.10",
            "UDP meanwhile, fd00:1::11 and fd00:2::10",
        ]
        assert len(reloaded) == 5
        pod1.sysctl({"net.ipv6.conf.vxeth0.accept_ra": "0"})
        pod1.run("ip", "-6", "route", "flush", "proto", "ra")
        assert list(tried(pod_checks.advertisements).values()) == [False, True]
        assert tried(pod_checks.reload) == {"all": False}  # no way over IPv6
        machine.gateway("cgw").kill()
        assert tried(pod_checks.http) == tried(pod_checks.end) == {"all": False}
        machine.gateway("c4").kill()  # it would wait for its peer
    finally:
        machine.down()
