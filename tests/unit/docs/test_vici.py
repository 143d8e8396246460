"""docs/vici.md: the commands, events and alerts that there are, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ikepy.daemon.vici import alerts
from ikepy.daemon.vici.commands import ViciCommands
from ikepy.daemon.vici.control_commands import ControlCommands
from ikepy.daemon.vici.events import BY_THEMSELVES, OF_COMMANDS
from ikepy.daemon.vici.loading import Loading
from ikepy.daemon.vici.sections import Reqids
from tests.unit.docs.pages import DOCS, quoted, tables

PAGE = DOCS / "vici.md"


def first_cells(heading: str) -> list[str]:
    return [name for row in tables(PAGE)[heading] for name in quoted(row[0])]


def test_commands() -> None:
    nothing: Any = None
    control = ControlCommands(nothing, nothing, nothing)
    loading = Loading(nothing, nothing, nothing, list)
    commands = ViciCommands(nothing, control, loading, nothing, Reqids(), nothing)
    assert sorted(first_cells("Commands")) == sorted(commands.names)


def test_events() -> None:
    assert sorted(first_cells("Events")) == sorted((*BY_THEMSELVES, *OF_COMMANDS))


def test_alerts() -> None:
    source = Path(str(alerts.__file__)).read_text()
    raised = {
        name.replace("{level}", level)
        for name in re.findall(r'"([a-z{}]+(?:-[a-z{}]+)+)"', source)
        for level in ("ike", "child")
    }
    text = PAGE.read_text()
    said = quoted(text[text.index("An alert is one of") : text.index("## Limits")])
    assert set(said) == raised
