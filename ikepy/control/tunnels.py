"""The commands that watch tunnels: `status` says what each waits for, and why."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control import status as of_daemon
from ikepy.control.client import ClientError
from ikepy.control.formats import dump
from ikepy.control.lists import given, show_list
from ikepy.control.options import JSON, examples, fail, form_options, socket_option


@click.command(epilog=examples("ikepy status", "ikepy status site-b", "ikepy status --json | jq"))
@click.argument("connection", required=False)
@form_options
@socket_option
def status(connection: str | None, form: str | None, socket: Path) -> None:
    """Say what each tunnel waits for, why, and what to do.

    All connections, or CONNECTION alone. Where the two ends don't agree, what each wants stands side by side.
    """
    if form not in (None, JSON):
        show_list(form, socket, "status", of_daemon.EVENT, given(ike=connection))
        return
    try:
        told = of_daemon.ask(socket, connection)
    except ClientError as error:
        fail(str(error))
    if form == JSON:
        click.echo(dump(told))
        return
    from ikepy.control import status_text, terminal  # which takes its time

    console = terminal.console()
    width = console.width if console.is_terminal else None
    terminal.print_lines(status_text.lines(told, width), console)


COMMANDS = (status,)
