"""IKE_AUTH: wrong keys and identities, selectors, suites, NAT (RFC 7296 2.9, 2.15, 2.16, 2.21, 2.23)."""

from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.path import Endpoint

from .network import Network, Options, assert_joined

SUITES = [
    ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    ("aes256gcm16-prfsha384-ecp384", "aes256gcm16-esn"),
    ("aes192gcm8-prfsha512-modp2048", "aes128gcm12"),
    ("aes128-sha256-ecp256", "aes128-sha256"),
    ("aes256-sha384-modp3072", "aes256-sha384"),
    ("aes192-sha512-ecp521", "aes192-sha512-esn-noesn"),
    ("aes128-sha1-curve448", "aes128-sha1"),
    ("chacha20poly1305-prfsha256-x25519", "chacha20poly1305"),
    ("aes128-sha256-ecp256bp", "aes256gcm16"),
]


def connect(a: Options, b: Options | None = None) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    return net


@pytest.mark.parametrize(("ike", "esp"), SUITES)
def test_suites(ike: str, esp: str) -> None:
    net = connect(Options(proposals=f'["{ike}"]', esp_proposals=f'["{esp}"]'))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)
    (a,) = net.a.plane.outbound.values()
    assert a.esn == ((esp.endswith("esn") and "noesn" not in esp) or "esn-noesn" in esp)


def test_pfs_groups_are_left_out_of_the_first_child() -> None:
    assert_joined(connect(Options(esp_proposals='["aes128gcm16-ecp256"]')))


def test_wrong_secret() -> None:
    net = connect(Options(secret="one"), Options(secret="another"))
    assert not net.a.outcomes[1].ok
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert net.a.manager.idle
    assert net.b.manager.idle
    assert any('authentication of the peer FQDN "gwa" failed (secret: ' in text for text in net.b.errors())
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound


def test_an_unknown_peer_hears_the_same_as_one_with_a_wrong_key() -> None:
    wrong_key = connect(Options(secret="one"), Options(secret="another"))
    unknown = connect(Options(), Options(remote_id="somebody"))
    assert wrong_key.a.outcomes[1].text == unknown.a.outcomes[1].text
    assert wrong_key.ladder == unknown.ladder


def test_the_responder_is_not_who_it_should_be() -> None:
    """a expects "gwx"; b has no such identity and refuses, for IDr names it."""
    net = connect(Options(remote_id="gwx"), Options())
    assert not net.a.outcomes[1].ok
    assert net.a.manager.idle
    assert net.b.manager.idle


def test_the_responder_proves_the_wrong_identity() -> None:
    """a takes anybody under *.example; b is gwb: a tells so in an INFORMATIONAL exchange (2.21.2)."""
    net = connect(Options(remote_id="*.example"), Options())
    assert not net.a.outcomes[1].ok
    assert net.ladder[4] == "a -> b INFORMATIONAL request 2"
    assert net.a.manager.idle
    assert net.b.manager.idle
    assert not net.b.plane.inbound


def test_narrowing() -> None:
    net = connect(
        Options(local_ts='["10.1.0.0/16"]', remote_ts='["0.0.0.0/0", "::/0"]'),
        Options(local_ts='["10.2.0.0/24", "10.3.0.0/24", "fd00::/64"]', remote_ts='["10.0.0.0/8"]'),
    )
    assert_joined(net)
    (a,) = net.a.plane.outbound.values()
    assert list(map(str, a.ts_local)) == ["10.1.0.0/16"]
    assert sorted(map(str, a.ts_remote)) == ["10.2.0.0/24", "10.3.0.0/24", "fd00::/64"]


def test_selectors_that_have_nothing_in_common() -> None:
    net = connect(Options(local_ts='["10.1.0.0/16"]'), Options(remote_ts='["172.16.0.0/12"]'))
    assert not net.a.outcomes[1].ok
    assert "TS_UNACCEPTABLE" in net.a.outcomes[1].text
    assert len(net.a.manager.list_sas(net.now)) == 1, "the IKE_SA stands nevertheless"
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound


def test_no_common_esp_proposal() -> None:
    net = connect(Options(esp_proposals='["aes128gcm16"]'), Options(esp_proposals='["aes256gcm16"]'))
    assert "NO_PROPOSAL_CHOSEN" in net.a.outcomes[1].text


def test_native_esp_where_nothing_is_between() -> None:
    net = connect(Options())
    assert [sa.encap for sa in net.a.plane.outbound.values()] == [False]
    (snapshot,) = net.a.manager.list_sas(net.now)
    assert (snapshot.nat_local, snapshot.nat_remote, snapshot.path.local.port) == (
        False,
        False,
        4500,
    )  # MOBIKE


def test_forced_encapsulation_by_either_side() -> None:
    for a, b in (
        (Options(connection="encap = true"), Options()),
        (Options(), Options(connection="encap = true")),
    ):
        net = connect(a, b)
        assert_joined(net)
        assert [sa.encap for sa in net.a.plane.outbound.values()] == [True]
        assert [sa.encap for sa in net.b.plane.outbound.values()] == [True]
        (snapshot,) = net.a.manager.list_sas(net.now)
        assert (snapshot.path.local.port, snapshot.path.remote.port) == (4500, 4500)


def test_behind_nat() -> None:
    """a is behind NAT: both float to 4500, b sees the NAT's address, and a keeps the mapping alive."""
    net = Network(Options(), Options(remote_addrs="%any"))
    net.nat_to_a = Endpoint(IPv4Address("198.51.100.7"), 40000)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(65)
    assert net.a.outcomes[1].ok
    assert_joined(net)
    (a,), (b,) = net.a.manager.list_sas(net.now), net.b.manager.list_sas(net.now)
    assert (a.nat_local, a.nat_remote, b.nat_local, b.nat_remote) == (True, False, False, True)
    assert str(a.path) == "192.0.2.1[4500] to 192.0.2.2[4500]"
    assert str(b.path) == "192.0.2.2[4500] to 198.51.100.7[40001]"
    assert [sa.encap for sa in net.b.plane.outbound.values()] == [True]
    assert net.a.keepalives == 3
    assert net.b.keepalives == 0


def keyed(identity: str, secret: str) -> str:
    return f'[secrets.ike-peer]\nids = ["{identity}"]\nsecret = "{secret}"'


def test_whoever_may_answer_is_authenticated_with_the_secret_of_its_address() -> None:
    """`remote.id` is "%any": until IDr comes, its address is all that is known of the peer."""
    a = Options(remote_id="%any", secret="of anybody", more=keyed("192.0.2.2", "of that address"))
    net = connect(a, Options(local_id="192.0.2.2", secret="of that address"))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)


def test_a_configured_identity_goes_before_the_address() -> None:
    a = Options(secret="of the name", more=keyed("192.0.2.2", "of that address"))
    net = connect(a, Options(secret="of the name"))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    wrong = connect(a, Options(secret="of that address"))
    assert not wrong.a.outcomes[1].ok


@pytest.mark.parametrize(
    ("a", "b", "first"),
    [
        ("allow", "allow", True),
        ("never", "allow", True),
        ("prefer", "allow", False),
        ("force", "allow", False),
    ],
)
def test_only_a_policy_that_wants_it_leaves_the_first_child_out(a: str, b: str, first: bool) -> None:
    net = connect(Options(connection=f'childless = "{a}"'), Options(connection=f'childless = "{b}"'))
    assert net.a.outcomes[1].ok
    assert (len(net.ladder) == 4) is first
    assert_joined(net)
