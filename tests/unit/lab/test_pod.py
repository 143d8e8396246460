"""The CGW's pod before anything is built: its configuration, its options, what is read of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ikepy.config.toml_source import load
from ikepy.lab import cli, pod, topology
from ikepy.lab.bed import Lab
from ikepy.lab.gateway import Connection
from ikepy.lab.netns import LabError
from ikepy.lab.pod_checks import is_deleted
from ikepy.lab.state import Options

POD = Options(ipv6=True, bgp=True, pod=True)
OWN = Connection(name="c4", remote_addrs=("198.51.100.10",), start_action="start")
DOWN = (
    "01:36:57 INFO audit: ike-down connection=cgw ike_id=1 spi_i={} spi_r=655a1ef8700df491 role=responder "
    "reason={} seconds=4.5\n"
)


def test_its_tables_are_a_valid_configuration(tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    path.write_text(pod.SPARE.tables() + OWN.text() + pod.TABLES)
    config = load(path)
    assert config.daemon.http is not None
    (announced,) = config.router_advertisements.values()
    assert [str(one) for one in announced.routes or ()] == topology.far_networks6()
    assert not announced.default_router
    assert {name: one.vti.name for name, one in config.connections.items()} == {"c4": "vti0", "spare": "vti1"}
    assert config.connections["spare"].children["net"].start_action == "none"


def test_pods_have_no_ipv6_routes_of_their_own() -> None:
    routes = {node for node, network, _ in topology.plan(ipv6=True, pod=True).routes if ":" in network}
    assert not routes & set(topology.PODS)
    assert {node for node, network, _ in topology.plan(ipv6=True).routes if ":" in network} >= set(
        topology.PODS
    )


def test_a_missing_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod, "missing_libraries", lambda: ["h11"])
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(Path, "exists", lambda _: True)
    with pytest.raises(LabError, match=r"needs h11, which .* extra \"http\""):
        Lab(POD, "none-", tmp_path).require()


def test_it_ends_its_daemon_so_that_nothing_is_kept() -> None:
    result = CliRunner().invoke(cli.lab, ["--pod", "--keep"])
    assert result.exit_code == 2
    assert "ikepy lab up --pod" in result.stderr


@pytest.mark.parametrize(
    ("log", "deleted"),
    [
        (DOWN.format("ad49", '"deleted by the peer"'), True),
        (DOWN.format("ad49", "deleted"), False),
        (DOWN.format("ad49", '"deleted by the peer"').replace("audit: ike-down", "audit: child-down"), False),
        (DOWN.format("ad490", '"deleted by the peer"') + DOWN.format("ad49", "deleted"), False),
        ("", False),
    ],
)
def test_a_delete_is_that_of_this_sa(log: str, *, deleted: bool) -> None:
    assert is_deleted(log, "ad49") is deleted


def test_the_key_of_a_sample() -> None:
    assert pod.sample_name("a_total") == "a_total"
    assert pod.sample_name("a_total", b="2", a="1") == 'a_total{a="1",b="2"}'
