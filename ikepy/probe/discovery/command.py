"""`ikepy probe HOST`: resolves the host, says what is about to be done, and prints what was found."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import click

from ikepy import option_types
from ikepy.control.options import examples, fail
from ikepy.control.terminal import console, print_lines
from ikepy.option_types import Number
from ikepy.probe.conformance.options import OptionError, Words, resolve, target
from ikepy.probe.discovery.as_html import page
from ikepy.probe.discovery.as_text import lines
from ikepy.probe.discovery.asking import Options
from ikepy.probe.discovery.esp import MakeTarget
from ikepy.probe.discovery.profiles import PROFILES
from ikepy.probe.discovery.report import Report
from ikepy.probe.discovery.run import discover
from ikepy.probe.target import IKE_SUITE, Limits, Target

PERMISSION = (
    "Probe only what is yours, or whose owner has agreed to it. Some 35 to 150 requests go to {address}, "
    "and to nobody else."
)


@click.command(
    "host",
    epilog=examples(
        "ikepy probe 192.0.2.2",
        "ikepy probe vpn.example.org --html report.html",
        "ikepy probe --json 192.0.2.2 | jq '.transforms.encryption.accepted[].name'",
        "ikepy probe --fail-below C --profile bsi 192.0.2.2 || echo not good enough",
    ),
)
@click.argument("host")
@click.option("-4", "family", flag_value="4", help="Ask over IPv4.")
@click.option("-6", "family", flag_value="6", help="Ask over IPv6.")
@click.option(
    "--rate",
    type=Number(0.05, 100),
    default=1.0,
    show_default=True,
    metavar="N",
    help="Connections a second at most.",
)
@click.option(
    "--timeout",
    type=Number(0.1, 30),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an answer before a request is repeated, twice at most.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(1, 2000),
    default=250,
    show_default=True,
    help="Requests in all; what could not be asked is said.",
)
@click.option(
    "--max-time",
    type=Number(1, 86400),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for all of it.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=500, show_default=True, help="Its port of IKE."
)
@click.option(
    "--nat-port",
    type=click.IntRange(1, 65535),
    default=4500,
    show_default=True,
    help="Its port of IKE and ESP in UDP.",
)
@click.option(
    "--source-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Our port; some gateways answer only to 500.  [default: any]",
)
@click.option(
    "--psk-file",
    type=option_types.PATH,
    metavar="FILE",
    help="The preshared key, as text or 0x and hexadecimal digits: to ask for ESP's algorithms, too. This "
    "takes our ports 500 and 4500.",
)
@click.option("--local-id", metavar="ID", help="With --psk-file: our identity.  [default: our address]")
@click.option("--remote-id", metavar="ID", help="With --psk-file: HOST's identity.  [default: its address]")
@click.option("--local-net", metavar="NETWORK", help="With --psk-file: the network behind us.")
@click.option("--remote-net", metavar="NETWORK", help="With --psk-file: the network behind HOST.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", type=option_types.PATH, metavar="FILE", help="Write a page, too.")
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="rfc8247",
    show_default=True,
    help="The profile of --fail-below.",
)
@click.option(
    "--fail-below",
    type=click.Choice(["A", "B", "C"]),
    help="End with status 1 if the grade of that profile is a lower one, or not known.",
)
@click.option("-q", "--quiet", is_flag=True, help="Don't say on standard error what is being done.")
def probe_host(
    host: str,
    family: str | None,
    rate: float,
    timeout: float,
    max_requests: int,
    max_time: float,
    port: int,
    nat_port: int,
    source_port: int,
    psk_file: Path | None,
    local_id: str | None,
    remote_id: str | None,
    local_net: str | None,
    remote_net: str | None,
    as_json: bool,
    html: Path | None,
    profile: str,
    fail_below: str | None,
    quiet: bool,
) -> None:
    """Find out what an IKEv2 responder accepts, announces and answers, without credentials.

    Which encryption, PRF, integrity and key exchange algorithms it accepts, what its IKE_SA_INIT announces,
    how it answers odd and malformed messages, whether IKEv1 is alive; and grades by RFC 8247 and by lists as
    those of BSI and NIST.

    It asks the host that is named, one connection a second, with time and number of requests bounded. Ends
    with status 1 if there is no answer.
    """
    address = _address(host, family)
    words = Words(
        str(address),
        psk_file=psk_file,
        local_id=local_id,
        remote_id=remote_id,
        local_net=local_net,
        remote_net=remote_net,
        ports=(port, nat_port, 500, 4500),
    )
    make_target = None if psk_file is None else _target_of(words, timeout)
    if not quiet:
        click.echo(PERMISSION.format(address=address), err=True)
    options = Options(
        rate=rate,
        timeout=timeout,
        most=max_requests,
        seconds=max_time,
        patience=min(timeout, 1.0),
        source_port=source_port,
        port=port,
        nat_port=nat_port,
    )
    progress = (lambda _: None) if quiet else _say
    try:
        report = asyncio.run(discover(host, address, options, os.urandom, progress, make_target))
    except OSError as error:
        fail(f"{address} can't be reached: {error.strerror or error}")
    _show(report, as_json, html)
    if not report.answers:
        sys.exit(1)
    if fail_below is not None and _below(report, profile, fail_below):
        sys.exit(1)


def _target_of(words: Words, timeout: float) -> MakeTarget:
    """Whom to authenticate to, by an IKE suite. Ends the command where the options can't be meant."""
    limits = Limits(response_s=3 * timeout, retransmit_s=timeout, interval_s=0)

    def make(ike: str) -> Target:
        return target(replace(words, ike=ike), limits)

    try:
        make(IKE_SUITE)
    except OptionError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or words.host}: {error.strerror or error}")
    return make


def _say(text: str) -> None:
    click.echo(f"  {text}", err=True)


def _show(report: Report, as_json: bool, html: Path | None) -> None:
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        print_lines(lines(report), console())
    if html is not None:
        try:
            html.write_text(page(report), encoding="utf-8")
        except OSError as error:
            fail(f"{html}: can't be written: {error.strerror}")


def _below(report: Report, profile: str, least: str) -> bool:
    """Whether the grade is worse than `least`, or there is none."""
    letter = next(one.letter for one in report.grades if one.profile == profile)
    return letter not in "ABC" or letter > least


def _address(host: str, family: str | None) -> IPv4Address | IPv6Address:
    """The first address of the host, of that family if one is asked for."""
    try:
        return resolve(host, None if family is None else int(family))
    except OptionError as error:
        fail(str(error))
