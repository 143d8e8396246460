"""The commands that watch tunnels: `status` says what each waits for, `top` what they carry."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control import status as of_daemon
from ikepy.control.client import ClientError
from ikepy.control.formats import dump
from ikepy.control.lists import given, show_list
from ikepy.control.options import JSON, examples, fail, form_options, socket_option
from ikepy.option_types import Number


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


@click.command(
    epilog=examples(
        "ikepy top",
        "ikepy top site-b --interval 5",
        "ikepy top --once",
        "ikepy top --json | jq --unbuffered '.tunnels[] | {connection, \"bits-per-second-in\"}'",
    )
)
@click.argument("connection", required=False)
@click.option(
    "-n",
    "--interval",
    type=Number(min=0.1, max=3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="The time between two looks, over which rates are taken.",
)
@click.option(
    "-1", "--once", is_flag=True, help="Print one look and end, as a table does where there is no terminal."
)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON, an object a line for each look.")
@socket_option
def top(connection: str | None, interval: float, once: bool, as_json: bool, socket: Path) -> None:
    """Show the tunnels and their rates, the busiest first, until Ctrl-C.

    All connections, or CONNECTION alone. Octets are those of the packets within the tunnel.
    """
    from ikepy.control import terminal  # which takes its time
    from ikepy.control import top as shown

    def ask() -> of_daemon.Status:
        return of_daemon.ask(socket, connection)

    try:
        if as_json:
            shown.show_json(ask, interval, click.echo, once=once)
            return
        console = terminal.console()
        show = shown.show_once if once or not console.is_terminal else shown.show_live
        show(ask, interval, console)
    except ClientError as error:
        fail(str(error))
    except KeyboardInterrupt:
        return


COMMANDS = (status, top)
