"""What is a DNS name, in every source of a configuration, and port 0 of a daemon that has peers by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.config.checks.mistakes import check
from ikepy.config.checks.notes import notes
from ikepy.config.dns_name import DnsName
from ikepy.config.model import Config
from ikepy.config.sources import swanctl
from tests.unit.config.example import minimal, problems
from tests.unit.config.sources import test_environment, test_ipsec, test_swanctl
from tests.unit.daemon.fakes import connection

NAME = "vpn.example.com"


@pytest.mark.parametrize("text", [NAME, "gateway", "a-b.c_d.example.", "1and1.example", "x" * 63])
def test_names(text: str) -> None:
    name = DnsName.of(text)
    assert name is not None and str(name) == text


def test_case_does_not_count() -> None:
    assert DnsName.of("VPN.Example.COM") == DnsName(NAME)


NO_NAMES = ["", ".", "a..b", "-a.example", "a-.example", "x" * 64, "a b", "%any", "192.0.2.300", "a.7"]


@pytest.mark.parametrize("text", [*NO_NAMES, "ä.example", ".".join(["x" * 60] * 5)])
def test_others(text: str) -> None:
    assert DnsName.of(text) is None


def test_each_source_has_them(tmp_path: Path) -> None:
    readings = [
        swanctl.draft(Path("s"), test_swanctl.text(f"local_addrs = {NAME}, %any")).read(),
        test_ipsec.read(tmp_path, test_ipsec.conn(f"left={NAME},%any")),
        test_environment.read(IPSEC_LOCALIP=f"{NAME},%any"),
    ]
    for reading in readings:
        (one,) = reading.config.connections.values()
        assert one.local_addrs == (DnsName(NAME), "%any")


def test_ipsec_conf_takes_a_name_for_the_identity_too(tmp_path: Path) -> None:
    """As strongSwan does where leftid or rightid is absent."""
    text = test_ipsec.conn("left=own.example", f"right={NAME}")
    (one,) = test_ipsec.read(tmp_path, text).config.connections.values()
    assert (str(one.local.id), str(one.remote.id)) == ("own.example", NAME)


def test_ipsec_conf_has_a_sign_for_a_peer_that_may_be_elsewhere(tmp_path: Path) -> None:
    text = test_ipsec.conn(f"right=%{NAME}", "rightid=gwb")
    (one,) = test_ipsec.read(tmp_path, text).config.connections.values()
    assert one.remote_addrs == (DnsName(NAME), "%any")


def test_a_child_can_be_initiated_to_a_name() -> None:
    assert not problems(minimal(f'remote_addrs = ["{NAME}"]', 'start_action = "start"'))
    assert not problems(minimal(f'local_addrs = ["{NAME}"]\nremote_addrs = ["2001:db8::1", "{NAME}"]'))


# -- port 0 ----------------------------------------------------------------------------------------


def daemon(port: int, port_nat_t: int, local_port: int, remote: str) -> Config:
    return Config.model_validate(
        {
            "connections": {"a": connection("a", remote_addrs=[remote], local_port=local_port)},
            "secrets": {"ike": {"secret": "LzU0vX3nRkq9TfWm7cYh"}},
            "daemon": {"port": port, "port_nat_t": port_nat_t},
        }
    )


@pytest.mark.parametrize(
    ("port", "port_nat_t", "local_port", "keys"),
    [
        (0, 0, 0, []),
        (0, 4500, 0, []),
        (500, 0, 500, []),
        (0, 0, 500, ["connections.a.local_port"]),
        (500, 4500, 0, ["connections.a.local_port"]),
        (500, 500, 500, ["daemon.port_nat_t"]),
    ],
)
def test_ports_of_the_kernels_choice(port: int, port_nat_t: int, local_port: int, keys: list[str]) -> None:
    found = check(daemon(port, port_nat_t, local_port, NAME))
    assert [key for key, _ in found] == keys


@pytest.mark.parametrize(("remote", "warned"), [("%any", True), (NAME, False), ("192.0.2.2", False)])
def test_a_connection_that_nobody_can_set_up_is_warned_of(remote: str, warned: bool) -> None:
    found = [key for key, text in notes(daemon(0, 0, 0, remote)) if "no peer knows" in text]
    assert found == ["connections.a.remote_addrs"] * warned
    assert not [text for _, text in notes(daemon(500, 4500, 500, "%any")) if "no peer knows" in text]
