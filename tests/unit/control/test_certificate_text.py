"""list-certs for people: whose certificates they are, and until when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from ikepy.cli import main
from ikepy.pki import keys
from tests.pki import chain
from tests.unit.vici_daemon import Answer, vici_daemon


def listed(directory: Path, *events: dict[str, Any]) -> list[str]:
    socket = directory / "ikepy.sock"
    with vici_daemon(socket, {"list-certs": Answer({}, [("list-cert", event) for event in events])}):
        result = CliRunner().invoke(main, ["list-certs", "--socket", str(socket)])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_each_kind(tmp_path: Path) -> None:
    pki = chain("ecdsa")
    lines = listed(
        tmp_path,
        {"type": "X509", "flag": "NONE", "has_privkey": "yes", "data": pki.moon.der},
        {"type": "X509", "flag": "CA", "data": pki.root.der},
        {"type": "X509_CRL", "data": pki.crl(pki.moon)},
        {"type": "PUBKEY", "data": keys.public_bytes(pki.moon.key.public_key(), "der")},
    )
    heads = [line for line in lines if not line.startswith(" ")]
    assert heads == ["certificate, with its private key:", "certificate, of a CA:", "CRL:", "raw public key:"]
    assert '  subject:   "C=CH, O=ikepy, CN=moon"' in lines
    assert any(line.startswith("             not after ") and "ok (expires in" in line for line in lines)
    assert "  1 revoked certificate" in lines
    assert any(line.startswith("  pubkey:    ECDSA") for line in lines)


def test_what_nothing_can_show(tmp_path: Path) -> None:
    lines = listed(tmp_path, {"type": "X509_AC", "data": b"\x30\x00"}, {"type": "X509", "data": b"\xff\xfe"})
    assert lines == ["X509_AC:", "  2 octets", "certificate:", "  2 octets"]
