"""The command line. The words are swanctl's wherever swanctl has the command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import click
from click.core import ParameterSource

from ikepy import __version__, option_types
from ikepy.control import actions, lists, tunnels
from ikepy.control.options import examples
from ikepy.interrupt import interruptible

if TYPE_CHECKING:
    from ikepy.config.model import Config
    from ikepy.config.sources.config_file import ConfigFile
    from ikepy.config.toml_source import Reading
    from ikepy.errors import ConfigError

DEFAULT_CONFIG = Path("/etc/ikepy/ikepy.toml")

Function = Callable[..., None]
Found = Sequence[tuple[str, str]]  # mistakes or warnings: key path and text


# Commands that no daemon needs, loaded when they are asked for: module and name.
LOADED_LATE = {
    "decode": ("ikepy.dissect.cli", "decode_command"),
    "lab": ("ikepy.lab.cli", "lab"),
    "pki": ("ikepy.pki.cli", "pki"),
    "probe": ("ikepy.probe.cli", "probe"),
}


class Commands(click.Group):
    """The group of all commands, those of LOADED_LATE among them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *LOADED_LATE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LOADED_LATE:
            return super().get_command(ctx, cmd_name)
        module, name = LOADED_LATE[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


def config_option(function: Function) -> Function:
    return click.option(
        "-c",
        "--config",
        "path",
        type=option_types.PATH,
        default=DEFAULT_CONFIG,
        show_default=True,
        metavar="FILE",
        help="The configuration: TOML, swanctl.conf or ipsec.conf.",
    )(function)


def environment_option(function: Function) -> Function:
    return click.option(
        "--env",
        "from_environment",
        is_flag=True,
        help="Take the configuration from the variables IPSEC_… of the pod's image instead.",
    )(function)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "ikepy check -c ikepy.toml            every mistake in a configuration",
        "ikepy run -c ikepy.toml              the daemon, in the foreground",
        "ikepy initiate --child net           bring a tunnel up",
        "ikepy list-sas                       what is up, and what it carried",
        "ikepy lab                            all of it in network namespaces, to look at",
    ),
)
@click.version_option(__version__, prog_name="ikepy")
def main() -> None:
    """A route-based IPsec gateway in user space: IKEv2 and ESP in pure Python."""


@main.command(
    epilog=examples(
        "ikepy run", "ikepy run -c site-b.toml --socket /run/ikepy/site-b.sock", "ikepy run --env"
    ),
)
@config_option
@environment_option
@click.option(
    "--socket",
    "socket",
    type=option_types.PATH,
    envvar="IKEPY_SOCKET",
    show_envvar=True,
    metavar="PATH",
    help="The control socket.  [default: daemon.socket of the configuration]",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Reload the configuration when one of its files changes, secrets and included files among them.",
)
@click.option(
    "--impair",
    "impairments",
    multiple=True,
    metavar="NAME[=VALUE]",
    help='Break the protocol on purpose, for tests of other gateways; "list" prints how. Needs '
    "impairments_allowed = true in [daemon].",
)
def run(
    path: Path, from_environment: bool, socket: Path | None, watch: bool, impairments: tuple[str, ...]
) -> None:
    """Run the daemon in the foreground.

    SIGTERM and Ctrl-C delete the SAs at the peers, remove devices and routes, and end it. SIGHUP reads the
    configuration again, as "ikepy reload" does.
    """
    if "list" in impairments:
        from ikepy.impair.catalogue import listing

        click.echo(listing())
        return
    if watch and from_environment:
        raise click.UsageError("--watch watches files: with --env there is none.")
    with interruptible():
        source = None if from_environment else _source(path)
        path, reading = _read_from(source, sys.stderr)
        from ikepy.daemon.main import run as run_daemon

    if reading.format != "TOML":
        click.echo(f"ikepy: {path}: is read as {reading.format}", err=True)
    remarks = [(_with_line(key, reading), text) for key, text in reading.remarks]
    sys.exit(run_daemon(reading.config, path, socket, remarks, source, watch=watch, impairments=impairments))


