"""Fetches Debian's source package of wireshark, without touching the machine's own lists of packages."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

SOURCES = """\
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
WANTED = ("/test/captures/ike", "/test/captures/esp", "/test/config/ikev2_", "/test/config/esp_sa")


def fetched(place: Path) -> Path:
    """The directory of the source, with its captures and their keys alone. SystemExit if it can't be had."""
    lists, cache = place / "lists", place / "cache"
    (lists / "partial").mkdir(parents=True)
    (cache / "archives/partial").mkdir(parents=True)
    (place / "source.sources").write_text(SOURCES)
    options = {
        "Dir::Etc::SourceList": place / "source.sources",
        "Dir::Etc::SourceParts": place / "none",
        "Dir::State::Lists": lists,
        "Dir::Cache": cache,
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    for words in (["update"], ["source", "--download-only", "wireshark"]):
        done = subprocess.run([*apt, *words], cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"apt-get {words[0]}: {done.stderr.strip()}")
    (archive,) = place.glob("wireshark_*.orig.tar.*")
    with tarfile.open(archive) as source:
        for member in source:
            if any(one in member.name for one in WANTED):
                source.extract(member, place, filter="data")
    (unpacked,) = place.glob("wireshark-*")
    return unpacked
