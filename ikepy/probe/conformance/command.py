"""The command `ikepy probe conformance`."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ikepy import __version__, option_types
from ikepy.control.options import examples, fail
from ikepy.control.terminal import console, print_lines
from ikepy.errors import LocalMisuse
from ikepy.probe import peer_config, registry, runner, sets
from ikepy.probe.conformance.click_options import about_the_peer, about_the_run
from ikepy.probe.conformance.options import OptionError, Words, target
from ikepy.probe.listen.trigger import ANY, Commands, Person, Trigger
from ikepy.probe.registry import Case
from ikepy.probe.report import as_junit, as_text
from ikepy.probe.report.directory import Directory, Taken, as_json
from ikepy.probe.report.record import Record, ladder_of, record_of
from ikepy.probe.runner import Result
from ikepy.probe.sgw.suites import MAPPING
from ikepy.probe.target import Limits, Target

_FAILED, _UNCLEAR = 3, 4  # 1 and 2 say that nothing was tested: what was asked for is wrong
_STOPPED = 130  # a shell's status for Ctrl-C
PERMISSION = (
    "Test only what is yours, or whose owner has agreed to it: broken messages are sent on purpose.\n"
    "{number}, one {pace}; datagrams go to {host}, and to nobody else."
)


@click.command(
    "conformance",
    epilog=examples(
        "ikepy probe conformance 192.0.2.2 --psk-file psk --remote-host 10.2.0.10 --out run",
        "ikepy probe conformance 192.0.2.2 --print-config swanctl > probe.conf",
        "ikepy probe conformance 2001:db8::2 --psk-file psk -k 'SGW.R.1.1.*' --junit junit.xml",
        "ikepy probe conformance --list",
    ),
)
@click.argument("host", required=False)
@about_the_peer
@about_the_run
@click.option(
    "-o",
    "--out",
    type=option_types.DIRECTORY,
    help="A directory for reports, packets and keys.",
)
@click.option("--resume", is_flag=True, help="Go on with the run that the directory holds.")
@click.option("-j", "--json", "as_json_text", is_flag=True, help="Print JSON.")
@click.option("--junit", type=option_types.PATH, metavar="FILE", help="Write JUnit XML.")
@click.option("--list", "only_list", is_flag=True, help="List the cases, and send nothing.")
@click.option("--mapping", is_flag=True, help="Print which algorithms take the place of obsolete ones.")
@click.option(
    "--print-config",
    type=click.Choice(list(peer_config.FORMATS)),
    help="Print how HOST is to be configured, and send nothing.",
)
def conformance(
    host: str | None,
    out: Path | None,
    resume: bool,
    as_json_text: bool,
    junit: Path | None,
    only_list: bool,
    mapping: bool,
    print_config: str | None,
    patterns: tuple[str, ...],
    listen: bool,
    initiator_command: str | None,
    files: tuple[Path, ...],
    timeout: float,
    quiet_time: float,
    interval: float,
    case_time: float,
    lifetime: float,
    **words: Any,
) -> None:
    """Test whether an IKEv2 gateway does what the RFCs say, with a preshared key.

    The cases are those of the IPv6 Ready Logo Phase-2 specification for security gateways, by their own
    names, and further ones; --list names them. HOST has to be configured as --print-config says.

    Ends with status 3 if a case fails, and with 4 if none does but one is inconclusive.
    """
    if mapping:
        for row in MAPPING:
            click.echo(f"{row.specified}: {row.used} ({row.why})")
        return
    chosen = _chosen(patterns, files, listen)
    if only_list:
        for one in chosen:
            click.echo(f"{one.id:<20} {one.group:<9} {one.level:<7} {one.rfc:<22} {one.title}")
        return
    if host is None:
        raise click.UsageError("Missing argument 'HOST'.")
    limits = Limits(
        response_s=timeout,
        quiet_s=quiet_time,
        interval_s=interval,
        case_s=case_time,
        lifetime_s=lifetime,
    )
    under_test = _target(Words(host=host, **words), limits)
    if print_config is not None:
        click.echo(peer_config.FORMATS[print_config](under_test), nl=False)
        return
    if words["psk_file"] is None:
        raise click.UsageError("Missing option '--psk-file'.")
    number = "1 case" if len(chosen) == 1 else f"{len(chosen)} cases"
    pace = f"every {interval:g} s" if interval else "behind the other"
    click.echo(PERMISSION.format(number=number, pace=pace, host=under_test.host), err=True)
    initiator = _initiator(initiator_command, under_test) if listen else None
    records = _run(chosen, under_test, out, initiator, resume=resume, quiet=as_json_text)
    _report(records, under_test, as_json_text=as_json_text, junit=junit)
    failed, unclear = (any(one.verdict == word for one in records) for word in ("fail", "inconclusive"))
    sys.exit(_FAILED if failed else _UNCLEAR if unclear else 0)


def _chosen(patterns: Sequence[str], files: Sequence[Path], listen: bool) -> list[Case]:
    sets.load()
    for file in files:
        try:
            sets.load_file(file)
        except LocalMisuse as error:
            fail(f"--load: {file}: {error}; give it another ID")
        except Exception as error:  # whatever somebody's own lines raise
            fail(f"--load: {file}: {type(error).__name__}: {error}")
    found = registry.cases(patterns or ("*",), "initiator" if listen else "responder")
    if not found:
        fail(f"no case is named {', '.join(patterns) or '*'}: --list names them")
    return found


def _target(words: Words, limits: Limits) -> Target:
    try:
        return target(words, limits)
    except OptionError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or words.host}: {error.strerror or error}")


def about(under_test: Target) -> dict[str, str]:
    """What is tested and how, for reports."""
    return {
        "host": str(under_test.host),
        "as": f"{under_test.local}, {under_test.local_id}",
        "IKE": under_test.ike,
        "ESP": f"{under_test.esp}, {under_test.encapsulation}",
        "childless": "yes" if under_test.childless else "no",
        "in place of obsolete algorithms": "; ".join(f"{row.specified}: {row.used}" for row in MAPPING),
        "ikepy": __version__,
    }


def _initiator(command: str | None, under_test: Target) -> Trigger:
    """What makes the initiator under test act: a command that configures it, too, commands that only make it
    act, or whoever reads standard error."""
    if command is None:
        return Commands(under_test.triggers) if under_test.triggers else Person()
    try:
        words = shlex.split(command)
    except ValueError as error:
        fail(f"--initiator: {error}")
    if not words:
        fail("--initiator: no command")
    return Commands({ANY: words}, configures=True)


def _run(
    chosen: list[Case],
    under_test: Target,
    out: Path | None,
    initiator: Trigger | None,
    *,
    resume: bool,
    quiet: bool,
) -> list[Record]:
    try:
        directory = None if out is None else Directory(out, about(under_test), resume=resume)
        done = {} if directory is None else directory.done()
        found = {one.id: done[one.id] for one in chosen if one.id in done}

        def told(result: Result) -> None:
            if directory is None:
                record = record_of(result, ladder_of(result, under_test))
            else:
                record = directory.add(result, under_test)
            found[record.id] = record
            if not quiet:
                print_lines([as_text.line(record), *as_text.details(record)], console())

        missing = [one for one in chosen if one.id not in found]
        stopped = False
        try:
            asyncio.run(runner.run(missing, under_test, told, initiator))
        except KeyboardInterrupt:
            stopped = True
        records = [found[one.id] for one in chosen if one.id in found]
        if directory is not None:
            directory.finish(records)
        if stopped:
            how = f"; --resume --out {out} goes on" if out is not None else ""
            click.echo(f"stopped after {len(records)} of {len(chosen)} cases{how}", err=True)
            sys.exit(_STOPPED)
    except Taken as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or under_test.local}: {error.strerror or error}")
    return records


def _report(records: list[Record], under_test: Target, *, as_json_text: bool, junit: Path | None) -> None:
    if as_json_text:
        click.echo(as_json(records, about(under_test)), nl=False)
    else:
        click.echo(f"\n{as_text.summary(records)}")
    if told := as_text.hint(records):
        click.echo(told, err=True)
    if junit is not None:
        try:
            junit.write_text(as_junit.junit(records, str(under_test.host)), "utf-8")
        except OSError as error:
            fail(f"{junit}: can't be written: {error.strerror}")
