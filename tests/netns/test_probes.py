"""Probes through a real tunnel: round-trip times, loss, and a path that swallows large packets in silence."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from ikepy import listing
from ikepy.control import queries, status, top
from ikepy.control.client import ask
from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration
from tests.netns.namespaces import wait_until
from tests.scraped import Scraped

pytestmark = pytest.mark.root

TARGETS = {"10.2.0.1": 4, "fd02::1": 6}
PORT = 9427
PROBE = f"probe = {{ targets = {json.dumps([*TARGETS])}, interval = 0.2, timeout = 0.5 }}"
HTTP = f'\n[daemon.http]\nlisten = "127.0.0.1:{PORT}"\n'
UNDERLAY = 1300  # octets of an ESP packet that the underlay takes


def probes(gateway: Gateway) -> dict[str, Any]:
    return {one["target"]: one for one in queries.probes(gateway.ask("get-probes"))}


def checked(gateway: Gateway) -> dict[str, Any]:
    """The same, after a check of the path MTU that was asked for."""
    words = {"ike": "tunnel", "check-mtu": "yes", "timeout": "19000"}
    answer = ask(gateway.socket, "get-probes", words)
    return {one["target"]: one for one in queries.probes(answer)}


def words(gateway: Gateway) -> str:
    """What `ikepy probes` prints."""
    return "\n".join(listing.probes(queries.probes(gateway.ask("get-probes"))))


def swallow(gateway: Gateway, octets: int) -> None:
    """From now on packets that are longer vanish on their way out, and nobody is told."""
    rule = f'type filter hook output priority 0; oifname != {{ "vti0", "lo" }} meta length > {octets} drop'
    gateway.namespace.run("nft", "-f", "-", text=f"table inet path {{ chain out {{ {rule}\n}}\n}}\n")


def test_round_trips_and_the_path_mtu(pair: Pair) -> None:
    left, right = pair
    right.start(configuration(RIGHT, LEFT))
    left.start(configuration(LEFT, RIGHT, connection=PROBE, child='start_action = "start"') + HTTP)
    wait_until(lambda: all(one["path_mtu"] for one in probes(left).values()), "the path MTU", 20)
    found = probes(left)
    assert found.keys() == TARGETS.keys()
    for one in found.values():
        assert one["up"] and one["received"] > 0 and 0 < one["rtt_least"] <= one["rtt_mean"] < 1
        assert one["path_mtu"] == one["tried_mtu"] > 1300

    swallow(left, UNDERLAY)
    found = checked(left)
    for one in found.values():
        assert one["mtu_checked"]
        # ESP: the outer header, SPI, sequence number, IV, padding to four octets, trailer and tag
        assert UNDERLAY - 60 < one["path_mtu"] < UNDERLAY < one["tried_mtu"]
    told = words(left)
    (tunnel,) = status.ask(left.socket)["tunnels"]
    what = [one["what"] for one in tunnel["findings"] if one["code"] == "path-mtu"]
    assert len(what) == 2 and all("0 of 3 pings of " in one and "the path takes 12" in one for one in what)
    assert "no packet of the device's MTU, " in told and "comes back: the path takes 12" in told

    line = "to fd02::1 comes back: the path takes 12"
    wait_until(lambda: left.log().count(line) == 1, "the log has a line")

    before = top.rows(status.ask(left.socket), status.ask(left.socket), 1.0)
    (row,) = before
    assert row.rtt is not None and 0 < row.rtt < 1e6
    assert " ms" in str([*top.table(iter([row])).columns[-3].cells])

    metrics = left.namespace.call(lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics").read())
    scraped = Scraped(metrics.decode())
    labels = {"connection": "tunnel", "target": "10.2.0.1"}
    assert 0 < scraped.value("ikepy_probe_rtt_seconds", **labels) < 1
    assert scraped.value("ikepy_probe_path_mtu_bytes", **labels) == probes(left)["10.2.0.1"]["path_mtu"]

    left.namespace.run("nft", "delete", "table", "inet", "path")
    assert all(one["path_mtu"] == one["tried_mtu"] for one in checked(left).values())
    wait_until(lambda: left.log().count("come back again") == len(TARGETS), "and one when it is good again")

    right.kill()
    wait_until(lambda: probes(left)["10.2.0.1"]["lost"] > 2, "requests are lost", 20)
    left.ask("terminate", ike="tunnel", force="yes")
    wait_until(lambda: not probes(left)["10.2.0.1"]["up"], "the tunnel is down", 5)
    sent = probes(left)["10.2.0.1"]["sent"]
    assert "the tunnel is down" in words(left)
    assert probes(left)["10.2.0.1"]["sent"] == sent
    left.stop()
