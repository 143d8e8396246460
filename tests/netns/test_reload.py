"""Reloads of a running daemon: by SIGHUP, by command, when a mounted file changes; beside them a flow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from vici import Session
from vici.exception import CommandException

from tests.interop.flow import Flow
from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration, host
from tests.netns.namespaces import wait_until
from tests.netns.test_reconfiguration import CHANGED, KEPT, NEW, START, left, reachable, spis, three, up
from tests.netns.test_vici import drain, session
from tests.unit.config.test_files_read import mount

pytestmark = pytest.mark.root

RELOADS = 20
LATER = "configuration: reloaded ({})"


def reload(gateway: Gateway) -> subprocess.CompletedProcess[str]:
    """`ikepy reload`."""
    command = [sys.executable, "-m", "ikepy", "reload", "--socket", str(gateway.socket)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def of_round(number: int) -> str:
    """A configuration with the kept connection as it is: another is changed in place, or replaced in every
    fourth round, and one comes and goes."""
    replaced = "encap = true\n" if number % 4 == 3 else ""
    changed = left(CHANGED, "changed", connection=f"{replaced}dpd_delay = {number + 5}")
    return left(KEPT, "kept") + changed + (left(NEW, "new") if number % 2 else "")


def test_twenty_reloads_lose_no_packet(pair: Pair) -> None:
    three(pair)
    before = spis(pair.left, "kept")
    ends = [(gateway.namespace, host(side.networks[0])) for gateway, side in zip(pair, KEPT, strict=True)]
    with Flow(*ends) as flow:
        flow.wait_for(20)
        for number in range(RELOADS):
            pair.left.rewrite(of_round(number))
            done = reload(pair.left)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith("reloaded: 1 connection ")
        wait_until(lambda: up(pair.left) == ["changed", "kept", "new"], "those of the last round are up")
        flow.wait_for(20)
        _mistakes_change_nothing(pair)
        _storm(pair)
        flow.wait_for(20)
    flow.assert_nothing_lost()
    assert spis(pair.left, "kept") == before
    assert reachable(pair, NEW)
    assert "Traceback" not in pair.left.log()


def _mistakes_change_nothing(pair: Pair) -> None:
    before = {name: spis(pair.left, name) for name in ("kept", "changed", "new")}
    pair.left.rewrite(left(KEPT, "kept") + "[daemon]\nkeep_alive = -1\n")
    done = reload(pair.left)
    assert done.returncode == 1
    assert "ikepy.toml: daemon.keep_alive: " in done.stderr
    pair.left.rewrite("[connections.kept")
    with session(pair) as client, pytest.raises(CommandException, match="is not TOML"):
        client.request("reload")
    log = pair.left.log()
    assert "configuration: not reloaded (command), nothing has changed: " in log
    assert log.count("daemon.keep_alive: ") == 1
    assert {name: spis(pair.left, name) for name in before} == before


def _storm(pair: Pair) -> None:
    """Hundreds of SIGHUPs are a few reloads, and the last one's file is what is used."""
    assert pair.left.process is not None
    before = pair.left.log().count(LATER.format("SIGHUP"))
    for number in range(300):
        if not number % 100:
            pair.left.rewrite(of_round(number // 100))
        pair.left.process.send_signal(signal.SIGHUP)
    pair.left.rewrite(of_round(1))
    pair.left.reload(of_round(1))
    wait_until(lambda: up(pair.left) == ["changed", "kept", "new"], "those of the last file are up")
    assert pair.left.log().count(LATER.format("SIGHUP")) - before < 100


def test_a_mounted_secret_and_configuration(pair: Pair, tmp_path: Path) -> None:
    """As Kubernetes mounts them: an update renames the link `..data`."""
    pair.right.start(configuration(RIGHT, LEFT))
    place, secrets = tmp_path / "etc", tmp_path / "secrets"
    own = configuration(LEFT, RIGHT, child=START)
    in_file = own.replace('secret = "s3cr3t"', f'secret_file = "{secrets}/psk"')
    for directory, name, text in ((place, "ikepy.toml", in_file), (secrets, "psk", "s3cr3t")):
        directory.mkdir()
        mount(directory, "..1", **{name.replace(".", "_"): text})
        (directory / name).symlink_to(f"..data/{name}")
    pair.left.start_file(place / "ikepy.toml", "--watch")
    wait_until(pair.left.children, "the tunnel is up")
    before = spis(pair.left, "tunnel")

    def log_has(text: str) -> None:
        wait_until(lambda: text in pair.left.log(), f"the log has {text!r}")

    mount(
        place,
        "..2",
        ikepy_toml=in_file.replace("[connections.tunnel]", "[connections.tunnel]\ndpd_delay = 9"),
    )
    log_has(LATER.format("a file has changed"))
    mount(secrets, "..2", psk="another secret that nobody guesses")
    log_has("secrets changed")
    (secrets / "..data").unlink()
    log_has("not reloaded (a file has changed), nothing has changed: ")
    assert "there is no file of this name" in pair.left.log()
    assert spis(pair.left, "tunnel") == before


def test_sighup_while_it_starts(pair: Pair, tmp_path: Path) -> None:
    """It is a reload once the daemon runs. Here a FIFO makes the start last, which a reload does not take."""
    place = tmp_path / "left" / "ikepy.toml"
    os.mkfifo(place)
    fifo = os.open(place, os.O_RDWR)
    process = pair.left.launch(configuration(LEFT, RIGHT))

    def is_read() -> bool:
        opened = Path(f"/proc/{process.pid}/fd").iterdir()
        return any(fd.is_symlink() and os.path.realpath(fd) == str(place) for fd in opened)

    try:
        wait_until(is_read, "the configuration is being read", 20)
        process.send_signal(signal.SIGHUP)
    finally:
        os.close(fifo)

    def is_asked() -> bool:
        return process.poll() is not None or "configuration: not reloaded (SIGHUP)" in pair.left.log()

    wait_until(is_asked, "the reload is refused", 20)
    assert process.poll() is None, pair.left.log()
    pair.left.stop()


def rotated(pair: Pair, gateway: Gateway, secret: str) -> None:
    own, peer = (LEFT, RIGHT) if gateway is pair.left else (RIGHT, LEFT)
    gateway.reload(configuration(own, peer).replace("s3cr3t", secret))


@pytest.mark.parametrize("left_first", [True, False])
def test_a_secret_is_replaced_in_either_order(pair: Pair, *, left_first: bool) -> None:
    """What is up stays; between the two changes a set-up comes about by the former secret."""
    for gateway, own, peer in ((pair.right, RIGHT, LEFT), (pair.left, LEFT, RIGHT)):
        gateway.start(configuration(own, peer))
    first, second = (pair.left, pair.right) if left_first else (pair.right, pair.left)

    def set_up() -> None:
        with session(pair) as client:
            wait_until(lambda: _initiated(client), "the tunnel is up", 20)

    set_up()
    before = spis(pair.left, "tunnel")
    rotated(pair, first, "another secret that nobody guesses")
    assert spis(pair.left, "tunnel") == before
    pair.left.ask("terminate", ike="tunnel")
    set_up()
    assert "authenticated by the former secret of [secrets.ike-tunnel]" in first.log()
    rotated(pair, second, "another secret that nobody guesses")
    pair.left.ask("terminate", ike="tunnel")
    set_up()
    assert "authenticated by the new secret of [secrets.ike-tunnel]" in second.log()


def _initiated(client: Session) -> bool:
    try:
        drain(client.initiate({"child": "net", "timeout": "5000"}))
    except CommandException:
        return False
    return True
