"""The files of the key log: whose they are, what is in them, and that nobody fails because of them."""

from __future__ import annotations

import logging
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ikepy.crypto.secret import Secret
from ikepy.daemon.errors import StartError
from ikepy.daemon.process.key_log import KeyLogFiles
from ikepy.dissect import keyfile, keytables
from ikepy.dissect.keys import Keys
from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import InstallInbound, InstallOutbound
from tests.exchange.network import Network, Options, assert_joined

NAMES = ("ikev2_decryption_table", "esp_sa", "ikepy_keys")


def installs(net: Network) -> list[InstallInbound | InstallOutbound]:
    found: list[InstallInbound | InstallOutbound] = []
    for site in (net.a, net.b):
        found += site.plane.inbound.values()
        found += site.plane.outbound.values()
    return found


def run(directory: Path, options: Options) -> Network:
    files = KeyLogFiles.open(directory)
    net = Network(options, key_logs=(files, files))
    net.command("a", Initiate("ab", "net"))
    net.run()
    assert_joined(net)
    for effect in installs(net):
        files.installed(effect)
    files.close()
    return net


def test_a_usual_daemon_loads_no_dissector_and_no_old_ciphers() -> None:
    script = (
        "import ikepy.daemon.main, ikepy.daemon.http.monitoring, sys; "
        "print([m for m in sys.modules if 'dissect' in m or 'captured' in m or '.web.' in m])"
    )
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout == "[]\n"


def test_files_are_ours_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "keys"
    with caplog.at_level(logging.WARNING):
        KeyLogFiles.open(directory).close()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {one.name: stat.S_IMODE(one.stat().st_mode) for one in directory.iterdir()} == dict.fromkeys(
        NAMES, 0o600
    )
    assert "ALL KEYS ARE WRITTEN" in caplog.text


def test_tables_hold_the_keys(tmp_path: Path) -> None:
    net = run(tmp_path, Options(proposals='["aes192ctr-sha512-x25519"]', esp_proposals='["aes256gcm16"]'))
    (ike,) = set(keytables.read_ike((tmp_path / "ikev2_decryption_table").read_text()))
    (snapshot,) = net.a.manager.list_sas(net.now)
    assert (ike.spi_i, ike.spi_r) == (snapshot.spi_i, snapshot.spi_r)
    esp = keytables.read_esp((tmp_path / "esp_sa").read_text())
    assert {(one.spi, one.key + one.integrity_key) for one in esp} == {
        (one.spi, one.keys.expose()) for one in installs(net)
    }
    keys = Keys()
    keyfile.read((tmp_path / "ikepy_keys").read_text(), keys)
    assert len(keys.secrets) == 1 and len(keys.esp) == 2
    (full,) = keys.ike[ike.spi_i, ike.spi_r]
    assert (full.sk_ei, len(full.sk_d), full.prf) == (ike.sk_ei, 64, 7)


def test_suites_that_wireshark_lacks_are_in_our_file(tmp_path: Path) -> None:
    suite = '["chacha20poly1305-prfsha256-x25519"]'
    run(tmp_path, Options(proposals=suite, esp_proposals='["chacha20poly1305"]'))
    assert (tmp_path / "ikev2_decryption_table").read_text() == ""
    assert (tmp_path / "esp_sa").read_text() == ""
    assert '"CHACHA20_POLY1305"' in (tmp_path / "ikepy_keys").read_text()


def test_files_that_others_may_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "esp_sa").touch(0o644)
    with pytest.raises(StartError, match=r"daemon\.keylog_dir: others may read or write .*esp_sa: chmod"):
        KeyLogFiles.open(tmp_path)


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """They could put files in the place of ours."""
    directory = tmp_path / "keys"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(StartError, match=r"daemon\.keylog_dir: others may write to .*keys: chmod go= "):
        KeyLogFiles.open(directory)
    assert list(directory.iterdir()) == []


def test_a_file_with_a_second_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch(0o600)
    (tmp_path / "keys").mkdir(0o700)
    (tmp_path / "keys" / "esp_sa").hardlink_to(tmp_path / "precious")
    with pytest.raises(StartError, match=r"daemon\.keylog_dir: .* has another name, too"):
        KeyLogFiles.open(tmp_path / "keys")


def test_half_a_line_is_taken_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the disk is full in the midst of it: the file stays readable, and goes on later."""
    files = KeyLogFiles.open(tmp_path)
    files.shared_secret(b"public i", b"public r", Secret(b"first"))
    file = tmp_path / "ikepy_keys"
    former = file.read_text()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(former) + 10, limits[1]))
    try:
        files.shared_secret(b"public i", b"public r", Secret(b"lost"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_text() == former
    files.shared_secret(b"public i", b"public r", Secret(b"second"))
    files.close()
    assert len(file.read_text().splitlines()) == 2
    assert "keys can't be written to" in caplog.text


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "esp_sa").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match=r"daemon\.keylog_dir: "):
        KeyLogFiles.open(tmp_path)
    (tmp_path / "esp_sa").unlink()
    os.mkfifo(tmp_path / "esp_sa", 0o600)
    with pytest.raises(StartError, match=r"daemon\.keylog_dir: "):
        KeyLogFiles.open(tmp_path)


def test_a_full_disk_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ikepy.daemon.process.key_log.MOST", 0)
    run(tmp_path, Options())
    assert caplog.text.count("keys can't be written to") == 1
