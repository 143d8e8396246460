"""Another configuration in daemons that carry traffic: what does not change does not notice."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, Side, configuration, device_flags, host, ping
from tests.netns.namespaces import Namespace, wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
NONE = 'start_action = "none"'


def sides(number: int) -> tuple[Side, Side]:
    """Both ends of one of several connections between the same two hosts."""
    ends = []
    for side, last in ((LEFT, 1), (RIGHT, 2)):
        networks = (f"10.{10 * number + last}.0.0/24", f"fd{number}{last}::/64")
        ends.append(
            replace(
                side,
                identity=f"{side.identity}{number}",
                vti=f"169.254.{10 + number}.{last}",
                networks=networks,
            )
        )
    return ends[0], ends[1]


KEPT, CHANGED, GONE, NEW = (sides(number) for number in (1, 2, 3, 4))
THREE = (KEPT, CHANGED, GONE)


def left(ends: tuple[Side, Side], name: str, **keys: Any) -> str:
    return configuration(ends[0], ends[1], name=name, **{"device": f"vti-{name}", "child": START, **keys})


def right(ends: tuple[Side, Side], name: str, **keys: Any) -> str:
    return configuration(ends[1], ends[0], name=name, **{"device": f"vti-{name}", "child": NONE, **keys})


def three(pair: Pair) -> None:
    """Three connections are up, with a host behind each end of each."""
    for ends in (*THREE, NEW):
        for gateway, side in zip(pair, ends, strict=True):
            gateway.namespace.ip("addr", "add", host(side.networks[0], with_prefix=True), "dev", "lo")
    names = ("kept", "changed", "gone")
    every = zip((*THREE, NEW), (*names, "new"), strict=True)
    pair.right.start("".join(right(ends, name) for ends, name in every))
    pair.left.start("".join(map(left, THREE, names)))
    wait_until(lambda: up(pair.left) == ["changed", "gone", "kept"], "three connections are up")


def up(gateway: Gateway) -> list[str]:
    """The connections with an installed child."""
    sas = gateway.list_sas()
    return sorted(
        sa["connection"] for sa in sas if any(child["state"] == "INSTALLED" for child in sa["children"])
    )


def spis(gateway: Gateway, connection: str) -> list[tuple[Any, ...]]:
    """Of the established IKE_SAs: a set-up that the other end has given up stands for a while as the first
    connection that it may have meant."""
    sas = [sa for sa in gateway.list_sas() if sa["state"] == "ESTABLISHED"]
    found = [sa for sa in sas if sa["connection"] == connection]
    return [
        (sa["spi_i"], sa["spi_r"], *((c["spi_in"], c["spi_out"]) for c in sa["children"])) for sa in found
    ]


class Flow:
    """Pings without a pause, one every 5 ms, each of which must be answered; `file` gets what ping says."""

    def __init__(self, namespace: Namespace, ends: tuple[Side, Side], file: Path) -> None:
        own, peer = (host(side.networks[0]) for side in ends)
        self._file = file
        command = f"exec ping -n -i 0.005 -W 2 -I {own} {peer} >'{file}'"
        self._process = namespace.start("sh", "-c", command)

    def end(self) -> tuple[int, int]:
        """(answers, gaps among them); what is under way when it ends does not count."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=10)
        numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", self._file.read_text())]
        return len(numbers), max(numbers) - len(set(numbers))


def reachable(pair: Pair, ends: tuple[Side, Side]) -> bool:
    return ping(pair.left.namespace, ends[0], ends[1], count=1)


def addresses(namespace: Namespace, device: str) -> Sequence[str]:
    (found,) = json.loads(namespace.ip("-j", "addr", "show", "dev", device))
    return [one["local"] for one in found["addr_info"] if one["scope"] != "link"]


