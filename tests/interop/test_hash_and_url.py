"""A real strongSwan gives its certificate by hash and URL (RFC 7296 3.6), in both roles."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import pytest

from ikepy.lab import pair
from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import Bed
from tests.interop.certified import PLUGINS, Files, our_text, their_text
from tests.interop.test_revocation import serving
from tests.pki import chain

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

PKI = chain()
PORT = 8882
AUTHORITY = f"""
authorities {{
  ca {{
    cacert = between0.crt
    cert_uri_base = http://{pair.RIGHT}:{PORT}/
  }}
}}
"""


def test_a_certificate_by_hash_and_url(bed: Bed, tmp_path: Path) -> None:
    """Its intermediate's comes whole beside it. Each role fetches it anew, as ours forgets it between."""
    ours, theirs = Files(PKI.moon, PKI.root.pem), Files(PKI.sun, PKI.root.pem)
    ours.write(bed.ours.run_directory)
    theirs.write(bed.theirs.run_directory)
    name = sha1(PKI.sun.der).hexdigest()
    (tmp_path / name).write_bytes(PKI.sun.der)
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=PLUGINS)
    bed.theirs.start(their_text(theirs, "pubkey", "pubkey", {}, AUTHORITY))
    named = 'cacerts = ["root.crt"]\n'
    text = our_text(ours, "pubkey", "pubkey").replace(named, f"{named}hash_and_url = true\n")
    bed.ours.start(text)
    command = ("python3", "-m", "http.server", str(PORT), "--directory", str(tmp_path))
    with serving(bed.pair.right, tmp_path / "server", *command, port=PORT):
        for _ in bed.each_brings_it_up():
            bed.expect_traffic()
            bed.ours.ask("flush-certs")
    asked = (tmp_path / "server" / "output.log").read_text()
    assert asked.count(f'GET /{name} HTTP/1.1" 200') == 2
