"""The commands that do something, and those that show what the daemon does: initiate, terminate, log, ..."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import click

from ikepy.control import texts
from ikepy.control.client import ANSWER_TIMEOUT, Client, ClientError, Message, RefusedError, ask
from ikepy.control.formats import as_json, dump
from ikepy.control.lists import Arguments, given
from ikepy.control.options import JSON, examples, fail, form_options, say, show, socket_option, timeout_option

GRACE = 10.0  # seconds that the daemon may answer later than it was asked to
CONTROL_LOG = "control-log"
OF_SAS = ("ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey")
Function = Callable[..., None]


def criteria_options(function: Function) -> Function:
    """Which SAs a command is about: --ike, --child, --ike-id and --child-id."""
    for option in (
        click.option("-C", "--child-id", type=click.IntRange(min=1), metavar="ID", help="The CHILD_SA #ID."),
        click.option("-I", "--ike-id", type=click.IntRange(min=1), metavar="ID", help="The IKE_SA #ID."),
        click.option("-c", "--child", metavar="NAME", help="CHILD_SAs of this name."),
        click.option("-i", "--ike", metavar="NAME", help="IKE_SAs of this connection."),
    ):
        function = option(function)
    return function


def loglevel_option(function: Function) -> Function:
    return click.option(
        "-l",
        "--loglevel",
        type=click.IntRange(-1, 4),
        default=1,
        show_default=True,
        help="Which log lines to show meanwhile: 0 the most important ones, -1 none.",
    )(function)


@click.command(
    epilog=examples("ikepy initiate --child net", "ikepy initiate --child net --ike site-b --timeout 30")
)
@click.option("-c", "--child", metavar="NAME", help="The child to bring up.")
@click.option("-i", "--ike", metavar="NAME", help="Its connection, where several have such a child.")
@timeout_option
@loglevel_option
@form_options
@socket_option
def initiate(
    child: str | None, ike: str | None, timeout: float, loglevel: int, form: str | None, socket: Path
) -> None:
    """Bring up a CHILD_SA.

    And the IKE_SA below it, where there is none. Prints what happens meanwhile; ends with status 0 if the
    child is up.
    """
    if child is None and ike is None:
        raise click.UsageError("one of --child, --ike is needed.")
    _wait(form, socket, "initiate", given(child=child, ike=ike, loglevel=loglevel), timeout)


@click.command(
    epilog=examples(
        "ikepy terminate --ike site-b",
        "ikepy terminate --child net",
        "ikepy terminate --ike-id 3 --force",
    )
)
@criteria_options
@click.option("-f", "--force", is_flag=True, help="Don't wait for the peer's answer.")
@timeout_option
@loglevel_option
@form_options
@socket_option
def terminate(
    ike: str | None,
    child: str | None,
    ike_id: int | None,
    child_id: int | None,
    force: bool,
    timeout: float,
    loglevel: int,
    form: str | None,
    socket: Path,
) -> None:
    """Delete SAs here and at the peer.

    Those that match everything given; an IKE_SA with all its children.
    """
    which = _criteria(ike, child, ike_id, child_id)
    options = given(force="yes" if force else None, loglevel=loglevel)
    _wait(form, socket, "terminate", which | options, timeout)


@click.command(
    epilog=examples(
        "ikepy rekey --child net",
        "ikepy rekey --ike site-b",
        "ikepy rekey --ike site-b --reauth",
    )
)
@criteria_options
@click.option("-a", "--reauth", is_flag=True, help="Authenticate an IKE_SA anew instead.")
@timeout_option
@loglevel_option
@form_options
@socket_option
def rekey(
    ike: str | None,
    child: str | None,
    ike_id: int | None,
    child_id: int | None,
    reauth: bool,
    timeout: float,
    loglevel: int,
    form: str | None,
    socket: Path,
) -> None:
    """Replace SAs by fresh ones.

    Those that match everything given.
    """
    which = _criteria(ike, child, ike_id, child_id)
    options = given(reauth="yes" if reauth else None, loglevel=loglevel)
    _wait(form, socket, "rekey", which | options, timeout)


def _criteria(ike: str | None, child: str | None, ike_id: int | None, child_id: int | None) -> Arguments:
    which = given(ike=ike, child=child, ike_id=ike_id, child_id=child_id)
    if not which:
        raise click.UsageError("one of --ike, --child, --ike-id, --child-id is needed.")
    return which


def _wait(form: str | None, socket: Path, command: str, arguments: Arguments, timeout: float) -> None:
    """Run a long command: print the daemon's progress, then the outcome. `timeout` in seconds, 0: none."""
    lines: list[Message] = []

    def told(line: Message) -> None:
        if form == JSON:
            lines.append(line)
        elif form is None:
            say(texts.progress(line))
        else:
            show(form, "log", line)

    limit = timeout + GRACE if timeout else None
    arguments = {**arguments, "timeout": round(timeout * 1000)}
    error, answer = None, {}
    try:
        answer = ask(socket, command, arguments, events={CONTROL_LOG: told}, timeout=limit)
    except RefusedError as refused:
        error, answer = str(refused), refused.answer
    except ClientError as failure:
        fail(f"{command} failed: {failure}")
    if form == JSON:
        click.echo(dump({"log": [as_json(line) for line in lines], **as_json(answer)}))
    elif form is not None:
        show(form, f"{command} reply", answer)
    else:
        for line in texts.items(answer, "ikepy-outcomes"):
            say(line)
    if error is not None:
        fail(f"{command} failed: {error}")
    if form is None:
        say(f"{command} completed successfully")


