"""What `ikepy check` finds on this machine: devices of others, and the links that peers are on."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from ikepy.config.model import Config
from ikepy.daemon.host_checks import mistakes, remarks
from tests.unit.daemon.fakes import FakeNetwork, config
from tun.rtnetlink import BestRoute

PEER = ip_address("192.0.2.2")


def quiet(vti: dict[str, Any]) -> Config:
    """A configuration for which this machine's kernel settings are not looked at."""
    made = config(vti)
    return made.model_copy(update={"daemon": made.daemon.model_copy(update={"sysctls": "ignore"})})


def test_a_device_that_is_none_of_ours() -> None:
    ((key, text),) = mistakes(config({"name": "lo"}))
    assert key == "connections.a.vti.name"
    assert text.startswith("lo exists on this machine")
    assert "allowed: a free name" in text
    assert not list(mistakes(config()))


@pytest.mark.parametrize(
    ("route", "best", "on_link", "told"),
    [
        ("192.0.2.0/24", "192.0.2.0/24", True, True),
        ("192.0.2.0/25", "192.0.2.0/24", True, True),
        ("192.0.2.0/23", "192.0.2.0/24", True, False),  # the other half is left
        ("192.0.2.0/24", "0.0.0.0/0", False, False),  # all but the peer's address is left
        ("192.0.2.2/32", "0.0.0.0/0", False, True),
        ("192.0.3.0/24", "192.0.2.0/24", True, False),
        ("2001:db8::/32", "192.0.2.0/24", True, False),
    ],
)
def test_a_route_of_which_nothing_is_left(route: str, best: str, on_link: bool, told: bool) -> None:
    network = FakeNetwork()
    network.best[PEER] = BestRoute(ip_network(best), 1, on_link)
    written = quiet({"routes": ["10.9.0.0/16", route]})
    found = dict(remarks(written, network))
    assert list(found) == (["connections.a.vti.routes[1]"] if told else [])
    if told:
        text = found["connections.a.vti.routes[1]"]
        assert "holds the peer's own address 192.0.2.2" in text
        assert "allowed: networks behind the peer" in text
        assert (f"{best} is on our own link" in text) is on_link
    assert not remarks(quiet({"routes": [route], "table": 7}), network)
