"""A daemon in three kinds of process: what each may do, and what follows when one of them is killed."""

from __future__ import annotations

import json
import os
import pwd
import signal
import sys
from pathlib import Path

import pytest

from ikepy.control.client import ask_for_list
from ikepy.daemon.process.account import Account, closed_to
from ikepy.daemon.process.capabilities import KEPT, Capability
from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import wait_until
from tests.netns.test_privileges import START, capabilities, core_limit, status
from tests.pki import chain

pytestmark = pytest.mark.root

NOBODY = pwd.getpwnam("nobody")
OTHER = pwd.getpwnam("games")  # whom Debian has, and nobody uses
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def open_up(directory: Path) -> str:
    """A shell's words that let everybody enter the directories above this Python, in the daemon's mount
    namespace (`ip netns exec` makes one): as if the program were installed where programs are."""
    words, user = [], Account(NOBODY.pw_uid, NOBODY.pw_gid)
    for number, closed in enumerate(_closed(user)):
        stand_in = directory / f"open{number}"
        words += [
            f"mkdir -p {stand_in} && chmod 755 {directory} {stand_in}",
            f"for one in $(ls -A {closed}); do",
            f"  if [ -d {closed}/$one ]; then mkdir {stand_in}/$one; else touch {stand_in}/$one; fi",
            f"  mount --bind {closed}/$one {stand_in}/$one",
            "done",
            f"mount --rbind {stand_in} {closed}",
        ]
    return "\n".join(words)


def _closed(user: Account) -> list[Path]:
    found = closed_to(user)
    return [] if found is None else [found]


def start(pair: Pair, settings: str = "", before: str = "") -> None:
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(f"[daemon]\n{settings}\n{configuration(LEFT, RIGHT, child=START)}", before=before)
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)


def of_control(pair: Pair) -> dict[str, list[str]]:
    assert pair.left.process is not None
    return status(pair.left.process.pid)


def test_each_process_may_do_what_it_needs(pair: Pair, tmp_path: Path) -> None:
    start(pair, f'user = "{OTHER.pw_name}"', before=open_up(tmp_path / "mounts"))
    control, privileged = of_control(pair), status(pair.left.privileged())
    assert control["Uid"] == [str(OTHER.pw_uid)] * 4
    assert control["Gid"] == [str(OTHER.pw_gid)] * 4
    assert control["Groups"] == []
    assert all(capabilities(control[name]) == set() for name in SETS)
    assert privileged["Uid"] == ["0"] * 4
    assert capabilities(privileged["CapEff"]) == capabilities(privileged["CapBnd"]) == set(KEPT)
    assert pair.left.workers()
    for pid in pair.left.workers():
        assert status(pid)["Uid"] == [str(NOBODY.pw_uid)] * 4
        assert all(capabilities(status(pid)[name]) == set() for name in SETS)
    for pid in pair.left.processes():
        assert status(pid)["NoNewPrivs"] == ["1"]
        assert core_limit(pid) == ["0", "0"]
        assert Path(f"/proc/{pid}/environ").stat().st_uid == 0  # not dumpable
    code = f"import os, socket; os.setuid({OTHER.pw_uid}); socket.socket(1).connect('{pair.left.socket}')"
    assert "PermissionError" in pair.left.namespace.run(sys.executable, "-c", code, check=False).stderr
    pair.left.stop()
    assert not pair.left.socket.exists()


def test_what_is_there_later_where_the_program_is_behind_roots_directory(pair: Pair) -> None:
    late = "192.0.2.77"
    pair.left.start(configuration(LEFT, RIGHT).replace(f'["{LEFT.outer}"]', f'["{LEFT.outer}", "{late}"]'))
    control = of_control(pair)
    closed = closed_to(Account(NOBODY.pw_uid, NOBODY.pw_gid))
    kept = set() if closed is None else {Capability.DAC_READ_SEARCH}
    assert control["Uid"] == [str(NOBODY.pw_uid)] * 4
    assert capabilities(control["CapEff"]) == capabilities(control["CapBnd"]) == kept
    line = f"the right to read all files is kept: the program is behind {closed}, another user's"
    assert (line in pair.left.log()) is bool(kept)
    device = json.loads(pair.left.namespace.ip("-j", "route", "get", RIGHT.outer))[0]["dev"]
    pair.left.namespace.ip("addr", "add", f"{late}/24", "dev", device)
    wait_until(lambda: f"listening on {late}" in pair.left.log(), "it listens there")
    assert not [line for line in pair.left.log().splitlines() if " ERROR " in line]


def test_without_a_capability_that_it_takes(pair: Pair) -> None:
    pair.right.start('[daemon]\nuser = ""\n' + configuration(RIGHT, LEFT))
    pair.left.start(
        configuration(LEFT, RIGHT, child=START), through="setpriv --bounding-set=-setuid,-setpcap"
    )
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)
    for gateway in pair:
        assert len(gateway.processes()) == 2  # control and a worker
        assert gateway.process is not None
        assert status(gateway.process.pid)["Uid"] == ["0"] * 4
    line = "control keeps its rights and does not become nobody: that needs CAP_SETUID"
    assert pair.left.log().count(line) == 1
    assert "control keeps its rights" not in pair.right.log()
    line = "WARNING daemon: without CAP_SETPCAP the bounding sets of all processes stay as they are"
    assert (pair.left.log().count(line), pair.right.log().count(line)) == (1, 0)


