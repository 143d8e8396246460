"""Mistakes between sections: devices that overlap, nobody to initiate to, a secret that is missing."""

import pytest

from tests.unit.config.example import SECRET, minimal, problems


def two(first: str, second: str) -> dict[str, str]:
    return problems(minimal(name="a", vti=first, rest="") + minimal(name="b", vti=second))


def test_a_connection_needs_a_child() -> None:
    assert "at least one child" in problems("[connections.a]\n" + SECRET)["connections.a.children"]


@pytest.mark.parametrize("key", ["start_action", "close_action", "dpd_action"])
@pytest.mark.parametrize("action", ["trap", "start"])
def test_nobody_to_initiate_to(key: str, action: str) -> None:
    found = problems(minimal('remote_addrs = ["192.0.2.0/24", "%any"]', f'{key} = "{action}"'))
    assert "remote_addrs must hold an address" in found[f"connections.a.children.net.{key}"]
    assert not problems(minimal('remote_addrs = ["%any", "192.0.2.2"]', f'{key} = "{action}"'))


def test_addresses_of_one_family() -> None:
    found = problems(minimal('local_addrs = ["192.0.2.1"]\nremote_addrs = ["fd00::2"]'))
    assert "no IPv6 address" in found["connections.a.local_addrs"]
    assert not problems(minimal('local_addrs = ["192.0.2.1", "%any6"]\nremote_addrs = ["fd00::2"]'))


def test_a_pair_needs_a_secret() -> None:
    text = minimal(
        local='id = "gwa"', remote='id = "gwb"', rest='[secrets.ike-x]\nids = ["gwc"]\nsecret = "x"'
    )
    found = problems(text)["connections.a.remote.id"]
    assert 'no secret fits "gwa" and "gwb"' in found
    assert "[secrets.ike-a]" in found


@pytest.mark.parametrize("remote", ["", 'id = "%any"', 'id = "*.example.org"'])
def test_anybody_needs_some_secret(remote: str) -> None:
    assert "without any secret" in problems(minimal(remote=remote, rest=""))["connections.a"]
    assert not problems(minimal(remote=remote))


def test_two_devices_of_one_name() -> None:
    found = two('name = "vti0"', 'name = "vti0"')
    assert list(found) == ["connections.b.vti.name"]
    assert "connections.a.vti has the same name" in found["connections.b.vti.name"]
    assert not two('name = "vti0"', 'name = "vti1"')


def test_overlapping_addresses() -> None:
    found = two('addresses = ["169.254.10.1/30"]', 'addresses = ["10.0.0.1/30", "169.254.10.2/24"]')
    assert found == {
        "connections.b.vti.addresses[1]": "overlaps 169.254.10.1/30 in connections.a.vti.addresses"
    }
    found = two('addresses = ["fd00::1/126"]', 'addresses = ["fd00::2/126"]')
    assert list(found) == ["connections.b.vti.addresses[0]"]


def test_unnumbered_devices_may_share_an_address() -> None:
    assert not two('addresses = ["10.0.0.1/32"]', 'addresses = ["10.0.0.1/32"]')


def test_one_peer_on_two_devices() -> None:
    found = two(
        'addresses = ["10.0.0.1/32"]\npeers = ["10.0.0.2"]',
        'addresses = ["10.0.0.1/32"]\npeers = ["10.0.0.2"]',
    )
    assert list(found) == ["connections.b.vti.peers[0]"]


def test_one_route_into_two_devices_is_no_mistake() -> None:
    """One tunnel stands in for the other (ikepy.daemon.device.route_claims)."""
    assert not two('routes = ["10.2.0.0/24"]', 'routes = ["10.3.0.0/24", "10.2.0.0/24"]')
    assert not two('routes = ["10.2.0.0/24"]', 'routes = ["10.2.0.0/24"]\nmetric = 7')


@pytest.mark.parametrize("metric", ["0", "-1", "4294967296", '"low"'])
def test_a_metric_that_is_none(metric: str) -> None:
    assert "of the routes" in problems(minimal(vti=f"metric = {metric}"))["connections.a.vti.metric"]


def test_peer_needs_an_address_of_its_family() -> None:
    found = problems(minimal(vti='addresses = ["10.0.0.1/30"]\npeers = ["fd00::2"]'))
    assert "holds no IPv6 address" in found["connections.a.vti.peers[0]"]


def test_peer_is_not_ourselves() -> None:
    found = problems(minimal(vti='addresses = ["10.0.0.1/30"]\npeers = ["10.0.0.1"]'))
    assert "our own address" in found["connections.a.vti.peers[0]"]


@pytest.mark.parametrize("line", ['addresses = ["fd00::1/126"]', 'routes = ["fd00:2::/64"]'])
def test_mtu_for_ipv6(line: str) -> None:
    assert "1280" in problems(minimal(vti=f"{line}\nmtu = 1279"))["connections.a.vti.mtu"]
    assert not problems(minimal(vti=f"{line}\nmtu = 1280"))
