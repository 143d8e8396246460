"""`ikepy lab`: the picture of a route-based VPN, built, tried and shown on this machine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from types import FrameType
from typing import TypeVar

import click

from ikepy.course.cli import course
from ikepy.lab import bed, checks, concentrators, links, pod_checks
from ikepy.lab.authentication import METHODS, PSK
from ikepy.lab.bed import Lab
from ikepy.lab.checks import Result
from ikepy.lab.follow import follow
from ikepy.lab.netns import LabError
from ikepy.lab.show import Show
from ikepy.lab.state import RUN_DIRECTORY, Options, locked, read_state

F = TypeVar("F", bound=Callable[..., None])

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_RUNS = "a lab is up already: `ikepy lab status` shows it, `ikepy lab down` removes it"

EXAMPLES = """\b
Examples:
  ikepy lab                            build, try, show, and remove everything
  ikepy lab --peer strongswan --nat    the other end a strongSwan, the CGW behind a NAT
  ikepy lab --auth pubkey --pq         certificates, and ML-KEM beside X25519
  ikepy lab --bgp                      BIRD at both ends brings the routes, and follows the tunnel
  ikepy lab --pod                      the CGW as in its pod: advertised, scraped, reloaded, ended
  ikepy lab --web                      a page that shows it all, and breaks it on demand
  ikepy lab up --ipv6                  build it and leave it running
  ikepy lab exec pod1 ping 10.2.0.10   run a command in one of its nodes
  ikepy lab down                       remove it
  ikepy lab course                     ten labs to learn IKEv2 and ESP with
"""


def _variant(command: F) -> F:
    """The options that choose a variant of the picture."""
    for option in (
        click.option(
            "--auth",
            type=click.Choice(METHODS),
            default=PSK,
            show_default=True,
            help="A pre-shared key, certificates, or the CGW as a user with a password.",
        ),
        click.option("--pq", is_flag=True, help="Key exchange with ML-KEM-768 beside X25519 (RFC 9370)."),
        click.option("--bgp", is_flag=True, help="BIRD at both ends: routes by BGP through the tunnel."),
        click.option("--ipv6", is_flag=True, help="IPv6 inside the tunnel as well."),
        click.option("--nat", is_flag=True, help="The CGW behind a NAT router."),
        click.option(
            "--pod",
            is_flag=True,
            help="The CGW as in its pod: VXLAN of a controller, router advertisements, HTTP, a reload under "
            "traffic, its end by SIGTERM. With --bgp and --ipv6.",
        ),
        click.option(
            "--peer",
            type=click.Choice(["ikepy", "strongswan"]),
            default="ikepy",
            show_default=True,
            help="What runs on the other concentrator.",
        ),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@_variant
@click.option("--keep", is_flag=True, help="Leave it running at the end.")
@click.option(
    "--web",
    is_flag=True,
    help="Serve a page on loopback that shows what happens, decrypted, until Ctrl-C.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8427,
    show_default=True,
    help="Of the page; 0: any that is free.",
)
@click.option("--seconds", type=click.IntRange(1, 60), default=3, show_default=True, help="TCP, each way.")
@click.pass_context
def lab(
    context: click.Context,
    peer: str,
    nat: bool,
    ipv6: bool,
    bgp: bool,
    pod: bool,
    auth: str,
    pq: bool,
    keep: bool,
    web: bool,
    port: int,
    seconds: int,
) -> None:
    """Two sites, their gateways and an internet, out of network namespaces.

    Without a command: build it, try it, show what was seen, and remove it. Exit status 0 if all of it worked.
    """
    if context.invoked_subcommand is None:
        if pod and keep:
            raise click.UsageError("--pod ends the daemon at last: ikepy lab up --pod leaves it running")
        if web and keep:
            raise click.UsageError("--web ends with the lab: ikepy lab up leaves one running")
        if web:
            options = replace(_options(peer, nat, ipv6, bgp, pod, auth, pq), keylog=True, web=True)
            sys.exit(_guarded(lambda show: _web(show, options, port)))
        sys.exit(
            _guarded(lambda show: _whole(show, _options(peer, nat, ipv6, bgp, pod, auth, pq), keep, seconds))
        )
    given = [name for name in context.params if _is_given(context, name)]
    if given:
        raise click.UsageError(f"--{given[0]} belongs behind the command: ikepy lab up --{given[0]}")


def _options(peer: str, nat: bool, ipv6: bool, bgp: bool, pod: bool, auth: str, pq: bool) -> Options:
    if pq and peer != "ikepy":
        raise LabError("--pq goes with --peer ikepy: Debian's strongSwan has no ML-KEM")
    if (bgp or pod) and peer != "ikepy":
        option = "--pod" if pod else "--bgp"
        raise LabError(f"{option} goes with --peer ikepy: strongSwan's device has carrier without an SA, too")
    return Options(peer, nat, ipv6 or pod, bgp=bgp or pod, pod=pod, auth=auth, pq=pq)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


@lab.command()
@_variant
@click.option("--keylog", is_flag=True, help="ikepy writes its keys, for `ikepy decode` and Wireshark.")
def up(peer: str, nat: bool, ipv6: bool, bgp: bool, pod: bool, auth: str, pq: bool, keylog: bool) -> None:
    """Build it, wait for the tunnel, and leave it running."""

    def build(show: Show) -> int:
        return _up(show, replace(_options(peer, nat, ipv6, bgp, pod, auth, pq), keylog=keylog))

    sys.exit(_guarded(build))


@lab.command()
def down() -> None:
    """Remove it, also what a lab left that was killed."""
    sys.exit(_guarded(_down))


@lab.command()
def status() -> None:
    """Show the running lab and its SAs; exit status 1 without one."""
    sys.exit(_guarded(_status, exclusive=False))


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(node: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in NODE; its exit status is ours.

    Nodes: pod1 pod2 segment cgw nat internet c4 site
    """
    sys.exit(_guarded(lambda _: _exec(node, command), exclusive=False))


