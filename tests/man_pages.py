"""Makes the man pages in `docs/man`, or a DIRECTORY, from the command line's own help.

`python -m tests.man_pages [DIRECTORY]`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from click_man.man import ManPage

from ikepy import __version__
from ikepy.cli import main

DIRECTORY = Path(__file__).resolve().parents[1] / "docs/man"
SHORT = 200  # characters of a command's summary: all of it
NO_FILL, FILL = ".nf", ".fi"  # lines between them stay as they are (man(7))


def pages(command: click.Command = main, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """The name and text of each page: a command's, and those of its commands."""
    name = command.name if parent else "ikepy"
    with click.Context(command, info_name=name, parent=parent, **command.context_settings) as context:
        yield f"{context.command_path.replace(' ', '-')}.1", page(context)
        for _, below in _commands(context):
            yield from pages(below, context)


def page(context: click.Context) -> str:
    """A command's page, with the examples of its help."""
    command = context.command
    made = ManPage(context.command_path)
    made.version, made.date = __version__, f"ikepy {__version__}"
    made.short_help = command.get_short_help_str(SHORT)
    made.description = cleandoc(command.help or "").replace("\b\n", "")
    made.synopsis = " ".join(command.collect_usage_pieces(context))
    records = [one.get_help_record(context) for one in command.get_params(context)]
    made.options = [record for record in records if record is not None]
    made.commands = [(name, below.get_short_help_str(SHORT)) for name, below in _commands(context)]
    return f"{made}{_examples(command)}"


def _commands(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            below = context.command.get_command(context, name)
            if below is not None and not below.hidden:
                yield name, below


def _examples(command: click.Command) -> str:
    lines = (command.epilog or "").removeprefix("\b\n").splitlines()
    if not lines:
        return ""
    shown = [line.strip().replace("\\", "\\e").replace("-", "\\-") for line in lines[1:]]
    return "\n".join((".SH EXAMPLES", NO_FILL, *shown, FILL, ""))


def write(directory: Path = DIRECTORY) -> None:
    """Make all pages anew, and remove those of commands that are no more."""
    for old in directory.glob("*.1"):
        old.unlink()
    for name, text in pages():
        (directory / name).write_text(text)


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:2]))
