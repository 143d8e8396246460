"""Debian's tshark with tables of keys, as the oracle of what we write and what we read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def fields(capture: Path, keys: Path, *names: str) -> list[dict[str, str]]:
    """These fields of each packet, by the tables in `keys`; "" where a packet has none."""
    words: list[str | Path] = ["-r", capture, "-o", "esp.enable_encryption_decode:TRUE"]
    words += ["-o", "esp.enable_authentication_check:TRUE", "-T", "fields", "-E", "separator=|"]
    for name in names:
        words += ["-e", name]
    return [dict(zip(names, line.split("|"), strict=True)) for line in _run(words, keys).splitlines()]


def _run(words: Sequence[str | Path], keys: Path) -> str:
    """tshark finds the tables in a profile's directory, which it is given alone."""
    home = keys.parent / f"{keys.name}-tshark"
    profile = home / "wireshark"
    profile.mkdir(parents=True, exist_ok=True)
    for name in ("ikev2_decryption_table", "esp_sa"):
        if (keys / name).exists():
            (profile / name).write_bytes((keys / name).read_bytes())
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "HOME": str(home)}
    done = subprocess.run(
        ["tshark", *map(str, words)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
