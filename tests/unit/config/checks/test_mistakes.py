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


def test_our_identity_is_no_regular_expression() -> None:
    assert "regular expression" in problems(minimal(local='id = "^gw.$"'))["connections.a.local.id"]
    assert not problems(minimal(remote='id = "^gw.$"'))


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


def test_required_ml_kem() -> None:
    written = 'proposals = ["aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-x25519"]\n'
    found = problems(minimal(f'pq = "require"\n{written}'))
    assert list(found) == ["connections.a.proposals[1]"]
    assert "may be chosen without ML-KEM" in found["connections.a.proposals[1]"]
    assert not problems(minimal('pq = "require"'))
    assert not problems(minimal('pq = "require"\nproposals = ["default"]'))
    assert not problems(minimal(f'pq = "prefer"\n{written}'))
    assert "pq" in next(iter(problems(minimal('pq = "yes"'))))


PPK = '[secrets.ppk-1]\nids = ["ppk1"]\nsecret = "0x00112233445566778899aabbccddeeff"\n'


def test_postquantum_preshared_key() -> None:
    found = problems(minimal('ppk_id = "ppk1"'))
    assert "write [secrets.ppk-NAME]" in found["connections.a.ppk_id"]
    assert not problems(minimal('ppk_id = "ppk1"') + PPK)
    eap = 'auth = "eap-mschapv2"\neap_id = "%any"'
    assert not problems(minimal('ppk_id = "ppk1"\nppk_required = true', remote=eap) + PPK)
    rounds = 'auth = "psk"\n[connections.a.remote2]\nauth = "psk"'
    assert not problems(minimal('ppk_id = "ppk1"', remote=rounds) + PPK)


def transport(local: str, remote: str) -> dict[str, str]:
    lines = f'mode = "transport"\nlocal_ts = ["{local}"]\nremote_ts = ["{remote}"]'
    return problems(minimal(child=lines, rest=SECRET))


@pytest.mark.parametrize(
    ("local", "remote", "key", "part"),
    [
        ("dynamic", "dynamic", "remote_ts[0]", "needs a protocol"),
        ("0.0.0.0/0", "0.0.0.0/0", "remote_ts[0]", "needs a protocol"),
        ("0.0.0.0/0[50]", "0.0.0.0/0[50]", "remote_ts[0]", "needs a protocol"),
        ("0.0.0.0/0[udp]", "0.0.0.0/0[udp]", "remote_ts[0]", "covers IKE itself"),
        ("0.0.0.0/0[udp]", "0.0.0.0/0[udp/4000-5000]", "remote_ts[0]", "covers IKE itself"),
        ("0.0.0.0/0[tcp]", "0.0.0.0/0[tcp/1000-65535]", "remote_ts[0]", "no rule can hold these ports"),
        ("0.0.0.0/0[tcp/1000-65535]", "0.0.0.0/0[tcp]", "local_ts[0]", "no rule can hold these ports"),
    ],
)
def test_transport_mode_takes_what_rules_tell_apart(local: str, remote: str, key: str, part: str) -> None:
    assert part in transport(local, remote)[f"connections.a.children.net.{key}"]


@pytest.mark.parametrize("selector", ["[gre]", "[4]", "[icmp]", "[tcp]", "[udp/4789]", "[udp/4501-65534]"])
def test_transport_mode(selector: str) -> None:
    assert not transport(f"0.0.0.0/0{selector}", f"192.0.2.2/32{selector}")
    assert not transport("dynamic", f"0.0.0.0/0{selector}")


@pytest.mark.parametrize("side", ["remote", "remote2"])
def test_eap_radius_needs_a_server(side: str) -> None:
    rest = f'[connections.a.{side}]\nauth = "eap-radius"\n'
    text = minimal(rest=rest + SECRET) if side == "remote2" else minimal(remote='auth = "eap-radius"')
    assert "no RADIUS server" in problems(text)[f"connections.a.{side}.auth"]


@pytest.mark.parametrize("side", ["local", "local2"])
def test_eap_radius_is_no_way_to_prove_ourselves(side: str) -> None:
    rest = f'[connections.a.{side}]\nauth = "eap-radius"\n'
    text = minimal(rest=rest + SECRET) if side == "local2" else minimal(local='auth = "eap-radius"')
    assert '"eap" for whichever is asked for' in problems(text)[f"connections.a.{side}.auth"]
