"""ikepy.sa.admission.expected_places: which addresses the configuration names, and which are known."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.sa.admission.auth_failures import LATELY, AuthFailures
from ikepy.sa.admission.expected_places import ExpectedPlaces
from ikepy.sa.api.names import NameTable
from tests.exchange.network import Options

NAMES = '192.0.2.1", "203.0.113.0/28", "203.0.113.9", "10.0.0.0/8", "2001:db8::/56", "2001:db8:1::/48", "%any'


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.2", None),
        ("203.0.113.0", "203.0.113.0/28"),
        ("203.0.113.15", "203.0.113.0/28"),
        ("203.0.113.16", None),
        ("203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", None),
        ("2001:db8::1", "2001:db8::/56"),
        ("2001:db8:0:100::1", None),
        ("2001:db8:1::1", None),
        ("::c000:201", None),
    ],
)
def test_the_smallest_place_that_the_configuration_names(address: str, place: str | None) -> None:
    expected = ExpectedPlaces(Options(remote_addrs=NAMES).config("b"), AuthFailures(), NameTable())
    found = expected.place(ip_address(address), 0.0)
    assert (None if found is None else str(found)) == place
    assert str(expected.network(ip_address(address))) == (place or str(ip_address(address)))


def test_an_address_where_a_peer_was() -> None:
    failures = AuthFailures()
    expected = ExpectedPlaces(Options(remote_addrs="203.0.113.0/28").config("b"), failures, NameTable())
    for one in ("192.0.2.7", "203.0.113.1"):
        failures.stands(ip_address(one), 0.0)
    assert expected.place(ip_address("192.0.2.7"), LATELY - 1) == ip_address("192.0.2.7")
    assert expected.place(ip_address("192.0.2.7"), LATELY) is None
    assert str(expected.place(ip_address("203.0.113.1"), 0.0)) == "203.0.113.0/28"
