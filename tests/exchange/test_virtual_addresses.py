"""Virtual addresses: asked for, given, kept over rekeys and reauthentication, refused (RFC 7296 3.15)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from esp.packet.selectors import Selector
from ikepy.config.identity import Identity
from ikepy.eap.granted import Granted
from ikepy.sa.api.commands import Acquire, Initiate, Rekey, Terminate
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Endpoint
from ikepy.sa.auth.authenticator import Context, Done, Received, Step

from .network import ADDRESS_A, PSK, Network, Options
from .test_established import ike_sa
from .test_takeover import take_over

CLIENT = Options(
    connection='vips = ["0.0.0.0"]',
    local_ts='["dynamic"]',
    remote_ts='["10.8.0.0/16"]',
)
POOL = """
[pools.users]
addrs = "10.3.0.0/29"
dns = ["10.8.0.53"]
subnet = ["10.8.0.0/16", "10.9.0.0/16"]
domains = ["example.org"]
encrypted_dns = ["dns.example.org 10.8.0.54 alpn=dot"]
25000 = ["text"]
"""
GATEWAY = Options(
    connection='pools = ["users"]',
    local_ts='["10.8.0.0/16"]',
    remote_ts='["dynamic"]',
    more=POOL,
    remote_addrs="%any",
)
FIRST = Selector.of("10.3.0.1/32")


def connected(a: Options = CLIENT, b: Options = GATEWAY) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    return net


def leases(net: Network) -> list[tuple[str, str, bool]]:
    return [(str(one.address), str(one.identity), one.online) for one in net.b.manager.leases()]


def test_an_address_and_what_belongs_to_it() -> None:
    net = connected()
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert ike_sa(net, "a").network == NetworkSettings(
        addresses=(ip_interface("10.3.0.1/32"),),
        subnets=(ip_network("10.8.0.0/16"),),  # 10.9.0.0/16 is not what the child may reach
        dns_servers=(ip_address("10.8.0.53"),),
        domains=("example.org",),
        encrypted_dns=("dns.example.org 10.8.0.54",),
    )
    assert ike_sa(net, "b").network == NetworkSettings(leases=(ip_address("10.3.0.1"),))
    for who, local, remote in (("a", FIRST, "10.8.0.0/16"), ("b", Selector.of("10.8.0.0/16"), "10.3.0.1/32")):
        (child,) = ike_sa(net, who).children.values()
        assert (child.ts_local, child.ts_remote) == ((local,), (Selector.of(remote),))
    assert leases(net) == [("10.3.0.1", "gwa", True)]


def test_the_device_of_the_initiator_has_it_as_long_as_the_ike_sa_lives() -> None:
    net = connected()
    assert [one.addresses for one in net.a.plane.networks.values()] == [(ip_interface("10.3.0.1/32"),)]
    net.command("a", Terminate(ike="ab"))
    net.run()
    assert not net.a.plane.networks
    assert leases(net) == [("10.3.0.1", "gwa", False)]


def test_whoever_returns_gets_what_it_had_also_after_a_restart_of_the_gateway() -> None:
    net = connected()
    kept = net.b.manager.leases()
    again = Network(CLIENT, GATEWAY)
    again.b.manager.restore_leases(
        [replace(kept[0], address=ip_address("10.3.0.4")), replace(kept[0], address=ip_address("10.9.9.9"))]
    )
    again.command("a", Initiate("ab", "net", ticket=1))
    again.run(5)
    assert again.a.outcomes[1].ok
    assert leases(again) == [("10.3.0.4", "gwa", True)]


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_rekey_keeps_it(who: str) -> None:
    net = connected()
    before = ike_sa(net, "a").network
    net.command(who, Rekey(ike="ab"))
    net.run(5)
    assert ike_sa(net, "a").network == before
    assert ike_sa(net, "b").network.leases == (ip_address("10.3.0.1"),)
    assert leases(net) == [("10.3.0.1", "gwa", True)]
    net.command(who, Rekey(child="net"))
    net.run(5)
    for site in ("a", "b"):
        (child,) = [one for one in ike_sa(net, site).children.values() if one.in_use]
        assert FIRST in (*child.ts_local, *child.ts_remote)


def test_a_reauthentication_keeps_it() -> None:
    options = replace(CLIENT, connection=CLIENT.connection + "\nreauth_time = 100\nrand_time = 0")
    net = connected(options)
    first = ike_sa(net, "a").ike_id
    net.run(120)
    assert len(net.a.manager.ike_sas) == len(net.b.manager.ike_sas) == 1
    assert ike_sa(net, "a").ike_id != first
    assert ike_sa(net, "a").network.addresses == (ip_interface("10.3.0.1/32"),)
    assert leases(net) == [("10.3.0.1", "gwa", True)]


def test_mobike_keeps_it() -> None:
    net = connected()
    net.nat_to_a = Endpoint(ip_address("198.51.100.7"), 4500)
    net.run(60)
    assert leases(net) == [("10.3.0.1", "gwa", True)]
    assert ike_sa(net, "a").network.addresses == (ip_interface("10.3.0.1/32"),)


def test_both_ip_versions() -> None:
    client = replace(CLIENT, connection='vips = ["0.0.0.0", "::"]', remote_ts='["10.8.0.0/16", "fd08::/32"]')
    gateway = replace(
        GATEWAY,
        connection='pools = ["users", "six"]',
        local_ts='["10.8.0.0/16", "fd08::/32"]',
        more=POOL + '[pools.six]\naddrs = "fd03::/64"\ndns = ["fd08::53"]\n',
    )
    net = connected(client, gateway)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    network = ike_sa(net, "a").network
    assert network.addresses == (ip_interface("10.3.0.1/32"), ip_interface("fd03::1/128"))
    assert network.dns_servers == (ip_address("10.8.0.53"), ip_address("fd08::53"))
    (child,) = ike_sa(net, "b").children.values()
    assert child.ts_remote == (FIRST, Selector.of("fd03::1/128"))


@pytest.mark.parametrize("policy", ["prefer", "force"])
def test_without_a_child_in_ike_auth(policy: str) -> None:
    """RFC 6023: the address comes by IKE_AUTH, the child that has it by CREATE_CHILD_SA."""
    client = replace(CLIENT, connection=f'{CLIENT.connection}\nchildless = "{policy}"')
    net = connected(client)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert leases(net) == [("10.3.0.1", "gwa", True)]
    for who in ("a", "b"):
        (child,) = ike_sa(net, who).children.values()
        assert FIRST in (*child.ts_local, *child.ts_remote)


def test_a_version_that_no_pool_has_is_left_out() -> None:
    net = connected(replace(CLIENT, connection='vips = ["0.0.0.0", "::"]'))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert ike_sa(net, "a").network.addresses == (ip_interface("10.3.0.1/32"),)


def test_a_wish_for_a_free_address_is_met() -> None:
    net = connected(replace(CLIENT, connection='vips = ["10.3.0.5"]'))
    assert leases(net) == [("10.3.0.5", "gwa", True)]


def test_a_wish_for_anothers_address_or_one_outside_is_not() -> None:
    for wish in ("10.3.0.5", "10.8.0.1", "192.0.2.1", "255.255.255.255", "10.3.0.0"):
        net = Network(replace(CLIENT, connection=f'vips = ["{wish}"]'), GATEWAY)
        (lease,) = connected().b.manager.leases()
        other = replace(lease, address=ip_address("10.3.0.5"), identity=Identity(2, b"bob"))
        net.b.manager.restore_leases([other])
        net.command("a", Initiate("ab", "net", ticket=1))
        net.run(5)
        assert net.a.outcomes[1].ok, net.a.outcomes[1].text
        assert ("10.3.0.1", "gwa", True) in leases(net)
        assert ("10.3.0.5", "bob", False) in leases(net)


BOB = """
[connections.bob]
local_addrs = ["192.0.2.1"]
remote_addrs = ["192.0.2.2"]
proposals = ["aes128gcm16-prfsha256-x25519"]
vips = ["0.0.0.0"]
[connections.bob.local]
id = "bob"
[connections.bob.remote]
id = "gwb"
[connections.bob.children.net]
remote_ts = ["10.8.0.0/16"]
esp_proposals = ["aes128gcm16"]
"""


def two_users(pool: str) -> Network:
    """gwa and bob, behind one address, on one connection of the gateway."""
    gateway = replace(GATEWAY, more=f'[pools.users]\naddrs = "{pool}"\n', remote_id="%any")
    net = Network(replace(CLIENT, more=BOB), gateway)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.command("a", Initiate("bob", "net", ticket=2))
    net.run(5)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    return net


def test_several_users_behind_one_address() -> None:
    net = two_users("10.3.0.0/24")
    assert net.a.outcomes[2].ok, net.a.outcomes[2].text
    assert leases(net) == [("10.3.0.1", "gwa", True), ("10.3.0.2", "bob", True)]
    assert {sa.ts_remote for sa in net.b.plane.outbound.values()} == {(FIRST,), (Selector.of("10.3.0.2/32"),)}
    assert len(net.b.manager.ike_sas) == 2


def test_a_pool_that_is_exhausted_fails_the_child() -> None:
    net = two_users("10.3.0.1-10.3.0.1")
    assert not net.a.outcomes[2].ok
    assert "INTERNAL_ADDRESS_FAILURE" in net.a.outcomes[2].text
    assert any("no IPv4 address is left in users" in text for text in net.b.errors())
    assert leases(net) == [("10.3.0.1", "gwa", True)]
    assert len(net.b.manager.ike_sas) == 1  # the initiator has deleted the one without a child
    net.command("a", Terminate(ike="ab"))
    net.run(5)
    net.command("a", Initiate("bob", "net", ticket=3))  # whoever is away loses it to whoever needs it
    net.run(5)
    assert net.a.outcomes[3].ok
    assert leases(net) == [("10.3.0.1", "bob", True)]


def test_a_peer_without_a_request_gets_no_child_but_its_ike_sa() -> None:
    net = connected(replace(CLIENT, connection=""))
    assert "FAILED_CP_REQUIRED" in net.a.outcomes[1].text
    assert ike_sa(net, "b").established
    assert not ike_sa(net, "b").children
    assert leases(net) == []
    net.command("a", Initiate("ab", "net", ticket=2))  # by CREATE_CHILD_SA
    net.run(5)
    assert "FAILED_CP_REQUIRED" in net.a.outcomes[2].text
    assert not net.b.plane.inbound


def test_a_gateway_without_pools_ignores_the_request() -> None:
    net = connected(CLIENT, replace(GATEWAY, connection="", more=""))
    assert "gives us no virtual address" in net.a.outcomes[1].text
    assert not net.a.manager.ike_sas
    assert not net.b.manager.ike_sas


@pytest.mark.parametrize("configured", ['["0.0.0.0/0"]', '["10.3.0.0/24"]', '["10.3.0.0-10.3.0.6"]'])
def test_a_peer_gets_no_more_of_the_pool_than_its_own(configured: str) -> None:
    client = replace(CLIENT, local_ts='["0.0.0.0/0"]')
    net = connected(client, replace(GATEWAY, remote_ts=configured))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    (child,) = ike_sa(net, "b").children.values()
    assert child.ts_remote == (FIRST,)


def test_networks_beside_the_pool_stay_what_they_are() -> None:
    client = replace(CLIENT, local_ts='["dynamic", "10.4.0.0/24"]')
    net = connected(client, replace(GATEWAY, remote_ts='["dynamic", "10.4.0.0/24"]'))
    (child,) = ike_sa(net, "b").children.values()
    assert child.ts_remote == (FIRST, Selector.of("10.4.0.0/24"))


@dataclass(slots=True)
class Granting:
    """As a gateway whose AAA server says who the user is, and what he gets."""

    granted: Granted
    user: str = "alice@example.org"

    def initiate(self, context: Context) -> Step:
        return PSK.initiate(context)

    def respond(self, context: Context, message: Received) -> Step:
        step = PSK.respond(context, message)
        if not isinstance(step, Done):
            return step
        return replace(step, eap_id=self.user, granted=self.granted)

    def credential(self, context: Context) -> str:
        return PSK.credential(context)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_address_that_an_aaa_server_grants_to_two_users(order: tuple[int, int]) -> None:
    """As it does if it has missed the end of a session. Each of theirs ends as any other."""
    granting = Granting(Granted(addresses=(ip_address("10.5.0.9"),)))
    client = replace(CLIENT, connection=f'{CLIENT.connection}\nunique = "never"')
    net = Network(client, GATEWAY, methods=(PSK, granting))
    for granting.user in ("alice", "bob"):
        net.a = Network(client, seed=granting.user).a
        net.command("a", Initiate("ab", "net", ticket=1))
        net.run(5)
        assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    both = [sa.ike_id for sa in net.b.manager.ike_sas]
    for index in order:
        net.command("b", Terminate(ike_id=both[index], force=True))
    assert net.b.manager.idle and not net.b.plane.inbound
    assert leases(net) == []


def test_what_an_aaa_server_grants_goes_before_the_pools() -> None:
    framed = Granted(addresses=(ip_address("10.5.0.9"),), dns_servers=(ip_address("10.8.0.99"),))
    net = Network(CLIENT, GATEWAY, methods=(PSK, Granting(framed)))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    network = ike_sa(net, "a").network
    assert (network.addresses, network.dns_servers) == (
        (ip_interface("10.5.0.9/32"),),
        (ip_address("10.8.0.99"),),
    )
    assert leases(net) == [("10.5.0.9", "alice@example.org", True)]
    net.command("a", Rekey(ike="ab"))
    net.run(5)
    assert leases(net) == [("10.5.0.9", "alice@example.org", True)]
    net.command("a", Terminate(ike="ab"))
    net.run(5)
    assert leases(net) == []


def test_with_eap_a_lease_is_the_users() -> None:
    net = Network(CLIENT, GATEWAY, methods=(PSK, Granting(Granted())))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert leases(net) == [("10.3.0.1", "alice@example.org", True)]


def test_a_packet_from_the_virtual_address_starts_another_child() -> None:
    further = """
