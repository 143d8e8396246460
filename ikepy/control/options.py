"""What our commands have in common: options, forms of output, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

import click

from ikepy import option_types
from ikepy.control.client import DEFAULT_SOCKET, Message
from ikepy.control.formats import as_json, dump, pretty, raw
from ikepy.option_types import Number

Function = Callable[..., None]
LONGEST = 86400  # seconds of a timeout
RAW, PRETTY, JSON = "raw", "pretty", "json"


def examples(*lines: str) -> str:
    """The end of a command's help, kept as it stands."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def socket_option(function: Function) -> Function:
    return click.option(
        "--socket",
        "socket",
        type=option_types.PATH,
        default=DEFAULT_SOCKET,
        show_default=True,
        envvar="IKEPY_SOCKET",
        show_envvar=True,
        metavar="PATH",
        help="The daemon's control socket.",
    )(function)


def timeout_option(function: Function) -> Function:
    return click.option(
        "-t",
        "--timeout",
        type=Number(min=0, max=LONGEST),
        default=0,
        metavar="SECONDS",
        help="How long to wait for the end; 0: until it comes.",
    )(function)


def form_options(function: Function) -> Function:
    """--raw, --pretty and --json, of which the last one counts; `form` is None for the text for people."""
    for words, value, text in (
        (("-j", "--json"), JSON, "Print JSON."),
        (("-P", "--pretty"), PRETTY, "Print the daemon's messages, an element a line."),
        (("-r", "--raw"), RAW, "Print the daemon's messages, one a line."),
    ):
        function = click.option(*words, "form", flag_value=value, help=text)(function)
    return function


def show(form: str, label: str, message: Message) -> None:
    """Print one message, `form` being RAW, PRETTY, or JSON."""
    if form == JSON:
        click.echo(dump(as_json(message)))
    else:
        click.echo((raw if form == RAW else pretty)(label, message))


def say(line: str) -> None:
    """Print a line for people."""
    # Peers choose their identities: no control character in them may reach a terminal.
    click.echo("".join(c if c.isprintable() else "?" for c in line))


def fail(text: str) -> NoReturn:
    """End with status 1, and with this as the reason."""
    click.echo(f"ikepy: {''.join(c if c.isprintable() else '?' for c in text)}", err=True)
    sys.exit(1)
