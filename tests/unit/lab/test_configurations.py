"""What the lab writes for either daemon."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ikepy.config.toml_source import load
from ikepy.lab import gateway, strongswan


def test_gateway_connection_is_a_valid_configuration(tmp_path: Path) -> None:
    connection = gateway.Connection(
        remote_addrs=("192.0.2.2",),
        secret='with "quotes" and \\',
        addresses=("169.254.10.1/30", "fd00:10::1/126"),
        peers=("169.254.10.2", "fd00:10::2"),
        routes=("10.2.0.0/24",),
        extra="encap = true",
        child_extra="replay_window = 64",
        vti_extra="mss_clamp = true",
        daemon='log_level = "debug"',
    )
    path = tmp_path / "ikepy.toml"
    path.write_text(connection.text())
    loaded = load(path).connections["net"]
    assert loaded.encap
    assert loaded.children["net"].replay_window == 64
    assert [str(one) for one in loaded.vti.addresses] == ["169.254.10.1/30", "fd00:10::1/126"]
    assert loaded.vti.mss_clamp
    assert tomllib.loads(connection.text())["secrets"]["ike-net"]["secret"] == connection.secret


def test_gateway_routes_are_left_to_the_negotiation() -> None:
    assert "routes" not in tomllib.loads(gateway.Connection().text())["connections"]["net"]["vti"]


def test_strongswan_options_stand_in_their_sections() -> None:
    connection = strongswan.Connection(
        options={"dpd_delay": "1s"}, child_options={"rekey_time": "10s"}, secret="s"
    )
    words = connection.text().split()
    assert words.index("dpd_delay") < words.index("children") < words.index("rekey_time")
    assert words.count("{") == words.count("}")