def _with_line(key: str, reading: Reading) -> str:
    place = reading.places.get(key)
    return key if place is None else f"{key} ({place})"


@main.command(
    epilog=examples(
        "ikepy check",
        "ikepy check -c site-b.toml && systemctl restart ikepy",
        "ikepy check swanctl.conf",
        "ikepy check --json | jq -r '.warnings[].text'",
    )
)
@click.argument("file", type=option_types.PATH, required=False)
@config_option
@environment_option
@click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON: an object, also of mistakes.")
def check(file: Path | None, path: Path, from_environment: bool, as_json: bool) -> None:
    """Check a configuration and open nothing.

    FILE, or that of --config, may be TOML, swanctl.conf or ipsec.conf: its content tells which.

    Prints every mistake with its key path and what is allowed, and ends with status 1 if there is one. Where
    there is none, it warns of what is hardly meant: secrets that others can read or guess, or that nobody
    uses, lifetimes, routes. Devices and links are looked at as they are on this machine.
    """
    with interruptible():
        source = None if from_environment else _source(file or path)
        path, reading = _read_from(source, sys.stdout, _mistakes_as_json if as_json else None)
    mistakes, further = _ask_the_machine(reading.config)
    told = _findings_as_json if as_json else _findings_as_text
    told(path, reading, mistakes, (*reading.remarks, *further))
    if mistakes:
        sys.exit(1)


def _findings_as_text(path: Path, reading: Reading, mistakes: Found, remarks: Found) -> None:
    config = reading.config
    if reading.format != "TOML":
        click.echo(f"{path}: is read as {reading.format}")
    if mistakes:
        for key, text in mistakes:
            click.echo(f"{path}: {key}: {text}")
        return
    for connection in config.connections.values():
        local, remote = (
            " ".join(map(str, side)) for side in (connection.local_addrs, connection.remote_addrs)
        )
        names = ", ".join(connection.children)
        click.echo(f"{connection.name}: {local} to {remote}, device {connection.vti.name}, children: {names}")
    counted = (_count(len(config.connections), "connection"), _count(len(config.secrets), "secret"))
    for key, text in remarks:
        line = (reading.places.get(key, str(path)), key, "warning", text)
        click.echo(": ".join(part for part in line if part))
    warnings = f", {_count(len(remarks), 'warning')}" if remarks else ""
    click.echo(f"{path}: {', '.join(counted)}, no mistakes{warnings}")


def _findings_as_json(path: Path, reading: Reading, mistakes: Found, remarks: Found) -> None:
    connections = [
        {
            "name": one.name,
            "local_addrs": [str(address) for address in one.local_addrs],
            "remote_addrs": [str(address) for address in one.remote_addrs],
            "device": one.vti.name,
            "children": list(one.children),
        }
        for one in reading.config.connections.values()
    ]
    told = {
        "file": str(path),
        "format": reading.format,
        "connections": connections,
        "secrets": len(reading.config.secrets),
        "mistakes": _items(mistakes, reading.places, str(path)),
        "warnings": _items(remarks, reading.places, str(path)),
    }
    click.echo(json.dumps(told, indent=2))


def _mistakes_as_json(error: ConfigError, hint: str) -> None:
    """What can't be read has no connections; keys are those of the other outcome."""
    found = [(key, f"{text}{hint}") for key, text in error.problems]
    told = {"file": error.file, "mistakes": _items(found, error.places, error.file), "warnings": []}
    click.echo(json.dumps(told, indent=2))


def _items(found: Found, places: Mapping[str, str], file: str) -> list[dict[str, str]]:
    """`where`: file and line, or the file alone where no line is known; `key`: its path, or empty."""
    return [{"where": places.get(key, file), "key": key, "text": text} for key, text in found]


