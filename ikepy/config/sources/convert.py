"""Writes the configuration of another format as our TOML, and says what it could not carry over."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path

import tomli_w

from ikepy.config import files, files_read
from ikepy.config.credentials import private_keys
from ikepy.config.credentials.credential_files import SWANCTL
from ikepy.config.sources import ipsec_conn
from ikepy.config.sources.draft import Draft, Lost
from ikepy.config.toml_source import Table


def to_toml(draft: Draft, *, secrets: bool) -> str:
    """The draft as a TOML file, with what it lacks as comments at the top.

    `secrets`: whether they stand in it; else each is a `secret_file` that is to be made, and PINs are left
    out.
    """
    table = copy.deepcopy(draft.table)
    left_out = [] if secrets else _without_pins(table)
    if not secrets:
        _name_files(table)
    head = [
        f"# Made from {_line(str(draft.path))}, read as {draft.format}.",
        *_comments(draft),
        *left_out,
        "",
    ]
    return "\n".join(head) + "\n" + tomli_w.dumps(_without_empty(table))


def write(text: str, out: Path) -> None:
    """Make the file, which nobody but its owner may read. OSError if it is there already."""
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def lost(draft: Draft) -> Iterator[str]:
    """One line for each thing that was not carried over, or not as it stood."""
    for kind, several in (("not carried over", draft.refused), ("remark", draft.remarks)):
        for one in several:
            yield _told(kind, one)
    for name, ours in _directories(draft):
        yield f"{name}: TOML does not read it: copy what is in it into {ours}, beside the TOML file"


def _directories(draft: Draft) -> Iterator[tuple[str, str]]:
    """Those that are read beside this file and not beside a TOML file, each with TOML's own."""
    theirs = draft.layout
    if theirs is SWANCTL:
        return
    pairs = (theirs.cas, SWANCTL.cas), (theirs.responders, SWANCTL.responders), (theirs.crls, SWANCTL.crls)
    for one, ours in pairs:
        directory = draft.path.parent / one.directory
        if files_read.expand(files.in_directory(directory.absolute(), "*")):
            yield str(directory), ours.directory


def left_behind(draft: Draft, out: Path) -> Iterator[str]:
    """One line for each directory beside `draft` whose files are read beside the TOML file from then on."""
    here, there = draft.path.absolute().parent, out.absolute().parent
    if here == there:
        return
    of = draft.layout
    kinds = (
        (of.certificates,)
        if of.only_named
        else (of.certificates, of.cas, of.responders, of.crls, of.public_keys)
    )
    keys = (f"{ipsec_conn.directory(draft.path)}/private",) if of.only_named else private_keys.KINDS
    for name in (*(one.directory for one in kinds), *keys):
        if files_read.expand(files.in_directory(here / name, "*")):
            yield f"{here / name}: its files are looked for in {there / name} now: copy it there"


def _told(kind: str, one: Lost) -> str:
    return ": ".join(part for part in (str(one.place), one.key, kind, one.text) if part)


def _comments(draft: Draft) -> list[str]:
    return [f"# {_line(told)}" for told in lost(draft)]


def _line(text: str) -> str:
    """A text without what would end a comment."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _name_files(table: Table) -> None:
    """Let files have the secrets: those of peers and users, and those that RADIUS servers share with us."""
    radius = table.get("radius")
    servers = radius.get("servers") if isinstance(radius, dict) else None
    for kind, entries in (("", table.get("secrets")), ("radius-", servers)):
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and "secret" in entry:
                del entry["secret"]
                entry["secret_file"] = f"{kind}{name}.psk"


def _without_pins(table: Table) -> list[str]:
    """Take the PINs of tokens away. A comment for each."""
    comments: list[str] = []
    secrets = table.get("secrets")
    for name, entry in secrets.items() if isinstance(secrets, dict) else ():
        if isinstance(entry, dict) and entry.pop("pin", None) is not None:
            comments.append(f"# {_line(f'secrets.{name}.pin')}: left out here, add it to the file")
    return comments


def _without_empty(table: Table) -> Table:
    """Without sections that say nothing, but for those that have to be there."""
    kept = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in kept.items() if value != {}}
