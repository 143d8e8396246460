"""A run of ours in a capture: tshark decrypts it by the tables of `keylog_dir`; so does `ikepy decode`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ikepy.cli import main
from ikepy.control import status
from tests.netns import tshark
from tests.netns.gateways import LEFT, RIGHT, Pair, Side, configuration, ping
from tests.netns.namespaces import wait_until

pytestmark = [pytest.mark.root, pytest.mark.tshark]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run left."""

    capture: Path
    keys: Path
    psk: Path


SUITES = {
    "AEADs": ("aes256gcm16-prfsha384-x25519", "aes128gcm16", ""),
    "CTR, CBC with PFS in UDP": ("aes192ctr-sha512-modp2048", "aes256-sha256-x25519", "encap = true"),
}
FIELDS = (
    *("isakmp.exchangetype", "isakmp.auth.data", "isakmp.id.data.fqdn"),
    *("esp.spi", "esp.icv_good", "icmp.type"),
)


@pytest.fixture
def run(request: pytest.FixtureRequest, pair: Pair, tmp_path: Path) -> Run:
    """A tunnel is set up, its IKE_SA and its child are rekeyed, and pings go through each."""
    ike, esp, connection = SUITES[request.param]
    capture, keys = tmp_path / "run.pcap", tmp_path / "keys"

    def config(own: Side, peer: Side, child: str) -> str:
        text = configuration(own, peer, connection=connection, child=child)
        text = text.replace("aes128gcm16-prfsha256-x25519", ike).replace('["aes128gcm16"]', f'["{esp}"]')
        return f'{text}[daemon]\nkeylog_dir = "{keys}"\nfragment_size = 576\n'

    command = (
        "tcpdump",
        "--immediate-mode",
        "-U",
        "-i",
        "eth0",
        "-w",
        str(capture),
        "udp port 500 or udp port 4500 or esp",
    )
    dump = pair.right.namespace.start(*command)
    wait_until(lambda: capture.exists() and capture.stat().st_size >= 24, "tcpdump listens")
    pair.right.start(config(RIGHT, LEFT, 'start_action = "none"'))
    pair.left.start(config(LEFT, RIGHT, 'start_action = "start"'))
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)
    pair.left.ask("rekey", ike="tunnel", timeout=10)
    pair.left.ask("rekey", child="net", timeout=10)
    assert ping(pair.left.namespace, LEFT, RIGHT)
    assert "ALL KEYS ARE WRITTEN" in pair.left.log()
    (finding,) = status.ask(pair.left.socket)["findings"]
    assert (finding["code"], finding["severity"]) == ("key-log", "warning")
    pair.left.stop()
    dump.terminate()
    dump.wait(10)
    psk = tmp_path / "psk"
    psk.write_text("s3cr3t")
    return Run(capture, keys, psk)


@pytest.mark.parametrize("run", SUITES, indirect=True)
def test_tshark_decrypts_a_run(run: Run) -> None:
    packets = tshark.fields(run.capture, run.keys, *FIELDS)
    proofs = [one["isakmp.auth.data"] for one in packets if one["isakmp.auth.data"]]
    names = {name for one in packets for name in one["isakmp.id.data.fqdn"].split(",") if name}
    esp = [one for one in packets if one["esp.spi"]]
    assert len(proofs) == 2
    assert names == {"gwa", "gwb"}
    assert {one["isakmp.exchangetype"] for one in packets if one not in esp} == {"34", "35", "36", "37"}
    assert {one["icmp.type"] for one in esp} == {"0", "8"}  # each of them opened
    assert {one["esp.icv_good"] for one in esp} == {"1"}
    assert len({one["esp.spi"] for one in esp}) == 4  # both children, both ways

    seen = decoded(run)
    messages = seen["messages"]
    assert [one["problems"] for one in messages if one["problems"]] == []
    assert not [one for one in messages if "[ SK ]" in one["summary"]]
    found = [text for one in messages for text in one["findings"]]
    assert found == [
        "AUTH of the initiator is right: by the preshared key that was given",
        "AUTH of the responder is right: by the preshared key that was given",
    ]
    inner = [one for one in messages if one["kind"] == "ESP"]
    assert len(inner) + sum(len(one["copies_s"]) for one in inner) == len(esp)
    assert all("ICMP echo re" in one["summary"] for one in inner)
    ours = [value_of(one, "Authentication data") for one in messages if one["exchange"] == "IKE_AUTH"]
    assert ours == proofs


def decoded(run: Run) -> dict[str, Any]:
    words = ["decode", str(run.capture), "--keys", str(run.keys), "--psk-file", str(run.psk), "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def value_of(message: dict[str, Any], name: str) -> str:
    """The octets of the first field of this name, as digits."""
    for layer in message["layers"]:
        waiting = [layer["node"]]
        while waiting:
            node = waiting.pop(0)
            if node["name"] == name:
                return str(layer["octets"][2 * node["start"] : 2 * node["end"]])
            waiting += node.get("children", [])
    return ""
