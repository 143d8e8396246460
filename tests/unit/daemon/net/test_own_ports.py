"""UDP ports that the kernel chooses."""

from __future__ import annotations

import socket

import pytest

from ikepy.config.model import Config
from ikepy.daemon.net.own_ports import OwnPorts, choose
from tests.unit.daemon.fakes import connection


def daemon(port: int, port_nat_t: int, local_port: int) -> Config:
    keys = {"port": port, "port_nat_t": port_nat_t}
    return Config.model_validate(
        {"connections": {"a": connection("a", local_port=local_port)}, "daemon": keys}
    )


def test_both_are_chosen_free_and_differ() -> None:
    ports = choose(daemon(0, 0, 0))
    assert ports.port and ports.port_nat_t and ports.port != ports.port_nat_t
    for number in (ports.port, ports.port_nat_t):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", number))


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ((0, 0, 0), (40001, 40002, 40001)),
        ((0, 4500, 4500), (40001, 4500, 4500)),
        ((500, 0, 0), (500, 40002, 40002)),
        ((500, 4500, 500), (500, 4500, 500)),
    ],
)
def test_what_the_configuration_names_stays(given: tuple[int, int, int], used: tuple[int, int, int]) -> None:
    config = daemon(*given)
    chosen = choose(config)
    assert (bool(chosen.port), bool(chosen.port_nat_t)) == (not given[0], not given[1])
    ports = OwnPorts(40001 if chosen.port else 0, 40002 if chosen.port_nat_t else 0)
    now = ports.applied(config)
    assert (now.daemon.port, now.daemon.port_nat_t, now.connections["a"].local_port) == used


def test_connections_of_the_file_beside_settings_that_are_in_use() -> None:
    """As a configuration in layers has them (`ikepy.daemon.desired_config`)."""
    used = OwnPorts(40001, 40002).applied(daemon(0, 0, 0))
    mixed = daemon(0, 0, 0).model_copy(update={"daemon": used.daemon})
    assert OwnPorts(40001, 40002).applied(mixed) == used


def test_another_configuration_has_the_same_ports() -> None:
    ports = OwnPorts(40001, 40002)
    assert ports.applied(daemon(0, 0, 0)) == ports.applied(daemon(0, 0, 0))
    assert ports.applied(daemon(500, 4500, 500)) == daemon(500, 4500, 500), "that needs a restart"