def _ask_the_machine(config: Config) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Mistakes and warnings that depend on the machine; assumes that the configuration is for this one."""
    from ikepy.daemon import host_checks
    from tun import network

    return list(host_checks.mistakes(config)), host_checks.remarks(config, network)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _source(path: Path) -> ConfigFile:
    from ikepy.config.sources.config_file import ConfigFile

    return ConfigFile(path)


def _read_from(
    source: ConfigFile | None, complain: TextIO, told: Callable[[ConfigError, str], None] | None = None
) -> tuple[Path, Reading]:
    """The configuration of a file, or (None) of the environment, and the name that messages give it.

    Ends with status 1 where there is a mistake, which `told` prints in place of lines on `complain`.
    """
    from ikepy.errors import ConfigError

    hint = ""
    try:
        if source is not None:
            if not os.access(source.name, os.F_OK):
                hint = "; name the configuration with -c FILE"
            return Path(source.name), source.read()
        given = click.get_current_context()
        if given.params.get("file") or given.get_parameter_source("path") == ParameterSource.COMMANDLINE:
            raise click.UsageError("--env takes the place of a file: give one of them.")
        from ikepy.config.sources import environment

        draft = environment.draft(environment.take())
        return draft.path, draft.read()
    except ConfigError as error:
        if told is None:
            click.echo(f"{error}{hint}", file=complain)
        else:
            told(error, hint)
        sys.exit(1)


@main.command(
    epilog=examples(
        "ikepy convert /etc/swanctl/swanctl.conf -o /etc/ikepy/ikepy.toml", "ikepy convert ipsec.conf"
    )
)
@click.argument("file", type=option_types.PATH)
@click.option(
    "-o",
    "--output",
    "out",
    type=option_types.PATH,
    metavar="OUT",
    help="The file to make, mode 0600, secrets included.  [default: print it without them]",
)
def convert(file: Path, out: Path | None) -> None:
    """Write a swanctl.conf or ipsec.conf as TOML.

    Names each line that can't be carried over, or not as it stands, and ends with status 1 if one of them
    changes what is protected or reachable. A file with mistakes is not converted.
    """
    with interruptible():
        from ikepy.config.sources import convert as conversion
        from ikepy.config.sources import recognise
        from ikepy.errors import ConfigError
    try:
        draft = recognise.draft(file)
        if draft is None:
            _fail(f"{file}: is TOML already, or no format that is known: swanctl.conf, ipsec.conf")
        for line in conversion.lost(draft):
            click.echo(line, err=True)
        draft.validate()
    except ConfigError as error:
        _fail(str(error))
    text = conversion.to_toml(draft, secrets=out is not None)
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            conversion.write(text, out)
        except OSError as error:
            _fail(f"{out}: can't be made: {error.strerror}; name a file that is not there yet")
        for line in conversion.left_behind(draft, out):
            click.echo(line, err=True)
        click.echo(f"{file}: is read as {draft.format} and written to {out}")
    if draft.refused:
        _fail(f"not all of {file} was carried over: {_count(len(draft.refused), 'error')}, see above")


@main.command(epilog=examples("ikepy impair", "ikepy impair -j | jq -r '.[].name'"))
@click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON: a list of objects.")
def impair(as_json: bool) -> None:
    """List the impairments: the ways in which a daemon can be made to break the protocol.

    They are for tests of other gateways and of testers. "ikepy run --impair NAME" asks for one, as the key
    impairments of [daemon] and of connections does; each needs impairments_allowed = true in [daemon].
    """
    with interruptible():
        from ikepy.impair import catalogue
    click.echo(json.dumps(catalogue.items(), indent=2) if as_json else catalogue.listing())


@main.command(epilog=examples("ikepy schema > ikepy.schema.json"))
def schema() -> None:
    """Print a JSON schema of the TOML configuration, for editors."""
    from ikepy.config.reference.tables import schema as made

    click.echo(json.dumps(made(), indent=2))


def _fail(text: str) -> NoReturn:
    click.echo(f"ikepy: {text}", err=True)
    sys.exit(1)


for command in (*lists.COMMANDS, *tunnels.COMMANDS, *actions.COMMANDS):
    main.add_command(command)