@click.command(epilog=examples("ikepy install --child net"))
@click.option("-c", "--child", required=True, metavar="NAME", help="The child to install.")
@click.option("-i", "--ike", metavar="NAME", help="Its connection, where several have such a child.")
@form_options
@socket_option
def install(child: str, ike: str | None, form: str | None, socket: Path) -> None:
    """Let a packet that needs it bring up a child: install its trap policy."""
    _do(form, socket, "install", given(child=child, ike=ike))


@click.command(epilog=examples("ikepy uninstall --child net"))
@click.option("-c", "--child", required=True, metavar="NAME", help="The child to uninstall.")
@click.option("-i", "--ike", metavar="NAME", help="Its connection, where several have such a child.")
@form_options
@socket_option
def uninstall(child: str, ike: str | None, form: str | None, socket: Path) -> None:
    """Take back install: no packet brings the child up any more."""
    _do(form, socket, "uninstall", given(child=child, ike=ike))


@click.command(epilog=examples("ikepy check && ikepy reload", "ikepy reload --socket /run/ikepy/site-b.sock"))
@form_options
@socket_option
def reload(form: str | None, socket: Path) -> None:
    """Read the configuration again.

    Connections that did not change are not touched. Prints what changes; a configuration with a mistake
    changes nothing, and the command ends with status 1.
    """
    _do(form, socket, "reload", {}, lambda answer: f"reloaded: {texts.word(answer, 'changed')}")


@click.command("reload-settings", epilog=examples("ikepy reload-settings"))
@form_options
@socket_option
def reload_settings(form: str | None, socket: Path) -> None:
    """Read [daemon] of the configuration again; connections stay as they are."""
    _do(form, socket, "reload-settings", {})


def _do(
    form: str | None,
    socket: Path,
    command: str,
    arguments: Arguments,
    done: Callable[[Message], str] | None = None,
) -> None:
    """Run a short command, and print the outcome; `done` has the words for its success."""
    error = None
    try:
        answer = ask(socket, command, arguments, timeout=ANSWER_TIMEOUT)
    except RefusedError as refused:
        error, answer = str(refused), refused.answer
    except ClientError as failure:
        fail(f"{command} failed: {failure}")
    if form is not None:
        show(form, f"{command} reply", answer)
    if error is not None:
        fail(f"{command} failed: {error}")
    if form is None:
        say(f"{command} completed successfully" if done is None else done(answer))


@click.command(epilog=examples("ikepy log", "ikepy log --json"))
@form_options
@socket_option
def log(form: str | None, socket: Path) -> None:
    """Show the daemon's log as it comes, until Ctrl-C."""

    def line(event: Message) -> None:
        say(texts.log_line(event))

    _follow(form, socket, ("log",), lambda _, event: line(event))


@click.command(
    "log-levels",
    epilog=examples("ikepy log-levels", "ikepy log-levels ike=debug", "ikepy log-levels all=info"),
)
@click.argument("levels", nargs=-1, metavar="[SUBSYSTEM=LEVEL]...")
@form_options
@socket_option
def log_levels(levels: tuple[str, ...], form: str | None, socket: Path) -> None:
    """Show the level of each subsystem of the log, and change some.

    A change holds until the configuration is loaded again or the daemon is started anew.
    """
    arguments: Arguments = {"set": list(levels)} if levels else {}
    _do(form, socket, "log-levels", arguments, texts.log_levels)


@click.command("monitor-sa", epilog=examples("ikepy monitor-sa", "ikepy monitor-sa --json"))
@form_options
@socket_option
def monitor_sa(form: str | None, socket: Path) -> None:
    """Show each SA that comes up, goes down, is rekeyed or moves, until Ctrl-C."""

    def lines(name: str, event: Message) -> None:
        for line in texts.change(name, event):
            say(line)

    _follow(form, socket, OF_SAS, lines)


def _follow(
    form: str | None, socket: Path, names: tuple[str, ...], tell: Callable[[str, Message], None]
) -> None:
    """Print events until Ctrl-C, or until the daemon ends, which is an error. JSON is one object a line."""
    with contextlib.suppress(KeyboardInterrupt):
        try:
            with Client(socket) as client:
                for name, event in client.listen(*names):
                    if form is None:
                        tell(name, event)
                    elif form == JSON:
                        click.echo(dump({"event": name, **as_json(event)}, indent=None))
                    else:
                        show(form, name, event)
        except ClientError as error:
            fail(str(error))


COMMANDS = (
    initiate,
    terminate,
    rekey,
    install,
    uninstall,
    reload,
    reload_settings,
    log,
    log_levels,
    monitor_sa,
)
