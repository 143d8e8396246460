"""The configuration of the manual loads as it stands, and means what it says."""

from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

from esp.packet.selectors import Selector
from ikepy.config.identity import Identity
from ikepy.config.proposals import to_text
from ikepy.config.routing import StaticRoute
from ikepy.config.toml_source import load, parse
from ikepy.wire.constants import IdType
from tests.unit.config.example import EXAMPLE

EVERYTHING = (Selector.of("0.0.0.0/0"), Selector.of("::/0"))


def test_connection() -> None:
    connection = parse(EXAMPLE).connections["site-b"]
    assert connection.name == "site-b"
    assert connection.local_addrs == (ip_address("192.0.2.1"),)
    assert connection.remote_addrs == (ip_address("192.0.2.2"),)
    assert connection.encap is False
    assert connection.local.id == Identity(IdType.FQDN, b"gwa")
    assert connection.remote.id == Identity(IdType.FQDN, b"gwb")
    assert [to_text(one) for one in connection.proposals] == [
        "aes128gcm16-prfsha256-x25519",
        "aes256-prfsha384-sha384-modp3072",
    ]


def test_child() -> None:
    child = parse(EXAMPLE).connections["site-b"].children["net"]
    assert child.name == "net"
    assert child.local_ts == child.remote_ts == EVERYTHING
    assert child.start_action == "start"
    assert [to_text(one) for one in child.esp_proposals] == ["aes128gcm16-noesn", "aes256-sha256-noesn"]


def test_device() -> None:
    vti = parse(EXAMPLE).connections["site-b"].vti
    assert vti.name == "vti0"
    assert vti.addresses == (ip_interface("169.254.10.1/30"),)
    assert vti.peers == (ip_address("169.254.10.2"),)
    assert vti.routes == (StaticRoute(ip_network("10.2.0.0/24")),)
    assert (vti.mtu, vti.mss_clamp, vti.table) == (1400, True, None)


def test_secret() -> None:
    config = parse(EXAMPLE)
    connection = config.connections["site-b"]
    secret = config.psk(connection.local.id, connection.remote.id)
    assert secret is not None
    assert secret.expose() == b"s3cr3t"


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    path.write_text(EXAMPLE)
    assert load(path) == parse(EXAMPLE)
