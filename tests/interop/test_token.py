"""A tunnel whose private key is in a PKCS#11 token: the signer asks the token, also one that replaces it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import Bed
from tests.interop.certified import PLUGINS, Files, our_text, their_text
from tests.pki import chain

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, HANDLE = "6741", "a1b2"
OWN = '[secrets.private-own]\nfile = "own.key"\n'
TOKEN = f'[secrets.token-own]\nhandle = "{HANDLE}"\nmodule = "{MODULE}"\npin = "{PIN}"\n'
pytestmark = [
    pytest.mark.root,
    pytest.mark.strongswan,
    pytest.mark.skipif(
        not MODULE.exists() or shutil.which("softhsm2-util") is None, reason="needs Debian's softhsm2"
    ),
]


@pytest.fixture
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The settings of SoftHSM, whose one token everybody may open."""
    directory = Path("/run") / f"ikepy-token-{os.getpid()}"
    tokens, settings = directory / "tokens", directory / "softhsm2.conf"
    tokens.mkdir(parents=True)
    try:
        settings.write_text(
            f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        key = tmp_path_factory.mktemp("key") / "key.pem"
        key.write_bytes(chain("ecdsa").moon.pkcs8_pem)
        environment = {**os.environ, "SOFTHSM2_CONF": str(settings)}
        for words in (
            ("--init-token", "--free", "--label", "test", "--so-pin", "0000", "--pin", PIN),
            ("--import", str(key), "--token", "test", "--label", "gw", "--id", HANDLE, "--pin", PIN),
        ):
            subprocess.run(["softhsm2-util", *words], env=environment, check=True, capture_output=True)
        for path in (directory, *directory.rglob("*")):
            path.chmod(0o777)  # whoever the signer is
        yield settings
    finally:
        shutil.rmtree(directory)


def signers(bed: Bed) -> set[int]:
    """The signers of our gateway: children of control."""
    children = Path(f"/proc/{bed.ours.pid}/task").glob("*/children")
    pids = {int(word) for one in children for word in one.read_text().split()}
    return {pid for pid in pids if b"signer_main" in _command(pid)}


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def test_the_key_is_in_a_token(bed: Bed, softhsm: Path) -> None:
    moon, sun, ca = chain("ecdsa").moon, chain("ecdsa").sun, chain("ecdsa").root.pem
    ours, theirs = Files(moon, ca), Files(sun, ca)
    ours.write(bed.ours.run_directory)
    (bed.ours.run_directory / "private" / "own.key").unlink()
    theirs.write(bed.theirs.run_directory)
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=PLUGINS)
    bed.theirs.start(their_text(theirs, "pubkey", "pubkey", {}))
    text = our_text(ours, "pubkey", "pubkey")
    assert OWN in text
    bed.ours.start(text.replace(OWN, TOKEN), environment={"SOFTHSM2_CONF": str(softhsm)})
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()
    (before,) = signers(bed)
    os.kill(before, signal.SIGKILL)
    bed.wait(lambda: signers(bed) - {before}, "another signer")
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()
    assert "the signer ended" in bed.ours.log() and PIN not in bed.ours.log()
