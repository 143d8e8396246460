"""Revocation with a real strongSwan, in both roles: CRLs and OCSP, with openssl as the responder."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ikepy.lab import pair
from ikepy.lab.netns import Namespace
from ikepy.lab.process import Process
from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import Bed
from tests.interop.certified import PLUGINS, Files, our_text, their_text
from tests.netns.namespaces import wait_until
from tests.pki import Entity, chain

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

PKI = chain()
CRL_PORT, OCSP_PORT = 8880, 8881
CRL = f"http://{pair.RIGHT}:{CRL_PORT}/ca.crl"
OCSP = f"http://{pair.RIGHT}:{OCSP_PORT}/"


def issued(name: str, **uris: Any) -> Entity:
    return PKI.issue(name, san=(f"{name}.example.org",), flags=("serverAuth",), **uris)


@contextlib.contextmanager
def serving(namespace: Namespace, directory: Path, *command: str, port: int) -> Iterator[None]:
    """A server in a namespace, once it listens."""
    directory.mkdir(parents=True, exist_ok=True)
    process = Process(namespace, directory)
    process.start(*command)
    try:
        wait_until(lambda: f":{port} " in namespace.run("ss", "-ltn"), "the server listens", 15)
        yield
    finally:
        process.stop(2)


@contextlib.contextmanager
def ca_files(bed: Bed, directory: Path) -> Iterator[Path]:
    """The CA's CRLs by HTTP beside strongSwan; the directory may be written to meanwhile."""
    directory.mkdir()
    command = ("python3", "-m", "http.server", str(CRL_PORT), "--directory", str(directory))
    with serving(bed.pair.right, directory / "server", *command, port=CRL_PORT):
        yield directory


@contextlib.contextmanager
def responder(bed: Bed, directory: Path, good: list[Entity], revoked: list[Entity]) -> Iterator[None]:
    """openssl's OCSP responder, with a certificate of the CA for it."""
    directory.mkdir()
    signer = PKI.issue("ocsp", flags=("ocspSigning",))
    certificate, key = signer.write(directory, "signer")
    (directory / "ca.crt").write_bytes(PKI.ca.pem)
    now = f"{datetime.now(UTC):%y%m%d%H%M%SZ}"
    lines = [
        f"{'R' if one in revoked else 'V'}\t400101000000Z\t{now if one in revoked else ''}\t"
        f"{one.certificate.serial_number:040X}\tunknown\t/CN=x\n"
        for one in (*good, *revoked)
    ]
    (directory / "index.txt").write_text("".join(lines))
    command = (
        *("openssl", "ocsp", "-index", str(directory / "index.txt"), "-port", str(OCSP_PORT)),
        *("-rsigner", str(certificate), "-rkey", str(key), "-CA", str(directory / "ca.crt")),
    )
    with serving(bed.pair.right, directory / "server", *command, port=OCSP_PORT):
        yield


def begin(bed: Bed, moon: Entity, sun: Entity, revocation: str) -> None:
    """Start both; ours has the root's CRL in a file, as the intermediate CA names none."""
    for directory in (bed.ours.run_directory, bed.theirs.run_directory):
        (directory / "x509crl").mkdir(parents=True, exist_ok=True)
        (directory / "x509crl" / "root.crl").write_bytes(PKI.crl(root=True))
    ours, theirs = Files(moon, PKI.root.pem), Files(sun, PKI.root.pem)
    ours.write(bed.ours.run_directory)
    theirs.write(bed.theirs.run_directory)
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=PLUGINS)
    bed.theirs.start(their_text(theirs, "pubkey", "pubkey", {}))
    # Control without rights: the privileged process opens the files, and the fetches are an ordinary user's.
    text = our_text(ours, "pubkey", "pubkey")
    named = 'cacerts = ["root.crt"]\n'
    bed.ours.start(text.replace(named, f'{named}revocation = "{revocation}"\n'))


def refused_by_both(bed: Bed, text: str) -> None:
    """Whoever initiates, ikepy says why."""
    assert text in bed.refused("ikepy")
    bed.wait_for_nothing()
    bed.refused("strongSwan")
    bed.wait_for_log("ikepy", re.escape(text), times=2)


def test_crl_by_http(bed: Bed, tmp_path: Path) -> None:
    moon, sun = issued("moon"), issued("sun", crl=(CRL,))
    with ca_files(bed, tmp_path / "ca") as directory:
        (directory / "ca.crl").write_bytes(PKI.crl(moon))
        begin(bed, moon, sun, "strict")
        for _ in bed.each_brings_it_up():
            bed.expect_traffic()
        (directory / "ca.crl").write_bytes(PKI.crl(sun))
        bed.up("ikepy")  # the CRL that was fetched is still good
        bed.ours.ask("flush-certs")
        bed.terminate("ikepy", ike="net")
        bed.wait_for_nothing()
        refused_by_both(bed, "revoked (keyCompromise")


def test_crl_that_is_not_to_be_had(bed: Bed) -> None:
    begin(bed, issued("moon"), issued("sun", crl=(CRL,)), "ifuri")
    refused_by_both(bed, "Connection refused")


def test_ocsp(bed: Bed, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    moon, sun = issued("moon"), issued("sun", ocsp=(OCSP,))
    begin(bed, moon, sun, "strict")
    with responder(bed, tmp_path / "good", [sun], []):
        for _ in bed.each_brings_it_up():
            bed.expect_traffic()
    bed.ours.ask("flush-certs")
    with responder(bed, tmp_path / "revoked", [], [sun]):
        refused_by_both(bed, "revoked (unspecified")


def test_a_crl_in_a_file_is_replaced_under_a_tunnel(bed: Bed) -> None:
    begin(bed, issued("moon"), (sun := issued("sun")), "relaxed")
    bed.up("ikepy")
    (bed.ours.run_directory / "x509crl" / "ca.crl").write_bytes(PKI.crl(sun))
    assert "certificates changed" in bed.ours.reload(bed.ours.config)
    bed.wait_for_children(1)
    bed.expect_traffic()
    bed.terminate("ikepy", ike="net")
    bed.wait_for_nothing()
    refused_by_both(bed, "revoked (keyCompromise")


def test_strongswan_refuses_ours_once_it_is_revoked(bed: Bed) -> None:
    """By a CRL in a file. charon takes another one only if its number is higher, and goes on with the one
    in its cache until that is flushed."""
    moon, sun = issued("moon"), issued("sun")
    begin(bed, moon, sun, "relaxed")
    text = their_text(Files(sun, PKI.root.pem), "pubkey", "pubkey", {})
    text = text.replace("cacerts = root.crt\n", "cacerts = root.crt\nrevocation = strict\n")

    def give(crl: bytes) -> None:
        (bed.theirs.run_directory / "x509crl" / "ca.crl").write_bytes(crl)
        bed.theirs.load(text)
        bed.theirs.swanctl("--flush-certs")

    give(good := PKI.crl())
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()
    bed.wait_for_nothing()
    give(PKI.crl(moon, last=good))
    assert "AUTHENTICATION_FAILED" in bed.refused("ikepy")
    bed.wait_for_nothing()
    bed.refused("strongSwan")
    bed.wait_for_log("strongSwan", "certificate was revoked on .*, reason: key compromise", times=2)