lab.add_command(course)


def _whole(show: Show, options: Options, keep: bool, seconds: int) -> int:
    machine = _fresh(show, options)
    ok = False
    try:
        ok = _try(show, machine, seconds)
    finally:
        if not (keep and ok):
            _remove(show, machine)
    if keep and ok:
        machine.keep()
        show.line("\nIt stays up: `ikepy lab exec pod1 ping 10.2.0.10`, `ikepy lab down`")
    return 0 if ok else 1


def _web(show: Show, options: Options, port: int) -> int:
    """Build it, and serve its window until a signal."""
    from ikepy.web.lab.serve import serve_until_signal

    machine = _fresh(show, options)
    try:
        show.step("building it out of network namespaces")
        machine.build()
        serve_until_signal(machine, port, show.line, _SIGNALS)
    finally:
        _remove(show, machine)
    return 0


def _fresh(show: Show, options: Options) -> Lab:
    """A lab ready to build: first removes what a killed command left. LabError if a lab is up."""
    machine = Lab(options)
    machine.require()
    state = read_state(RUN_DIRECTORY)
    if state is not None:
        if state.kept:
            raise LabError(_RUNS)
        show.step("removing what an interrupted lab left")
        bed.remove()
    return machine


def _try(show: Show, machine: Lab, seconds: int) -> bool:
    """Build it, try everything, show everything."""
    show.picture(machine)
    show.step("\nbuilding it out of network namespaces")
    machine.build()
    with machine.capture() as capture:
        show.step("starting both gateways")
        show.step(f"the tunnel is up after {machine.connect():.1f} s; trying it")
        tried = {"Ping, both ways": checks.pings(machine), "Path MTU": checks.mtu(machine)}
        capture.stop()
        verdicts = links.judge(machine, capture)
    show.verdicts(verdicts)
    for heading, results in tried.items():
        show.results(heading, results)
    tried.update(_further(show, machine, seconds))
    failed = sum(not v.ok for v in verdicts) + sum(not r.ok for r in chain.from_iterable(tried.values()))
    if failed:
        show.error(f"\n{failed} of the above went wrong")
        show.line(machine.logs())
        return False
    show.heading("All of it worked.")
    return True


