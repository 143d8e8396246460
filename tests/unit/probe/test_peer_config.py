"""What the peer under test is to be configured for is what it can be configured for."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from ikepy.config.identity import Identity
from ikepy.config.sources import recognise
from ikepy.config.sources.config_file import ConfigFile
from ikepy.probe import peer_config
from ikepy.probe.target import Target
from tests.unit.probe.two_peers import targets


def target() -> Target:
    config = Identity.parse("config.probe.test")
    assert config is not None
    ends = {"host": ip_address("192.0.2.2"), "local": ip_address("192.0.2.1")}
    return targets()[0].but(identities={"config": config}, **ends)


@pytest.mark.parametrize("form", ["ikepy", "swanctl", "libreswan"])
def test_the_printed_configuration_is_read(form: str, tmp_path: Path) -> None:
    text = peer_config.FORMATS[form](target())
    assert "tu5zIVEMfWRAsC2X" not in text
    file = tmp_path / {"ikepy": "ikepy.toml", "swanctl": "swanctl.conf", "libreswan": "ipsec.conf"}[form]
    file.write_text(text.replace(peer_config.SECRET, "tu5zIVEMfWRAsC2X"))
    file.chmod(0o600)
    if form == "libreswan":
        assert recognise.draft(file) is not None
        return
    reading = ConfigFile(file).read()
    assert set(reading.config.connections) == {"probe", "config"}
    assert str(reading.config.connections["probe"].remote.id) == "i.probe.test"
