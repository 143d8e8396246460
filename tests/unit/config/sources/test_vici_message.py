"""Connections that come by VICI: the keys of swanctl.conf, and messages that are none."""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import Any

import pytest

from ikepy.config.layers import Layers
from ikepy.config.model import Config, Connection
from ikepy.config.sources import vici_message
from ikepy.errors import ConfigError

NOTHING = Layers(Config())


def connection(**keys: Any) -> dict[str, Any]:
    return {
        "remote_addrs": [b"192.0.2.2"],
        "local": {"auth": b"psk", "id": b"gwa"},
        "remote": {"auth": b"psk", "id": b"gwb"},
        "children": {"net": {"remote_ts": [b"10.2.0.0/16", b"10.3.0.0/16"], "rekey_time": b"1h"}},
        **keys,
    }


def read(layers: Layers = NOTHING, name: str = "site", **keys: Any) -> Connection:
    return vici_message.read({name: connection(**keys)}, layers).config.connections[name]


def test_keys_are_those_of_swanctl_conf() -> None:
    found = read(
        dpd_delay=b"30s",
        encap=b"yes",
        vti={"addresses": [b"10.9.0.1/30"], "routes": b"10.3.0.0/16 metric 5, 10.4.0.0/16"},
        probe={"targets": [b"10.3.0.1", b"10.4.0.1"]},
    )
    assert found.probe is not None and list(map(str, found.probe.targets)) == ["10.3.0.1", "10.4.0.1"]
    assert (found.dpd_delay, found.encap, found.keyingtries) == (30.0, True, 1)
    child = found.children["net"]
    assert [str(one) for one in child.remote_ts] == ["10.2.0.0/16", "10.3.0.0/16"]
    assert (child.rekey_time, child.replay_window) == (3600.0, 32)
    assert found.vti.addresses == (IPv4Interface("10.9.0.1/30"),)
    assert [str(one) for one in found.vti.routes or ()] == ["10.3.0.0/16 metric 5", "10.4.0.0/16"]
    assert found.vti.name == "site"


def test_redirects_and_resumption() -> None:
    found = read(redirect=b"follow", redirect_to=b"gw2.example.org", resumption=b"yes")
    assert (found.redirect, str(found.redirect_to), found.resumption) == ("follow", "gw2.example.org", True)
    with pytest.raises(ConfigError, match="redirect_to"):
        read(redirect_to=b"no gateway")


def test_an_empty_list_leaves_the_default() -> None:
    assert read(local_addrs=[]).local_addrs == ("%any",)


def test_what_is_only_remarked_is_told() -> None:
    local = {"auth": b"psk", "id": b"gwa", "xauth_id": b"user"}
    reading = vici_message.read({"site": connection(local=local, dscp=b"000001")}, NOTHING)
    keys = [key for key, _ in reading.remarks]
    assert keys == ["connections.site.dscp", "connections.site.local.xauth_id"]


def test_the_device_has_a_marks_number() -> None:
    assert read(children={"net": {"mark_in": b"42", "mark_out": b"42"}}).vti.name == "vti42"


def test_port_and_daemon_are_those_in_use() -> None:
    layers = Layers(Config.model_validate({"daemon": {"port": 1500}}))
    assert read(layers).local_port == 1500
    with pytest.raises(ConfigError, match=r"connections\.site\.local_port: the daemon listens on"):
        read(layers, local_port=b"500")


def test_a_device_has_a_name_of_its_own_and_keeps_it() -> None:
    """Two connections with names that the kernel cuts to the same, in either order of loading."""
    one, other = "a-very-long-name-1", "a-very-long-name-2"
    layers = NOTHING.with_connection(read(name=one))
    layers = layers.with_connection(read(layers, other))
    devices = {name: found.vti.name for name, found in layers.connections.items()}
    assert devices[one] == "a-very-long-nam"
    assert devices[other].startswith("a-very-lon-")
    for name in (one, other):
        assert read(layers, name).vti.name == devices[name]  # loaded again
    assert read(layers.without_connection(one), other).vti.name == devices[other]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"site": b"text"}, "connections.site: must be a section"),
    ({"site": [b"text"]}, "connections.site: must be a value, not a list"),
    ({"site": connection(children=b"x")}, "connections.site.children: must be a section"),
    ({"site": connection(vti=[b"x"])}, "connections.site.vti: must be a section"),
    ({"site": connection(version=[b"2"])}, "connections.site.version: must be a value, not a list"),
    ({"site": connection(version={})}, "connections.site.version: allowed: 2"),
    ({"site": connection(mobike=b"\xff")}, "connections.site.mobike: must be UTF-8 text"),
    ({"site": connection(local_addrs=[b"a,b"])}, "connections.site.local_addrs: an item of a list"),
    ({"site": connection(start_action=b"trap")}, "connections.site.start_action: unknown key"),
    ({"site": connection(other={})}, "connections.site.other: unknown key"),
    ({"site": connection(local={"auth": b"psk", "x": {}})}, "connections.site.local.x: unknown key"),
    ({"site": connection(children={"net": {"x": {}}})}, "connections.site.children.net.x: unknown key"),
    (
        {"site": connection(children={"net": {"remote_ts": {}}})},
        "connections.site.children.net.remote_ts: must be a list",
    ),
    ({"site": connection(vti={"addresses": {}})}, "connections.site.vti.addresses: must be a list"),
    ({"site": connection(children={})}, "connections.site.children: is missing"),
    ({"site": connection(**{"x\n": b"1"})}, "connections.site: holds a name with characters"),
    ({"a/b": connection()}, "connections.a/b: no name"),
    ({"site": connection(local={"auth": b"xauth"})}, 'connections.site.local.auth: "xauth" is not supported'),
    (
        {"site": connection(remote={"auth": b"psk", "cacerts": [b"\xff"]})},
        "connections.site.remote.cacerts[0]: it is neither PEM nor DER of this type",
    ),
    (
        {"site": connection(**{"remote-2": {"auth": b"psk"}, "remote-3": {"auth": b"psk"}})},
        "connections.site.remote-3: is more than the 2 rounds of authentication",
    ),
]


@pytest.mark.parametrize(("tree", "words"), BAD, ids=[words for _, words in BAD])
def test_mistakes_are_told_with_their_key(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        vici_message.read(tree, NOTHING)
    assert str(caught.value).startswith(f"VICI: {words}")


def test_all_mistakes_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        vici_message.read({"a": connection(x=b""), "b": connection(y=b"")}, NOTHING)
    assert [key for key, _ in caught.value.problems] == ["connections.a.x", "connections.b.y"]
