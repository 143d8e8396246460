"""What the change of a configuration asks for, key by key."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikepy.config.difference import (
    CHILD,
    CONNECTION,
    FIXED,
    ConfigDifference,
    Impact,
    child_impact,
    connection_change,
    difference,
)
from ikepy.config.model import Child, Config, Connection, Daemon, SecretEntry
from ikepy.config.toml_source import parse

TEXT = """
[connections.{name}]
local_addrs = ["192.0.2.1"]
remote_addrs = ["192.0.2.{number}"]
{connection}
[connections.{name}.vti]
{vti}
[connections.{name}.local]
id = "gw"
[connections.{name}.remote]
id = "{name}"
[connections.{name}.children.net]
remote_ts = ["10.{number}.0.0/16"]
{child}
"""
SECRET = """
[secrets.ike]
secret = "{secret}"
"""


def text(name: str, number: int, connection: str = "", child: str = "", vti: str = "") -> str:
    return TEXT.format(name=name, number=number, connection=connection, child=child, vti=vti)


def config(*connections: str, secret: str = "correct horse", daemon: str = "") -> Config:
    return parse("".join(connections) + SECRET.format(secret=secret) + f"[daemon]\n{daemon}\n")


def test_every_key_of_the_model_has_its_impact() -> None:
    assert CONNECTION.keys() == Connection.model_fields.keys()
    assert CHILD.keys() == Child.model_fields.keys()
    assert set(FIXED) <= Daemon.model_fields.keys()


def test_a_configuration_read_twice_does_not_differ() -> None:
    old, new = (config(text("one", 2), text("two", 3)) for _ in range(2))
    change = difference(old, new)
    assert not change
    assert not change.fixed
    assert str(change) == "nothing changed"
    for name, connection in change.config.connections.items():
        assert connection is old.connections[name]


def test_connections_come_and_go() -> None:
    old = config(text("one", 2), text("two", 3))
    change = difference(old, config(text("two", 3), text("three", 4)))
    assert [one.name for one in change.added] == ["three"]
    assert [one.name for one in change.removed] == ["one"]
    assert not change.changed
    assert change.config.connections["two"] is old.connections["two"]
    assert str(change) == "1 connection added (three); 1 connection removed (one)"


@pytest.mark.parametrize(
    ("line", "keys", "impact"),
    [
        ("dpd_delay = 7", {"dpd_delay"}, Impact.IN_PLACE),
        ('rekey_time = "1h"\nunique = "replace"', {"rekey_time", "unique"}, Impact.IN_PLACE),
        ("encap = true", {"encap"}, Impact.REPLACE),
        ("encap = true\ndpd_delay = 7", {"encap", "dpd_delay"}, Impact.REPLACE),
        ('proposals = ["aes256-sha256-x25519"]', {"proposals"}, Impact.REPLACE),
    ],
)
def test_a_connection_changes(line: str, keys: set[str], impact: Impact) -> None:
    old, new = config(text("one", 2), text("two", 3)), config(text("one", 2, line), text("two", 3))
    (change,) = difference(old, new).changed
    assert (change.name, set(change.keys), change.impact) == ("one", keys, impact)
    assert not change.device
    assert change.new.children["net"] is old.connections["one"].children["net"]


def test_a_device_changes_and_its_sas_stay() -> None:
    new = config(text("one", 2, vti='mtu = 1300\nname = "other"'))
    (change,) = difference(config(text("one", 2)), new).changed
    assert change.keys == {"vti.mtu", "vti.name"}
    assert change.impact is Impact.IN_PLACE
    assert change.device


@pytest.mark.parametrize(
    ("line", "impact"),
    [
        ('start_action = "start"', Impact.IN_PLACE),
        ("rekey_bytes = 1000000", Impact.IN_PLACE),
        ("replay_window = 64", Impact.REKEY),
        ("replay_window = 64\nlife_time = 9000", Impact.REKEY),
        ('local_ts = ["10.0.0.0/8"]', Impact.REPLACE),
    ],
)
def test_a_child_changes(line: str, impact: Impact) -> None:
    old, new = config(text("one", 2)), config(text("one", 2, child=line))
    (change,) = difference(old, new).changed
    assert change.impact is Impact.NONE
    assert child_impact(change.old.children["net"], change.new.children["net"]) is impact


def test_secrets_change_no_connection() -> None:
    change = difference(config(text("one", 2)), config(text("one", 2), secret="battery staple"))
    assert change.secrets == {"ike"}
    assert not change.changed
    assert change
    assert "battery" not in f"{change}{change!r}"


def test_what_needs_a_restart_stays_and_is_named() -> None:
    old = config(text("one", 2), daemon="workers = 2\nkeep_alive = 10")
    change = difference(old, config(text("one", 2), daemon="workers = 3\nkeep_alive = 5"))
    assert change.daemon == {"keep_alive"}
    assert change.fixed == (("daemon.workers", "stays 2 until the daemon is started anew"),)
    assert (change.config.daemon.workers, change.config.daemon.keep_alive) == (2, 5)
    assert str(change) == "daemon.keep_alive changed; daemon.workers stays 2 until the daemon is started anew"


LINES = ("", "dpd_delay = 7", "encap = true", "mobike = false", 'rekey_time = "1h"')
CHILD_LINES = ("", 'start_action = "start"', "replay_window = 64", 'mode = "tunnel"', "life_time = 7000")
VTI_LINES = ("", "mtu = 1300", "mss_clamp = true")
connections = st.tuples(st.sampled_from(LINES), st.sampled_from(CHILD_LINES), st.sampled_from(VTI_LINES))
configs = st.builds(
    lambda chosen, secret, daemon: config(
        *(text(f"c{n}", n, *lines) for n, lines in chosen.items()), secret=secret, daemon=daemon
    ),
    st.dictionaries(st.integers(2, 6), connections, max_size=4),
    st.sampled_from(("correct horse", "battery staple")),
    st.sampled_from(("", "keep_alive = 5", "window_size = 4")),
)


def applied(old: Config, change: ConfigDifference) -> Config:
    """The old configuration with what the difference says, and nothing else."""
    found = dict(old.connections)
    for one in change.removed:
        del found[one.name]
    for each in change.changed:
        assert found[each.name] is each.old
        found[each.name] = each.new
    found |= {one.name: one for one in change.added}
    secrets: dict[str, SecretEntry] = {**old.secrets, **change.config.secrets}
    update = {key: getattr(change.config.daemon, key) for key in change.daemon}
    return Config(connections=found, secrets=secrets, daemon=old.daemon.model_copy(update=update))


@settings(deadline=None, max_examples=60)
@given(configs, configs)
def test_the_difference_makes_the_new_of_the_old(old: Config, new: Config) -> None:
    change = difference(old, new)
    assert change.config == new
    assert applied(old, change) == new
    assert bool(change) is (old != new)
    assert not difference(change.config, new)
    for each in change.changed:
        again = connection_change(each.old, each.new)
        assert (again.keys, again.impact) == (each.keys, each.impact)
