"""The options of `ikepy probe conformance` that say whom to test, as whom, how much and how fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from ikepy import option_types
from ikepy.option_types import Number
from ikepy.probe.target import ESP_SUITE, IKE_SUITE

F = TypeVar("F", bound=Callable[..., object])

_SECONDS = Number(min=0)
_FILE = option_types.PATH
_PORT = click.IntRange(1, 65535)
_PEER = (
    click.option("-4", "family", flag_value=4, type=int, help="Over IPv4."),
    click.option("-6", "family", flag_value=6, type=int, help="Over IPv6."),
    click.option("--source", metavar="ADDRESS", help="Our address.  [default: by the route to HOST]"),
    click.option(
        "--psk-file",
        type=_FILE,
        metavar="FILE",
        help="The preshared key: text, or 0x and hexadecimal digits.",
    ),
    click.option("--cert", type=_FILE, metavar="FILE", help="Our certificate, for cases with certificates."),
    click.option("--key", type=_FILE, metavar="FILE", help="Its private key."),
    click.option("--ca", type=_FILE, metavar="FILE", help="The CA of both ends' certificates."),
    click.option("--local-id", metavar="ID", help="Our identity.  [default: our address]"),
    click.option("--remote-id", metavar="ID", help="HOST's identity.  [default: its address]"),
    click.option("--local-net", metavar="NETWORK", help="The network behind us (Link Y)."),
    click.option("--remote-net", metavar="NETWORK", help="The network behind HOST (Link B)."),
    click.option("--local-host", metavar="ADDRESS", help="A host behind us; it needn't exist (TH2)."),
    click.option(
        "--remote-host", metavar="ADDRESS", help="A host behind HOST that answers echo requests (TH1)."
    ),
    click.option("--ike", default=IKE_SUITE, show_default=True, help="IKE's suite, as in swanctl.conf."),
    click.option("--esp", default=ESP_SUITE, show_default=True, help="ESP's suite, as in swanctl.conf."),
    click.option("--native", is_flag=True, help="ESP as protocol 50, not in UDP; needs CAP_NET_RAW."),
    click.option("--childless", is_flag=True, help="HOST installs no CHILD_SA: its IKE_SAs alone."),
    click.option(
        "--ports",
        nargs=4,
        type=_PORT,
        default=(500, 4500, 500, 4500),
        show_default=True,
        metavar="N N N N",
        help="HOST's ports of IKE and of NAT traversal, then ours.",
    ),
    click.option(
        "--identity",
        "identities",
        multiple=True,
        metavar="NAME=ID",
        help="Our identity for another set-up of HOST: config (it has a pool of addresses), certificate (it "
        "and we have certificates), rekey-child, rekey-ike (it has short lifetimes).",
    ),
    click.option(
        "--trigger",
        "triggers",
        multiple=True,
        metavar="NAME=COMMAND",
        help="A command here that makes HOST rekey-child, rekey-ike, delete-child, delete-ike; with --listen "
        "also initiate, stop (forget its SAs), new-child.",
    ),
)
_RUN = (
    click.option("-k", "--case", "patterns", multiple=True, metavar="GLOB", help="Only these cases."),
    click.option("--listen", is_flag=True, help="HOST initiates, and we respond (SGW.I.*)."),
    click.option(
        "--initiator",
        "initiator_command",
        metavar="COMMAND",
        help="With --listen: a command here that makes HOST do what IKEPY_PROBE_ACTION says, as "
        "other variables IKEPY_PROBE_ configure it.  [default: --trigger, or you are told what to do]",
    ),
    click.option(
        "--load",
        "files",
        multiple=True,
        type=option_types.FILE,
        metavar="FILE",
        help="A Python file with cases of your own.",
    ),
    click.option(
        "--timeout",
        type=_SECONDS,
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="How long an answer may take.",
    ),
    click.option(
        "--quiet-time",
        type=_SECONDS,
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="How long nothing must come where nothing is to come.",
    ),
    click.option(
        "--interval",
        type=_SECONDS,
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="Between the beginnings of two cases.",
    ),
    click.option(
        "--case-time",
        type=_SECONDS,
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        help="How long a case may take.",
    ),
    click.option(
        "--lifetime",
        type=_SECONDS,
        default=0.0,
        metavar="SECONDS",
        help="Within which HOST rekeys by itself.  [default: nobody waits for that]",
    ),
)


def about_the_peer(command: F) -> F:
    """Whom to test, and as whom."""
    for option in reversed(_PEER):
        command = option(command)
    return command


def about_the_run(command: F) -> F:
    """How much is run, and how fast."""
    for option in reversed(_RUN):
        command = option(command)
    return command
