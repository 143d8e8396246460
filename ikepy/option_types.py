"""The types of our commands' options: paths, and numbers of seconds, days and the like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

# What can't be read is told where it is opened, with status 1 and in the form that is asked for.
PATH = click.Path(path_type=Path, readable=False)
FILE = click.Path(path_type=Path, readable=False, dir_okay=False)
DIRECTORY = click.Path(path_type=Path, readable=False, file_okay=False)
PATH_OR_DASH = click.Path(path_type=Path, readable=False, allow_dash=True)


class Number(click.FloatRange):
    """A finite number within a range: click's own takes nan, which is neither below nor above its limits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number
