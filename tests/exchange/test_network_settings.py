"""What an IKE_SA gives its device: known to it, and taken away with it (RFC 7296 3.15)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

from ikepy.sa.api.commands import Rekey, Terminate
from ikepy.sa.api.effects import SetNetworkSettings
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings

from .network import Network
from .test_established import established, ike_sa
from .test_takeover import take_over

SETTINGS = NetworkSettings(
    addresses=(ip_interface("10.7.0.5/32"), ip_interface("fd07::5/64")),
    subnets=(ip_network("10.8.0.0/16"), ip_network("fd08::/32")),
    dns_servers=(ip_address("10.8.0.53"),),
    domains=("example.org",),
)


def given(net: Network) -> list[SetNetworkSettings]:
    """Have A's IKE_SA give its device the settings."""
    effects = ike_sa(net, "a").set_network(SETTINGS)
    net.run_effects("a", effects)
    return [effect for effect in effects if isinstance(effect, SetNetworkSettings)]


def test_settings_of_an_established_ike_sa() -> None:
    net = established()
    sa = ike_sa(net, "a")
    assert sa.snapshot().network == NO_SETTINGS
    assert given(net) == [SetNetworkSettings("ab", sa.ike_id, SETTINGS)]
    assert given(net) == []
    assert sa.snapshot().network == SETTINGS
    assert net.a.plane.networks == {sa.ike_id: SETTINGS}
    other = replace(SETTINGS, domains=())
    net.run_effects("a", sa.set_network(other))
    assert net.a.plane.networks == {sa.ike_id: other}


def test_they_go_with_the_ike_sa() -> None:
    for force in (False, True):
        net = established()
        given(net)
        net.command("a", Terminate(ike="ab", force=force))
        net.run()
        assert net.a.plane.networks == {}


def test_they_go_when_the_peer_deletes_it() -> None:
    net = established()
    given(net)
    net.command("b", Terminate(ike="ab"))
    net.run()
    assert net.a.plane.networks == {}


def test_a_rekey_hands_them_over_before_the_old_ike_sa_lets_go() -> None:
    net = established()
    given(net)
    for who in ("a", "b"):
        net.a.plane.network_changes.clear()
        net.command(who, Rekey(ike="ab"))
        net.run(5)
        sa = ike_sa(net, "a")
        assert sa.network == SETTINGS
        assert net.a.plane.networks == {sa.ike_id: SETTINGS}
        assert [bool(change.settings) for change in net.a.plane.network_changes] == [True, False]


def test_another_process_goes_on_with_them() -> None:
    net = established()
    given(net)
    first = take_over(net, "a")[0]
    assert first == SetNetworkSettings("ab", ike_sa(net, "a").ike_id, SETTINGS)
    assert ike_sa(net, "a").network == SETTINGS
