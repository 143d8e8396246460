"""README's two hosts: their files as they stand there, and the ping at the end."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.netns.gateways import Gateway
from tests.netns.namespaces import MakeNamespace, connect, wait_until
from tests.unit.docs.pages import README, blocks

HOSTS = ("192.0.2.1", "192.0.2.2")
OTHER_END = "169.254.10.2"  # B's, which README pings from A
NETWORKS = ("10.1.0.1/24", "10.2.0.1/24")


@pytest.mark.root
def test_two_hosts(make_namespace: MakeNamespace, tmp_path: Path) -> None:
    one, other = make_namespace("a"), make_namespace("b")
    connect(one, other, "eth0", "eth0", [f"{HOSTS[0]}/24"], [f"{HOSTS[1]}/24"])
    files = blocks(README, "toml")
    assert [tomllib.loads(file)["connections"].popitem()[1]["local_addrs"][0] for file in files] == [*HOSTS]
    gateways = []
    for namespace, network in zip((one, other), NETWORKS, strict=True):
        namespace.ip("addr", "add", network, "dev", "lo")
        directory = tmp_path / namespace.name
        directory.mkdir()
        (directory / "site.psk").write_text("LzU0vX3nRkq9TfWm7cYh\n")
        (directory / "site.psk").chmod(0o600)
        gateways.append(Gateway(namespace, directory))
    first, second = gateways
    second.start(files[1])
    first.start(files[0])
    wait_until(lambda: first.children() and second.children(), "a child at both ends", 20)
    one.run("ping", "-c", "3", "-i", "0.2", "-q", OTHER_END)
    one.run("ping", "-c", "3", "-i", "0.2", "-q", "-I", "10.1.0.1", "10.2.0.1")
