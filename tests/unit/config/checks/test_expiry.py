"""CRLs that are out of date."""

from __future__ import annotations

import time
from pathlib import Path

from ikepy.config.checks import expiry
from ikepy.config.sources import recognise
from tests.pki import chain

DAY = 86400.0


def test_a_crl_that_is_out_of_date(tmp_path: Path) -> None:
    (tmp_path / "x509crl").mkdir()
    (tmp_path / "x509crl" / "old.crl").write_bytes(chain().crl(lifetime=3))
    (tmp_path / "ikepy.toml").touch()
    config, now = recognise.read(tmp_path / "ikepy.toml").config, time.time()
    assert not expiry.notes(config, now)
    ((key, text),) = expiry.notes(config, now + 4 * DAY)
    assert key == "x509crl" and "is out of date since" in text and "CN=" in text


def test_of_one_ca_a_newer_one_is_enough(tmp_path: Path) -> None:
    (tmp_path / "x509crl").mkdir()
    (tmp_path / "x509crl" / "old.crl").write_bytes(chain().crl(lifetime=3))
    (tmp_path / "x509crl" / "new.crl").write_bytes(chain().crl(lifetime=30))
    (tmp_path / "ikepy.toml").touch()
    config = recognise.read(tmp_path / "ikepy.toml").config
    assert not expiry.notes(config, time.time() + 4 * DAY)
