"""Peers and own addresses by DNS name; addresses and routes that come late; ports that the kernel chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ikepy.control import status
from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, Side, configuration, ping
from tests.netns.namespaces import Namespace, wait_until
from tests.netns.test_http import HTTP, get

pytestmark = pytest.mark.root

START = 'start_action = "start"'
DEAD = "192.0.2.9"  # nobody has this address
NEVER = f"nameserver {DEAD}\noptions timeout:2 attempts:1\n"


@pytest.fixture
def files() -> Iterator[Callable[[Namespace], Path]]:
    """Makes the hosts file and the resolv.conf that `ip netns exec` shows in a namespace, in /etc/netns.

    A process has them mounted: they are to be rewritten in place.
    """
    made: list[Path] = []

    def make(namespace: Namespace) -> Path:
        directory = Path("/etc/netns") / namespace.name
        directory.mkdir(parents=True)
        made.append(directory)
        (directory / "hosts").write_text("127.0.0.1 localhost\n")
        (directory / "resolv.conf").write_text(NEVER)
        return directory / "hosts"

    try:
        yield make
    finally:
        for directory in made:
            for file in directory.iterdir():
                file.unlink()
            directory.rmdir()


def by_name(own: Side, peer: Side, name: str, local: str = "", child: str = "") -> str:
    text = configuration(own, peer, remote=name, child=child)
    return text.replace(f'local_addrs = ["{own.outer}"]', f'local_addrs = ["{local}"]') if local else text


def up(gateway: Gateway) -> Callable[[], bool]:
    return lambda: bool(gateway.children())


def test_names_of_both_ends_in_the_hosts_file(pair: Pair, files: Callable[[Namespace], Path]) -> None:
    """Each end has the other, and itself, by name. One name is not known at first, and its name server never
    answers: nothing but this connection waits for it."""
    left, right = pair
    hosts = files(left.namespace)
    files(right.namespace).write_text("192.0.2.1 left.example\n192.0.2.2 right.example\n")
    hosts.write_text("192.0.2.1 left.example\n")
    right.start(by_name(RIGHT, LEFT, "left.example", "right.example"))
    left.start(by_name(LEFT, RIGHT, "right.example", "left.example", child=START) + HTTP)
    wait_until(lambda: "right.example: no name server answers" in left.log(), "the reason is logged", 15)
    wait_until(lambda: "waits for a" in get(left, "/readyz")[1], "it says what it waits for")
    assert get(left, "/readyz")[0] == 503
    wait_until(
        lambda: "right.example: no name server answers" in str(status.ask(left.socket)), "status has it too"
    )
    hosts.write_text("192.0.2.1 left.example\n192.0.2.2 right.example\n")
    wait_until(up(left), "the name is known and the child installed", 20)
    assert ping(left.namespace, LEFT, RIGHT)
    assert get(left, "/readyz")[0] == 200


def test_a_name_that_means_another_address_is_followed_at_the_next_set_up(
    pair: Pair, files: Callable[[Namespace], Path]
) -> None:
    """And an address where nobody is gives way to the next one."""
    left, right = pair
    hosts = files(left.namespace)
    hosts.write_text("192.0.2.2 right.example\n")
    right.namespace.ip("addr", "add", "192.0.2.22/24", "dev", "eth0")
    right.start(by_name(RIGHT, LEFT, "192.0.2.1", "%any"))
    quick = "\n[daemon]\nretransmit_timeout = 0.2\nretransmit_tries = 2\n"
    left.start(by_name(LEFT, RIGHT, "right.example", child=START) + quick)
    wait_until(up(left), "the child is installed")
    hosts.write_text(f"{DEAD} right.example\n192.0.2.22 right.example\n")
    assert left.list_sas()[0]["remote"].startswith("192.0.2.2[")
    left.ask("terminate", ike="tunnel")
    with pytest.raises(AssertionError):  # what is configured to be up is tried again all the same
        left.ask("initiate", child="net", ike="tunnel")
    wait_until(up(left), "the child is installed", 20)
    assert left.list_sas()[0]["remote"].startswith("192.0.2.22[")
    assert ping(left.namespace, LEFT, RIGHT)


def test_what_is_not_there_yet_keeps_nothing_else_down(pair: Pair) -> None:
    """An own address and a route are missing at the start: the other connection is up, /readyz names what is
    missing, and each comes up by itself. Meanwhile the daemon can be ended."""
    left, right = pair
    elsewhere = Side("gwc", "198.51.100.1", "169.254.20.1", ("10.3.0.0/24",))
    its_peer = Side("gwb", "192.0.2.2", "169.254.20.2", ("10.4.0.0/24",))
    near = Side("gwa", "192.0.2.1", "169.254.30.1", ("10.5.0.0/24",))
    beyond = Side("gwd", "203.0.113.2", "169.254.30.2", ("10.6.0.0/24",))
    far = configuration(near, beyond, name="far", device="vti2", child=START).replace("192.0.2.1", "%any")
    config = configuration(LEFT, RIGHT, child=START) + far + HTTP
    config = configuration(elsewhere, its_peer, name="late", device="vti1", child=START) + config
    right.start(
        configuration(RIGHT, LEFT)
        + configuration(its_peer, elsewhere, name="late", device="vti1")
        + configuration(beyond, near, name="far", device="vti2")
    )
    left.start(config)
    wait_until(lambda: len(left.children()) == 1, "the connection that lacks nothing is up")
    assert ping(left.namespace, LEFT, RIGHT)
    answered, text = get(left, "/readyz")
    assert answered == 503
    assert "late/net waits for an address: 198.51.100.1 is not an address of this machine yet" in text
    assert "far/net waits for an address: no way to 203.0.113.2" in text
    told = [
        line for line in left.log().splitlines() if "198.51.100.1 (connections.late.local_addrs[0])" in line
    ]
    assert len(told) == 1
    left.stop()
    left.start(config)
    wait_until(lambda: len(left.children()) == 1, "it is up again")
    right.namespace.ip("addr", "add", "203.0.113.2/32", "dev", "lo")
    right.namespace.ip("route", "add", "198.51.100.0/24", "dev", "eth0")
    left.namespace.ip("addr", "add", "198.51.100.1/24", "dev", "eth0")
    wait_until(lambda: len(left.children()) == 2, "the late address is used", 5)
    left.namespace.ip("route", "add", "default", "via", "192.0.2.2")
    wait_until(lambda: len(left.children()) == 3, "the late route is used", 5)
    assert get(left, "/readyz")[0] == 200


def test_two_daemons_on_one_host_with_ports_of_the_kernels_choice(pair: Pair, tmp_path: Path) -> None:
    """Beside one on 500 and 4500: native ESP from this, ESP in UDP from the other, which begins on 4500."""
    left, right = pair
    other = Gateway(left.namespace, tmp_path / "other")
    second = Side("gwc", "192.0.2.1", "169.254.20.1", ("10.3.0.0/24",))
    beyond = Side("gwb", "192.0.2.2", "169.254.20.2", ("10.4.0.0/24",))
    for one, side in ((left, second), (right, beyond)):
        one.namespace.ip("addr", "add", side.networks[0].replace(".0/24", ".1/24"), "dev", "lo")
    right.start(configuration(RIGHT, LEFT) + configuration(beyond, second, name="second", device="vti1"))
    left.start(configuration(LEFT, RIGHT, child=START))
    ports = "\n[daemon]\nport = 0\nport_nat_t = 0\n"
    keys = "encap = true\nremote_port = 4500"
    other.start(
        configuration(second, beyond, name="second", device="vti1", child=START, connection=keys) + ports
    )
    wait_until(up(left), "the first is up")
    wait_until(up(other), "the second is up")
    assert ping(left.namespace, LEFT, RIGHT)
    assert ping(left.namespace, second, beyond)
    (sa,) = other.list_sas()
    number = int(sa["local"].rpartition("[")[2].rstrip("]"))
    assert number not in (500, 4500) and sa["remote"] == "192.0.2.2[4500]"
    other.ask("reload")
    assert [one["spi_i"] for one in other.list_sas()] == [sa["spi_i"]], (
        "the same ports, and nothing has changed"
    )
