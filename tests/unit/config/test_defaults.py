"""What is absent means what it means in swanctl.conf (5.9.8), wherever swanctl has the key."""

from pathlib import Path

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import Child, Config, Connection, Daemon
from tests.unit.config.example import good, minimal


@pytest.fixture
def config() -> Config:
    return good(minimal())


@pytest.fixture
def connection(config: Config) -> Connection:
    return config.connections["a"]


@pytest.fixture
def child(connection: Connection) -> Child:
    return connection.children["net"]


def test_connection(connection: Connection) -> None:
    assert connection.local_addrs == connection.remote_addrs == ("%any",)
    assert (connection.local_port, connection.remote_port) == (500, 500)
    assert connection.encap is False
    assert connection.fragmentation == "yes"
    assert connection.mobike is True
    assert connection.dpd_delay == 0
    assert connection.keyingtries is None
    assert connection.unique == "no"
    assert connection.local.id is None
    assert connection.remote.id is None


def test_child(child: Child) -> None:
    assert child.local_ts == child.remote_ts == ("dynamic",)
    assert (child.start_action, child.close_action, child.dpd_action) == ("none", "none", "none")
    assert child.mode == "tunnel"
    assert child.tfc_padding == 0
    assert child.replay_window == 1024  # swanctl's 32 is too small for reordering paths


def test_device(connection: Connection) -> None:
    vti = connection.vti
    assert (vti.addresses, vti.peers, vti.routes, vti.mtu, vti.table) == ((), (), None, None, None)
    assert vti.mss_clamp is False


@pytest.mark.parametrize(
    ("name", "device"),
    [("site-b", "site-b"), ("a-very-long-name-of-a-site", "a-very-long-nam"), ('"a.b:c@d"', "abcd")],
)
def test_device_name_comes_from_the_connection(name: str, device: str) -> None:
    (connection,) = good(minimal(name=name)).connections.values()
    assert connection.vti.name == device


def test_whole_vti_section_may_be_absent() -> None:
    config = good('[connections.a.children.net]\n[secrets.ike-x]\nsecret = "x"')
    assert config.connections["a"].vti.name == "a"


def test_daemon(config: Config) -> None:
    daemon = config.daemon
    assert (daemon.port, daemon.port_nat_t) == (500, 4500)
    assert (daemon.retransmit_timeout, daemon.retransmit_base, daemon.retransmit_tries) == (4.0, 1.8, 5)
    assert daemon.retransmit_limit == 0
    assert daemon.fragment_size == 1280
    assert daemon.old_secret_grace == 600
    assert (daemon.keep_alive, daemon.half_open_timeout) == (20, 30)
    assert (daemon.cookie_threshold, daemon.cookie_threshold_ip, daemon.block_threshold) == (30, 3, 5)
    assert (daemon.max_packet, daemon.max_message, daemon.max_fragments) == (10000, 65507, 255)
    assert (daemon.max_payloads, daemon.max_proposals) == (128, 64)
    assert daemon.workers is None
    assert daemon.socket == Path("/run/ikepy/ikepy.sock")


def test_local_port_follows_the_daemons() -> None:
    config = good(minimal(rest='[daemon]\nport = 5500\nport_nat_t = 5501\n[secrets.ike-x]\nsecret = "x"'))
    assert config.connections["a"].local_port == 5500


def test_empty_file_is_an_empty_configuration() -> None:
    assert good("") == Config(connections={}, secrets={}, daemon=Daemon())


def test_any_identity() -> None:
    connection = good(minimal(remote='id = "%any"')).connections["a"]
    assert connection.remote.id is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30.0), ('"30s"', 30), ('"5m"', 300), ('"1h"', 3600), ('"1d"', 86400), ("0.5", 0.5)],
)
def test_times(text: str, seconds: float) -> None:
    assert good(minimal(f"dpd_delay = {text}")).connections["a"].dpd_delay == seconds


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("false", False), ('"yes"', True), ('"no"', False)]
)
def test_booleans(word: str, value: bool) -> None:
    assert good(minimal(f"encap = {word}")).connections["a"].encap is value


@pytest.mark.parametrize(
    ("word", "policy"),
    [
        ('"yes"', "yes"),
        ('"accept"', "accept"),
        ('"force"', "yes"),  # IKE_SA_INIT is never fragmented (RFC 7383 2.5)
        ('"no"', "no"),
        ("true", "yes"),
        ("false", "no"),
    ],
)
def test_fragmentation(word: str, policy: str) -> None:
    assert good(minimal(f"fragmentation = {word}")).connections["a"].fragmentation == policy


def test_comma_separated_text_as_in_swanctl() -> None:
    connection = good(
        minimal('local_addrs = "192.0.2.1, 2001:db8::1"\nproposals="aes128-sha1-modp2048"')
    ).connections["a"]
    assert [str(one) for one in connection.local_addrs] == ["192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("word", "action"),
    [("clear", "none"), ("none", "none"), ("trap", "trap"), ("restart", "start"), ("start", "start")],
)
def test_dpd_action(word: str, action: str) -> None:
    config = good(minimal('remote_addrs = ["192.0.2.2"]', f'dpd_action = "{word}"'))
    assert config.connections["a"].children["net"].dpd_action == action


def test_identity_of_an_address() -> None:
    connection = good(minimal(local='id = "192.0.2.1"')).connections["a"]
    assert connection.local.id == Identity(1, bytes([192, 0, 2, 1]))


@pytest.mark.parametrize(("text", "value"), [("1400", 1400), ('"mtu"', "mtu")])
def test_tfc_padding(text: str, value: int | str) -> None:
    child = good(minimal(child=f"tfc_padding = {text}")).connections["a"].children["net"]
    assert child.tfc_padding == value