def test_what_does_not_change_loses_no_packet(pair: Pair, tmp_path: Path) -> None:
    three(pair)
    before = spis(pair.left, "kept"), spis(pair.right, "kept")
    workers = pair.left.workers()
    index = pair.left.namespace.run("cat", "/sys/class/net/vti-kept/ifindex").stdout
    flow = Flow(pair.left.namespace, KEPT, tmp_path / "ping")
    pair.left.reload(
        left(KEPT, "kept")
        + left(CHANGED, "changed", connection="mobike = false\ndpd_delay = 30")
        + left(NEW, "new")
    )
    wait_until(lambda: up(pair.left) == ["changed", "kept", "new"], "the new ones are up")
    wait_until(lambda: not device_flags(pair.left.namespace, "vti-gone"), "the device is removed")
    assert reachable(pair, CHANGED)
    assert reachable(pair, NEW)
    assert not reachable(pair, GONE)
    pair.left.reload(left(KEPT, "kept") + left(NEW, "new", child=f"{START}\nrekey_time = 1000"))
    wait_until(lambda: up(pair.left) == ["kept", "new"], "one is left out")
    for number in range(5):
        pair.left.reload(
            left(KEPT, "kept") + left(CHANGED, "changed", connection=f"dpd_delay = {number + 5}")
        )
        pair.left.reload(left(KEPT, "kept"))
    answers, gaps = flow.end()
    assert answers > 200
    assert gaps == 0
    assert (spis(pair.left, "kept"), spis(pair.right, "kept")) == before
    assert pair.left.workers() == workers
    assert pair.left.namespace.run("cat", "/sys/class/net/vti-kept/ifindex").stdout == index
    assert "Traceback" not in pair.left.log()  # that a peer is refused meanwhile is told as an error


def test_a_device_is_changed_and_its_sas_stay(pair: Pair) -> None:
    three(pair)
    before = spis(pair.left, "changed")
    own, peer = CHANGED
    moved = replace(own, vti="169.254.77.1"), replace(peer, vti="169.254.77.2")
    more = 'routes = ["10.22.0.0/24", "10.99.0.0/24"]\nmtu = 1300\nmss_clamp = true'
    others = left(KEPT, "kept") + left(GONE, "gone")
    pair.left.reload(others + left(moved, "changed", device="vti-other", vti=more))
    namespace = pair.left.namespace
    assert addresses(namespace, "vti-other") == ["169.254.77.1"]
    assert not device_flags(namespace, "vti-changed")
    (link,) = json.loads(namespace.ip("-j", "link", "show", "dev", "vti-other"))
    assert link["mtu"] == 1300
    assert "vti-other" in namespace.ip("route", "show", "10.99.0.0/24")
    assert reachable(pair, CHANGED)
    pair.left.reload(others + left(moved, "changed", device="vti-other", vti='routes = ["10.22.0.0/24"]'))
    assert namespace.ip("route", "show", "10.99.0.0/24") == ""
    pair.left.reload(
        others + left(moved, "changed", device="vti-other", vti='routes = ["10.22.0.0/24"]\nmetric = 77')
    )
    assert "metric 77" in namespace.ip("route", "show", "10.22.0.0/24")
    assert reachable(pair, CHANGED)
    assert spis(pair.left, "changed") == before


def test_two_devices_swap_their_names(pair: Pair) -> None:
    three(pair)
    others = left(GONE, "gone")
    pair.left.reload(
        others + left(KEPT, "kept", device="vti-changed") + left(CHANGED, "changed", device="vti-kept")
    )
    assert addresses(pair.left.namespace, "vti-changed") == [KEPT[0].vti]
    assert reachable(pair, KEPT)
    assert reachable(pair, CHANGED)


def test_a_connection_gets_another_name_and_keeps_its_device(pair: Pair) -> None:
    three(pair)
    others = left(KEPT, "kept") + left(CHANGED, "changed")
    pair.left.reload(others + left(GONE, "renamed", device="vti-gone"))
    wait_until(lambda: up(pair.left) == ["changed", "kept", "renamed"], "it is up under its new name", 20)
    assert reachable(pair, GONE)


def is_refused(gateway: Gateway, times: int) -> bool:
    return gateway.log().count("configuration: not reloaded") == times


