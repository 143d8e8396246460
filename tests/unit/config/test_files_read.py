"""Which files a configuration is read from, and whether they changed since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ikepy.config.files_read import FilesRead
from ikepy.config.sources import recognise
from ikepy.config.sources.config_file import ConfigFile
from ikepy.config.toml_source import Reading
from ikepy.errors import ConfigError

TOML = """[connections.a]
local_addrs = ["192.0.2.1"]
remote_addrs = ["192.0.2.2"]
local.id = "gwa"
remote.id = "gwb"
children.net = {}
[secrets.ike-a]
ids = ["gwa", "gwb"]
secret_file = "psk"
"""
SWANCTL = "include conf.d/*.conf\nsecrets { ike-a { secret = correct-horse } }\n"
IPSEC = "config setup\n\ninclude conf.d/*.conf\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "ikepy.toml").write_text(TOML)
    (tmp_path / "psk").write_text("a key that nobody guesses")
    return tmp_path


def read(path: Path) -> ConfigFile:
    file = ConfigFile(path)
    file.read()
    return file


def write(path: Path, text: str) -> None:
    """In the way of editors: the directory's entry is another file then."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_nothing_changes(place: Path) -> None:
    file = read(place / "ikepy.toml")
    assert not file.files_read.changed()
    (place / "other").write_text("is no part of it")
    assert not file.files_read.changed()
    assert set(file.files_read.files) == {place / "ikepy.toml", place / "psk"}


@pytest.mark.parametrize(
    "change",
    [
        lambda place: write(place / "ikepy.toml", TOML),
        lambda place: write(place / "psk", "another key for the two"),
        lambda place: (place / "psk").unlink(),
        lambda place: (place / "psk").write_text("another key of 25 letters"),
    ],
    ids=["file", "secret", "no secret", "secret in place"],
)
def test_a_changed_file(place: Path, change: Callable[[Path], object]) -> None:
    file = read(place / "ikepy.toml")
    os.utime(place / "psk", ns=(1, 1))  # no write has the same time as the one before
    file.read()
    change(place)
    assert file.files_read.changed()


def test_a_file_that_was_missing(place: Path) -> None:
    (place / "psk").unlink()
    file = ConfigFile(place / "ikepy.toml")
    with pytest.raises(ConfigError, match="no file of this name"):
        file.read()
    assert not file.files_read.changed()
    (place / "psk").write_text("a key that nobody guesses")
    assert file.files_read.changed()


@pytest.mark.parametrize(("name", "text"), [("swanctl.conf", SWANCTL), ("ipsec.conf", IPSEC)])
def test_an_included_file_comes_changes_and_goes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "ipsec.secrets").write_text("")
    (tmp_path / "conf.d").mkdir()
    more = tmp_path / "conf.d" / "more.conf"
    file = read(tmp_path / name)
    assert tmp_path / "conf.d" in file.files_read.directories()
    write(more, "# nothing\n")
    assert file.files_read.changed()
    file.read()
    assert not file.files_read.changed()
    write(more, "# nothing else\n")
    assert file.files_read.changed()
    file.read()
    more.unlink()
    assert file.files_read.changed()


@pytest.mark.parametrize(("name", "text"), [("swanctl.conf", SWANCTL), ("ipsec.conf", IPSEC)])
def test_a_directory_with_wildcards_in_its_own_name(tmp_path: Path, name: str, text: str) -> None:
    """What is included beside it, and the certificates beside it, are found and followed there."""
    place = tmp_path / "site[1]*"
    cas = place / ("x509ca" if name == "swanctl.conf" else "ipsec.d/cacerts")
    for one in (place / "conf.d", cas):
        one.mkdir(parents=True)
    (place / name).write_text(text)
    (place / "ipsec.secrets").write_text("")
    (place / "conf.d" / "more.conf").write_text("nonsense {\n")
    file = ConfigFile(place / name)
    with pytest.raises(ConfigError, match=r"more\.conf"):
        file.read()
    (place / "conf.d" / "more.conf").unlink()
    (cas / "ca.pem").write_text("no certificate")
    file.read()
    assert cas / "ca.pem" in file.files_read.files
    assert {place / "conf.d", cas} <= file.files_read.directories()


def mount(place: Path, version: str, **files: str) -> None:
    """As the kubelet updates a mounted ConfigMap: `..data` is renamed to a link to another directory."""
    (place / version).mkdir()
    for name, text in files.items():
        (place / version / name.replace("_", ".")).write_text(text)
    (place / "..data_tmp").symlink_to(version)
    (place / "..data_tmp").rename(place / "..data")


def test_a_config_map(tmp_path: Path) -> None:
    mount(tmp_path, "..2026_01", ikepy_toml=TOML, psk="a key that nobody guesses")
    for name in ("ikepy.toml", "psk"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    file = read(tmp_path / "ikepy.toml")
    assert file.files_read.directories() == {tmp_path, tmp_path / "..2026_01"}
    mount(tmp_path, "..2026_02", ikepy_toml=TOML, psk="another key for the two")
    assert file.files_read.changed()


def test_directories_of_links_and_of_what_is_absent(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "ikepy.toml").write_text(TOML.replace('"psk"', '"deep/er/psk"'))
    (tmp_path / "etc" / "ikepy.toml").symlink_to("../current/ikepy.toml")
    (tmp_path / "current").symlink_to(tmp_path / "store")
    file = ConfigFile(tmp_path / "etc" / "ikepy.toml")
    with pytest.raises(ConfigError):
        file.read()
    assert file.files_read.directories() == {tmp_path / "etc", tmp_path, tmp_path / "store"}
    (tmp_path / "etc" / "loop").symlink_to("loop")
    loop = ConfigFile(tmp_path / "etc" / "loop")
    with pytest.raises(ConfigError):
        loop.read()
    assert loop.files_read.directories() == {tmp_path / "etc"}


def test_those_of_a_reading_are_told_when_it_is_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked through in another thread meanwhile."""
    file, real = read(place / "ikepy.toml"), recognise.read
    meanwhile: list[FilesRead] = []

    def watched(path: Path) -> Reading:
        try:
            return real(path)
        finally:
            meanwhile.append(file.files_read)

    monkeypatch.setattr(recognise, "read", watched)
    first = file.files_read
    file.read()
    second = file.files_read
    write(place / "ikepy.toml", "no TOML")
    with pytest.raises(ConfigError):
        file.read()
    assert meanwhile[0] is first and meanwhile[1] is second
    assert set(second.files) == set(first.files)
    assert set(file.files_read.files) == {place / "ikepy.toml"}, "also where it fails"
