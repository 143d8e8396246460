"""A benchmark beside strongSwan's by itself, as `python -m benchmarks.setups` runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

import click
from rich.console import Console

from benchmarks.interrupt import on_sigterm
from benchmarks.report import Row, machine, table
from benchmarks.setting import Setting
from ikepy.lab import strongswan
from ikepy.lab.netns import LabError


def run(name: str, prefix: str, rounds: int, rows: Callable[[Setting], list[Row]], title: str) -> None:
    """Measure, and print the table; where that fails, end the process with what it says. `prefix`: of the
    namespaces."""
    on_sigterm()
    if (reason := strongswan.missing()) is not None:
        _fail(name, reason)
    setting = Setting(f"{prefix}{os.getpid()}-", rounds, 0, False, lambda text: click.echo(text, err=True))
    try:
        found = rows(setting)
    except LabError as error:
        _fail(name, str(error))
    console = Console(highlight=False, width=110)
    console.print(table(found, title))
    console.print(machine(), soft_wrap=True)


def _fail(name: str, text: str) -> NoReturn:
    click.echo(f"benchmarks.{name}: {text}", err=True)
    sys.exit(1)
