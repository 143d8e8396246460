"""Whether a path leads out: asked of the kernel, and not believed for long."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from ikepy.daemon.net.route_check import MOST, SECONDS, RouteCheck
from ikepy.sa.api.path import Address, Endpoint, Path


class Table:
    """Counts what it is asked."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.asked = 0

    def outlet(self, remote: Address, local: Address) -> str | None:
        self.asked += 1
        return self.name


def path(remote: int = 1) -> Path:
    return Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(IPv4Address(remote), 4500))


@pytest.mark.parametrize(("name", "out"), [("vti0", False), ("vti1", True), ("eth0", True), (None, True)])
def test_only_a_device_of_ours_is_no_way(name: str | None, out: bool) -> None:
    assert RouteCheck(Table(name), lambda: ["vti0", "vti9"]).leads_out(path()) is out


def test_an_answer_holds_until_routes_change_or_a_while() -> None:
    now = 100.0
    table = Table("vti0")
    one = RouteCheck(table, lambda: ["vti0"], lambda: now)
    assert not one.leads_out(path())
    table.name = "eth0"
    assert not one.leads_out(path())
    one.forget()
    assert one.leads_out(path())
    table.name = "vti0"
    now += SECONDS
    assert not one.leads_out(path())
    assert table.asked == 3


def test_strangers_do_not_fill_it() -> None:
    table = Table("eth0")
    one = RouteCheck(table, lambda: ["vti0"])
    for remote in range(1, 2 * MOST + 2):
        one.leads_out(path(remote))
    asked = table.asked
    one.leads_out(path(1))
    assert table.asked == asked + 1
