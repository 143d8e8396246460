"""The commands that list: SAs, connections, policies, algorithms, counters and what else swanctl lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import click

from ikepy import __version__, listing
from ikepy.control import queries, texts
from ikepy.control.client import ANSWER_TIMEOUT, ClientError, Message, ask
from ikepy.control.formats import as_json, dump
from ikepy.control.options import JSON, examples, fail, form_options, say, show, socket_option
from ikepy.daemon.vici.message import Value
from ikepy.option_types import Number

Arguments = dict[str, Value]
T = TypeVar("T")
LABELS = {"list-authority": "list-authorities"}  # what swanctl calls an event, where it is not its name


def given(**arguments: str | int | None) -> Arguments:
    """The arguments that were given, under VICI's names."""
    return {key.replace("_", "-"): value for key, value in arguments.items() if value is not None}


@click.command(
    "list-sas",
    epilog=examples("ikepy list-sas", "ikepy list-sas --ike site-b", "ikepy list-sas --json | jq"),
)
@click.option("-i", "--ike", metavar="NAME", help="Only IKE_SAs of this connection.")
@click.option("-I", "--ike-id", type=click.IntRange(min=1), metavar="ID", help="Only the IKE_SA #ID.")
@click.option("-c", "--child", metavar="NAME", help="Only CHILD_SAs of this name.")
@click.option("-C", "--child-id", type=click.IntRange(min=1), metavar="ID", help="Only the CHILD_SA #ID.")
@form_options
@socket_option
def list_sas(
    ike: str | None,
    ike_id: int | None,
    child: str | None,
    child_id: int | None,
    form: str | None,
    socket: Path,
) -> None:
    """List the SAs and what they carried."""
    which = given(ike=ike, ike_id=ike_id, child=child, child_id=child_id)
    if form not in (None, JSON):
        show_list(form, socket, "list-sas", "list-sa", which)
        return
    sas = _told(lambda: queries.list_sas(socket, which))
    if form == JSON:
        click.echo(dump(sas))
        return
    if not sas:
        words = [
            "" if ike_id is None else f" #{ike_id}",
            "" if ike is None else f" of {ike}",
            "" if child is None else f" with {child}",
            "" if child_id is None else f" with CHILD_SA #{child_id}",
        ]
        say(f"no IKE_SA{''.join(words)} is up")
    _say_all(listing.sas(sas))


@click.command("list-conns", epilog=examples("ikepy list-conns", "ikepy list-conns --json | jq '.[].name'"))
@form_options
@socket_option
def list_conns(form: str | None, socket: Path) -> None:
    """List the connections that are loaded."""
    if form not in (None, JSON):
        show_list(form, socket, "list-conns", "list-conn", {})
        return
    connections = _told(lambda: queries.list_conns(socket))
    if form == JSON:
        click.echo(dump(connections))
    else:
        _say_all(listing.connections(connections))


@click.command(epilog=examples("ikepy drops", "ikepy drops --json | jq"))
@form_options
@socket_option
def drops(form: str | None, socket: Path) -> None:
    """What control did not serve and what the workers dropped, and why.

    Drops that belong to one SA stand in list-sas.
    """
    answer = _told(lambda: ask(socket, "get-drops"))
    counted = queries.drop_counters(answer)
    if form == JSON:
        click.echo(dump(counted))
    elif form is not None:
        show(form, "get-drops reply", answer)
    else:
        _say_all(listing.drops(counted))


