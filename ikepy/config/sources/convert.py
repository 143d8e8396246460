"""Writes the configuration of another format as our TOML, and says what it could not carry over."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path

import tomli_w

from ikepy.config.sources.draft import Draft, Lost
from ikepy.config.toml_source import Table


def to_toml(draft: Draft, *, secrets: bool) -> str:
    """The draft as a TOML file, with what it lacks as comments at the top.

    `secrets`: whether they stand in it; else each is a `secret_file` that is to be made.
    """
    table = copy.deepcopy(draft.table)
    if not secrets:
        _name_files(table)
    head = [f"# Made from {_line(str(draft.path))}, read as {draft.format}.", *_comments(draft), ""]
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


def _told(kind: str, one: Lost) -> str:
    return ": ".join(part for part in (str(one.place), one.key, kind, one.text) if part)


def _comments(draft: Draft) -> list[str]:
    return [f"# {_line(told)}" for told in lost(draft)]


def _line(text: str) -> str:
    """A text without what would end a comment."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _name_files(table: Table) -> None:
    secrets = table.get("secrets")
    for name, entry in secrets.items() if isinstance(secrets, dict) else ():
        if "secret" in entry:
            del entry["secret"]
            entry["secret_file"] = f"{name}.psk"


def _without_empty(table: Table) -> Table:
    """Without sections that say nothing, but for those that have to be there."""
    kept = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in kept.items() if value != {}}