def test_a_user_that_there_is_not(pair: Pair) -> None:
    process = pair.left.launch('[daemon]\nuser = "nosuchuser"\n' + configuration(LEFT, RIGHT))
    assert process.wait(10) == 1
    assert "daemon.user: there is no user 'nosuchuser' here: name one" in pair.left.log()


def test_a_privileged_process_that_is_killed_ends_the_daemon_in_order(pair: Pair) -> None:
    start(pair)
    workers = pair.left.workers()
    os.kill(pair.left.privileged(), signal.SIGKILL)
    assert pair.left.process is not None
    assert pair.left.process.wait(10) == 1
    assert "the privileged process ended (signal 9, Killed), and with it the workers" in pair.left.log()
    wait_until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()], "they have")
    wait_until(lambda: not pair.right.list_sas(), "the peer was told")
    assert not _devices(pair)


def test_a_privileged_process_that_hangs_costs_no_traffic_and_a_pods_end_is_in_time(pair: Pair) -> None:
    """Control waits for it at once, and SIGTERM comes meanwhile: Kubernetes would kill after 13 s more (15,
    less preStop's 2), of which 4 may pass until peers answer."""
    start(pair)
    privileged = pair.left.privileged()
    os.kill(privileged, signal.SIGSTOP)
    try:
        assert pair.left.process is not None
        pair.left.process.send_signal(signal.SIGHUP)  # the files are read through it
        wait_until(lambda: "is read again" in pair.left.log(), "control waits for it")
        assert all(ping(pair.left.namespace, LEFT, RIGHT) for _ in range(10))
        pair.left.process.send_signal(signal.SIGTERM)
        assert pair.left.process.wait(13) == 1
        assert "can't be read: the privileged process gives no answer" in pair.left.log()
        assert "the privileged process ended (no answer within 7 s)" in pair.left.log()
        wait_until(lambda: not pair.right.list_sas(), "the peer was told")
        assert not _devices(pair)
    finally:
        os.kill(privileged, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{privileged}").exists(), "it ends by itself")


def test_of_a_control_that_is_killed_nothing_stays(pair: Pair) -> None:
    start(pair)
    pair.left.namespace.ip("route", "add", f"{RIGHT.outer}/32", "dev", "vti0")  # the peer is exempted from it
    wait_until(lambda: _exemptions(pair), "the exemption is there")
    others = pair.left.processes()[1:]
    assert len(others) == 2
    pair.left.kill()
    wait_until(lambda: not [pid for pid in others if Path(f"/proc/{pid}").exists()], "all have ended")
    wait_until(lambda: not _devices(pair), "the device is gone")
    assert not _exemptions(pair)
    assert not pair.left.socket.exists()


def _devices(pair: Pair) -> list[str]:
    shown = json.loads(pair.left.namespace.ip("-j", "link", "show"))
    return [one["ifname"] for one in shown if one["ifname"].startswith("vti")]


def _exemptions(pair: Pair) -> str:
    done = pair.left.namespace.run("ip", "route", "show", "table", "4500", check=False)
    return done.stdout


def test_a_reload_keeps_credentials_of_directories_and_takes_new_ones(pair: Pair, tmp_path: Path) -> None:
    """Of the pod's image: the configuration's directory is another one than theirs."""
    pki, place = chain(), tmp_path / "left"
    folders = {name: place / name for name in ("ipsec.config.d", "ipsec.secrets.d", "ipsec.d/cacerts")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    (folders["ipsec.config.d"] / "a.conf").write_text(
        f"conn net\n left={LEFT.outer}\n right={RIGHT.outer}\n authby=pubkey\n leftid=@gwa\n rightid=@gwb\n"
        f" leftsubnet={LEFT.networks[0]}\n rightsubnet={RIGHT.networks[0]}\n auto=add\n"
    )
    folders["ipsec.secrets.d"].chmod(0o700)
    (folders["ipsec.secrets.d"] / "a.secrets").write_text("")
    (folders["ipsec.d/cacerts"] / "root.pem").write_bytes(pki.root.pem)
    pair.left.start_file(folders["ipsec.config.d"] / "a.conf")
    assert certificates(pair) == [pki.root.der]
    pair.left.ask("reload")
    assert certificates(pair) == [pki.root.der]
    (folders["ipsec.d/cacerts"] / "ca.pem").write_bytes(pki.ca.pem)
    pair.left.ask("reload")
    assert set(certificates(pair)) == {pki.root.der, pki.ca.der}


def certificates(pair: Pair) -> list[bytes]:
    found = ask_for_list(pair.left.socket, "list-certs", "list-cert", {})
    return [str(one["data"]).encode(errors="surrogateescape") for one in found]


def test_a_secret_that_only_root_reads_is_read_again(pair: Pair, tmp_path: Path) -> None:
    secret = tmp_path / "left" / "psk"
    secret.write_text("Zq8vN3xTfWm7cYhLzU0b2")
    secret.chmod(0o600)
    text = configuration(LEFT, RIGHT).replace('secret = "s3cr3t"', 'secret_file = "psk"')
    pair.right.start(configuration(RIGHT, LEFT).replace("s3cr3t", "Kw5tPq9uRzXe2LsVd8"))
    pair.left.start(text, "--watch", before=open_up(tmp_path / "mounts"))
    assert capabilities(of_control(pair)["CapEff"]) == set()
    wait_until(lambda: "the kernel can't watch its files" in pair.left.log(), "it looks by itself")
    secret.write_text("Kw5tPq9uRzXe2LsVd8")
    pair.left.reload(text)
    assert pair.left.log().count("reloaded") == 1
    pair.left.ask("initiate", child="net")
    wait_until(pair.left.children, "the child is installed")