@click.command(
    epilog=examples(
        "ikepy probes", "ikepy probes --json | jq", "ikepy probes --check-mtu --ike site-b --timeout 30"
    )
)
@click.option("-i", "--ike", metavar="NAME", help="Only those of this connection.")
@click.option("-m", "--check-mtu", is_flag=True, help="Look for the path MTU now, and wait for the result.")
@click.option(
    "-t",
    "--timeout",
    type=Number(min=1, max=600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for it.",
)
@form_options
@socket_option
def probes(ike: str | None, check_mtu: bool, timeout: float, form: str | None, socket: Path) -> None:
    """Round-trip times, loss and the path MTU through the tunnels.

    Of the addresses that `probe` of each connection names. The path MTU is looked for when a tunnel comes up
    and every ten minutes; with --check-mtu now, and the exit status is 1 if it was not found of each.
    """
    which = given(ike=ike)
    if check_mtu:
        which |= {"check-mtu": "yes", "timeout": round(timeout * 1000)}
    limit = timeout + ANSWER_TIMEOUT if check_mtu else ANSWER_TIMEOUT
    answer = _told(lambda: ask(socket, "get-probes", which, timeout=limit))
    found = queries.probes(answer)
    if form == JSON:
        click.echo(dump(found))
    elif form is not None:
        show(form, "get-probes reply", answer)
    else:
        none = "no connection has a section probe" if ike is None else f"{ike} has no section probe"
        _say_all(listing.probes(found) if found else [none])
    if check_mtu and not (found and all(one["mtu_checked"] for one in found)):
        fail("no path MTU was found, or not of each target; a tunnel has to be up, and pings be answered")


@click.command(
    epilog=examples("ikepy counters", "ikepy counters --name site-b", "ikepy counters --all --reset")
)
@click.option("-n", "--name", metavar="NAME", help="Those of this connection, in place of the sums.")
@click.option("-a", "--all", "every", is_flag=True, help="Those of each connection.")
@click.option("-R", "--reset", is_flag=True, help="Set them to 0 instead.")
@form_options
@socket_option
def counters(name: str | None, every: bool, reset: bool, form: str | None, socket: Path) -> None:
    """IKE messages by kind and direction, rekeys, and what was invalid.

    What was dropped, and why, is told by: ikepy drops
    """
    command = "reset-counters" if reset else "get-counters"
    which = given(name=name, all="yes" if every else None)
    answer = _told(lambda: ask(socket, command, which))
    if form == JSON:
        click.echo(dump(as_json(answer, ("counters",))))
    elif form is not None:
        show(form, "counters reply", answer)
    elif reset:
        say("reset-counters completed successfully")
    else:
        _say_all(texts.counters(answer))


@click.command("list-pols", epilog=examples("ikepy list-pols", "ikepy list-pols --child net"))
@click.option("-c", "--child", metavar="NAME", help="Only those of this child.")
@click.option("-t", "--trap", is_flag=True, help="Trap policies: a packet brings the child up.")
@click.option("-d", "--drop", is_flag=True, help="Drop policies, of which ikepy has none.")
@click.option("-p", "--pass", "bypass", is_flag=True, help="Bypass policies, of which ikepy has none.")
@form_options
@socket_option
def list_pols(
    child: str | None, trap: bool, drop: bool, bypass: bool, form: str | None, socket: Path
) -> None:
    """List the policies that are installed, all kinds unless some are named."""
    kinds = {"trap": trap, "drop": drop, "pass": bypass}
    wanted = [kind for kind, named in kinds.items() if named] or list(kinds)
    which = {**dict.fromkeys(wanted, "yes"), **given(child=child)}
    show_list(form, socket, "list-policies", "list-policy", which, texts.policies)


@click.command("list-algs", epilog=examples("ikepy list-algs", "ikepy list-algs --json | jq '.dh'"))
@form_options
@socket_option
def list_algs(form: str | None, socket: Path) -> None:
    """List the algorithms that the daemon has."""
    _show_answer(form, socket, "get-algorithms", {}, texts.algorithms)


@click.command(epilog=examples("ikepy stats", "ikepy stats --json | jq '.ikesas.total'"))
@form_options
@socket_option
def stats(form: str | None, socket: Path) -> None:
    """How long the daemon runs, and how much it has to do."""
    _show_answer(form, socket, "stats", {}, texts.statistics)


@click.command(epilog=examples("ikepy version", "ikepy version --daemon"))
@click.option("-d", "--daemon", is_flag=True, help="The version of the daemon that runs.")
@form_options
@socket_option
def version(daemon: bool, form: str | None, socket: Path) -> None:
    """The version of this program, or of the daemon."""
    if daemon:
        _show_answer(form, socket, "version", {}, texts.version)
    elif form is None:
        say(f"ikepy {__version__}")
    else:
        show(form, "version reply", {"daemon": "ikepy", "version": __version__})


@click.command("list-certs", epilog=examples("ikepy list-certs", "ikepy list-certs --type x509"))
@click.option("-s", "--subject", metavar="DN", help="Only those of this subject.")
@click.option("-t", "--type", "kind", metavar="TYPE", help="Only those of this type: x509, x509_crl, ...")
@click.option("-f", "--flag", metavar="FLAG", help="Only those with this flag: none, ca, aa, ocsp or any.")
@form_options
@socket_option
def list_certs(
    subject: str | None, kind: str | None, flag: str | None, form: str | None, socket: Path
) -> None:
    """List the certificates that are loaded."""
    from ikepy.control import certificate_text  # what reads X.509 takes its time to be imported

    which = given(subject=subject, type=kind, flag=flag)
    show_list(form, socket, "list-certs", "list-cert", which, certificate_text.text)


@click.command("list-authorities", epilog=examples("ikepy list-authorities"))
@click.option("-n", "--name", metavar="NAME", help="Only this one.")
@form_options
@socket_option
def list_authorities(name: str | None, form: str | None, socket: Path) -> None:
    """List the certification authorities that are loaded."""
    show_list(form, socket, "list-authorities", "list-authority", given(name=name), texts.outline)


@click.command("list-pools", epilog=examples("ikepy list-pools", "ikepy list-pools --leases"))
@click.option("-l", "--leases", is_flag=True, help="With what is leased of each.")
@click.option("-n", "--name", metavar="NAME", help="Only this one.")
@form_options
@socket_option
def list_pools(leases: bool, name: str | None, form: str | None, socket: Path) -> None:
    """List the pools of virtual addresses that are loaded."""
    which = given(leases="yes" if leases else None, name=name)
    _show_answer(form, socket, "get-pools", which, texts.pools)


def show_list(
    form: str | None,
    socket: Path,
    command: str,
    event: str,
    which: Mapping[str, Value],
    text: Callable[[Message], Iterable[str]] = texts.outline,
) -> None:
    """Print each of a command's events as it comes, and its answer; `text` has the lines for people.

    JSON is one list.
    """
    items: list[Message] = []

    def told(message: Message) -> None:
        if form == JSON:
            items.append(message)
        elif form is None:
            _say_all(text(message))
        else:
            show(form, f"{LABELS.get(event, event)} event", message)

    answer = _told(lambda: ask(socket, command, which, events={event: told}))
    if form == JSON:
        click.echo(dump([as_json(item) for item in items]))
    elif form is not None:
        show(form, f"{command} reply", answer)


def _show_answer(
    form: str | None,
    socket: Path,
    command: str,
    which: Mapping[str, Value],
    text: Callable[[Message], Iterable[str]],
) -> None:
    answer = _told(lambda: ask(socket, command, which))
    if form is not None:
        show(form, f"{command} reply", answer)
    else:
        _say_all(text(answer))


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _told(question: Callable[[], T]) -> T:
    try:
        return question()
    except ClientError as error:
        fail(str(error))


COMMANDS = (
    list_sas,
    list_conns,
    list_pols,
    list_algs,
    list_certs,
    list_authorities,
    list_pools,
    counters,
    drops,
    probes,
    stats,
    version,
)
