"""What IKE_SAs give a device beside the configuration, and take away when they go (RFC 7296 3.15)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from tests.unit.daemon.device.test_devices import Bed
from tests.unit.daemon.fakes import config

OWN4, OWN6 = ip_interface("10.7.0.5/32"), ip_interface("fd07::5/64")
SETTINGS = NetworkSettings((OWN4, OWN6), (ip_network("10.8.0.0/16"), ip_network("fd08::/32")))
CONFIGURED = {"addresses": ["169.254.10.1/30"], "peers": ["169.254.10.2"], "routes": ["10.9.0.0/16"]}
ALWAYS = (ip_interface("169.254.10.1/30"), ip_address("169.254.10.2"))


def test_they_come_beside_the_configurations_and_go() -> None:
    with Bed(config(CONFIGURED)) as bed:
        assert bed.network.assigned["vti-a"] == {ALWAYS}
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16"}
        bed.devices.set_network("a", 7, SETTINGS)
        assert bed.network.assigned["vti-a"] == {ALWAYS, (OWN4, None), (OWN6, None)}
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16", "10.8.0.0/16", "fd08::/32"}
        bed.devices.set_network("a", 7, NO_SETTINGS)
        assert bed.network.assigned["vti-a"] == {ALWAYS}
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16"}
        assert bed.devices.of("a").retired == set()


def test_what_several_ike_sas_give_stays_until_the_last_one_goes() -> None:
    """As when one takes the place of another."""
    with Bed(config()) as bed:
        bed.devices.set_network("a", 7, SETTINGS)
        bed.devices.set_network("a", 8, SETTINGS)
        bed.network.removed.clear()
        bed.devices.set_network("a", 7, NO_SETTINGS)
        assert bed.network.removed == []
        assert bed.network.assigned["vti-a"] == {(OWN4, None), (OWN6, None)}
        bed.devices.set_network("a", 8, NO_SETTINGS)
        assert bed.network.assigned["vti-a"] == set()
        assert bed.network.routes["vti-a"] == set()


def test_other_settings_take_the_place_of_the_former() -> None:
    with Bed(config()) as bed:
        bed.devices.set_network("a", 7, SETTINGS)
        other = NetworkSettings((OWN4,), (ip_network("10.8.0.0/16"), ip_network("10.6.0.0/16")))
        bed.devices.set_network("a", 7, other)
        assert bed.network.assigned["vti-a"] == {(OWN4, None)}
        assert bed.network.routes["vti-a"] == {"10.8.0.0/16", "10.6.0.0/16"}


def test_what_the_kernel_takes_with_the_last_ipv4_address_comes_back() -> None:
    with Bed(config({"routes": ["10.9.0.0/16"]})) as bed:
        bed.devices.set_network("a", 7, SETTINGS)
        bed.devices.set_network("a", 7, NO_SETTINGS)
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16"}


def test_an_address_that_the_configuration_has_as_well_is_the_configurations() -> None:
    with Bed(config(CONFIGURED)) as bed:
        bed.devices.set_network("a", 7, NetworkSettings((ip_interface("169.254.10.1/32"),)))
        assert bed.network.assigned["vti-a"] == {ALWAYS}
        bed.devices.set_network("a", 7, NO_SETTINGS)
        assert bed.network.assigned["vti-a"] == {ALWAYS}


def test_the_peers_own_address_is_led_around() -> None:
    with Bed(config()) as bed:
        bed.devices.set_network("a", 7, NetworkSettings(subnets=(ip_network("192.0.2.0/30"),)))
        assert "192.0.2.0/30" not in bed.network.routes["vti-a"]
        assert not any(ip_address("192.0.2.2") in ip_network(one) for one in bed.network.routes["vti-a"])
        assert bed.network.routes["vti-a"]


def test_they_are_part_of_what_a_device_is_to_be() -> None:
    """Whatever others take away is mended; a device that is made again has them too."""
    with Bed(config(CONFIGURED)) as bed:
        bed.devices.set_network("a", 7, SETTINGS)
        device = bed.devices.of("a")
        bed.network.assigned["vti-a"].clear()
        bed.network.table["vti-a"].clear()
        bed.devices.mend(device)
        assert bed.network.assigned["vti-a"] == {ALWAYS, (OWN4, None), (OWN6, None)}
        assert bed.network.routes["vti-a"] == {"10.9.0.0/16", "10.8.0.0/16", "fd08::/32"}
        bed.devices.lost(device)
        bed.devices.set_network("a", 7, replace(SETTINGS, addresses=(OWN6,)))
        bed.tuns.clear()
        bed.devices.make_again(device)
        assert bed.network.assigned["vti-a"] == {ALWAYS, (OWN6, None)}


def test_a_device_that_is_down_loses_its_addresses_all_the_same() -> None:
    with Bed(config()) as bed:
        bed.devices.set_network("a", 7, SETTINGS)
        bed.devices.taken_down(bed.devices.of("a"), True)
        bed.devices.set_network("a", 7, NO_SETTINGS)
        assert bed.network.assigned["vti-a"] == set()


def test_too_small_an_mtu_for_ipv6() -> None:
    with Bed(config({"mtu": 1000}, child={"remote_ts": ["10.2.0.0/24"]})) as bed:
        told: list[str] = []
        bed.devices.tell = lambda level, subject, text: told.append(text)
        bed.devices.set_network("a", 7, SETTINGS)
        assert bed.network.assigned["vti-a"] == {(OWN4, None)}
        assert told[0] == "vti-a gets no IPv6 address: its MTU is 1000, IPv6 needs 1280"


def test_a_connection_that_is_not_there_any_more() -> None:
    with Bed(config()) as bed:
        bed.devices.set_network("gone", 7, NO_SETTINGS)
        assert bed.network.routes == {"vti-a": set()}
