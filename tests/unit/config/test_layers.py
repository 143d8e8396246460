"""The layers of the desired configuration: what each puts above the file's, and takes back."""

from __future__ import annotations

import pytest

from ikepy.config.layers import Layers
from ikepy.config.model import Config, Connection, SecretEntry


def connection(name: str, action: str = "none", **keys: object) -> Connection:
    child = {"name": "net", "start_action": action}
    return Connection.model_validate(
        {"name": name, "children": {"net": child}, "vti": {"name": name}, **keys}
    )


def secret(text: str) -> SecretEntry:
    return SecretEntry.model_validate({"secret": text, "ids": ["gwa"]})


def file(*connections: Connection, **secrets: str) -> Config:
    return Config(
        connections={one.name: one for one in connections},
        secrets={name: secret(text) for name, text in secrets.items()},
    )


def action(layers: Layers, name: str) -> str:
    return layers.merged().connections[name].children["net"].start_action


def test_the_file_alone() -> None:
    content = file(connection("a"), ike="one")
    assert Layers(content).merged() == content


def test_vici_takes_the_place_of_the_files_connection_and_gives_it_back() -> None:
    own = connection("b", dpd_delay=7)
    layers = Layers(file(connection("a"), connection("b"), connection("c")))
    layers = layers.with_connection(own).with_connection(connection("new"))
    assert list(layers.merged().connections) == ["a", "b", "c", "new"]
    assert layers.merged().connections["b"] is own
    assert layers.without_connection("b").merged().connections["b"].dpd_delay == 0
    assert list(layers.without_connection("new").merged().connections) == ["a", "b", "c"]
    with pytest.raises(KeyError):
        layers.without_connection("a")  # the file's


def test_a_reload_keeps_what_came_by_vici() -> None:
    layers = Layers(file(connection("a"), ike="one")).with_connection(connection("v"))
    layers = layers.with_secret("vici", secret("two")).with_file(file(connection("c")))
    assert list(layers.merged().connections) == ["c", "v"]
    assert list(layers.merged().secrets) == ["vici"]


def test_vicis_secret_is_taken_before_the_files() -> None:
    layers = Layers(file(ike="one")).with_secret("other", secret("two"))
    ids = secret("x").ids
    found = layers.merged().psk(None, ids[0])
    assert found is not None
    assert found.expose() == b"two"
    back = layers.without_secret("other").merged().psk(None, ids[0])
    assert back is not None
    assert back.expose() == b"one"
    assert layers.with_secret("ike", secret("three")).merged().secrets["ike"] == secret("three")
    with pytest.raises(KeyError):
        layers.without_secret("ike")


def test_an_installed_child_stays_so_until_its_own_action_changes() -> None:
    layers = Layers(file(connection("a"), connection("b"))).with_trap("a", "net")
    assert (action(layers, "a"), action(layers, "b")) == ("trap", "none")
    layers = layers.with_file(file(connection("a", dpd_delay=3)))
    assert action(layers, "a") == "trap"
    assert action(layers.without_trap("a", "net"), "a") == "none"
    changed = layers.with_file(file(connection("a", "start")))
    assert action(changed, "a") == "start"
    assert action(changed.with_file(file(connection("a"))), "a") == "none"  # it was forgotten
    assert layers.with_file(file()).merged().connections == {}
    with pytest.raises(KeyError):
        layers.with_trap("a", "other")


def test_an_action_of_a_connection_that_came_by_vici() -> None:
    layers = Layers(file(connection("a", "start"))).with_connection(connection("a"))
    layers = layers.with_trap("a", "net")
    assert action(layers, "a") == "trap"
    assert action(layers.without_connection("a"), "a") == "start"