def test_a_mistake_changes_nothing(pair: Pair) -> None:
    three(pair)
    before = {name: spis(pair.left, name) for name in ("kept", "changed", "gone")}
    pair.left.namespace.ip("link", "add", "theirs", "type", "veth", "peer", "name", "other")
    assert pair.left.process is not None
    mistakes = (left(NEW, "new", device="theirs"), "[daemon]\nport_nat_t = 4501\n")
    for number, mistake in enumerate(mistakes, 1):
        (pair.left.socket.parent / "ikepy.toml").write_text(left(KEPT, "kept") + mistake)
        pair.left.process.send_signal(signal.SIGHUP)
        wait_until(partial(is_refused, pair.left, number), "it is refused")
    log = pair.left.log()
    assert "connections.new.vti.name: a device theirs exists already, none of ikepy's" in log
    assert "daemon.port_nat_t: stays 4500 until the daemon is started anew" in log
    assert {name: spis(pair.left, name) for name in ("kept", "changed", "gone")} == before
    assert device_flags(pair.left.namespace, "vti-gone")
    assert reachable(pair, GONE)


def test_an_address_and_native_esp_come_with_a_configuration(pair: Pair, tmp_path: Path) -> None:
    encap = "encap = true\nmobike = false"
    for ends in (KEPT, NEW):
        for gateway, side in zip(pair, ends, strict=True):
            gateway.namespace.ip("addr", "add", host(side.networks[0], with_prefix=True), "dev", "lo")
    own, peer = replace(NEW[0], outer="192.0.2.11"), replace(NEW[1], outer="192.0.2.2")
    pair.left.namespace.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    pair.right.start(right(KEPT, "kept", connection=encap) + right((own, peer), "new"))
    pair.left.start(left(KEPT, "kept", connection=encap))
    wait_until(lambda: up(pair.left) == ["kept"], "one is up")
    flow = Flow(pair.left.namespace, KEPT, tmp_path / "ping")
    pair.left.reload(
        left(KEPT, "kept", connection=encap) + left((own, peer), "new", connection="mobike = false")
    )
    wait_until(lambda: up(pair.left) == ["kept", "new"], "both are up")
    wait_until(lambda: reachable(pair, NEW), "the peer is ready, too")
    sa = next(sa for sa in pair.left.list_sas() if sa["connection"] == "new")
    assert sa["local"].startswith("192.0.2.11")
    assert not sa["children"][0]["encap"]
    assert flow.end()[1] == 0


def test_nobody_waits_while_the_kernel_removes_many_devices(pair: Pair, tmp_path: Path) -> None:
    """It takes ten milliseconds and more for each. Whoever closes the last descriptor would wait: a worker,
    and with it all traffic, or control, as it happens."""
    three(pair)
    workers = pair.left.workers()
    many = ""
    for number in range(60):
        own = replace(KEPT[0], identity=f"l{number}", vti=f"169.253.{number}.1")
        peer = replace(KEPT[1], identity=f"r{number}", vti=f"169.253.{number}.2", outer="192.0.2.77")
        many += configuration(own, peer, name=f"m{number}", device=f"vti-m{number}", child=NONE)
    pair.left.reload(left(KEPT, "kept") + many)

    def are_removed() -> bool:
        return "vti-m" not in pair.left.namespace.ip("link", "show")

    flow = Flow(pair.left.namespace, KEPT, tmp_path / "ping")
    begin = time.monotonic()
    pair.left.reload(left(KEPT, "kept"))
    pair.left.list_sas()
    answered = time.monotonic() - begin
    assert not are_removed() or answered < 0.5  # the answers don't wait for that
    wait_until(are_removed, "they are removed", 60)
    removed = time.monotonic() - begin
    assert flow.end()[1] == 0
    times = [float(each) for each in re.findall(r"time=([\d.]+) ms", (tmp_path / "ping").read_text())]
    assert max(times) / 1000 < max(removed / 2, 0.5)
    assert set(workers) <= set(pair.left.workers())  # the many devices of another peer have one of their own