[connections.ab.children.more]
local_ts = ["dynamic"]
remote_ts = ["10.9.0.0/16"]
esp_proposals = ["aes128gcm16"]
start_action = "trap"
"""
    other = further.replace('"dynamic"', '"10.9.0.0/16"', 1).replace(
        'remote_ts = ["10.9.0.0/16"]', 'remote_ts = ["dynamic"]'
    )
    net = connected(
        replace(CLIENT, more=further), replace(GATEWAY, more=POOL + other.replace("trap", "none"))
    )
    net.command("a", Acquire("ab", FIRST, Selector.of("10.9.0.7/32")))
    net.run(5)
    assert {one.config.name for one in ike_sa(net, "a").children.values()} == {"net", "more"}


@pytest.mark.parametrize("address", ["127.0.0.1", "224.0.0.1", "240.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_an_address_that_no_host_has_is_not_taken(address: str) -> None:
    """Of a gateway that is hostile, or configured so."""
    net = connected(CLIENT, replace(GATEWAY, more=f'[pools.users]\naddrs = "{address}-{address}"\n'))
    assert "gives us no virtual address" in net.a.outcomes[1].text
    assert not net.a.plane.networks
    assert not net.a.manager.ike_sas


def test_a_hostile_gateway_gives_no_more_than_was_asked_for_and_leads_nothing_astray() -> None:
    """More addresses, all traffic, networks beside the child's, bytes that are no values."""
    pool = """
[pools.users]
addrs = "10.3.0.0/29"
subnet = ["0.0.0.0/0", "192.0.2.0/24", "10.8.1.0/24", "::/0"]
1 = ["10.3.0.5", "10.3.0.6"]
2 = ["0xff00ff00"]
3 = ["0x0102", "0x"]
8 = ["fd00::5"]
13 = ["0x00"]
25 = ["0x00ff", "0x6578616d706c650a6e616d65736572766572"]
27 = ["0xffff"]
30000 = ["x"]
"""
    net = connected(CLIENT, replace(GATEWAY, more=pool))
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert ike_sa(net, "a").network == NetworkSettings(
        addresses=(ip_interface("10.3.0.1/32"),), subnets=(ip_network("10.8.1.0/24"),)
    )


def test_routes_of_the_configuration_go_before_those_of_the_gateway() -> None:
    net = connected(replace(CLIENT, more='[connections.ab.vti]\nroutes = ["10.8.0.0/24"]\n'))
    assert ike_sa(net, "a").network.subnets == ()


def test_who_takes_over_goes_on_with_the_lease() -> None:
    net = connected()
    take_over(net, "b")
    assert ike_sa(net, "b").network.leases == (ip_address("10.3.0.1"),)
    assert leases(net) == [("10.3.0.1", "gwa", True)]


def test_the_outer_address_is_no_virtual_one() -> None:
    gateway = replace(GATEWAY, more=f'[pools.users]\naddrs = "{ADDRESS_A}/32"\n')
    net = connected(CLIENT, gateway)
    assert "gives us no virtual address" in net.a.outcomes[1].text
