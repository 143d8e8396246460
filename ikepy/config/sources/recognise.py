"""Reads a configuration file of whatever format: its content tells which it is."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from ikepy.config import toml_source
from ikepy.config.checks import credential_notes, expiry
from ikepy.config.credentials import credential_files, private_keys
from ikepy.config.sources.draft import Draft
from ikepy.config.sources.place import read_file
from ikepy.config.toml_source import Reading

TOML, SWANCTL, IPSEC = "TOML", "swanctl.conf", "ipsec.conf"
_SIGNS = (
    (IPSEC, re.compile(r"(config\s+setup|(conn|ca)\s+[^\s={}]+|version\s+2(\.0)?)\s*$")),
    (TOML, re.compile(r"\[|(?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"))*\s*=")),
    (SWANCTL, re.compile(r"[^#{}:.,=\"\s\[]+\s*(\{|:[^={]*\{)")),
)
_INCLUDE = re.compile(r"include\s+\S")
_NAME = re.compile(r"[^#{}:.,=\"\s\[]+$")


def format_of(text: str, name: str = "") -> str:
    """As which a file is read: by the first line that is no comment. TOML if nothing tells.

    `name`: of the file, which decides where only includes stand.
    """
    lines = [line for line in (_uncommented(one) for one in text.splitlines()) if line]
    for index, line in enumerate(lines):
        if _INCLUDE.match(line):
            continue
        if _NAME.match(line) and lines[index + 1 : index + 2] and lines[index + 1].startswith("{"):
            return SWANCTL
        return next((kind for kind, sign in _SIGNS if sign.match(line)), TOML)
    if not lines:
        return TOML
    return IPSEC if "ipsec" in name else SWANCTL


def _uncommented(line: str) -> str:
    return line.partition("#")[0].strip()


def read(path: Path) -> Reading:
    """The configuration in a file, with remarks. ConfigError with every mistake."""
    text, exposed = read_file(path)
    found = _draft(path, text, exposed)
    reading = found.read() if found is not None else toml_source.read_text(text, str(path), exposed)
    remarks: list[tuple[str, str]] = []

    def tell(name: str, why: str) -> None:
        remarks.append((name, why))

    layout = found.layout if found is not None else credential_files.SWANCTL
    directories = credential_files.read_directories(path.parent, tell, layout)
    keys = dict(reading.config.private_keys)
    if not layout.only_named:
        keys |= private_keys.in_directories(path.parent, reading.config.private_keys.values(), tell)
    config = reading.config.model_copy(update={"directories": directories, "private_keys": keys})
    remarks += [*credential_notes.notes(config), *expiry.notes(config, time.time())]
    return replace(reading, config=config, remarks=(*reading.remarks, *remarks))


def draft(path: Path) -> Draft | None:
    """What a file in another format means; None for TOML."""
    return _draft(path, *read_file(path))


def _draft(path: Path, text: str, exposed: str | None) -> Draft | None:
    match format_of(text, path.name):
        case "swanctl.conf":
            from ikepy.config.sources import swanctl  # loads a parser generator, which TOML does without

            return swanctl.draft(path, text, exposed)
        case "ipsec.conf":
            from ikepy.config.sources import ipsec

            return ipsec.draft(path, text)
    return None
