"""The sections of VXLAN devices: what they say, and what is wrong with them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from ikepy.config.difference import difference
from ikepy.config.sources import recognise
from ikepy.config.toml_source import parse
from ikepy.errors import ConfigError
from tests.unit.config.example import EXAMPLE

SECTION = '[vxlan.vxeth0]\nvni = 7\ndevice = "eth0"\npeers = ["10.0.0.2", "pods.example.svc"]\n'


def test_what_it_says() -> None:
    one = parse(EXAMPLE + SECTION).vxlan["vxeth0"]
    assert (one.vni, one.port, one.device, one.version, one.mtu) == (7, 4789, "eth0", 4, None)
    assert one.peer_addresses == (ip_address("10.0.0.2"),)
    assert one.peer_names == ("pods.example.svc",)


@pytest.mark.parametrize(
    ("more", "key", "text"),
    [
        ("[vxlan.vxeth1]", "vxlan.vxeth1.vni", "is missing"),
        ("[vxlan.vxeth1]\nvni = 7", "vxlan.vxeth1.vni", "vxlan.vxeth0 has the same vni and port"),
        ("[vxlan.vxeth1]\nvni = 0", "vxlan.vxeth1.vni", "from 1 to 16777215"),
        ("[vxlan.vti0]\nvni = 8", "vxlan.vti0", "each device has a name of its own"),
        ('[vxlan.vxeth1]\nvni = 8\ndevice = "vxeth0"', "vxlan.vxeth1.device", "is a VXLAN device itself"),
        ('[vxlan.vxeth1]\nvni = 8\npeers = ["fd00::2"]', "vxlan.vxeth1.peers[0]", "allowed: an IPv4 address"),
        ('[vxlan.vxeth1]\nvni = 8\npeers = ["10.0.0"]', "vxlan.vxeth1.peers[0]", "not an address, nor a DNS"),
        (
            '[vxlan.vxeth1]\nvni = 8\npeers = ["a b"]',
            "vxlan.vxeth1.peers[0]",
            "allowed: an IP address, or a DNS",
        ),
        (
            '[vxlan.vxeth1]\nvni = 8\nmtu = 1200\naddresses = ["fd07::1/64"]',
            "vxlan.vxeth1.mtu",
            "allowed with IPv6 addresses",
        ),
        ("[vxlan.vxeth1]\nvni = 8\nid = 9", "vxlan.vxeth1.id", "unknown key"),
        ("[vxlan.a-name-that-is-too-long]\nvni = 8", "vxlan.a-name-that-is-too-long.name", "no device name"),
    ],
)
def test_what_is_wrong_has_its_key(more: str, key: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{EXAMPLE}{SECTION}{more}\n")
    ((found, said),) = caught.value.problems
    assert found == key
    assert text in said


def test_swanctl_conf_may_have_one_too(tmp_path: Path) -> None:
    path = tmp_path / "swanctl.conf"
    path.write_text(
        "connections {\n a {\n  remote_addrs = 192.0.2.2\n  local { id = a\n auth = psk }\n"
        "  remote { id = b\n auth = psk }\n  children { net { remote_ts = 10.2.0.0/24 } }\n }\n}\n"
        "secrets { ike-a { secret = 0x0123456789abcdef0123456789abcdef } }\n"
        "vxlan { vxeth0 { vni = 7\n device = eth0\n peers = 10.0.0.2, pods.example } }\n"
    )
    path.chmod(0o600)
    one = recognise.read(path).config.vxlan["vxeth0"]
    assert (one.vni, one.device, one.peers) == (7, "eth0", (ip_address("10.0.0.2"), "pods.example"))


def test_the_difference_names_those_that_differ() -> None:
    plain, one = parse(EXAMPLE), parse(EXAMPLE + SECTION)
    change = difference(plain, one)
    assert change.vxlan == {"vxeth0"}
    assert change
    assert change.config.vxlan == one.vxlan
    assert str(change) == "vxlan.vxeth0 changed"
    assert not difference(one, parse(EXAMPLE + SECTION))