def _further(show: Show, machine: Lab, seconds: int) -> Iterator[tuple[str, list[Result]]]:
    """Try what is not captured, and show each part, by its heading, as soon as it is done."""

    def tried(heading: str, check: Callable[[Lab], list[Result]]) -> tuple[str, list[Result]]:
        results = checks.attempt(heading, machine, check)
        show.results(heading, results)
        return heading, results

    yield tried("TCP, one flow", lambda lab: checks.throughput(lab, seconds))
    if machine.options.pod:
        for heading, check in pod_checks.WHILE_UP.items():
            yield tried(heading, check)
    if machine.options.bgp:
        yield tried("BGP through the tunnel", follow)
    show.sas(machine)
    if machine.options.pod:
        yield tried("SIGTERM", pod_checks.end)


def _up(show: Show, options: Options) -> int:
    machine = _fresh(show, options)
    try:
        machine.build()
        seconds = machine.connect()
        machine.keep()
    except BaseException:
        _remove(show, machine)
        raise
    show.picture(machine)
    show.line(f"\nThe tunnel is up after {seconds:.1f} s. `ikepy lab exec NODE COMMAND...`, `ikepy lab down`")
    if options.keylog:
        show.line(f"Keys of IKE and ESP: {machine.directory / 'cgw' / concentrators.KEYS}")
    return 0


def _down(show: Show) -> int:
    found = bed.existing()
    if found is None:
        bed.remove()  # without a state file, at most the last namespace of a lab is left
        show.line("there is no lab")
        return 0
    found[0].down()
    show.line("the lab is removed")
    return 0


def _status(show: Show) -> int:
    found = bed.existing()
    if found is None:
        show.line("no lab is up")
        return 1
    machine, state = found
    if not state.kept:
        show.step("a command is at work on it, or was interrupted")
    show.picture(machine)
    daemons = [
        checks.Result(
            one.established if one.running else False,
            name,
            f"{one.kind} {'runs' if one.running else 'ended'}",
        )
        for name, one in (("cgw", machine.cgw), ("c4", machine.c4))
    ]
    show.results("Daemons with a tunnel", daemons)
    if all(one.running for one in (machine.cgw, machine.c4)):
        show.sas(machine)
    return 0 if all(one.ok for one in daemons) else 1


def _exec(node: str, command: tuple[str, ...]) -> int:
    found = bed.existing()
    if found is None:
        raise LabError("no lab is up: `ikepy lab up` builds one")
    machine = found[0]
    if node not in machine.nodes:
        raise LabError(f"there is no node {node!r}; there are {', '.join(machine.nodes)}")
    sys.stdout.flush()
    words = machine.nodes[node].command(*command)
    os.execvp(words[0], words)


def _remove(show: Show, machine: Lab) -> None:
    """Remove the whole lab; a second Ctrl-C doesn't interrupt it."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        show.step("\nremoving it all")
    finally:
        machine.down()


def _guarded(job: Callable[[Show], int], *, exclusive: bool = True) -> int:
    """Run `job`; the exit status. Errors print one message; signals end it after everything is removed."""
    show = Show()
    if os.geteuid() != 0:
        click.echo("ikepy lab: network namespaces and TUN devices need root: run it with sudo", err=True)
        return 1
    try:
        if not exclusive:
            return job(show)
        with _signals_raise(), locked(RUN_DIRECTORY):
            return job(show)
    except (LabError, OSError) as error:  # OSError: our output can't be written, or a file of the lab
        click.echo(f"ikepy lab: {error}", err=True)
        return 1
    except KeyboardInterrupt as interrupt:
        number = interrupt.args[0] if interrupt.args else signal.SIGINT
        click.echo("ikepy lab: interrupted", err=True)
        return 128 + int(number)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """SIGTERM and SIGHUP end the lab as Ctrl-C does: through every `finally`."""
    heard: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
        if heard:  # Python swallows exceptions raised in finalizers, for example: raise again here
            raise KeyboardInterrupt(heard[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
